"""Who answers: a script, a model in this process, or servers."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings


class ScriptedEngineSettings(Settings):
    """A script, or recorded responses, instead of a model."""

    type: Literal["scripted"]
    script: Literal["lab-teacher"] = Field(default="lab-teacher", description="which script answers")
    replay: str | None = Field(
        default=None, description="a file of recorded responses that answers instead; relative to the recipe's folder"
    )
    tokens_per_second: float | None = Field(
        default=None, gt=0, description="of each response; at once if not given", json_schema_extra=PLACEMENT
    )
    concurrency: int = Field(default=64, ge=1, description="responses at a time", json_schema_extra=PLACEMENT)


class LocalEngineSettings(Settings):
    """A Hugging Face model in this process."""

    type: Literal["local"]
    model: str = Field(description="`lab`, a model folder (relative ones start at the current folder), or a Hub id")
    dtype: Literal["float32", "float64", "bfloat16"] = Field(
        default="float32", description="arithmetic; float64 makes results independent of the batch's shape"
    )
    device: str = Field(default="auto", description="cpu, cuda, cuda:1, or auto", json_schema_extra=PLACEMENT)
    batch_size: int = Field(default=64, ge=1, description="sequences decoded together", json_schema_extra=PLACEMENT)
    cache_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens held in the cache at once; a share of the free memory if not given",
        json_schema_extra=PLACEMENT,
    )


class EndpointSettings(Settings):
    """What every engine behind HTTP has: where it is, and how hard it may be asked. Nothing here can hold a key."""

    model: str = Field(min_length=1, description="the name under which the endpoint serves it")
    key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="environment variable with the API key or keys; the provider's usual one if not given",
        json_schema_extra=PLACEMENT,
    )
    key_file: str | None = Field(
        default=None, description="a file with one key on each line, instead", json_schema_extra=PLACEMENT
    )
    max_in_flight: int = Field(
        default=1024, ge=1, description="most calls at a time for each endpoint and key", json_schema_extra=PLACEMENT
    )
    requests_per_minute: float | None = Field(
        default=None, gt=0, description="of each key at each endpoint", json_schema_extra=PLACEMENT
    )
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="read and written, of each key at each endpoint", json_schema_extra=PLACEMENT
    )
    retries: int = Field(
        default=5, ge=0, description="failures of one request before it is given up", json_schema_extra=PLACEMENT
    )
    connect_seconds: float = Field(default=10.0, gt=0, json_schema_extra=PLACEMENT)
    stall_seconds: float = Field(
        default=120.0, gt=0, description="silence, or next to no progress, is a failure", json_schema_extra=PLACEMENT
    )
    patience_seconds: float = Field(
        default=600.0, gt=0, description="how long every endpoint may be away", json_schema_extra=PLACEMENT
    )
    stream: bool = Field(default=True, description="false for servers without streams", json_schema_extra=PLACEMENT)


class OpenAIEngineSettings(EndpointSettings):
    """Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, hosted ones."""

    type: Literal["openai"]
    endpoints: tuple[str, ...] = Field(
        default=("https://api.openai.com/v1",),
        min_length=1,
        description="base URLs; several are one pool",
        json_schema_extra=PLACEMENT,
    )
    endpoints_file: str | None = Field(
        default=None, description="a file with one base URL on each line, instead", json_schema_extra=PLACEMENT
    )
    protocol: Literal["auto", "completions", "chat"] = Field(
        default="auto",
        description="completions sends token ids and saves long traces as they grow; auto: where a tokenizer is given",
    )
    tokenizer: str | None = Field(default=None, description="`lab`, a model folder or a Hub id, for completions")
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = Field(default="auto")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="further fields of a chat request, such as reasoning_effort: high"
    )

    @property
    def sends_ids(self) -> bool:
        """Whether it is a token engine."""
        return self.protocol == "completions" or (self.protocol == "auto" and self.tokenizer is not None)


class AnthropicEngineSettings(EndpointSettings):
    """Anthropic's Messages API, thinking kept apart."""

    type: Literal["anthropic"]
    endpoints: tuple[str, ...] = Field(
        default=("https://api.anthropic.com",), min_length=1, description="base URLs", json_schema_extra=PLACEMENT
    )
    thinking_tokens: int | None = Field(default=None, ge=1024, description="budget of extended thinking")
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None, description="of adaptive thinking, instead of a budget"
    )


RemoteEngineSettings: TypeAlias = OpenAIEngineSettings | AnthropicEngineSettings
EngineSettings: TypeAlias = Annotated[
    ScriptedEngineSettings | LocalEngineSettings | OpenAIEngineSettings | AnthropicEngineSettings,
    Field(discriminator="type"),
]


def engine_name(settings: EngineSettings) -> str:
    """The model's name as it stands in records."""
    if isinstance(settings, ScriptedEngineSettings):
        return Path(settings.replay).name if settings.replay else settings.script
    return settings.model
