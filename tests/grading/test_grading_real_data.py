"""Grading against real references, hand-labelled pairs and real model outputs; printed figures with pytest -s."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thinkscale.grading import Outcome, compare, extract_answer, extract_choice


def rows(path: Path) -> Iterator[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in text.splitlines())


def answer_of(text: str) -> str:
    found = extract_answer(text, last_number=True)
    return found.text if found else text


@pytest.mark.parametrize("name", ["math500", "gsm8k_test", "aime24"])
def test_every_reference_equals_itself_and_its_own_solution(data_folder: Path, name: str) -> None:
    found = list(rows(data_folder / "benchmarks" / f"{name}.jsonl"))
    references = [str(row["answer"]).rpartition("####")[2].strip() for row in found]
    assert [reference for reference in references if compare(reference, reference).outcome is not Outcome.EQUAL] == []
    solutions = [row["solution"] if name != "gsm8k_test" else row["answer"] for row in found]
    solved = [compare(answer_of(text), ref).outcome for text, ref in zip(solutions, references, strict=True)]
    assert [ref for outcome, ref in zip(solved, references, strict=True) if outcome is not Outcome.EQUAL] == []


def agrees(row: dict[str, Any]) -> bool:
    """Whether we say what the label says: undecided never does, no answer is what is not equal."""
    gold, answer = row["gold"] or "", row["pred"] or ""
    if row["kind"] == "mcq_text":
        letters = [extract_choice(text) for text in (gold, answer)]
        return (None not in letters and letters[0].text == letters[1].text) is row["label"]  # type: ignore[union-attr]
    if row["kind"] != "pair":
        found = extract_answer(answer, last_number=True)
        if found is None:
            return row["label"] is False
        gold, answer = answer_of(gold), found.text
    outcome = compare(answer, gold).outcome
    return outcome is not Outcome.UNDECIDED and (outcome is Outcome.EQUAL) is row["label"]


def test_pairs_agree_with_labels_written_by_hand(data_folder: Path) -> None:
    pairs = [row for row in rows(data_folder / "graders" / "labelled_pairs.jsonl") if row["convention"] is None]
    agreed = [agrees(row) for row in pairs]
    print(f"\nlabelled pairs: {sum(agreed)} of {len(agreed)} agree, by rules alone")
    assert sum(agreed) / len(agreed) >= 0.97


def test_outcomes_on_real_outputs_agree_with_another_grader(data_folder: Path) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for row in rows(data_folder / "outputs" / "qwen25_3b_matheval_graded.jsonl.gz"):
        found = extract_answer(row["response"] or "")
        outcome = compare(found.text, str(row["gt"])).outcome if found else "no_answer"
        counts[outcome, bool(row["score"])] += 1
    decided = sum(count for (outcome, _), count in counts.items() if outcome is not Outcome.UNDECIDED)
    agreed = sum(count for (outcome, score), count in counts.items() if (outcome is Outcome.EQUAL) is score)
    print(f"\nreal outputs: {agreed} of {sum(counts.values())} agree, {dict(counts)}")
    assert decided / sum(counts.values()) >= 0.995
    assert agreed / sum(counts.values()) >= 0.98
