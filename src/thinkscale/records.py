"""The nouns: one frozen record for each thing that passes between stages.

The schema on disk is the record (store/tables.py makes a Parquet schema of the annotations). Clock
readings are not in any record: a finished table must be byte-identical however often the run that made
it was interrupted, so times live in the journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, content_key, plain


class Kind(StrEnum):
    """How a problem's answer is judged."""

    MATH = "math"
    CHOICE = "choice"
    CODE = "code"
    OPEN = "open"


class Finish(StrEnum):
    """Why a response stopped."""

    END = "end"
    """The model ended its turn."""
    LENGTH = "length"
    """A token limit cut it: of the thinking where `answer_text` is empty, else of the answer."""
    BUDGET = "budget"
    """The thinking was cut at its budget and closed by us; the answer that followed ended by itself."""
    ERROR = "error"
    """The engine failed for good on this request; `error` says how."""


class Verdict(StrEnum):
    """What a grader says. Five states, kept apart until the report."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    """The response ended, but holds nothing that the extraction rules call an answer."""
    CUT_OFF = "cut_off"
    """The thinking never ended, or a limit cut the answer: whatever it holds is not an answer."""
    UNGRADABLE = "ungradable"
    """The grader cannot decide: no reference, an unreadable reference, or its own failure."""


class Cut(StrEnum):
    """Where a token limit ended a response."""

    NONE = "none"
    """Nowhere: the answer ended by itself, also behind a thinking that its budget closed."""
    THINKING = "thinking"
    """No answer was asked for."""
    ANSWER = "answer"


class Decision(StrEnum):
    """What a stage did with a row."""

    KEPT = "kept"
    DROPPED = "dropped"


class Role(StrEnum):
    """Why a response was generated."""

    TEACHER = "teacher"
    WEAK = "weak"
    """By a weak model, to measure how difficult the problem is."""
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with what is needed to judge an answer to it. `id` is unique within a run."""

    id: str
    source: str
    question: str
    reference: str | None = None
    kind: Kind = Kind.MATH
    choices: tuple[str, ...] = ()
    """Option texts in order; the reference of a choice problem is a letter, A for the first."""
    solution: str | None = None
    tests: str | None = None
    level: int | None = None
    """Difficulty as the source states it; larger is harder."""
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """Fields of a foreign row that have no place here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; `seed` then has no effect."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that an engine read and wrote for one response, over all of its requests."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer of one model to one problem, thinking apart from answer."""

    key: str
    """Content key of model, rendered prompt, sampling, policy and sample index."""
    role: Role
    problem_id: str
    model: str
    sample: int
    thinking: str
    answer_text: str
    thinking_tokens: int
    """Exact count of ids between the format's markers, forced ones included."""
    answer_tokens: int
    finish: Finish
    forced: tuple[tuple[int, int], ...] = ()
    """Half-open [start, end) token spans of the thinking that we put there (wait strings)."""
    error: str | None = None
    sampling: Sampling
    usage: Usage = field(default_factory=Usage)
    attempts: int = 1
    """Requests that it took; more than one where some failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grader's verdict on one response, with the reason."""

    response_key: str
    problem_id: str
    grader: str
    verdict: Verdict
    extracted: str | None = None
    """The answer as it stood in the response, None where none was found."""
    tier: str = ""
    """The rule that decided, such as `exact`, `numeric`, `closed_form`, `letter`."""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One named fact about a problem, and who says so."""

    problem_id: str
    name: str
    value: str
    by: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one stage did with one row, and why."""

    problem_id: str
    stage: str
    decision: Decision
    reason: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn; `trained` turns carry the training loss."""

    role: str
    content: str
    thinking: str | None = None
    trained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row of supervised training data."""

    problem_id: str
    response_key: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One preference: after the turns of `prompt`, `chosen` is a better reply than `rejected` for the reason `why`."""

    problem_id: str
    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimizer step of a training. No clock reading: a run that was killed in between has equal rows."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    num_tokens: int = 0
    """Tokens of the step's rows over all processes, padding left out."""
    num_trained_tokens: int = 0
    """Those that carry the loss."""
    padding: float = 0.0
    """The share of the computed positions that hold no token."""
    chosen_reward: float | None = None
    """Mean implicit reward of the chosen replies (DPO: beta times the log-ratio to the reference; SimPO: beta times
    the mean log-probability); None where no preference is trained."""
    rejected_reward: float | None = None
    reward_accuracy: float | None = None
    """Share of the step's pairs whose chosen reply has the higher reward. The margin is chosen - rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What a model under training says of rows that it is not trained on, after `step` steps."""

    step: int
    epoch: float
    num_rows: int
    loss: float
    token_accuracy: float | None = None
    """Share of the trained tokens that are the model's likeliest; None where a preference is trained."""
    chosen_reward: float | None = None
    rejected_reward: float | None = None
    reward_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one cell says of one problem's sample: the row that every metric of an evaluation is computed from."""

    benchmark: str
    model: str
    method: str
    budget_tokens: int | None
    waits: int
    variant: str
    """What tells settings of one method apart beside budget and waits, such as a wait string or a prompt class."""
    problem_id: str
    sample: int
    response_key: str
    verdict: Verdict
    thinking_tokens: int
    answer_tokens: int = 0
    generated_tokens: int = 0
    """All that a run of its own would generate for this score: thinking, answer, and what was thrown away for it."""
    cut: Cut = Cut.NONE
    answer: str | None = None
    """Names the class of equal answers among the problem's samples; None where there is no answer to vote with."""
    logprob: float | None = None
    """Mean log-probability (nats) of the tokens that the model drew; None where the engine does not say."""
    tries: int = 1
    """How often the thinking was sampled; more than once where one that took too long was rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What was really generated for one problem's sample under one prompt, for all cells that read it together.

    Tokens are those that the model drew, stop tokens left out: neither wait strings nor `Final Answer:`.
    """

    key: str
    benchmark: str
    model: str
    problem_id: str
    sample: int
    condition: str
    """What the model was told about the length of its thinking, such as `short` or `tokens:1024`; empty for nothing."""
    thinks: bool
    limit_tokens: int
    """Where thinking without a budget is cut off: less than the recipe says where the model's context is too short."""
    num_cells: int
    num_branches: int
    """Stretches of thinking, one for each time that something was put behind an end, or tried again."""
    num_answers: int
    thinking_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What a reward model or a judge gives a response: larger is better, on a scale of its own."""

    response_key: str
    problem_id: str
    by: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A trajectory generated a second time, to see whether the engine gives the same tokens again."""

    model: str
    benchmark: str
    problem_id: str
    sample: int
    num_tokens: int
    """Of the first time: thinking and answers."""
    first_difference: int | None = None
    """Position of the first token that differs; None where all agree."""
    batch: str = ""
    """What the second time was computed beside: `alone`, or `shuffled` with the rest of the sample."""
    engine: str = ""
    """`local`, or the protocol of a server: a kind and no model's folder."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Of the second time, as far as known: device, dtype, attention, versions, threads, batch invariance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point of an evaluation: benchmark x model x method x setting. Rates are fractions of `num_scores`."""

    benchmark: str
    model: str
    method: str
    budget_tokens: int | None
    waits: int
    variant: str
    k: int = 1
    """Samples that one answer is made of, by vote or by choice."""
    num_problems: int
    num_scores: int
    accuracy: float
    """Correct over all, cut-off counted as wrong: the lower bound."""
    accuracy_low: float
    accuracy_high: float
    """95% bootstrap interval of `accuracy` over problems."""
    accuracy_of_finished: float
    """Correct over all that were not cut off (0 where all were): the other bound."""
    mean_thinking_tokens: float
    mean_generated_tokens: float = 0.0
    """All tokens that one answer takes: thinking and answer of each of `k` samples, and what was thrown away."""
    over_budget: int
    """Scores whose thinking exceeds the budget by more than 10 tokens."""
    correct: int
    wrong: int
    no_answer: int
    cut_off: int
    cut_in_thinking: int = 0
    cut_in_answer: int = 0
    """`cut_off` in its two parts."""
    ungradable: int


Record: TypeAlias = (
    Problem
    | Response
    | Grade
    | Label
    | Fate
    | Example
    | Pair
    | Step
    | HeldOut
    | Score
    | Trajectory
    | Reward
    | Replay
    | Cell
)


R = TypeVar("R")


def problem_id(source: str, question: str, choices: tuple[str, ...] = ()) -> str:
    """The id of a problem whose source gives none: the source's name and the content key of its text."""
    return f"{source}-{content_key(question, choices)[:16]}"


def to_row(record: Record | Message) -> dict[str, JSON]:
    """`record` as a plain JSON object with the record's own field names."""
    row = plain(record)
    assert isinstance(row, dict)
    return row


@cache
def _hints(record_type: type) -> dict[str, object]:
    return get_type_hints(record_type)


def from_row(record_type: type[R], row: Mapping[str, object]) -> R:
    """The record that `to_row` made `row` of. Raises EncodingError on unknown keys: our own files have none."""
    hints = _hints(record_type)  # type: ignore[arg-type]  # mypy: a type[R] is hashable all the same
    unknown = set(row) - set(hints)
    if unknown:
        raise EncodingError(f"{record_type.__name__} has no field {', '.join(sorted(unknown))}")
    return record_type(**{name: _decode(hints[name], value) for name, value in row.items()})


def _decode(hint: object, value: object) -> object:
    """`value`, read from JSON, as the annotated type: enums, nested records and tuples are rebuilt."""
    origin = get_origin(hint)
    if origin is UnionType:
        if value is None:
            return None
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
        return _decode(hint, value)
    if origin is tuple:
        arguments = get_args(hint)
        assert isinstance(value, (list, tuple))
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(arguments[0], item) for item in value)
        return tuple(_decode(argument, item) for argument, item in zip(arguments, value, strict=True))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(str(value))
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        assert isinstance(value, Mapping)
        return from_row(hint, value)
    if hint is float and isinstance(value, int):
        return float(value)
    return value


def field_names(record_type: type[Record]) -> tuple[str, ...]:
    """Field names in order of declaration: the columns of the record's table."""
    return tuple(item.name for item in fields(record_type))
