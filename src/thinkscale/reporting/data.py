"""What a report is made of: everything that the report stage hands in, and nothing that it would have to fetch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from thinkscale.keys import JSON
from thinkscale.records import Cell, Decision, Fate, Grade, Label, Problem, Response, Score, Step
from thinkscale.reporting.selection import SelectionFacts
from thinkscale.statistics import RESAMPLES, S1_TARGETS_TOKENS, SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFlow:
    """Rows into and out of one stage of the selection."""

    stage: str
    rows_in: int
    rows_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherTraces:
    """What a teacher gave."""

    model: str
    responses: int
    ended: int
    cut: int
    """By a token limit."""
    failed: int
    failures: Mapping[str, int]
    """By kind: what stands before the first colon of the error."""
    retried: int
    """Responses that took more than one attempt."""
    thinking_tokens: tuple[int, int, int]
    """Median, 90th percentile and most of the responses that did not fail."""
    prompt_tokens: int
    completion_tokens: int
    """Over every attempt."""
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of thinking text: what the model wrote, or (`forced`) what we put there."""

    text: str
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response shown in full, with where it came from."""

    problem: Problem
    prompt: str
    """The rendered prompt, special tokens included."""
    response: Response
    grade: Grade
    pieces: tuple[Piece, ...] = ()
    """The thinking cut at `response.forced` by whoever has the tokenizer; empty: shown as one piece."""
    benchmark: str = ""
    """Empty for a teacher's response; then `method` is empty too."""
    method: str = ""
    budget_tokens: int | None = None
    waits: int = 0
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSaving:
    """What sharing prefixes saved in one sweep: one model on one benchmark."""

    benchmark: str
    model: str
    thinking_tokens_separate: int
    """Thinking tokens that a separate run for each cell would generate."""
    thinking_tokens_generated: int
    answer_tokens_generated: int
    trajectories: int
    answers: int
    """Short answers generated: one for each distinct prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """The whole input of a report. The same data gives the same bytes."""

    title: str
    recipe: str
    models: tuple[str, ...]
    """Models with cells, in the order to show them; the last one is what the report is about."""
    base_model: str | None = None
    """The one of `models` that the others were trained from; None where there is nothing to compare with."""
    problems_by_benchmark: Mapping[str, int]
    """Benchmarks in the order to show them."""
    stages: tuple[StageFlow, ...] = ()
    teachers: tuple[TeacherTraces, ...] = ()
    fates: tuple[Fate, ...] = ()
    labels: tuple[Label, ...] = ()
    """Labels of the selected problems."""
    selection: SelectionFacts | None = None
    cells: tuple[Cell, ...] = ()
    scores: tuple[Score, ...] = ()
    steps: tuple[Step, ...] = ()
    samples: tuple[Sample, ...] = ()
    savings: tuple[SweepSaving, ...] = ()
    targets_tokens: tuple[int, ...] = S1_TARGETS_TOKENS
    resamples: int = RESAMPLES
    seed: int = SEED
    provenance: Mapping[str, JSON] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """What a full table holds, to its path relative to the report."""
    warnings: tuple[str, ...] = ()

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks in order."""
        return tuple(self.problems_by_benchmark)

    @property
    def main_model(self) -> str | None:
        """The model that the report is about."""
        return self.models[-1] if self.models else None


def drop_counts(fates: tuple[Fate, ...]) -> Counter[tuple[str, str]]:
    """Dropped rows by (stage, reason), in order of first appearance."""
    return Counter((fate.stage, fate.reason) for fate in fates if fate.decision is Decision.DROPPED)
