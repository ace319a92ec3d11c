"""The sweep's arithmetic, checked by hand: what each setting reads of one trajectory."""

import pytest

from tests.thinking.trees import WAIT, forced, grow, trajectory_of
from thinkscale.thinking.budgets import (
    Setting,
    budget_forcing,
    class_conditional,
    direct,
    minimum,
    rejection,
    step_conditional,
    token_conditional,
    truncation,
    wait_text,
)
from thinkscale.thinking.sweep import Move, Prefix, PrefixEnd, TrajectoryPlan, plan_trajectories

S1_BUDGETS = (500, 1000, 2000, 4000, 8000, None)
NATURAL, CUT, UNFINISHED = PrefixEnd.NATURAL, PrefixEnd.CUT, PrefixEnd.UNFINISHED


def test_all_settings_with_one_prompt_share_a_trajectory() -> None:
    settings = [
        *truncation(S1_BUDGETS),
        *budget_forcing(S1_BUDGETS, (0, 1, 2, 4), ("Wait", "Hmm", "none")),
        *class_conditional(),
        *minimum((500,)),
        *rejection((500,), 3),
        *token_conditional((1024,), forced=False),
        *token_conditional((1024,), forced=True),
        *step_conditional((16,), "blank_lines", forced=True),
    ]
    plans = plan_trajectories([*settings, direct()], 30_000)
    assert [(plan.thinks, plan.condition, len(plan.settings)) for plan in plans] == [
        (False, "", 1),
        (True, "", 6 + 24 + 2 * 18 + 1 + 1),
        (True, "long", 1),
        (True, "short", 1),
        (True, "steps:16", 1),
        (True, "tokens:1024", 2),
    ]


def test_settings_have_names_of_their_own() -> None:
    settings = [
        *budget_forcing((None, 8), (0, 1, 2), ("Wait", "none", "rotate")),
        *truncation((None, 8)),
        *minimum((5, 9)),
        *step_conditional((4, 8), "countdown", forced=False),
        *step_conditional((4, 8), "countdown", forced=True),
        *token_conditional((4, 8), forced=False),
        *token_conditional((4, 8), forced=True),
        *class_conditional(),
        *rejection((8, 16), 2),
        direct(),
    ]
    names = [(item.method, item.budget_tokens, item.waits, item.variant) for item in settings]
    assert len(set(names)) == len(names) == 14 + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 1
    white = [item.variant for item in budget_forcing((8,), (1,), ("Wait", " Wait", "\nWait"))]
    assert white == ["Wait", '" Wait"', '"\\nWait"']
    steps = step_conditional((16,), "blank_lines", forced=True)[0]
    assert (steps.budget_tokens, steps.variant, steps.cap_tokens) == (1600, "16", None)


def test_prefixes_of_a_trajectory_that_ends_three_times() -> None:
    settings = budget_forcing((10, 30, None), (0, 1, 2), ("Wait",))
    trajectory = trajectory_of(settings)
    # T_0 = 20; wait is token 20; T_1 = 21 + 14 = 35; wait is token 35; T_2 = 36 + 4 = 40.
    asked = grow(trajectory, {(): 20, (WAIT,): 14, (WAIT, WAIT): 4})
    assert asked == {(): (100, 0), (WAIT,): (79, 0), (WAIT, WAIT): (64, 0)}
    assert {setting: trajectory.prefix(setting) for setting in settings} == {
        forced(10, 0): Prefix(10, CUT),
        forced(30, 0): Prefix(20, NATURAL),
        forced(None, 0): Prefix(20, NATURAL),
        forced(10, 1): Prefix(10, CUT),
        forced(30, 1): Prefix(30, CUT, (WAIT,)),
        forced(None, 1): Prefix(35, NATURAL, (WAIT,)),
        forced(10, 2): Prefix(10, CUT),
        forced(30, 2): Prefix(30, CUT, (WAIT,)),
        forced(None, 2): Prefix(40, NATURAL, (WAIT, WAIT)),
    }
    assert trajectory.separate_tokens == 10 + 20 + 20 + 10 + 30 + 35 + 10 + 30 + 40
    assert trajectory.generated_tokens == 20 + 14 + 4
    assert len(trajectory.prefixes()) == 5
    assert trajectory.forced_within(Prefix(30, CUT, (WAIT,))) == ((20, 21),)
    assert trajectory.forced_within(Prefix(40, NATURAL, (WAIT, WAIT))) == ((20, 21), (35, 36))
    assert trajectory.thinking(Prefix(22, CUT, (WAIT,))) == [1] * 20 + [99, 1]


def test_wait_strings_part_at_the_first_end_and_a_rotation_later() -> None:
    settings = budget_forcing((None,), (1, 2), ("Wait", "none", "rotate"))
    trajectory = trajectory_of(settings)
    none, hmm = Move(), Move(text="Hmm")
    said = {(): 20, (WAIT,): 10, (WAIT, WAIT): 5, (none,): 7, (none, none): 1, (WAIT, hmm): 3}
    asked = grow(trajectory, said)
    # Where nothing is put, the first token behind the end cannot be an end.
    assert asked == {
        (): (100, 0),
        (WAIT,): (79, 0),
        (none,): (80, 1),
        (WAIT, WAIT): (68, 0),
        (WAIT, hmm): (68, 0),
        (none, none): (73, 1),
    }
    lengths = {(item.wait_string, item.waits): trajectory.prefix(item).length for item in settings}
    assert lengths == {
        ("Wait", 1): 31,
        ("Wait", 2): 37,
        ("none", 1): 27,
        ("none", 2): 28,
        ("rotate", 1): 31,
        ("rotate", 2): 35,
    }
    assert trajectory.generated_tokens == 20 + 10 + 5 + 7 + 1 + 3
    assert [wait_text("rotate", index) for index in range(4)] == ["Wait", "Hmm", "Alternatively", "Wait"]


def test_a_wait_that_no_setting_can_reach_is_not_generated() -> None:
    trajectory = trajectory_of([forced(None, 0), forced(15, 1)])
    assert list(grow(trajectory, {(): 20})) == [()], "the setting that waits has 15 tokens, and the thinking took 20"
    assert trajectory.prefix(forced(15, 1)) == Prefix(15, CUT)


def test_a_branch_goes_no_further_than_the_settings_that_take_it() -> None:
    trajectory = trajectory_of([forced(None, 0), forced(30, 1)])
    assert grow(trajectory, {(): 20, (WAIT,): 50}) == {(): (100, 0), (WAIT,): (9, 0)}
    assert trajectory.prefix(forced(30, 1)) == Prefix(30, CUT, (WAIT,))


def test_thinking_that_fills_its_budget_exactly_is_cut() -> None:
    # The token that marks the end needs room too: a server asked for 20 tokens returns 20 and says `length`.
    trajectory = trajectory_of([forced(20, 0), forced(20, 1), forced(21, 0)])
    grow(trajectory, {(): 20})
    assert trajectory.prefix(forced(20, 0)) == Prefix(20, CUT)
    assert trajectory.prefix(forced(20, 1)) == Prefix(20, CUT)
    assert trajectory.prefix(forced(21, 0)) == Prefix(20, NATURAL)


def test_a_wait_string_is_cut_at_the_budget() -> None:
    setting = forced(22, 1, "Wait a moment")
    trajectory = trajectory_of([setting])
    path = (Move(text="Wait a moment"),)
    assert grow(trajectory, {(): 20}) == {(): (22, 0)}, (
        "the string fills what is left, so nothing is generated behind it"
    )
    assert trajectory.prefix(setting) == Prefix(22, CUT, path)
    assert trajectory.thinking(trajectory.prefix(setting))[20:] == [99, 99]
    assert trajectory.forced_within(trajectory.prefix(setting)) == ((20, 22),)


def test_without_a_budget_the_limit_leaves_the_thinking_unfinished() -> None:
    trajectory = trajectory_of([forced(None, 0), forced(50, 0)], 60)
    assert grow(trajectory, {(): 1000}) == {(): (60, 0)}
    assert trajectory.prefix(forced(None, 0)) == Prefix(60, UNFINISHED)
    assert trajectory.prefix(forced(50, 0)) == Prefix(50, CUT)


def test_the_s1_grid_saves_what_arithmetic_says() -> None:
    settings = budget_forcing(S1_BUDGETS, (0, 1, 2, 4), ("Wait",))
    trajectory = trajectory_of(settings, 30_000)
    grow(trajectory, {(WAIT,) * waits: 1000 if waits else 6000 for waits in range(5)})
    ends = [trajectory.prefix(forced(None, waits)).length for waits in (0, 1, 2, 4)]
    assert ends == [6000, 7001, 8002, 10004]
    below = 500 + 1000 + 2000 + 4000
    assert trajectory.separate_tokens == 4 * below + (6000 + 6000) + (7001 + 7001) + (8000 + 8002) + (8000 + 10004)
    assert trajectory.separate_tokens / trajectory.generated_tokens == pytest.approx(9.0, abs=0.1)


def test_the_context_must_hold_budgets_with_grace_and_minimums() -> None:
    def plan(*settings: Setting) -> TrajectoryPlan:
        (found,) = plan_trajectories(settings, 1000)
        return found

    assert plan(*truncation((50, None), 7)).capped_reach == 57
    assert plan(*minimum((80,)), *truncation((50,))).capped_reach == 80
    assert plan(*truncation((None,))).capped_reach == 0
    assert plan(*truncation((50, None), 7)).reach == 1000
    assert plan(*truncation((50,), 7)).reach == 57
    assert plan(direct()).reach == 0
