"""What settings read of a tree, by hand: grace, steps, told numbers, minimums, attempts, log-probabilities."""

from tests.thinking.trees import WAIT, forced, grow, trajectory_of
from thinkscale.thinking.budgets import minimum, rejection, step_conditional, token_conditional, truncation
from thinkscale.thinking.sweep import Move, Prefix, PrefixEnd

NATURAL, CUT, UNFINISHED = PrefixEnd.NATURAL, PrefixEnd.CUT, PrefixEnd.UNFINISHED


def test_a_sentence_may_end_within_the_grace() -> None:
    # Twelve tokens, with a period as the eighth and as the twelfth; then words without end.
    text = [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 2, *[1] * 40]
    settings = {(b, g): truncation((b,), g)[0] for b, g in ((6, 2), (6, 1), (8, 3), (9, 3), (9, 9), (20, 5), (6, 0))}
    trajectory = trajectory_of(settings.values(), 60)
    grow(trajectory, {(): text})
    read = {name: trajectory.reading(setting) for name, setting in settings.items()}
    assert {name: (item.prefix.length, item.thrown_tokens) for name, item in read.items()} == {
        (6, 2): (8, 0),  # two tokens over, and the sentence is whole
        (6, 1): (6, 1),  # no sentence ends: the budget itself, and a token thrown away
        (8, 3): (8, 0),  # one has just ended
        (9, 3): (12, 0),
        (9, 9): (12, 0),
        (20, 5): (20, 5),
        (6, 0): (6, 0),
    }
    assert {item.prefix.end for item in read.values()} == {CUT}


def test_a_thinking_that_ends_within_the_grace_is_natural_and_is_not_made_to_go_on() -> None:
    over, under = forced(18, 1, grace=5), forced(18, 1, grace=2)
    trajectory = trajectory_of([over, under, forced(None, 1)])
    grow(trajectory, {(): 20, (WAIT,): 10})
    assert trajectory.reading(over).prefix == Prefix(20, NATURAL), "it ended two tokens over its budget"
    assert trajectory.reading(under).prefix == Prefix(18, CUT), "its end would be the third token beyond the budget"
    assert trajectory.reading(under).thrown_tokens == 2


def test_steps_are_cut_behind_the_last_one_allowed() -> None:
    # Steps of 3, 2 and 4 tokens with an empty line behind each (one token of two breaks, or two of one), then 5.
    text = [1, 1, 1, 4, 1, 1, 3, 3, 1, 1, 1, 1, 4, 1, 1, 1, 1, 1]
    settings = {number: step_conditional((number,), "blank_lines", forced=True)[0] for number in (1, 2, 3, 4)}
    read = {}
    for number, setting in settings.items():
        free = step_conditional((number,), "blank_lines", forced=False)[0]
        trajectory = trajectory_of([setting, free])
        grow(trajectory, {(): text})
        read[number] = trajectory.prefix(setting)
        assert trajectory.prefix(free) == Prefix(18, NATURAL)
    assert read == {1: Prefix(4, CUT), 2: Prefix(8, CUT), 3: Prefix(13, CUT), 4: Prefix(18, NATURAL)}


def test_told_tokens_are_cut_only_where_forced() -> None:
    (free,), (cut,) = token_conditional((8,), forced=False), token_conditional((8,), forced=True)
    trajectory = trajectory_of([free, cut])
    grow(trajectory, {(): 20})
    assert trajectory.prefix(free) == Prefix(20, NATURAL)
    assert trajectory.prefix(cut) == Prefix(8, CUT)
    assert trajectory.generated_tokens == 20


def test_minimums_share_a_branch_where_the_best_token_is_taken() -> None:
    settings = {number: minimum((number,))[0] for number in (15, 25, 30, 60)}
    trajectory = trajectory_of([*settings.values(), *truncation((None,))], is_greedy=True)
    until = {number: Move(until=number) for number in settings}
    # T_0 = 20 is enough for 15. For 25 the end at 20 is suppressed: at least 5 more, and the model says 12, so 32 is
    # enough for 30, too. For 60 it goes on from 32: at least 28 more, and it says 30.
    path_60 = (until[25], until[60])
    asked = grow(trajectory, {(): 20, (until[25],): 12, path_60: 30})
    assert asked == {(): (100, 0), (until[25],): (80, 5), path_60: (68, 28)}
    lengths = {number: trajectory.prefix(setting).length for number, setting in settings.items()}
    assert lengths == {15: 20, 25: 32, 30: 32, 60: 62}
    assert trajectory.generated_tokens == 62


def test_minimums_begin_anew_where_tokens_are_drawn_by_chance() -> None:
    settings = minimum((15, 25))
    trajectory = trajectory_of([*settings, *truncation((None,))])
    asked = grow(trajectory, {(): 20, (Move(minimum=15),): 18, (Move(minimum=25),): 100})
    assert asked == {(): (100, 0), (Move(minimum=15),): (100, 15), (Move(minimum=25),): (100, 25)}
    assert [trajectory.prefix(item).end for item in settings] == [NATURAL, UNFINISHED]


def test_one_stream_of_attempts_serves_every_budget() -> None:
    settings = {budget: rejection((budget,), 3)[0] for budget in (10, 30, 50)}
    trajectory = trajectory_of([*settings.values(), *truncation((40,))])
    again = {number: (Move(attempt=number),) for number in (1, 2)}
    # The first attempt ends at 35: short enough for 50. The second, for 10 and 30, ends at 12: short enough for 30.
    asked = grow(trajectory, {(): 35, again[1]: 12, again[2]: 80})
    assert asked == {(): (50, 0), again[1]: (30, 0), again[2]: (10, 0)}
    read = {budget: trajectory.reading(setting) for budget, setting in settings.items()}
    assert {budget: (item.prefix, item.tries, item.thrown_tokens) for budget, item in read.items()} == {
        10: (Prefix(10, UNFINISHED, again[2]), 3, 20),
        30: (Prefix(12, NATURAL, again[1]), 2, 30),
        50: (Prefix(35, NATURAL), 1, 0),
    }
    assert trajectory.generated_tokens == 35 + 12 + 10
    assert trajectory.separate_tokens == 3 * 10 + (30 + 12) + 35 + 35


def test_log_probabilities_stay_with_their_tokens() -> None:
    trajectory = trajectory_of([forced(None, 1)])
    (first,) = trajectory.begin()
    first.extend([1, 1], ended=True, logprobs=[-0.5, -1.0])
    (second,) = trajectory.begin()
    second.extend([1], ended=True, logprobs=[-2.0])
    assert not trajectory.begin()
    assert trajectory.logprobs(Prefix(2, NATURAL)) == [-0.5, -1.0]
    assert trajectory.logprobs(Prefix(4, NATURAL, (WAIT,))) == [-0.5, -1.0, None, -2.0]


def test_without_log_probabilities_there_are_none() -> None:
    trajectory = trajectory_of([forced(None, 1)])
    grow(trajectory, {(): 3, (WAIT,): 2})
    assert trajectory.logprobs(Prefix(6, NATURAL, (WAIT,))) == []
