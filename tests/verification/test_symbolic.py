"""The symbolic tier: a table of pairs, its place behind the rules, and its limits."""

import builtins
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from thinkscale.grading.execution import Limits
from thinkscale.grading.math.notation import canonical
from thinkscale.grading.math.values import Outcome
from thinkscale.grading.verdicts import UNDECIDED, Judgement
from thinkscale.records import Verdict
from thinkscale.sandbox.workers import KillableWorker
from thinkscale.sandbox.workers import Outcome as Ending
from thinkscale.verification.symbolic.grader import SymbolicGrader

CASES = [json.loads(line) for line in (Path(__file__).parent / "symbolic.jsonl").read_text("utf-8").splitlines()]
PROJECT = Path(__file__).resolve().parent.parent.parent
SLOW_TO_SETTLE = r"\int_0^{\infty} \frac{\sin(x^x)}{x^{x^x}} dx"


@pytest.fixture(scope="module")
def symbolic() -> Iterator[SymbolicGrader]:
    with SymbolicGrader() as grader:
        yield grader


def left_undecided(answer: str) -> Judgement:
    return Judgement(verdict=Verdict.UNGRADABLE, extracted=answer, tier=UNDECIDED, evidence="boxed; not read")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['answer']} ~ {case['reference']}"[:60])
def test_a_pair_compares_as_stated_from_both_sides(symbolic: SymbolicGrader, case: dict[str, str]) -> None:
    found = symbolic.compare(case["answer"], case["reference"])
    turned = symbolic.compare(case["reference"], case["answer"])
    assert (found.outcome, turned.outcome) == (case["outcome"], case["outcome"]), (found.evidence, case["why"])


def test_what_symbols_settle_is_a_verdict_of_their_tier(symbolic: SymbolicGrader) -> None:
    equal = symbolic.decide(left_undecided(r"\sin 2x"), r"2\sin x\cos x")
    assert (equal.verdict, equal.tier, equal.settled) == (Verdict.CORRECT, "symbolic", True)
    assert equal.evidence.startswith("boxed; not read; equal to 25 digits")
    other = symbolic.decide(left_undecided(r"\sin 2x"), r"\sin x\cos x")
    assert (other.verdict, other.tier) == (Verdict.WRONG, "symbolic")


def test_what_symbols_do_not_settle_stays_for_the_judge(symbolic: SymbolicGrader) -> None:
    left = symbolic.decide(left_undecided("a blue house"), "a red one")
    assert (left.verdict, left.undecided, left.settled) == (Verdict.UNGRADABLE, True, True)
    assert left.evidence.startswith("boxed; not read; symbolic: not read")


def test_a_limit_of_cpu_time_is_undecided_and_says_so() -> None:
    with SymbolicGrader(Limits(cpu_seconds=0.2, wall_seconds=20.0)) as grader:
        found = grader.compare(SLOW_TO_SETTLE, r"\ln 2")
        assert (found.outcome, found.needs_retry) == (Outcome.UNDECIDED, False)
        assert found.evidence.startswith("cpu limit: ")
        assert grader.compare(r"\sin 2x", r"2\sin x\cos x").outcome is Outcome.EQUAL


def test_a_limit_of_wall_time_is_not_settled_until_it_was_alone() -> None:
    with SymbolicGrader(Limits(cpu_seconds=1.0, wall_seconds=0.01)) as grader:
        first = grader.decide(left_undecided(SLOW_TO_SETTLE), r"\ln 2")
        assert (first.verdict, first.settled) == (Verdict.UNGRADABLE, False)
        assert "wall limit" in first.evidence
        second = grader.decide(left_undecided(SLOW_TO_SETTLE), r"\ln 2", alone=True)
        assert (second.verdict, second.settled) == (Verdict.UNGRADABLE, True)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel keeps this limit on Linux")
def test_a_limit_of_memory_is_undecided_and_says_so() -> None:
    with SymbolicGrader(Limits(cpu_seconds=20.0, wall_seconds=60.0, memory_bytes=60 << 20)) as grader:
        found = grader.compare(r"\prod_{k=1}^{900} (x+k)^{900}+\sin x", r"\ln 2")
    assert (found.outcome, found.evidence) == (Outcome.UNDECIDED, "memory limit: out of memory")


def test_what_is_too_long_is_not_even_sent(symbolic: SymbolicGrader) -> None:
    asked = symbolic.num_asked
    assert symbolic.compare("x+" * 1_000 + "1", "2").evidence == "over 2000 characters"
    assert symbolic.num_asked == asked


INJECTIONS = (
    "__import__('os').mkdir('{path}')",
    r"\frac{{__import__('os').mkdir('{path}')}}{{2}}",
    r"x_{{__import__('os').mkdir('{path}')}}",
    r"\overline{{__import__('os').mkdir('{path}')}}",
    r"\operatorname{{exec}}(\sin x)",
    r"\variable{{__import__('os').mkdir('{path}')}}",
    "3+4*12345",
    r"\overline{{x}}+12345",
)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_reader_compiles_a_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, so that eval, exec and compile can be watched: neither reader calls one of them."""
    from thinkscale.verification.symbolic.latex import UnreadableError
    from thinkscale.verification.symbolic.worker import load, read_pairs

    load()  # what sympy imports on first use is run here
    canary = tmp_path / "evaluated"

    def refused(*arguments: object) -> None:
        raise AssertionError(f"a reader compiles {arguments[0]!r:.80}")

    with monkeypatch.context() as watched:
        for name in ("eval", "exec", "compile"):
            watched.setattr(builtins, name, refused)
        for reference in ("42", r"\overline{z}"):
            with suppress(UnreadableError):
                read_pairs(canonical(text.format(path=canary)), reference)
    assert not canary.exists()


def test_the_fence_around_reading_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser of math-verify gives numbers to sympy.Number, and so to eval(); with that put back, the fence acts."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    with KillableWorker("tests.verification.careless_worker", Limits(cpu_seconds=10, wall_seconds=60)) as careless:
        reply = careless.ask([r"\overline{z}+12345", "2"])
    assert reply.outcome is Ending.FAILED
    assert reply.detail == "PermissionError: a worker compiles no text"
