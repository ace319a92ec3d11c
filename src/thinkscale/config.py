"""Recipes: every setting of a run, typed, with its default and what it does.

A recipe holds choices only. A stage runs where its section is present. Fields marked PLACEMENT say where and how
fast to run, and are outside a stage's identity: changing them never invalidates what is stored.

Rejected: one flat namespace of options (nobody can say which stage an option belongs to), and settings with
interpolation (a recipe must read as what it does).
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from thinkscale.errors import ConfigError
from thinkscale.keys import JSON

PLACEMENT: dict[str, Any] = {"placement": True}


class Settings(BaseModel):
    """Base of every section: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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


class LabSourceSettings(Settings):
    """Problems of the lab's world, with planted faults."""

    type: Literal["lab"]
    size: int = Field(default=3000, ge=1, description="rows, faulty ones included")


class FileSourceSettings(Settings):
    """Problems of one JSONL or Parquet file."""

    type: Literal["file"]
    path: str = Field(description="the file; relative to the recipe's folder")
    name: str | None = Field(default=None, description="the source's name in records; the file's stem if not given")
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column carries which field, where names differ: question: problem"
    )


SourceSettings: TypeAlias = Annotated[LabSourceSettings | FileSourceSettings, Field(discriminator="type")]


class StudentSettings(Settings):
    """The model that is fine-tuned and evaluated."""

    model: str = Field(description="`lab`, a model folder (relative ones start at the current folder), or a Hub id")
    thinking_format: Literal["s1", "think_tags", "sky_t1"] = Field(
        default="s1", description="how thinking is marked in its training rows and prompts"
    )


class CollectSettings(Settings):
    """Where problems come from."""

    sources: tuple[SourceSettings, ...] = Field(min_length=1, description="read in this order")
    malformed: Literal["refuse", "drop"] = Field(
        default="refuse", description="a row that is no problem: stop and name it, or drop it with its reason"
    )


class GenerateSettings(Settings):
    """The teacher's traces."""

    engine: EngineSettings = Field(description="the teacher")
    samples: int = Field(default=1, ge=1, description="traces for each problem")
    temperature: float = Field(default=1.0, ge=0, description="0 is greedy")
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=32768, ge=1, description="thinking and answer together")
    thinking_format: Literal["s1", "think_tags", "sky_t1"] = Field(
        default="think_tags", description="how a teacher of token ids marks its thinking"
    )
    thinks: bool = Field(default=True, description="false: a teacher of token ids answers at once")
    system_prompt: Literal["none", "boxed", "careful"] = Field(
        default="none", description="`thinkscale list prompts` shows the texts"
    )
    max_failures: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of failed requests at which the stage stops",
        json_schema_extra=PLACEMENT,
    )
    max_spend: float | None = Field(
        default=None, ge=0, description="US dollars that are never crossed", json_schema_extra=PLACEMENT
    )
    prices: str | None = Field(
        default=None, description="a file of prices that go before the built-in ones", json_schema_extra=PLACEMENT
    )
    batch: bool = Field(
        default=False,
        description="through the provider's batch API: slower, at half the price",
        json_schema_extra=PLACEMENT,
    )
    batch_poll_seconds: float = Field(
        default=60.0, gt=0, description="how often batches are asked for", json_schema_extra=PLACEMENT
    )
    cache: str = Field(
        default="default",
        description="where replies that were paid for are kept for every run: default, none, or a file",
        json_schema_extra=PLACEMENT,
    )


class GradeSettings(Settings):
    """How responses are judged: the teacher's, the weak models', and those of the evaluation."""

    symbolic: bool = Field(
        default=True, description="what rules leave undecided goes to symbolic equality, in a process with hard limits"
    )
    cpu_seconds: float = Field(default=5.0, gt=0, description="CPU time of a program on one test")
    memory_mib: int = Field(default=1024, ge=64, description="memory of a program")
    workers: int = Field(default=1, ge=1, description="processes that grade", json_schema_extra=PLACEMENT)
    isolation: str | None = Field(
        default=None,
        description="what keeps programs in: bubblewrap or namespaces; the best there is if not given",
        json_schema_extra=PLACEMENT,
    )


class LabelSettings(Settings):
    """Domain, trace length, and difficulty by weak models."""

    weak_models: tuple[EngineSettings, ...] = Field(
        default=(), description="a problem that any of these solves is too easy to teach with"
    )
    weak_samples: int = Field(default=1, ge=1, description="attempts of each weak model at each problem")
    weak_temperature: float = Field(default=0.05, ge=0, description="s1 used 0.05")
    weak_max_tokens: int = Field(default=1024, ge=1)


class SelectSettings(Settings):
    """The training set: s1's quality, difficulty and diversity."""

    count: int = Field(default=1000, ge=1, description="examples, exactly")
    ngram_words: int = Field(default=8, ge=2, description="words of a shared n-gram that marks contamination")
    duplicate_containment: float = Field(
        default=0.5, gt=0, le=1, description="share of a question's n-grams in another that makes it a duplicate"
    )
    min_trace_tokens: int = Field(default=50, ge=0, description="shorter thinking is dropped")
    max_trace_tokens: int = Field(default=32768, ge=1, description="longer thinking is dropped")
    drop_solved: bool = Field(default=True, description="drop what a weak model solves")


class TrainSettings(Settings):
    """Supervised fine-tuning; the defaults are the s1 paper's."""

    epochs: int = Field(default=5, ge=1)
    effective_batch_size: int = Field(default=16, ge=1, description="rows of one optimizer step, over all devices")
    micro_batch_size: int | None = Field(default=None, ge=1, description="rows at once", json_schema_extra=PLACEMENT)
    learning_rate: float = Field(default=1e-5, gt=0)
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    adam_betas: tuple[float, float] = Field(default=(0.9, 0.95))
    max_gradient_norm: float = Field(default=1.0, gt=0)
    max_length: int = Field(default=32768, ge=16, description="tokens of a row, prompt included")
    over_length: Literal["refuse", "drop", "truncate_middle"] = Field(
        default="refuse", description="what to do with longer rows; never silently"
    )
    dtype: Literal["float32", "bfloat16"] = Field(default="bfloat16")
    save_every_steps: int = Field(
        default=50, ge=1, description="steps that a kill may cost", json_schema_extra=PLACEMENT
    )


class EvaluateSettings(Settings):
    """The sweep: methods x budgets x waits on every benchmark."""

    benchmarks: tuple[str, ...] = Field(min_length=1, description="NAME, NAME:100, or a file")
    methods: tuple[Literal["truncation", "budget_forcing", "class_conditional"], ...] = Field(
        default=("truncation", "budget_forcing", "class_conditional"), min_length=1
    )
    budgets: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(500, 1000, 2000, 4000, 8000), description="thinking tokens"
    )
    untruncated: bool = Field(default=True, description="also without a budget, up to max_thinking_tokens")
    waits: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 1, 2, 4), min_length=1, description="times the end of thinking is suppressed"
    )
    wait_string: str = Field(default="Wait")
    max_thinking_tokens: int = Field(default=30000, ge=1, description="where the thinking is cut off without a budget")
    max_answer_tokens: int = Field(default=1024, ge=1)
    samples: int = Field(default=1, ge=1, description="trajectories for each problem")
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    engine: OpenAIEngineSettings | None = Field(
        default=None,
        description="servers of the student, in a recipe that does not train it; in this process if not given",
    )
    baseline: bool = Field(default=True, description="the student before training, too: at once, and thinking")
    dtype: Literal["float32", "float64", "bfloat16"] = Field(default="float32")
    device: str = Field(default="auto", json_schema_extra=PLACEMENT)
    batch_size: int = Field(default=64, ge=1, json_schema_extra=PLACEMENT)


class ReportSettings(Settings):
    """What the report shows."""

    title: str = Field(default="thinkscale report")
    samples: int = Field(default=12, ge=0, description="traces shown in full")
    resamples: int = Field(default=2000, ge=100, description="bootstrap resamples of every interval")


class Recipe(Settings):
    """A whole run. A stage without a section does not run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    seed: int = Field(default=42, ge=0, lt=2**32)
    student: StudentSettings | None = None
    collect: CollectSettings | None = None
    generate: GenerateSettings | None = None
    grade: GradeSettings | None = None
    label: LabelSettings | None = None
    select: SelectSettings | None = None
    train: TrainSettings | None = None
    evaluate: EvaluateSettings | None = None
    report: ReportSettings = Field(default_factory=ReportSettings)

    @property
    def the_student(self) -> StudentSettings:
        """The student of a recipe with a stage that needs one. ConfigError where the recipe names none."""
        if self.student is None:
            raise ConfigError(f"the recipe {self.name!r} has no section `student`, which its stages need")
        return self.student


def shipped_recipes() -> dict[str, str]:
    """Name to text of every recipe in the package."""
    folder = files("thinkscale.recipes")
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def recipe_source(name: str) -> tuple[str, str]:
    """The text of a shipped recipe or of a YAML file, and what to call it in messages."""
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name], f"{name}.yaml"
    path = Path(name)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), name
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name} is not a recipe in UTF-8: {error}") from error
    raise ConfigError(
        f"there is no recipe {name!r}: it is neither shipped ({', '.join(shipped)}) nor a file; "
        "`thinkscale list recipes` says what each does"
    )


def identity_of(settings: BaseModel) -> dict[str, JSON]:
    """Settings as JSON, without those that only say where and how fast to run."""
    row: dict[str, JSON] = {}
    for name, info in type(settings).model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("placement"):
            continue
        row[name] = _identity_value(getattr(settings, name))
    return row


def _identity_value(value: object) -> JSON:
    if isinstance(value, BaseModel):
        return identity_of(value)
    if isinstance(value, (tuple, list)):
        return [_identity_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _identity_value(item) for key, item in value.items()}
    assert value is None or isinstance(value, (str, int, float, bool))
    return value
