"""Settings of the selection."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.errors import ConfigError

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class KeepRuleSettings(Settings):
    """Rows that are taken before anything is drawn."""

    source: str = Field(min_length=1, description="of rows to keep; * stands for any characters")
    correct: bool = Field(default=False, description="only with a trace that was graded correct")
    min_trace_tokens: int = Field(default=0, ge=0, description="only with thinking at least so long")


class LastPhaseSettings(Settings):
    """The second phase of s1's notebook, which its paper does not name."""

    count: int = Field(ge=1, description="so many rows are drawn last, from domains as some sources have them")
    shares: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="source to weight; * stands for any characters; s1: {aime: 1, gpqa: 0.5}"
    )


class MixSettings(Settings):
    """Short and long thinking in fixed numbers."""

    short_rows: int = Field(ge=0, description="of `count`; the others have longer traces")
    short_tokens: int = Field(ge=1, description="the longest trace that is short")


class SelectSettings(Settings):
    """The training set: s1's quality, difficulty and diversity."""

    count: int = Field(default=1000, ge=1, description="examples, exactly; not read by the sampler `all`")
    sampler: Literal["s1", "balanced", "diverse", "random", "longest", "all"] = Field(
        default="s1", description="how rows are drawn of those that pass the filters"
    )
    exponent: float | None = Field(
        default=None,
        ge=0,
        le=8,
        multiple_of=0.25,
        description="weight rank^-exponent by trace length in the place of the sampler's own; 0 is all alike",
    )
    last_phase: LastPhaseSettings | None = Field(default=None, description="s1's unpublished second phase")
    mix: MixSettings | None = Field(default=None, description="fixed numbers of short and long traces")
    keep_all: tuple[KeepRuleSettings, ...] = Field(
        default=(), description="rows to take first; a rule whose source has no rows is an error"
    )
    need: tuple[Literal["trace", "grade", "domain", "attempts", "rating"], ...] = Field(
        default=("trace",), description="what a row must have, whatever it says"
    )
    need_correct: bool = Field(default=True, description="the trace must be graded correct; s1 asks that of kept rows")
    question_rules: Literal["default", "s1", "none"] | tuple[str, ...] = Field(
        default="default", description="rules whose faults drop a question: a set by its name, or the rules' names"
    )
    trace_rules: Literal["default", "none"] | tuple[str, ...] = Field(
        default="default",
        description="rules whose faults drop a trace; correctness and length are settings of their own",
    )
    languages: tuple[str, ...] = Field(
        default=("en",), description="of questions, as ISO 639-1 codes; others are the fault `other_language`"
    )
    tolerated_faults: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description='faults that drop no row of a source: {aime: [asymptote_figure], "*": [unbalanced]}',
    )
    min_trace_tokens: int = Field(default=50, ge=0, description="shorter thinking is dropped")
    max_trace_tokens: int = Field(default=32768, ge=1, description="longer thinking is dropped")
    against: tuple[str, ...] = Field(
        default=(), description="benchmarks or files beside those that the recipe evaluates: what overlaps is dropped"
    )
    overlap_rule: Literal["default", "s1"] = Field(
        default="default", description="how text is compared; s1: words at white space, one shared n-gram"
    )
    ngram_words: int = Field(default=8, ge=2, description="words of the n-grams that are compared")
    check_traces: bool = Field(default=False, description="compare traces with the benchmarks too, not only questions")
    overlap_share: Share = Field(
        default=0.0, description="overlaps of a smaller share of the smaller text do not count as contamination"
    )
    duplicate_containment: Annotated[float, Field(ge=0.3, le=1)] | None = Field(
        default=0.5, description="share of a question's n-grams in another that makes it a duplicate; null keeps them"
    )
    duplicate_same_answer: Annotated[float, Field(ge=0.3, le=1)] | None = Field(
        default=0.3,
        description="the share that is enough where both have the same answer; null: no other share",
    )
    prefer: tuple[Literal["correct", "longer", "source"], ...] = Field(
        default=("correct", "longer", "source"),
        description="which of two duplicates stays: a correct trace, a longer one, an earlier source; then by id",
    )
    difficulty: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="lowest and highest rating of a source's rows: {math: [4, 9]}"
    )
    drop_solved: Literal["any", "all", "none"] = Field(
        default="any", description="drop what so many of the weak models solve"
    )
    solved_above: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="a weak model solves a problem where more than this share of its attempts is correct"
    )
    workers: str = Field(
        default="local:1",
        description="where texts are measured: 2 or local:2 (so many processes), local (every core), ray:auto, "
        "ray:HOST:PORT",
        json_schema_extra=PLACEMENT,
    )
    memory_mib: int = Field(
        default=1024,
        ge=256,
        description="what each process that measures may hold; more goes by shares, over spill files",
        json_schema_extra=PLACEMENT,
    )

    @field_validator("workers", mode="before")
    @classmethod
    def _of_a_backend(cls, workers: object) -> object:
        from thinkscale.cluster.backends import backend

        is_number = isinstance(workers, int) and not isinstance(workers, bool)
        named = f"local:{workers}" if is_number or (isinstance(workers, str) and workers.isdecimal()) else workers
        if isinstance(named, str):
            try:
                backend(named)
            except ConfigError as error:
                raise ValueError(str(error).removeprefix("workers ")) from error
        return named


MEASURED = ("languages", "against", "overlap_rule", "ngram_words", "check_traces")
"""Settings that decide what is measured; all others only what is done with it."""
