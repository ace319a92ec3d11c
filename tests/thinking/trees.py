"""Trajectories that are fed by hand."""

from collections.abc import Iterable, Mapping, Sequence

from thinkscale.thinking.budgets import Setting
from thinkscale.thinking.sweep import Move, plan_trajectories
from thinkscale.thinking.tree import Branch, Trajectory

WAIT = Move(text="Wait")
PIECES = {1: "x", 2: ".", 3: "\n", 4: "\n\n"}


class Words:
    """Text as the trees need it: a wait string is as many ids as it has words, each 99."""

    def encode(self, text: str) -> tuple[int, ...]:
        return (99,) * len(text.split())

    def piece(self, token: int) -> str:
        return PIECES.get(token, "w")


def forced(budget: int | None, waits: int, wait_string: str = "Wait", grace: int = 0) -> Setting:
    return Setting(
        method="budget_forcing", budget_tokens=budget, waits=waits, wait_string=wait_string, grace_tokens=grace
    )


def trajectory_of(settings: Iterable[Setting], limit: int = 100, *, is_greedy: bool = False) -> Trajectory:
    (plan,) = plan_trajectories(settings, limit, is_greedy=is_greedy)
    return Trajectory(plan, Words())


def feed(branch: Branch, ids: Sequence[int] | int) -> None:
    """What a model says if let: all of `ids` (or so many), then the end; as far as there is room."""
    said = [1] * ids if isinstance(ids, int) else list(ids)
    branch.extend(said[: branch.room], ended=len(said) < branch.room)


def grow(
    trajectory: Trajectory, said: Mapping[tuple[Move, ...], Sequence[int] | int]
) -> dict[tuple[Move, ...], tuple[int, int]]:
    """Feeds each branch; returns by branch how much was asked for, and within how many tokens no end could come."""
    asked = {}
    while branches := trajectory.begin():
        for branch in branches:
            asked[branch.path] = (branch.room, branch.min_tokens)
            feed(branch, said[branch.path])
    assert trajectory.is_finished
    return asked
