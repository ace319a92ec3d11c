"""The raw pool: rows as a foreign file would have them, with faults planted in stated shares.

Every row but the planted ones is well formed and shares no eight consecutive words with an earlier row or
with the first BENCHMARK_REACH problems of each benchmark of the same seed, so a filter that drops exactly
the planted rows is right. A planted duplicate comes after the row that it copies.
"""

import random
from collections.abc import Callable, Iterator
from itertools import cycle

from thinkscale.keys import JSON, seed_from
from thinkscale.lab.world import BENCHMARKS, benchmark_rows, eight_grams, fresh_rows

SOURCES = ("lab_workbook", "lab_contest", "lab_exams")
FAMILY_WEIGHTS = {"numeric": 0.4, "closed": 0.3, "choice": 0.3}
BENCHMARK_REACH = 200
CONTAMINATING = 50
"""Contaminated rows repeat questions among this many first problems of each benchmark."""
LONG_LEVEL = 6
"""Only questions with at least this many steps are repeated nearly verbatim: they hold two runs of eight words."""
FAULT_SHARES = {
    "exact_duplicate": 0.03,
    "near_duplicate": 0.03,
    "contaminated": 0.01,
    "nearly_contaminated": 0.01,
    "question_missing": 0.005,
    "question_empty": 0.005,
    "question_not_text": 0.005,
    "answer_missing": 0.005,
    "image_reference": 0.01,
    "figure": 0.01,
}

Row = dict[str, JSON]


def planted_faults(size: int, seed: int) -> dict[str, str]:
    """Ids of the planted rows of `pool_rows(size, seed)`, with the fault of each: a name of FAULT_SHARES."""
    return {_row_id(position, seed): fault for position, fault in sorted(_positions(size, seed).items())}


def pool_rows(size: int, seed: int) -> list[Row]:
    """`size` raw rows: `id`, `source`, `question`, `answer`, `kind`, `choices`, `level`, `domain`."""
    rng = random.Random(seed_from("lab-pool", seed))
    benchmarks = [row for name in BENCHMARKS for row in benchmark_rows(name, BENCHMARK_REACH, seed)]
    seen = {gram for row in benchmarks for gram in eight_grams(str(row["question"]))}
    fresh = fresh_rows(rng, lambda: rng.choices(list(FAMILY_WEIGHTS), weights=list(FAMILY_WEIGHTS.values()))[0], seen)
    leaks = _leaks(rng, seed)
    faults = _positions(size, seed)
    rows: list[Row] = []
    clean: list[Row] = []
    for position in range(size):
        match faults.get(position):
            case None:
                row = next(fresh)
                clean.append(row)
            case "exact_duplicate":
                row = rng.choice(clean)
            case "near_duplicate":
                row = _disguised(rng, rng.choice([row for row in clean if _is_long(row)]))
            case "contaminated":
                row = next(leaks)
            case "nearly_contaminated":
                row = _disguised(rng, next(leaks))
            case fault:
                row = SPOIL[fault](next(fresh))
        rows.append({"id": _row_id(position, seed), "source": _source(position, seed), **row})
    return rows


def _positions(size: int, seed: int) -> dict[int, str]:
    """Where the faults are: in the last three quarters, so that there is something to repeat."""
    names = [name for name, share in FAULT_SHARES.items() for _ in range(round(share * size))]
    rng = random.Random(seed_from("lab-faults", size, seed))
    return dict(zip(rng.sample(range(size // 4, size), len(names)), names, strict=True))


def _source(position: int, seed: int) -> str:
    return random.Random(seed_from("lab-source", position, seed)).choice(SOURCES)


def _row_id(position: int, seed: int) -> str:
    return f"{_source(position, seed)}-{position:05d}"


def _is_long(row: Row) -> bool:
    level = row["level"]
    return isinstance(level, int) and level >= LONG_LEVEL


def _leaks(rng: random.Random, seed: int) -> Iterator[Row]:
    """Benchmark problems in random order, over and over, as if they had been found in the wild."""
    rows = [row for name in BENCHMARKS for row in benchmark_rows(name, CONTAMINATING, seed) if _is_long(row)]
    rng.shuffle(rows)
    return cycle([{key: value for key, value in row.items() if key not in ("id", "source")} for row in rows])


def _disguised(rng: random.Random, row: Row) -> Row:
    """`row` with the white space, the case or the frame of its question changed."""
    question = str(row["question"])
    variants = (question.upper(), question.replace(" ", "  "), f"Exercise. {question}", f"{question} Show your work.")
    return {**row, "question": rng.choice(variants)}


SPOIL: dict[str, Callable[[Row], Row]] = {
    "question_missing": lambda row: {key: value for key, value in row.items() if key != "question"},
    "question_empty": lambda row: {**row, "question": ""},
    "question_not_text": lambda row: {**row, "question": row["level"]},
    "answer_missing": lambda row: {**row, "answer": None},
    "image_reference": lambda row: {**row, "question": f"![Image](chain.png) {row['question']}"},
    "figure": lambda row: {**row, "question": f"{row['question']} [asy] draw((0,0)--(1,2)); [/asy]"},
}
