"""What waits turn, where thinking loops, and what contradicts itself, counted by hand."""

from dataclasses import replace

from thinkscale.records import Cut, Score, Verdict
from thinkscale.statistics.failures import agreement, loop_counts, wait_flips

RIGHT, WRONG, CUT_OFF = Verdict.CORRECT, Verdict.WRONG, Verdict.CUT_OFF


def scores_of(
    verdicts: list[Verdict],
    *,
    method: str = "budget_forcing",
    budget: int | None = None,
    waits: int = 0,
    variant: str = "",
    tokens: int = 100,
    key: str = "",
) -> list[Score]:
    return [
        Score(
            benchmark="b",
            model="m",
            method=method,
            budget_tokens=budget,
            waits=waits,
            variant=variant,
            problem_id=f"p{index}",
            sample=0,
            response_key=key or f"{method}-{budget}-{waits}-{variant}-{index}",
            verdict=verdict,
            thinking_tokens=tokens,
            cut=Cut.THINKING if verdict is CUT_OFF else Cut.NONE,
        )
        for index, verdict in enumerate(verdicts)
    ]


def test_each_answer_is_followed_from_one_number_of_waits_to_the_next() -> None:
    scores = (
        scores_of([RIGHT, RIGHT, WRONG, WRONG, WRONG], method="truncation")
        + scores_of([RIGHT, WRONG, RIGHT, WRONG, CUT_OFF], waits=1, variant="Wait", tokens=130)
        + scores_of([CUT_OFF, WRONG, RIGHT, RIGHT, CUT_OFF], waits=4, variant="Wait", tokens=190)
    )
    first, second = wait_flips(scores)
    assert (first.first_waits, first.second_waits, first.variant) == (0, 1, "Wait")
    assert (first.right_to_right, first.right_to_wrong, first.wrong_to_right, first.wrong_to_wrong) == (1, 1, 1, 2)
    assert (first.newly_cut, first.added_tokens, first.num_items) == (1, 30.0, 5)
    assert (second.first_waits, second.second_waits) == (1, 4)
    assert (second.right_to_wrong, second.wrong_to_right, second.newly_cut) == (1, 1, 1)


def test_a_wait_that_found_no_room_is_counted_apart() -> None:
    before = scores_of([RIGHT, WRONG], budget=50, tokens=50)
    after = [replace(score, waits=1, variant="Wait") for score in before]
    (flips,) = wait_flips(before + after)
    assert (flips.unchanged, flips.right_to_right, flips.wrong_to_wrong) == (2, 1, 1)


def test_wait_strings_share_their_start_and_budgets_do_not() -> None:
    scores = (
        scores_of([RIGHT])
        + scores_of([WRONG], waits=1, variant="Wait")
        + scores_of([RIGHT], waits=1, variant="Hmm")
        + scores_of([RIGHT], budget=64, waits=1, variant="Wait")
    )
    found = [(item.variant, item.budget_tokens, item.right_to_wrong) for item in wait_flips(scores)]
    assert found == [("Wait", None, 1), ("Hmm", None, 0)]


def test_loops_are_counted_by_cell_with_the_accuracy_of_the_rest() -> None:
    scores = scores_of([RIGHT, WRONG, CUT_OFF, RIGHT], waits=2, variant="Wait", budget=100)
    keys = {score.response_key for score in scores[1:3]}
    (found,) = loop_counts(scores + scores_of([RIGHT], method="direct"), keys)
    assert (found.num_scores, found.looping, found.share) == (4, 2, 0.5)
    assert (found.correct_looping, found.correct_others) == (0, 2)
    assert found.cut_looping == 2  # both are as long as their budget


def test_a_sound_evaluation_contradicts_itself_nowhere() -> None:
    shared = scores_of([RIGHT, WRONG], method="truncation", budget=100, key="r")
    same = [replace(score, method="budget_forcing") for score in shared]
    found = agreement([shared[0], same[0], *scores_of([CUT_OFF])])
    assert (found.num_scores, found.num_cutting, found.num_sharing) == (3, 2, 2)
    assert (found.over_budget, found.differing, found.without_cut) == (0, 0, 0)


def test_contradictions_are_counted() -> None:
    (score,) = scores_of([RIGHT], method="truncation", budget=99, key="r")
    other = replace(score, budget_tokens=None, verdict=WRONG)
    (cut,) = scores_of([CUT_OFF])
    found = agreement([score, other, cut, replace(cut, waits=1, response_key="s", verdict=WRONG)])
    assert found.over_budget == 1  # 100 tokens under a budget of 99
    assert found.differing == 1
    assert found.without_cut == 1


def test_steps_are_no_hard_limit_in_tokens() -> None:
    forced = scores_of([RIGHT], method="step_conditional_forced", budget=50)
    assert forced[0].thinking_tokens > 50
    assert (agreement(forced).num_cutting, agreement(forced).over_budget) == (0, 0)


def test_a_sentence_that_ends_within_the_grace_is_no_contradiction() -> None:
    graced = scores_of([RIGHT], method="truncation", budget=95)
    assert agreement(graced, grace_tokens=5).over_budget == 0
    assert agreement(graced, grace_tokens=4).over_budget == 1
    told = scores_of([RIGHT], method="token_conditional_forced", budget=95)
    assert agreement(told, grace_tokens=5).over_budget == 1


def test_scores_that_do_not_say_where_they_were_cut_are_no_contradiction() -> None:
    old = [replace(score, cut=Cut.NONE) for score in scores_of([CUT_OFF, RIGHT])]
    assert agreement(old).without_cut == 0
