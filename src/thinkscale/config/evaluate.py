"""Settings of the sweep: which methods, over which budgets, waits and targets, and how each is run."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.config.engines import OpenAIEngineSettings
from thinkscale.config.prompts import TemplateSettings
from thinkscale.config.scorers import ScorerSettings

Count: TypeAlias = Annotated[int, Field(ge=1)]
Method: TypeAlias = Literal[
    "truncation",
    "budget_forcing",
    "class_conditional",
    "token_conditional",
    "token_conditional_forced",
    "step_conditional",
    "step_conditional_forced",
    "minimum",
    "rejection",
    "direct",
    "majority",
    "pass",
    "best_of_n",
]


class EvaluateSettings(Settings):
    """The sweep: methods x budgets x waits on every benchmark."""

    benchmarks: tuple[str, ...] = Field(min_length=1, description="NAME, NAME:100, NAME~100, or a file")
    methods: tuple[Method, ...] = Field(
        default=("truncation", "budget_forcing", "class_conditional"),
        min_length=1,
        description="how thinking is controlled; docs/test-time-scaling.md says what each does",
    )
    budgets: tuple[Count, ...] = Field(
        default=(500, 1000, 2000, 4000, 8000),
        description="thinking tokens: of truncation, budget_forcing and rejection",
    )
    untruncated: bool = Field(default=True, description="also without a budget, up to max_thinking_tokens")
    waits: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 1, 2, 4), min_length=1, description="times the end of thinking is suppressed"
    )
    wait_strings: tuple[str, ...] = Field(
        default=("Wait",),
        min_length=1,
        description="what stands where an end was suppressed, each in turn as a variant of its own; `none` puts "
        "nothing there, `rotate` takes Wait, Hmm and Alternatively in turn",
    )
    grace_tokens: int = Field(
        default=0, ge=0, description="a thinking that its budget cuts may go so far beyond it to end its sentence"
    )
    minimum_thinking_tokens: tuple[Count, ...] = Field(
        default=(500, 1000, 2000, 4000, 8000),
        description="of the method minimum: the end of thinking cannot be drawn before so many tokens",
    )
    token_targets: tuple[Count, ...] = Field(
        default=(1024, 2048, 4096, 8192, 16384), description="tokens that the token-conditional methods tell the model"
    )
    step_targets: tuple[Count, ...] = Field(
        default=(16, 32, 64, 128, 256), description="steps that the step-conditional methods tell the model"
    )
    step_format: Literal["blank_lines", "lines", "countdown"] = Field(
        default="blank_lines",
        description="what a step is: a paragraph, a line, or what stands between lines that count down `N steps left`",
    )
    rejection_attempts: int = Field(
        default=16, ge=1, description="times a thinking is sampled until it ends within the budget"
    )
    max_thinking_tokens: int = Field(default=30000, ge=1, description="where the thinking is cut off without a budget")
    max_answer_tokens: int = Field(default=1024, ge=1)
    samples: int = Field(default=1, ge=1, description="trajectories for each problem")
    scorers: tuple[ScorerSettings, ...] = Field(
        default=(),
        description="who chooses among samples (best_of_n): logprob, `reward: MODEL` or `judge: ENGINE`",
    )
    replays: int = Field(
        default=0, ge=0, description="trajectories generated a second time, to see whether the engine repeats itself"
    )
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    catalogue: str | None = Field(
        default=None,
        description="a YAML file of benchmarks of one's own (docs/benchmarks.md); relative to the recipe's folder",
        json_schema_extra=PLACEMENT,
    )
    local: dict[str, str] = Field(
        default_factory=dict,
        description="benchmark, or * for every one, to a folder or file that stands in for its repository",
        json_schema_extra=PLACEMENT,
    )
    template: dict[str, str] = Field(
        default_factory=dict,
        description="benchmark, or * for every one, to the prompt template that asks it; as the catalogue says if not "
        "given (`thinkscale list templates`)",
    )
    templates: dict[str, TemplateSettings] = Field(
        default_factory=dict, description="prompt templates of one's own, by name"
    )
    engine: OpenAIEngineSettings | None = Field(
        default=None,
        description="servers of the student, in a recipe that does not train it; in this process if not given",
    )
    baseline: bool = Field(default=True, description="the student before training, too: at once, and thinking")
    dtype: Literal["float32", "float64", "bfloat16"] = Field(default="float32")
    device: str = Field(default="auto", json_schema_extra=PLACEMENT)
    batch_size: int = Field(default=64, ge=1, json_schema_extra=PLACEMENT)
