"""Settings of the student: what it is, its training, its evaluation, and the report on it."""

from typing import Annotated, Literal

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.config.engines import OpenAIEngineSettings


class StudentSettings(Settings):
    """The model that is fine-tuned and evaluated."""

    model: str = Field(description="`lab`, a model folder (relative ones start at the current folder), or a Hub id")
    thinking_format: Literal["s1", "think_tags", "sky_t1"] = Field(
        default="s1", description="how thinking is marked in its training rows and prompts"
    )


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
