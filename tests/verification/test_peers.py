"""Peers give the verdicts that they give at home, and are bounded here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.grading.execution import Limits
from thinkscale.records import Verdict
from thinkscale.verification.peers import PEERS, PeerGraders, last_box

CORRECT, WRONG = Verdict.CORRECT, Verdict.WRONG


@pytest.fixture(scope="module")
def peers() -> Iterator[PeerGraders]:
    with PeerGraders() as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "reference", "verdicts"),
    [
        (r"so it is \boxed{\frac{1}{2}}.", r"\frac{1}{2}", (CORRECT, CORRECT, CORRECT)),
        (r"so it is \boxed{0.5}.", r"\frac{1}{2}", (CORRECT, CORRECT, WRONG)),
        (r"so it is \boxed{x(x+1)}.", "x^2+x", (CORRECT, CORRECT, WRONG)),
        (r"so it is \boxed{3}.", "4", (WRONG, WRONG, WRONG)),
        ("the final answer is $12$", "12", (CORRECT, WRONG, WRONG)),
        (r"\boxed{(1,2)}", "(2,1)", (WRONG, WRONG, WRONG)),
        ("", "1", (WRONG, WRONG, WRONG)),
    ],
)
def test_each_peer_judges_as_it_does_at_home(
    peers: PeerGraders, text: str, reference: str, verdicts: tuple[Verdict, ...]
) -> None:
    assert list(PEERS) == ["math_verify", "sympy", "string"]
    assert tuple(peers.judge(name, text, reference).verdict for name in PEERS) == verdicts


@pytest.mark.slow
def test_a_peer_that_meets_a_limit_is_ungradable(tmp_path: Path) -> None:
    hostile = r"\boxed{\frac{" * 3 + "9^{9^{9^{9}}}" + "}{2}}" * 3
    with PeerGraders(Limits(cpu_seconds=0.5, wall_seconds=10.0)) as bounded:
        found = bounded.judge("sympy", r"\boxed{9^{9^{9^{9}}}}", "4")
        assert (found.verdict, found.settled) == (Verdict.UNGRADABLE, True)
        assert found.evidence.startswith("cpu_time")
        assert bounded.judge("math_verify", hostile, "4").verdict in (WRONG, Verdict.UNGRADABLE)
        assert bounded.judge("sympy", r"\boxed{4}", "4").verdict is CORRECT
        canary = tmp_path / "evaluated"
        for name in PEERS:
            bounded.judge(name, rf"\boxed{{__import__('os').mkdir('{canary}')}}", "4")
        assert not canary.exists()


def test_many_rows_in_one_process_get_the_verdicts_of_single_ones(peers: PeerGraders) -> None:
    rows = [(r"\boxed{1}", "1"), (r"\boxed{2}", "1"), ("it is $x+1$", "1+x")]
    found = peers.judge_many("math_verify", rows, Limits(cpu_seconds=20, wall_seconds=60))
    assert found is not None
    assert [equal for equal, _ in found] == [True, False, True]
    assert all(0 <= seconds < 5 for _, seconds in found)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{1} and \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1", None),
        ("1", None),
        (r"\boxed{}", ""),
    ],
)
def test_the_last_box_of_a_text(text: str, box: str | None) -> None:
    assert last_box(text) == box
