"""Settings of the stages that make traces and judge them."""

from typing import Literal

from pydantic import Field

from thinkscale.config.asking import AskingSettings
from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.config.engines import EngineSettings


class GenerateSettings(AskingSettings):
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
    batch: bool = Field(
        default=False,
        description="through the provider's batch API: slower, at half the price",
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
