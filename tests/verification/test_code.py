"""Whole responses graded in the real sandbox: the faults that other graders have, each with its verdict."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import SandboxError
from thinkscale.grading.code.verdict import Unsettled
from thinkscale.grading.execution import Limits
from thinkscale.grading.verdicts import Judgement
from thinkscale.records import Kind, Problem, Verdict
from thinkscale.sandbox.isolation import find_isolation
from thinkscale.sources.problems import parse_problem
from thinkscale.verification.code import CodeGrader

ROWS = [json.loads(line) for line in (Path(__file__).parent / "code_cases.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def grader() -> Iterator[CodeGrader]:
    """One warm grader for all cases, with a limit that endless loops meet soon."""
    try:
        isolation = find_isolation()
    except SandboxError as error:
        pytest.skip(f"no sandbox works here: {error}")
    with CodeGrader(isolation, Limits(cpu_seconds=0.5, output_bytes=1 << 20)) as found:
        yield found


def problem_of(tests: object) -> Problem:
    """A problem with these tests."""
    return Problem(id="p", source="s", question="?", kind=Kind.CODE, tests=json.dumps(tests))


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_a_response_gets_its_verdict(grader: CodeGrader, row: dict[str, Any]) -> None:
    judgement = grader.grade(problem_of(row["tests"]), row["text"])
    assert isinstance(judgement, Judgement)
    assert judgement.verdict == row["verdict"], judgement.evidence
    assert row["evidence"] in judgement.evidence
    assert len(judgement.evidence) <= 600


def test_waiting_is_unsettled_and_counts_only_when_alone(grader: CodeGrader) -> None:
    isolation = find_isolation()
    problem = problem_of({"inputs": [""], "outputs": [""]})
    with CodeGrader(isolation, Limits(wall_seconds=0.5)) as patient:
        text = "```python\nimport time\nprint(end='')\ntime.sleep(1)\n```"
        assert isinstance(patient.grade(problem, text), Unsettled)
        assert patient.grade_alone(problem, text).verdict is Verdict.CORRECT
        started = time.monotonic()
        judgement = patient.grade_alone(problem, text.replace("sleep(1)", "sleep(60)"))
        assert time.monotonic() - started < 20
    assert judgement.verdict is Verdict.WRONG
    assert "waited 1.5 s of wall time with 0.0" in judgement.evidence


def test_the_program_never_sees_what_is_expected(grader: CodeGrader) -> None:
    """A program that prints whatever it can read of its memory, its files and its parents' frames finds no secret."""
    secret = "expected-" + "7" * 20
    spying = (
        "import gc, os, sys\n"
        "def look(*arguments):\n"
        "    seen = [str(thing) for thing in gc.get_objects() if isinstance(thing, (dict, list, tuple))][:200000]\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        seen.append(str(frame.f_locals) + str(frame.f_globals))\n"
        "        frame = frame.f_back\n"
        "    for folder, _, names in os.walk('.'):\n"
        "        seen += [open(os.path.join(folder, name), errors='replace').read() for name in names]\n"
        "    texts = ''.join(seen).replace(MARK, '')\n"
        "    start = texts.find(MARK[:9])\n"
        "    return texts[start:start + 29] if start >= 0 else 'nothing'\n"
        "MARK = 'expe' + 'cted-'\n"
    )
    check: dict[str, object] = {
        "test": f"def check(candidate):\n    assert candidate() == '{secret}'\n",
        "entry_point": "look",
    }
    suites: list[tuple[dict[str, object], str]] = [
        (check, ""),
        ({"inputs": [""], "outputs": [secret]}, "print(look())\n"),
        ({"fn_name": "look", "inputs": [[]], "outputs": [secret]}, ""),
    ]
    for tests, main in suites:
        judgement = grader.grade(problem_of(tests), f"```python\n{spying}{main}```")
        assert isinstance(judgement, Judgement)
        assert judgement.verdict is Verdict.WRONG
        assert secret not in judgement.evidence.partition("got")[2]


def test_programs_do_not_see_each_other(grader: CodeGrader) -> None:
    problem = problem_of({"inputs": ["", ""], "outputs": ["none", "none"]})
    text = (
        "```python\nimport os\nprint('some' if os.path.exists('left') else 'none')\nopen('left', 'w').write('x')\n```"
    )
    for _ in range(2):
        judgement = grader.grade(problem, text)
        assert isinstance(judgement, Judgement)
        assert judgement.verdict is Verdict.CORRECT, judgement.evidence


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_reference_programs_pass_and_wrong_ones_fail(grader: CodeGrader, data_folder: Path) -> None:
    rows = lines(data_folder / "benchmarks" / "humaneval.jsonl")[:12]
    mbpp = lines(data_folder / "benchmarks" / "mbpp.jsonl")[:12]
    leetcode = lines(data_folder / "benchmarks" / "leetcode_functional_test.jsonl")[:8]
    cases = [
        *((row, row["canonical_solution"], "    pass\n") for row in rows),
        *((row, f"```python\n{row['code']}\n```", "```python\nx = 1\n```") for row in mbpp),
        *((row, f"```python\n{row['solutions']}\n```", "```python\nx = 1\n```") for row in leetcode),
    ]
    for row, right, wrong in cases:
        problem = parse_problem(row, "s", {})
        assert isinstance(problem, Problem)
        for text, verdict in ((right, Verdict.CORRECT), (wrong, Verdict.WRONG)):
            judgement = grader.grade(problem, text)
            assert isinstance(judgement, Judgement)
            assert judgement.verdict is verdict, (problem.id, judgement.evidence)
