"""What a selection is decided by: every threshold and choice that can be changed without measuring again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from thinkscale.curation.patterns import fits
from thinkscale.curation.quality import DEFAULT_RULES, DEFAULT_TRACE_RULES
from thinkscale.curation.sampling import SAMPLERS, Mix, Sampler


class Need(StrEnum):
    """What a row must have, whatever it says."""

    TRACE = "trace"
    """A trace that did not fail in the engine."""
    GRADE = "grade"
    DOMAIN = "domain"
    ATTEMPTS = "attempts"
    """A gradable attempt of every weak model."""
    RATING = "rating"


class Solved(StrEnum):
    """How many of the weak models must solve a problem for it to be too easy."""

    ANY = "any"
    ALL = "all"
    NONE = "none"
    """Nothing is dropped for being solved."""


class Preference(StrEnum):
    """What makes one of two duplicates the better one; ties end by id."""

    CORRECT = "correct"
    """The one with a trace that was graded correct."""
    LONGER = "longer"
    """The one with more thinking tokens."""
    SOURCE = "source"
    """The one whose source was collected first."""


PREFERENCES = (Preference.CORRECT, Preference.LONGER, Preference.SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Rows of `source` (a name, with `*` for any characters) that are taken before anything is drawn."""

    source: str
    correct: bool = False
    """Only with a trace that was graded correct."""
    min_trace_tokens: int = 0

    def __str__(self) -> str:
        parts = [f"source {self.source}"]
        parts += ["a correct trace"] if self.correct else []
        parts += [f"at least {self.min_trace_tokens:,} trace tokens"] if self.min_trace_tokens else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The defaults are those of a recipe."""

    count: int = 1000
    sampler: Sampler = SAMPLERS["s1"]
    mix: Mix | None = None
    """None: rows are drawn without regard to whether their traces are short or long, but for the sampler's own."""
    keep_all: tuple[KeepRule, ...] = ()
    need: frozenset[Need] = frozenset({Need.TRACE})
    need_correct: bool = True
    question_rules: frozenset[str] = frozenset(DEFAULT_RULES)
    trace_rules: frozenset[str] = frozenset(DEFAULT_TRACE_RULES)
    """Names of the rules of curation/quality whose faults drop a row."""
    tolerated_faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source (with `*`) to the faults that drop none of its rows."""
    min_trace_tokens: int = 50
    max_trace_tokens: int = 32_768
    overlap_share: float = 0.0
    """Overlaps of a smaller share do not count."""
    duplicate_share: float | None = 0.5
    """None: duplicates stay."""
    same_answer_share: float | None = 0.3
    """The share that makes a duplicate where both rows have the same answer; None: no other than `duplicate_share`."""
    prefer: tuple[Preference, ...] = PREFERENCES
    ratings: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Source (with `*`; the first that matches) to the lowest and highest rating, both allowed."""
    solved: Solved = Solved.ANY
    solved_above: Fraction = Fraction(0)
    """A model solves a problem where more than this share of its attempts is correct."""


def first_match(rules: Mapping[str, tuple[float, float]], source: str) -> tuple[float, float] | None:
    """The bounds of the first pattern that fits `source`."""
    return next((bounds for pattern, bounds in rules.items() if fits(source, pattern)), None)
