"""`thinkscale grade` on whole files: tiers, several graders, decisions of a person, and any number of processes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from thinkscale.commands.grade import GradeOptions, grade
from thinkscale.engines.scripted import ScriptedEngine, ScriptedReply
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import read_rows, write_rows
from thinkscale.verification.judge import Judge
from thinkscale.verification.verifier import VerifierSettings

SUM = {"inputs": ["1 2\n", "10 -4\n"], "outputs": ["3\n", "6\n"]}
RIGHT, WRONG = "a, b = map(int, input().split())\nprint(a + b)", "a, b = map(int, input().split())\nprint(a - b)"
ROWS: list[dict[str, JSON]] = [
    {"reference": "1/2", "response": "so \\boxed{0.5}"},
    {"reference": "7", "response": "<think>is it 7? \\boxed{7}"},
    {"reference": "\\int_0^1 2x\\,dx", "response": "\\boxed{1}"},
    {"reference": "3", "response": "I cannot say."},
    {"reference": "B", "kind": "choice", "choices": ["1", "2"], "response": "The answer is (A)."},
    {"kind": "code", "tests": json.dumps(SUM), "response": f"```python\n{RIGHT}\n```"},
    {"kind": "code", "tests": json.dumps(SUM), "response": f"```python\n{WRONG}\n```"},
    {"reference": None, "response": "\\boxed{1}"},
]
VERDICTS = ["correct", "cut_off", "correct", "no_answer", "wrong", "correct", "wrong", "ungradable"]


def graded(tmp_path: Path, rows: list[dict[str, JSON]], options: GradeOptions | None = None) -> list[dict[str, JSON]]:
    write_rows(tmp_path / "in.jsonl", rows)
    grade(tmp_path / "in.jsonl", tmp_path / "out.jsonl", options)
    return [dict(row.values) for row in read_rows(tmp_path / "out.jsonl")]


def test_every_kind_of_row_gets_its_verdict_and_evidence(tmp_path: Path) -> None:
    found = graded(tmp_path, ROWS, GradeOptions(evidence=True))
    assert [row["verdict"] for row in found] == VERDICTS
    assert [row["tier"] for row in found][2:6:3] == ["symbolic", "tests"]
    assert all(row["evidence"] for row in found)
    assert [row["id"] for row in found] == [str(number) for number in range(len(ROWS))]


@pytest.mark.parametrize("workers", [2, pytest.param(32, marks=pytest.mark.slow)])
def test_verdicts_do_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    def decided(options: GradeOptions) -> list[list[JSON]]:
        return [[row["verdict"], row["extracted"], row["tier"]] for row in graded(tmp_path, ROWS * 3, options)]

    assert decided(GradeOptions(workers=workers)) == decided(GradeOptions(workers=1))


def test_without_symbols_the_undecided_stay_apart(tmp_path: Path) -> None:
    found = graded(tmp_path, [ROWS[2]], GradeOptions(settings=VerifierSettings(symbolic=False)))
    assert (found[0]["verdict"], found[0]["tier"]) == ("ungradable", "undecided")


def test_the_last_number_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    row: dict[str, JSON] = {"reference": "12", "response": "We get 12 in the end, all in all."}
    assert graded(tmp_path, [row])[0]["verdict"] == "no_answer"
    found = graded(tmp_path, [row], GradeOptions(settings=VerifierSettings(last_number=True)))
    assert found[0]["verdict"] == "correct"


def test_an_unknown_grader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no grader 'oracle'.*verifier, rules"):
        graded(tmp_path, ROWS, GradeOptions(graders=("verifier", "oracle")))
    with pytest.raises(ConfigError, match=r"--judge MODEL"):
        graded(tmp_path, ROWS, GradeOptions(graders=("judge",)))


def test_graders_are_compared_and_a_person_has_the_last_word(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"id": "same", "question": "1+1?", "reference": "2", "response": "\\boxed{2}"},
        {"id": "half", "question": "1/2?", "reference": "1/2", "response": "\\boxed{0.5}"},
    ]
    queue, audit = tmp_path / "queue.jsonl", tmp_path / "audit.json"
    options = GradeOptions(graders=("verifier", "string"), audit=audit, disagreements=queue, evidence=True)
    assert [row["verdict"] for row in graded(tmp_path, rows, options)] == ["correct", "correct"]
    found = json.loads(audit.read_text())
    assert (found["rows"], found["disputed"]) == (2, 1)
    (case,) = [dict(row.values) for row in read_rows(queue)]
    assert (case["id"], case["decision"]) == ("half", None)

    queue.write_text(json.dumps({**case, "decision": "wrong", "note": "a fraction was asked for"}) + "\n")
    again = graded(tmp_path, rows, options)
    assert [(row["verdict"], row["tier"]) for row in again] == [("correct", "exact"), ("wrong", "person")]
    assert "a fraction was asked for" in str(again[1]["evidence"])
    assert next(read_rows(queue)).values["decision"] == "wrong"


def judging(decide: Callable[[str], str]) -> Judge:
    """A judge that reads the nonce of its prompt, as a model does."""

    def script(prompt: str, _seed: int) -> ScriptedReply:
        line = next(line for line in reversed(prompt.splitlines()) if line.startswith("VERDICT "))
        return ScriptedReply(thinking="", answer_text=f"Let me see.\n{line.split(':')[0]}: {decide(prompt)}")

    return Judge(engine=ScriptedEngine(name="scripted", script=script, count_tokens=len))


def test_a_judge_decides_what_rules_and_symbols_cannot(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"question": "Who?", "kind": "open", "reference": "Euler", "response": "It was Leonhard Euler."},
        {"question": "1+1?", "reference": "2", "response": "\\boxed{3}"},
    ]
    assert graded(tmp_path, rows)[0]["verdict"] == "ungradable"
    found = graded(tmp_path, rows, GradeOptions(judge=judging(lambda _prompt: "EQUIVALENT")))
    assert [(row["verdict"], row["tier"]) for row in found] == [("correct", "judge"), ("wrong", "numeric")]


def test_agreement_of_a_judge_with_the_rules_is_measured(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"question": f"{n}?", "reference": str(n), "response": f"\\boxed{{{n % 3}}}"} for n in range(9)
    ]
    audit = tmp_path / "audit.json"
    judge = judging(lambda prompt: "EQUIVALENT" if "0" in prompt.split("REFERENCE")[1] else "DIFFERENT")
    graded(tmp_path, rows, GradeOptions(graders=("verifier", "judge"), judge=judge, audit=audit))
    (pair,) = json.loads(audit.read_text())["pairs"]
    assert {pair["first"], pair["second"]} == {"verifier", "judge"}
    assert sum(map(sum, pair["table"])) == 9


def test_results_of_other_tools_are_read(tmp_path: Path) -> None:
    results = {"0": {"problem": "1+1?", "answer": "2", "responses": [{"content": "\\boxed{2}", "correctness": False}]}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    options = GradeOptions(graders=("verifier", "recorded"), audit=tmp_path / "audit.json")
    text = grade(tmp_path / "results.json", tmp_path / "out.jsonl", options)
    assert "correct 1" in text
    assert json.loads((tmp_path / "audit.json").read_text())["disputed"] == 1


def test_a_row_without_reference_or_tests_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"in\.jsonl:1: there is no `reference`"):
        graded(tmp_path, [{"response": "3"}])


@pytest.mark.parametrize("name", ["out", "audit", "disagreements"])
def test_an_input_is_never_overwritten(tmp_path: Path, name: str) -> None:
    rows = tmp_path / "in.jsonl"
    write_rows(rows, ROWS[:1])
    before = rows.read_bytes()
    files: dict[str, Path] = {"out": tmp_path / "out.jsonl", name: tmp_path / "new" / ".." / "in.jsonl"}
    out = files.pop("out")
    with pytest.raises(ConfigError, match="is an input and would be overwritten"):
        grade(rows, out, GradeOptions(audit=files.get("audit"), disagreements=files.get("disagreements")))
    assert rows.read_bytes() == before


def test_two_outputs_never_share_a_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", ROWS[:1])
    out = tmp_path / "out.jsonl"
    with pytest.raises(ConfigError, match=r"--out and --audit both name .*give two files"):
        grade(tmp_path / "in.jsonl", out, GradeOptions(audit=out))
    assert not out.exists()
