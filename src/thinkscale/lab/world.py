"""The lab's problems, and the three benchmarks made of them.

Everything is drawn from a seed. A prefix of a benchmark is the benchmark of the smaller size.
"""

import random
from collections.abc import Callable, Iterator

from thinkscale.errors import ConfigError
from thinkscale.keys import JSON, seed_from
from thinkscale.lab.chain import (
    FAMILIES,
    LABELS,
    LETTERS,
    MAX_LEVEL,
    OPERANDS,
    RADICANDS,
    Question,
    Step,
    answer_of,
    results,
    text_of,
)
from thinkscale.records import Kind

MIN_LEVEL = 2
"""A single step has too few distinct questions to fill a pool."""
MIXES = {"mixed": "+-*", "sums": "+-", "products": "+*"}
MIX_WEIGHTS = {"mixed": 0.5, "sums": 0.3, "products": 0.2}
OPERATION_WEIGHTS = {"+": 0.4, "-": 0.4, "*": 0.2}
BENCHMARKS = {f"lab_{family}": family for family in FAMILIES}


def draw_step(rng: random.Random, operations: str, label: str) -> Step:
    """One step with an operation among `operations`."""
    (operation,) = rng.choices(operations, weights=[OPERATION_WEIGHTS[name] for name in operations])
    return Step(label=label, operation=operation, operand=rng.choice(OPERANDS[operation]))


def draw_question(rng: random.Random, family: str, level: int, mix: str = "mixed") -> Question:
    """A question of `level` steps. A closed form never ends in 0 or 1, whose usual writing drops the root or the 1."""
    while True:
        question = Question(
            family=family,
            start=rng.randrange(10),
            steps=tuple(draw_step(rng, MIXES[mix], label) for label in LABELS[:level]),
            radicand=rng.choice(RADICANDS) if family == "closed" else None,
        )
        if family != "closed" or results(question)[-1] > 1:
            return question


def draw_choices(rng: random.Random, value: int) -> tuple[str, ...]:
    """Four different digits in random order, `value` among them."""
    others = rng.sample([digit for digit in range(10) if digit != value], len(LETTERS) - 1)
    choices = [str(digit) for digit in (value, *others)]
    rng.shuffle(choices)
    return tuple(choices)


def draw_row(rng: random.Random, family: str) -> dict[str, JSON]:
    """One problem as a raw row, without `id` and `source`."""
    (mix,) = rng.choices(list(MIX_WEIGHTS), weights=list(MIX_WEIGHTS.values()))
    question = draw_question(rng, family, rng.randint(MIN_LEVEL, MAX_LEVEL), mix)
    value = results(question)[-1]
    choices = draw_choices(rng, value) if family == "choice" else None
    return {
        "question": text_of(question),
        "answer": answer_of(question, value) if choices is None else LETTERS[choices.index(str(value))],
        "kind": Kind.MATH.value if choices is None else Kind.CHOICE.value,
        "choices": None if choices is None else list(choices),
        "level": len(question.steps),
        "domain": f"{mix} ({family})",
    }


def eight_grams(text: str) -> set[str]:
    """Runs of eight words, lower case; a text of fewer words stands for itself."""
    words = text.lower().split()
    return {" ".join(words[first : first + 8]) for first in range(max(1, len(words) - 7))}


def fresh_rows(rng: random.Random, draw_family: Callable[[], str], seen: set[str]) -> Iterator[dict[str, JSON]]:
    """Rows without end, none sharing eight consecutive words with another or with `seen`, which grows."""
    while True:
        row = draw_row(rng, draw_family())
        grams = eight_grams(str(row["question"]))
        if seen.isdisjoint(grams):
            seen |= grams
            yield row


def benchmark_rows(name: str, size: int, seed: int) -> list[dict[str, JSON]]:
    """The first `size` problems of a lab benchmark. Raises ConfigError on another name than those of BENCHMARKS."""
    if name not in BENCHMARKS:
        raise ConfigError(f"no lab benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    rng = random.Random(seed_from("lab-benchmark", name, seed))
    rows = fresh_rows(rng, lambda: BENCHMARKS[name], set())
    return [{"id": f"{name}-{index:04d}", "source": name, **next(rows)} for index in range(size)]
