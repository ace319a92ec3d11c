"""A chain of single-digit steps modulo 10: the one kind of mathematics that the lab's world knows.

A question reads `Compute 7 a+5 b*3 c-4 modulo 10.`: start at 7, step a adds 5, step b multiplies by 3,
step c subtracts 4, and only the last digit is kept. Steps are named so that whoever reasons can find the
next one by its name. The question can be asked in three ways (families): for the digit, for a multiple of
a square root, and for the matching option.
"""

import re
from dataclasses import dataclass

MODULUS = 10
LABELS = "abcdefgh"
MAX_LEVEL = len(LABELS)
"""Difficulty: the number of steps, 1 to MAX_LEVEL."""
OPERANDS = {"+": tuple(range(1, 10)), "-": tuple(range(1, 10)), "*": (3, 7, 9)}
"""Multipliers are invertible modulo 10, so that every step matters to the result."""
RADICANDS = (2, 3, 5, 6, 7)
FAMILIES = ("numeric", "closed", "choice")
LETTERS = "ABCD"

_CHAIN = r"(?P<start>\d)(?P<steps>(?: [a-z][-+*]\d)+) modulo 10"
_QUESTIONS = {  # a closed-form question contains what looks like a numeric one, so it is tried first
    "closed": re.compile(rf"times \\sqrt\{{(?P<radicand>\d)\}}: compute {_CHAIN}\.", re.IGNORECASE),
    "choice": re.compile(rf"which is {_CHAIN}\?", re.IGNORECASE),
    "numeric": re.compile(rf"compute {_CHAIN}\.", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One named operation on the running value."""

    label: str
    operation: str
    operand: int

    def __str__(self) -> str:
        return f"{self.label}{self.operation}{self.operand}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A chain and the way it is asked for; `radicand` is there for the closed family alone."""

    family: str
    start: int
    steps: tuple[Step, ...]
    radicand: int | None = None


def apply(value: int, step: Step) -> int:
    """The digit that `step` makes of the digit `value`."""
    match step.operation:
        case "+":
            return (value + step.operand) % MODULUS
        case "-":
            return (value - step.operand) % MODULUS
        case _:
            return (value * step.operand) % MODULUS


def results(question: Question) -> tuple[int, ...]:
    """The running value after each step."""
    values = [question.start]
    for step in question.steps:
        values.append(apply(values[-1], step))
    return tuple(values[1:])


def text_of(question: Question) -> str:
    """The question in words."""
    chain = " ".join((str(question.start), *map(str, question.steps), "modulo 10"))
    match question.family:
        case "numeric":
            return f"Compute {chain}."
        case "closed":
            return f"Times \\sqrt{{{question.radicand}}}: compute {chain}."
        case _:
            return f"Which is {chain}?"


def answer_of(question: Question, value: int) -> str:
    """How the digit `value` is written as an answer; the choice family's option text."""
    return str(value) if question.radicand is None else rf"{value}\sqrt{{{question.radicand}}}"


def with_choices(question: str, choices: tuple[str, ...]) -> str:
    """The prompt of a multiple-choice problem, as the package renders it."""
    return f"{question}\n\n" + "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))


def parse_question(text: str) -> Question | None:
    """The first question in `text`, None where there is none. White space and case may differ from ours."""
    tidy = re.sub(r"[ \t]+", " ", text)
    for family, pattern in _QUESTIONS.items():
        found = pattern.search(tidy)
        if found is not None:
            groups = found.groupdict()
            steps = tuple(
                Step(label=word[0].lower(), operation=word[1], operand=int(word[2])) for word in groups["steps"].split()
            )
            radicand = int(groups["radicand"]) if family == "closed" else None
            return Question(family=family, start=int(groups["start"]), steps=steps, radicand=radicand)
    return None


def parse_choices(text: str) -> tuple[str, ...]:
    """Option texts in order, from lines such as `B) 4`."""
    return tuple(re.findall(rf"^[{LETTERS}]\) *(.+?) *$", text, re.MULTILINE))


def option_search(choices: tuple[str, ...], value: int) -> tuple[str, ...]:
    """Options read aloud up to the one that says `value`: `A:5`, `B:2`; `none` follows where no option does."""
    words: list[str] = []
    for letter, text in zip(LETTERS, choices, strict=False):
        words.append(f"{letter}:{text}")
        if text == str(value):
            return tuple(words)
    return (*words, "none")
