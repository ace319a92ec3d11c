"""Grading against real references, hand-labelled pairs and real model outputs; printed figures with pytest -s."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thinkscale.grading import Outcome, compare, extract_answer


def rows(path: Path) -> Iterator[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in text.splitlines())


def answer_of(text: str) -> str:
    found = extract_answer(text)
    return found.text if found else text


@pytest.mark.parametrize(("name", "field"), [("math500", "answer"), ("gsm8k_test", "answer"), ("aime24", "answer")])
def test_every_reference_equals_itself_and_its_own_solution(data_folder: Path, name: str, field: str) -> None:
    found = list(rows(data_folder / "benchmarks" / f"{name}.jsonl"))
    references = [str(row[field]).rpartition("####")[2].strip() for row in found]
    assert [reference for reference in references if compare(reference, reference).outcome is not Outcome.EQUAL] == []
    if name == "math500":
        solved = [compare(answer_of(row["solution"]), row["answer"]).outcome is Outcome.EQUAL for row in found]
        assert sum(solved) == len(solved)


def test_decided_pairs_agree_with_labels_written_by_hand(data_folder: Path) -> None:
    counts: Counter[tuple[Outcome, bool]] = Counter()
    for row in rows(data_folder / "graders" / "labelled_pairs.jsonl"):
        if row["convention"] is None and row["kind"] != "mcq_text" and row["gold"] and row["pred"]:
            counts[compare(answer_of(row["pred"]), answer_of(row["gold"])).outcome, row["label"]] += 1
    decided = sum(count for (outcome, _), count in counts.items() if outcome is not Outcome.UNDECIDED)
    agreed = counts[Outcome.EQUAL, True] + counts[Outcome.DIFFERENT, False]
    print(f"\nlabelled pairs: {agreed} of {decided} decided agree, {sum(counts.values()) - decided} undecided")
    assert counts[Outcome.EQUAL, False] == 0
    assert decided >= 200
    assert agreed / decided >= 0.96


def test_verdicts_on_real_outputs_agree_with_another_grader(data_folder: Path) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for row in rows(data_folder / "outputs" / "qwen25_3b_matheval_graded.jsonl.gz"):
        if row["bench"] in ("math500", "gsm8k", "math", "aime24", "amc23", "olympiadbench"):
            found = extract_answer(row["response"] or "")
            outcome = compare(found.text, str(row["gt"])).outcome if found else "no_answer"
            counts[outcome, bool(row["score"])] += 1
    decided = sum(count for (outcome, _), count in counts.items() if outcome in (Outcome.EQUAL, Outcome.DIFFERENT))
    agreed = counts[Outcome.EQUAL, True] + counts[Outcome.DIFFERENT, False]
    print(f"\nreal outputs: {agreed} of {decided} decided agree; {dict(counts)}")
    assert decided / sum(counts.values()) >= 0.9
    assert agreed / decided >= 0.985
