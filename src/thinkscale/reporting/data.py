"""What a report is made of: everything that the report stage hands in, and nothing that it would have to fetch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from thinkscale.keys import JSON
from thinkscale.records import Cell, Decision, Fate, Grade, Label, Problem, Replay, Response, Reward, Score
from thinkscale.reporting.published import PublishedPoint
from thinkscale.reporting.regraded import GraderRange
from thinkscale.reporting.selection import SelectionFacts
from thinkscale.reporting.traces.inline import InlineTraces
from thinkscale.reporting.training import TrainingFacts
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
    why: str = ""
    """The rule by which it was chosen, in words."""


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
class Loop:
    """A response whose thinking ends in a loop."""

    response_key: str
    unit: str
    """What is repeated."""
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCost:
    """What the evaluation took beside tokens. These are clock readings: they differ from run to run."""

    seconds: float | None
    """Of the clock, over all invocations, while the stage worked; None where nobody measured."""
    joules: Mapping[str, float]
    """By source (`rapl`, `nvml`); a source that this machine does not have is absent."""
    usd: float
    """What engines charged."""
    usd_per_hour: float | None
    """Price of the machine, as the recipe gives it."""
    generated_tokens: int
    """That the sweep really generated: thinking and answers of all models, each shared prefix once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCheck:
    """The grader held against a benchmark's own references: each must be right, another problem's must not."""

    benchmark: str
    problems: int
    accepted: int
    """References that, given as the answer, are `correct`."""
    tried_others: int
    """Problems that were given the reference of another one, which differs in writing."""
    accepted_others: int
    """Of these `correct`: equal values written in two ways are so rightly, anything else is a fault."""
    undecided: int
    """References, their own or another's, that the rules alone could not compare."""
    examples: tuple[str, ...] = ()
    """What was not as it must be, the first few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Verdicts of the evaluation's responses by what decided them."""

    grader: str
    tier: str
    verdict: str
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A setting in which this run differs from the one that it is compared with."""

    setting: str
    here: str
    there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was done and how, from the recipe alone."""

    approach: tuple[tuple[str, str], ...] = ()
    """Step of the chain, and what it does here."""
    environment: tuple[tuple[str, str], ...] = ()
    """What decides the bytes of an evaluation: model, format, templates with their hashes, engine, kernels."""
    compared_with: str = ""
    """The recipe that `deviations` is measured against; empty where it is this one."""
    deviations: tuple[Deviation, ...] = ()
    agreeing: int = 0
    """Settings that are the same in both."""


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
    rewards: tuple[Reward, ...] = ()
    trainings: tuple[TrainingFacts, ...] = ()
    samples: tuple[Sample, ...] = ()
    samples_left_out: int = 0
    """Choices of the rule that found no room among the samples."""
    savings: tuple[SweepSaving, ...] = ()
    loops: tuple[Loop, ...] = ()
    """Responses of the evaluation that end in a loop."""
    cost: SweepCost | None = None
    published: tuple[PublishedPoint, ...] = ()
    """What others published on these benchmarks, where the recipe asks for it."""
    replays: tuple[Replay, ...] = ()
    references: tuple[ReferenceCheck, ...] = ()
    decided: tuple[Decided, ...] = ()
    graders: GraderRange | None = None
    """Truncation of the main model under several graders; None where rules alone grade nothing here."""
    setup: Setup = field(default_factory=Setup)
    targets_tokens: tuple[int, ...] = S1_TARGETS_TOKENS
    grace_tokens: int = 0
    """How far beyond a budget a sentence may end."""
    resamples: int = RESAMPLES
    seed: int = SEED
    traces: InlineTraces | None = None
    """Every response, or as many as a page can hold; None where there are none."""
    provenance: Mapping[str, JSON] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """What a full table holds, to its path relative to the report."""
    notice: tuple[str, ...] = ()
    """What must be read before anything else, as the recipe says it: a sentence, then its parts."""
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
