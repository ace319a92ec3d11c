"""The catalogue of question rules: data in rules.yaml, and which of them drop a row by default.

Chosen: one YAML of patterns that Python's `re` and Rust's regex read alike, so that polars finds hits in a whole column
and `re` cuts the evidence out of those only; what no pattern can say is a named check in questions.py. Rejected: rules
as Python code (nobody can review or count them), and a second set of patterns for columns (the two would drift).
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkscale.errors import ConfigError
from thinkscale.records import Kind
from thinkscale.settings import load_settings

Check: TypeAlias = Literal[
    "missing_question", "too_short", "too_long", "language", "twice", "loop", "unbalanced", "no_reference", "s1_bold"
]

DEFAULT_RULES: frozenset[str] = frozenset(
    {
        "missing_question",
        "question_too_short",
        "question_too_long",
        "other_language",
        "question_loop",
        "image_reference",
        "asymptote_figure",
        "tikz_figure",
        "character_drawing",
        "figure_needed",
        "inconsistent_numbering",
        "proof_request",
        "needs_another_problem",
        "answer_given",
        "template_leftover",
        "mojibake",
        "eaten_escape",
        "placeholder_reference",
        "no_reference",
    }
)
"""The rules that drop a row; the others only label it.

A rule is here where at most one hit in ten that were read is wrong, and at most one in ten is a sound question
(rules.yaml). Two are here by policy although about half of their hits are sound: POLICY_RULES.
"""

POLICY_RULES: frozenset[str] = frozenset({"asymptote_figure", "image_reference"})
"""A model that reads text does not see figures. s1 drops them too; to keep them, tolerate these reasons."""

S1_RULES: frozenset[str] = frozenset({"s1_asymptote", "s1_image", "s1_numbering", "s1_bold_number"})
"""s1's filters on the question with their faults, and nothing else."""

RULE_SETS: Mapping[str, frozenset[str]] = {"default": DEFAULT_RULES, "s1": S1_RULES, "none": frozenset()}
"""Sets of rules that have a name."""

FLAGS = re.compile(r"\(\?([a-z]+)\)")
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ASCII_CLASSES: Mapping[str, str] = {
    "b": r"(?-u:\b)",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "d": "[0-9]",
    "s": r"[ \t\n\r\f\v]",
    "S": r"[^ \t\n\r\f\v]",
}
"""What re.ASCII makes of these, for Rust: its Unicode `\\b` is ten times as slow on texts with other letters."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Measured(_Entry):
    """What a rule does on the real pool: of its `hits`, `read` were read.

    Of those the claim is not true of `false_positives`; `sound` of them, these included, are questions that are whole
    all the same, so that dropping them loses good rows.
    """

    hits: int = Field(ge=0)
    read: int = Field(ge=0)
    false_positives: int = Field(ge=0)
    sound: int = Field(ge=0)
    date: str

    @model_validator(mode="after")
    def _counts_agree(self) -> "Measured":
        if not self.false_positives <= self.sound <= self.read <= self.hits:
            raise ValueError(f"{self.false_positives} false positives among {self.read} read of {self.hits} hits")
        return self


class QuestionRule(_Entry):
    """One entry of rules.yaml, whose head says what each field is."""

    claim: str
    pattern: str | tuple[str, ...] | None = None
    check: Check | None = None
    unless: str | None = None
    unless_source: str | None = None
    unless_kind: Kind | None = None
    field: Literal["question", "reference"] = "question"
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    measured: Measured | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "QuestionRule":
        if self.pattern is None and self.check is None:
            raise ValueError("a rule has a pattern, or a check, or a pattern that sieves for its check")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """The pattern as parts that follow each other, anything between them."""
        return self.pattern if isinstance(self.pattern, tuple) else (self.pattern or "",)


class _Catalogue(_Entry):
    rules: dict[str, QuestionRule]
    s1: dict[str, QuestionRule]


@cache
def question_rules() -> Mapping[str, QuestionRule]:
    """Every rule by its name, which is the reason of its faults, in the order in which faults are listed."""
    catalogue = _catalogue()
    return {**catalogue.rules, **catalogue.s1}


def rule_names() -> tuple[str, ...]:
    """The names of all question rules, s1's last."""
    return tuple(question_rules())


def checked_rules(rules: Collection[str]) -> tuple[str, ...]:
    """`rules` in the order of the catalogue. Raises ConfigError where one does not exist."""
    unknown = sorted(set(rules) - set(rule_names()))
    if unknown:
        raise ConfigError(f"no question rule is called {', '.join(unknown)}; there are {', '.join(rule_names())}")
    return tuple(name for name in rule_names() if name in rules)


@cache
def for_python(pattern: str) -> re.Pattern[str]:
    """The pattern for `re`. Classes such as `\\w` and `\\b` know ASCII only, in both engines."""
    return re.compile(pattern, re.ASCII)


@cache
def for_rust(*parts: str) -> str:
    """The same for Rust's regex: parts that follow each other, as one group, so that several can be joined with `|`."""
    return f"(?:{'(?s:.*?)'.join(_scoped(part) for part in parts)})"


def _scoped(pattern: str) -> str:
    """The pattern for Rust as a group with its own flags."""
    ascii_only = ESCAPE.sub(lambda escape: ASCII_CLASSES.get(escape[1], escape[0]), pattern)
    flags = FLAGS.match(ascii_only)
    return f"(?{flags[1]}:{ascii_only[flags.end() :]})" if flags else f"(?:{ascii_only})"


@cache
def _catalogue() -> _Catalogue:
    text = files("thinkscale.curation.quality").joinpath("rules.yaml").read_text(encoding="utf-8")
    return load_settings(_Catalogue, text, name="rules.yaml").value
