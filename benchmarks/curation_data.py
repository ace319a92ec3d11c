"""The real pool and the five benchmarks of THINKSCALE_DATA, and labels of pairs of texts that were read."""

import gzip
import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from curation_planting import Item

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("THINKSCALE_DATA", HERE.parent.parent / "shared" / "data"))
LABELS = HERE / "curation_labels"

POOLS = {
    "math_train": "pool/math_train.jsonl.gz",
    "deepscaler": "pool/deepscaler_difficulty.jsonl.gz",
    "dapo": "pool/dapo_math_17k.jsonl.gz",
    "gsm8k_train": "pool/gsm8k_train.jsonl.gz",
    "aime_1983_2023": "pool/aime_1983_2023.jsonl.gz",
    "numina": "pool/numina_cot_2k.jsonl.gz",
}
BENCHMARKS = {
    "math500": "benchmarks/math500.jsonl",
    "aime24": "benchmarks/aime24.jsonl",
    "amc23": "benchmarks/amc23.jsonl",
    "olympiadbench": "benchmarks/olympiadbench_oe_en.jsonl.gz",
    "mmlu_val": "benchmarks/mmlu_val.jsonl",
}


class PoolRow(NamedTuple):
    """A row of the pool: the file that it is of, its place there, its question and its answer."""

    source: str
    row: int
    text: str
    answer: str


@cache
def _rows(name: str) -> tuple[dict[str, Any], ...]:
    path = DATA / name
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


def _question(row: dict[str, Any]) -> str:
    return str(row.get("problem") or row.get("question") or row.get("instruction"))


def _answer(row: dict[str, Any]) -> str:
    found = row.get("answer") or row.get("final_answer") or ""
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


@cache
def pool() -> tuple[PoolRow, ...]:
    """The 75,154 questions, source by source."""
    return tuple(
        PoolRow(source, number, _question(row), _answer(row))
        for source, name in POOLS.items()
        for number, row in enumerate(_rows(name))
    )


@cache
def items() -> tuple[Item, ...]:
    """The items of the five benchmarks."""
    return tuple(
        Item(
            benchmark=benchmark,
            row=number,
            question=_question(row),
            answer=_answer(row),
            options=tuple(row.get("choices") or ()),
        )
        for benchmark, name in BENCHMARKS.items()
        for number, row in enumerate(_rows(name))
    )


@cache
def held_out_items() -> tuple[Item, ...]:
    """The 497 questions of LIMO (traces/), many of which are in the pool: no rule was tuned on them."""
    return tuple(
        Item(benchmark="limo", row=number, question=str(row["question"]), answer=str(row["gold_answer"]))
        for number, row in enumerate(_rows("traces/limo_official_solution.jsonl.gz"))
    )


def ascii_key(text: str) -> str:
    """Lower case, only a-z and 0-9 kept: the key by which the README of the data counts overlaps."""
    return re.sub("[^a-z0-9]", "", text.lower())


def letters_key(text: str) -> str:
    """Lower case, letters and digits of every script: the ASCII key takes Chinese questions for one another."""
    return "".join(character for character in text.lower() if character.isalnum())


def text_hash(text: str) -> str:
    """What a label knows of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def pair_key(text: str, other: str) -> tuple[str, str]:
    """By what a label of a pair is found: the hashes of both texts."""
    return text_hash(text), text_hash(other)


def place(of: PoolRow | Item) -> str:
    """Where a text is: its file and its row, from 0."""
    return f"{of.source if isinstance(of, PoolRow) else of.benchmark}/{of.row}"


def label_rows(name: str) -> list[dict[str, str]]:
    """The labels of `curation_labels/NAME.jsonl`."""
    return [json.loads(line) for line in (LABELS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def read_labels(name: str) -> dict[tuple[str, str], dict[str, str]]:
    """Labels of pairs by the hashes of both texts."""
    return {(label["a"], label["b"]): label for label in label_rows(name)}
