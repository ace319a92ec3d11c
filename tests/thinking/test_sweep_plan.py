"""The sweep's arithmetic, checked by hand: what each setting reads of one trajectory."""

import pytest

from thinkscale.thinking.budgets import Setting, budget_forcing, class_conditional, direct, truncation
from thinkscale.thinking.sweep import Prefix, PrefixEnd, Trajectory, plan_trajectories

WAIT = (99,)
S1_BUDGETS = (500, 1000, 2000, 4000, 8000, None)


def forced(budget: int | None, waits: int) -> Setting:
    return Setting(method="budget_forcing", budget_tokens=budget, waits=waits, wait_string="Wait")


def grow(trajectory: Trajectory, lengths: list[int]) -> list[int]:
    """Feeds segments that end after the given numbers of tokens; returns how much was asked each time."""
    asked = []
    for length in lengths:
        room = trajectory.room
        if not room:
            break
        asked.append(room)
        generated = min(length, room)
        trajectory.extend([1] * generated, ended=length < room)
    return asked


def test_truncation_and_forcing_share_one_trajectory_and_classes_have_their_own() -> None:
    settings = [*truncation(S1_BUDGETS), *budget_forcing(S1_BUDGETS, (0, 1, 2, 4), "Wait"), *class_conditional()]
    plans = plan_trajectories([*settings, direct()], 30_000)
    assert [(plan.thinks, plan.prompt_class, len(plan.settings)) for plan in plans] == [
        (False, "", 1),
        (True, "", 30),
        (True, "long", 1),
        (True, "short", 1),
    ]


def test_two_wait_strings_need_two_trajectories() -> None:
    settings = [*budget_forcing((None,), (0, 1), "Wait"), *budget_forcing((None,), (1,), "Hmm")]
    plans = plan_trajectories(settings, 100)
    assert [plan.wait_string for plan in plans] == ["Hmm", "Wait"]
    assert sum(len(plan.settings) for plan in plans) == 3


def test_prefixes_of_a_trajectory_that_ends_three_times() -> None:
    settings = budget_forcing((10, 30, None), (0, 1, 2), "Wait")
    (plan,) = plan_trajectories(settings, 100)
    trajectory = Trajectory(plan, WAIT)
    # T_0 = 20; wait is token 20; T_1 = 21 + 14 = 35; wait is token 35; T_2 = 36 + 4 = 40.
    asked = grow(trajectory, [20, 14, 4])
    assert asked == [100, 79, 64]
    assert trajectory.ends == [20, 35, 40]
    assert trajectory.forced == [(20, 21), (35, 36)]
    assert trajectory.room == 0
    natural, cut = PrefixEnd.NATURAL, PrefixEnd.CUT
    assert {setting: trajectory.prefix(setting) for setting in settings} == {
        forced(10, 0): Prefix(10, cut),
        forced(30, 0): Prefix(20, natural),
        forced(None, 0): Prefix(20, natural),
        forced(10, 1): Prefix(10, cut),
        forced(30, 1): Prefix(30, cut),
        forced(None, 1): Prefix(35, natural),
        forced(10, 2): Prefix(10, cut),
        forced(30, 2): Prefix(30, cut),
        forced(None, 2): Prefix(40, natural),
    }
    assert trajectory.separate_tokens == 10 + 20 + 20 + 10 + 30 + 35 + 10 + 30 + 40
    assert len(trajectory.prefixes()) == 5
    assert trajectory.forced_within(30) == ((20, 21),)


def test_a_wait_that_no_setting_can_reach_is_not_generated() -> None:
    (plan,) = plan_trajectories([forced(None, 0), forced(15, 1)], 100)
    trajectory = Trajectory(plan, WAIT)
    grow(trajectory, [20, 5])
    assert trajectory.ends == [20], "the setting that waits has only 15 tokens, and the thinking took 20"
    assert trajectory.prefix(forced(15, 1)) == Prefix(15, PrefixEnd.CUT)


def test_thinking_that_fills_its_budget_exactly_is_cut() -> None:
    # The token that marks the end needs room too: a server asked for 20 tokens returns 20 and says `length`.
    (plan,) = plan_trajectories([forced(20, 0), forced(20, 1), forced(21, 0)], 100)
    trajectory = Trajectory(plan, WAIT)
    grow(trajectory, [20, 5])
    assert trajectory.prefix(forced(20, 0)) == Prefix(20, PrefixEnd.CUT)
    assert trajectory.prefix(forced(20, 1)) == Prefix(20, PrefixEnd.CUT)
    assert trajectory.prefix(forced(21, 0)) == Prefix(20, PrefixEnd.NATURAL)


def test_a_wait_string_is_cut_at_the_budget() -> None:
    (plan,) = plan_trajectories([forced(22, 1)], 100)
    trajectory = Trajectory(plan, (97, 98, 99))
    grow(trajectory, [20, 5])
    assert trajectory.ids[20:] == [97, 98]
    assert trajectory.forced == [(20, 22)]
    assert trajectory.prefix(forced(22, 1)) == Prefix(22, PrefixEnd.CUT)


def test_without_a_budget_the_limit_leaves_the_thinking_unfinished() -> None:
    (plan,) = plan_trajectories([forced(None, 0), forced(50, 0)], 60)
    trajectory = Trajectory(plan, WAIT)
    assert grow(trajectory, [1000]) == [60]
    assert trajectory.prefix(forced(None, 0)) == Prefix(60, PrefixEnd.UNFINISHED)
    assert trajectory.prefix(forced(50, 0)) == Prefix(50, PrefixEnd.CUT)


def test_the_s1_grid_saves_what_arithmetic_says() -> None:
    settings = budget_forcing(S1_BUDGETS, (0, 1, 2, 4), "Wait")
    (plan,) = plan_trajectories(settings, 30_000)
    trajectory = Trajectory(plan, WAIT)
    grow(trajectory, [6000, 1000, 1000, 1000, 1000])
    assert trajectory.ends == [6000, 7001, 8002, 9003, 10004]
    below = 500 + 1000 + 2000 + 4000
    assert trajectory.separate_tokens == 4 * below + (6000 + 6000) + (7001 + 7001) + (8000 + 8002) + (8000 + 10004)
    assert trajectory.separate_tokens / len(trajectory.ids) == pytest.approx(9.0, abs=0.1)
