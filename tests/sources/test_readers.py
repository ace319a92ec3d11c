"""Rows in the form of each set become problems: what is asked, what is right, how it is judged. The texts are ours."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from thinkscale.records import Kind, Problem
from thinkscale.sources.catalogue import find_entry
from thinkscale.sources.choices import RECORD
from thinkscale.sources.reading import Tally, Wanted, read_entry

Row = dict[str, Any]


def problems(
    tmp_path: Path, name: str, rows: Iterable[Row], file: str = "", years: tuple[int, int] | None = None
) -> list[Problem]:
    """The problems that the catalogue makes of `rows`, standing in `file`."""
    path = tmp_path / (file.replace("/", "-") or f"{name}.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_entry(find_entry(name), name, {file or path.name: path}, Wanted(seed=42, years=years), Tally())
    made = [item.problem for item in found]
    assert all(isinstance(item, Problem) for item in made), made
    return [item for item in made if isinstance(item, Problem)]


def one(tmp_path: Path, name: str, row: Row, file: str = "") -> Problem:
    (found,) = problems(tmp_path, name, [row], file)
    return found


def test_numina(tmp_path: Path) -> None:
    row = {
        "source": "aops_forum", "problem": "Find $x$ with $2x = 6$.", "solution": r"So \boxed{4}, no: \boxed{3}.",
        "messages": [{"role": "user", "content": "Find"}],
    }  # fmt: skip
    found = one(tmp_path, "numina_math", row)
    assert (found.question, found.reference, found.kind) == (row["problem"], "3", Kind.MATH)
    assert (found.source, found.extra) == ("numina_math", {"origin": "aops_forum"})
    assert one(tmp_path, "numina_math", {**row, "solution": "We prove it."}).reference is None
    assert problems(tmp_path, "numina_math", [{**row, "source": "cn_k12"}, row]) == [found]


def test_math(tmp_path: Path) -> None:
    row = {
        "problem": "What is 1 + 1?", "solution": r"\boxed{2}", "answer": "2", "subject": "Prealgebra", "level": 5,
        "unique_id": "train/prealgebra/1.json",
    }  # fmt: skip
    found = one(tmp_path, "math", row)
    assert (found.id, found.reference, found.level) == ("train/prealgebra/1.json", "2", 5)
    assert found.extra == {"subject": "Prealgebra"}


OLYMPIC_ARENA: Row = {
    "id": "Math_1", "problem": "Solve for $x$.", "prompt": "You are a contestant ...", "figure_urls": None,
    "answer": ["1", "2"], "answer_type": "SET", "unit": None, "answer_sequence": None, "type_sequence": None,
    "test_cases": None, "subject": "Math", "language": "EN", "modality": "text-only", "solution": "Long.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind", "reference"),
    [
        ({}, Kind.MATH, "1, 2"),
        ({"answer": "7", "answer_type": "NV"}, Kind.MATH, "7"),
        ({"answer": ["B"], "answer_type": "MC"}, Kind.OPEN, "B"),
        ({"answer": None, "answer_type": "NV"}, Kind.MATH, None),
        ({"answer": None, "answer_type": "CODE", "test_cases": [{"input": "1", "output": "2"}]}, Kind.CODE, None),
    ],
)
def test_olympic_arena(tmp_path: Path, changes: Row, kind: Kind, reference: str | None) -> None:
    found = one(tmp_path, "olympic_arena", {**OLYMPIC_ARENA, **changes})
    assert (found.id, found.kind, found.reference, found.solution) == ("Math_1", kind, reference, "Long.")
    assert found.extra["subject"] == "Math"
    assert "prompt" not in found.extra
    assert (found.tests is not None) == (kind is Kind.CODE)


def test_olympic_arena_keeps_english_and_text_only(tmp_path: Path) -> None:
    rows = [
        OLYMPIC_ARENA | {"language": "ZH"},
        OLYMPIC_ARENA | {"modality": "multi-modal"},
        OLYMPIC_ARENA | {"id": "b"},
    ]
    assert [item.id for item in problems(tmp_path, "olympic_arena", rows)] == ["b"]


def test_omni_math(tmp_path: Path) -> None:
    row = {
        "domain": ["Mathematics -> Algebra"], "difficulty": 7.5, "problem": "Find all $f$.", "solution": "Long.",
        "answer": "f(x) = x", "source": "imo_shortlist",
    }  # fmt: skip
    found = one(tmp_path, "omni_math", row)
    assert (found.reference, found.source) == ("f(x) = x", "omni_math")
    assert (found.extra["rating"], found.extra["origin"]) == (7.5, "imo_shortlist")


AGIEVAL: Row = {
    "passage": "Six players stand in a row.", "question": "Who is first?", "options": ["(A)Ann", "(B) Bob", "(C)(Cy)"],
    "label": "B", "answer": None, "other": None,
}  # fmt: skip


def test_agieval_puts_a_line_between_passage_and_question(tmp_path: Path) -> None:
    found = one(tmp_path, "agieval", AGIEVAL, "data/v1/lsat-ar.jsonl")
    assert found.question == "Six players stand in a row.\n\nWho is first?"
    assert (found.choices, found.reference, found.kind) == (("Ann", "Bob", "(Cy)"), "B", Kind.CHOICE)
    assert found.extra == {"subject": "lsat-ar"}


def test_agieval_takes_only_level_5_of_its_mathematics(tmp_path: Path) -> None:
    other = {"solution": r"\boxed{30}", "level": 5, "type": "Algebra"}
    row = {**AGIEVAL, "passage": None, "options": None, "label": None, "answer": "30", "other": other}
    rows = [row, {**row, "question": "easier", "other": {**other, "level": 4}}]
    (found,) = problems(tmp_path, "agieval", rows, "data/v1/math.jsonl")
    assert (found.question, found.reference, found.kind, found.level) == ("Who is first?", "30", Kind.MATH, 5)
    assert (found.solution, found.extra) == (r"\boxed{30}", {"subject": "Algebra"})


def test_xword(tmp_path: Path) -> None:
    row = {
        "instruction": "Below is a clue ...", "input": "### Clue: Fruit of the vine (5)",
        "output": "### Answer: grape ### Explanation: it grows on a vine",
    }  # fmt: skip
    found = one(tmp_path, "xword", row)
    assert found.question.endswith("\n\nFruit of the vine (5)")
    assert (found.reference, found.solution, found.kind) == ("grape", "it grows on a vine", Kind.OPEN)


def test_olympiad_bench_keeps_context_and_every_solution(tmp_path: Path) -> None:
    row = {
        "id": 7, "question": "Find $f(2)$.", "context": "Let $f$ be as follows.", "solution": ["First.", "Second."],
        "final_answer": ["$4$", "4.0"], "unit": None, "answer_type": "Numerical", "error": None,
        "question_type": "Open-ended", "subfield": "Algebra", "subject": "Maths",
    }  # fmt: skip
    found = one(tmp_path, "olympiad_bench", row)
    assert found.question == "Let $f$ be as follows.\n\nFind $f(2)$."
    assert found.solution == "First.\n\nAnother solution:\n\nSecond."
    assert (found.id, found.reference, found.extra["final_answers"]) == ("7", "4", ["$4$", "4.0"])
    assert found.extra["subject"] == "Algebra"
    proof = one(tmp_path, "olympiad_bench", {**row, "final_answer": None, "context": None})
    assert (proof.kind, proof.reference, proof.question) == (Kind.OPEN, None, "Find $f(2)$.")


def test_aime_counts_by_year(tmp_path: Path) -> None:
    rows = [
        {
            "ID": f"{year}-I-1",
            "Year": str(year),
            "Problem Number": "1",
            "Question": f"{year}?",
            "Answer": "5",
            "Part": "I",
        }
        for year in (1983, 2021, 2022)
    ]
    assert [item.id for item in problems(tmp_path, "aime", rows)] == ["1983-I-1", "2021-I-1"]
    (late,) = problems(tmp_path, "aime", rows, years=(2022, 2024))
    assert (late.reference, late.extra["year"]) == ("5", "2022")


@pytest.mark.parametrize(
    ("answer", "stated", "kind", "reference"),
    [
        ("True", "bool", Kind.CHOICE, "A"),
        ("False", "bool", Kind.CHOICE, "B"),
        ("[1, 2]", "list of integer", Kind.MATH, "[1, 2]"),
        ("(b)", "option", Kind.OPEN, "(b)"),
    ],
)
def test_theoremqa(tmp_path: Path, answer: str, stated: str, kind: Kind, reference: str) -> None:
    row = {"Question": "Is it so?", "Answer": answer, "Answer_type": stated, "Picture": None}
    found = one(tmp_path, "theoremqa", row)
    assert (found.kind, found.reference) == (kind, reference)
    assert problems(tmp_path, "theoremqa", [{**row, "Picture": {"bytes": "x", "path": "1.png"}}, row]) == [found]


JEEBENCH: Row = {
    "subject": "phy", "description": "JEE Adv 2016 Paper 1", "gold": "C", "index": 1, "type": "MCQ",
    "question": "Which mass?\n\n(A) 1 kg\n\n(B) 2 kg\n\n(C) 3 kg\n\n(D) 4 kg",
}  # fmt: skip


def test_jeebench(tmp_path: Path) -> None:
    found = one(tmp_path, "jeebench", JEEBENCH)
    assert (found.question, found.choices) == ("Which mass?", ("1 kg", "2 kg", "3 kg", "4 kg"))
    assert (found.kind, found.reference, found.extra["subject"]) == (Kind.CHOICE, "C", "phy")
    several = one(tmp_path, "jeebench", {**JEEBENCH, "type": "MCQ(multiple)", "gold": "AC"})
    assert (several.kind, several.reference, several.question) == (Kind.OPEN, "AC", JEEBENCH["question"])
    number = one(tmp_path, "jeebench", {**JEEBENCH, "type": "Numeric", "gold": "2.35", "question": "How much?"})
    assert (number.kind, number.reference) == (Kind.MATH, "2.35")


def gpqa_row(question: str) -> Row:
    return {
        "Pre-Revision Question": "old", "Question": question, "Correct Answer": "right\n", "Incorrect Answer 1": "w1",
        "Incorrect Answer 2": "w2", "Incorrect Answer 3": "w3", "Explanation": "since", "High-level domain": "Physics",
        "Record ID": f"rec-{question}",
    }  # fmt: skip


def gpqa(tmp_path: Path, seed: int) -> list[Problem]:
    files = {}
    for name, questions in {"gpqa_extended.csv": ["q1", "q2", "q3"], "gpqa_diamond.csv": ["q2 "]}.items():
        rows = [gpqa_row(question) for question in questions]
        lines = [",".join(rows[0]), *(",".join(json.dumps(value)[1:-1] for value in row.values()) for row in rows)]
        files[name] = tmp_path / name
        files[name].write_text("\n".join(lines) + "\n")
    found = [item.problem for item in read_entry(find_entry("gpqa"), "gpqa", files, Wanted(seed=seed), Tally())]
    return [item for item in found if isinstance(item, Problem)]


def test_gpqa_is_shuffled_by_a_recorded_seed_and_without_diamond(tmp_path: Path) -> None:
    found = gpqa(tmp_path, 42)
    assert [item.id for item in found] == ["rec-q1", "rec-q3"]
    for item in found:
        record = item.extra[RECORD]
        assert isinstance(record, dict)
        order = record["order"]
        assert isinstance(order, list)
        options = ["right\\n", "w1", "w2", "w3"]
        assert [options[int(str(place))] for place in order] == list(item.choices)
        assert item.choices["ABCD".index(item.reference or "")] == "right\\n"
    assert (found[0].solution, found[0].extra["subject"]) == ("since", "Physics")
    assert gpqa(tmp_path, 42) == found
    orders = {tuple(item.choices) for seed in range(20) for item in gpqa(tmp_path, seed)}
    assert len(orders) > 10


SCIEVAL: Row = {
    "id": "1", "question": "What is it?\n\nA. acid\nB. base\n\nAnswer:", "answer": ["B"], "type": "multiple-choice",
    "category": "chemistry", "topic": "acids", "ability": "Base", "task_name": "SocraticQA", "prompt": "Given",
}  # fmt: skip


def test_scieval(tmp_path: Path) -> None:
    found = one(tmp_path, "scieval", SCIEVAL)
    assert (found.question, found.choices, found.reference) == ("What is it?", ("acid", "base"), "B")
    assert found.extra["subject"] == "chemistry"
    reagent = {**SCIEVAL, "question": "Ligands:\nCC,CO\nOptimal ligand:", "answer": ["CC"], "type": "filling"}
    filled = one(tmp_path, "scieval", reagent)
    assert filled.question == "Ligands:\nCC,CO\nWhat is the optimal ligand?"
    assert (filled.kind, filled.reference) == (Kind.OPEN, "CC")
    both = one(tmp_path, "scieval", {**SCIEVAL, "answer": ["A", "B"]})
    assert (both.kind, both.reference, both.extra["answers"]) == (Kind.OPEN, "A", ["A", "B"])


def test_s1_prob_and_teasers(tmp_path: Path) -> None:
    proof = one(tmp_path, "s1_prob", {"question": "Show that ...", "solution": "Since ..."})
    assert (proof.kind, proof.reference, proof.solution) == (Kind.OPEN, None, "Since ...")
    teaser = one(tmp_path, "s1_teasers", {"Question": "How many?", "Answer": "12"})
    assert (teaser.kind, teaser.reference) == (Kind.MATH, "12")
