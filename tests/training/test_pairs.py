"""Pairs as ids: what is cut, what is refused, what becomes of pairs that teach nothing."""

from dataclasses import replace

import pytest

from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Decision, Message, Pair
from thinkscale.training.pairs import (
    OverLongPair,
    PairRow,
    Unusable,
    fit_pairs,
    pair_statistics,
    unusable_reason,
    usable_pairs,
)

ROW = PairRow(
    problem_id="p",
    prompt_ids=(90, 91, 1, 2, 3, 4, 92),
    chosen_ids=(10, 11, 12, 13, 14, 15, 20, 99),
    rejected_ids=(30, 31, 99),
    chosen_thinking=(1, 6),
    asked=(2, 6),
)
SHORT = PairRow(problem_id="short", prompt_ids=(1,), chosen_ids=(2, 99), rejected_ids=(3, 99))


def pair(chosen: str, rejected: str, thinking: tuple[str | None, str | None] = (None, None)) -> Pair:
    return Pair(
        problem_id="p",
        prompt=(Message(role="user", content="q"),),
        chosen=Message(role="assistant", content=chosen, thinking=thinking[0]),
        rejected=Message(role="assistant", content=rejected, thinking=thinking[1]),
        why="shorter",
    )


def test_a_pair_is_as_long_as_its_prompt_and_longer_reply() -> None:
    assert (len(ROW), ROW.num_tokens, ROW.num_trained) == (15, 2 * 7 + 8 + 3, 11)
    assert ROW.sequences == ((*ROW.prompt_ids, *ROW.chosen_ids), (*ROW.prompt_ids, *ROW.rejected_ids))


def test_long_pairs_are_refused_by_default_with_the_numbers_and_the_ways_out() -> None:
    with pytest.raises(DataError) as caught:
        fit_pairs([ROW, SHORT], 14)
    for part in ("1 of 2 pairs", "max_length 14", "p with 15 tokens", "truncate_prompt", "truncate_middle", "drop"):
        assert part in str(caught.value)
    assert fit_pairs([ROW, SHORT], 15).rows == (ROW, SHORT)


def test_dropped_pairs_leave_a_fate_each() -> None:
    fitted = fit_pairs([ROW, SHORT], 14, OverLongPair.DROP)
    assert fitted.rows == (SHORT,)
    (fate,) = fitted.fates
    assert (fate.problem_id, fate.stage, fate.decision, fate.reason) == ("p", "prefer", Decision.DROPPED, "over_long")


def test_a_cut_prompt_keeps_system_turn_end_and_both_replies() -> None:
    fitted = fit_pairs([ROW, SHORT], 13, OverLongPair.TRUNCATE_PROMPT)
    cut, short = fitted.rows
    assert cut == replace(ROW, prompt_ids=(90, 91, 3, 4, 92), asked=(2, 4))
    assert (len(cut), short) == (13, SHORT)
    (fate,) = fitted.fates
    assert (fate.decision, fate.reason) == (Decision.KEPT, "prompt_cut")
    assert fate.evidence == "2 of prompt cut from 15 tokens, max_length 13"


def test_a_cut_thinking_keeps_both_its_ends_the_answer_and_the_other_reply() -> None:
    fitted = fit_pairs([ROW], 12, OverLongPair.TRUNCATE_MIDDLE)
    (cut,) = fitted.rows
    # 3 of the 5 thinking tokens 11..15 go: one stays before, one behind
    assert cut.chosen_ids == (10, 11, 15, 20, 99)
    assert (cut.chosen_thinking, cut.rejected_ids, cut.prompt_ids) == ((1, 3), ROW.rejected_ids, ROW.prompt_ids)
    assert fitted.fates[0].evidence == "3 of chosen cut from 15 tokens, max_length 12"


@pytest.mark.parametrize(
    ("policy", "max_length", "evidence"),
    [
        # 4 tokens of conversation, of which one must stay
        (OverLongPair.TRUNCATE_PROMPT, 11, "the conversation before the replies has 4"),
        # 5 tokens of thinking, of which two must stay
        (OverLongPair.TRUNCATE_MIDDLE, 11, "the chosen reply has 4 tokens too many, and 5 tokens of thinking"),
        (OverLongPair.TRUNCATE_MIDDLE, 9, "the chosen reply has 6 tokens too many"),
    ],
)
def test_an_answer_is_never_cut(policy: OverLongPair, max_length: int, evidence: str) -> None:
    with pytest.raises(DataError, match=f"1 of 2 pairs cannot be trained on: no_room 1.*{evidence}"):
        fit_pairs([ROW, SHORT], max_length, policy)
    fitted = fit_pairs([ROW, SHORT], max_length, policy, Unusable.DROP)
    assert fitted.rows == (SHORT,)
    assert [(fate.decision, fate.reason) for fate in fitted.fates] == [(Decision.DROPPED, "no_room")]


def test_a_reply_without_thinking_has_nothing_to_cut() -> None:
    row = replace(ROW, chosen_thinking=None)
    with pytest.raises(DataError, match="0 tokens of thinking"):
        fit_pairs([row], 12, OverLongPair.TRUNCATE_MIDDLE)


def test_replies_that_a_cut_makes_equal_are_unusable() -> None:
    row = replace(
        SHORT, chosen_ids=(1, 2, 3, 9), rejected_ids=(1, 7, 3, 9), chosen_thinking=(0, 3), rejected_thinking=(0, 3)
    )
    with pytest.raises(DataError, match="identical_when_cut 1"):
        fit_pairs([row], 4, OverLongPair.TRUNCATE_MIDDLE)
    with pytest.raises(DataError, match="identical 1"):
        fit_pairs([replace(row, rejected_ids=row.chosen_ids)], 10)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (pair("a", "b"), None),
        (pair("a", "a"), "identical"),
        (pair("a", "a", ("t", "u")), None),
        (pair("a", "a", (None, "")), None),
        (pair(" \n", "b"), "empty_chosen"),
        (pair("a", "", ("t", "t")), "empty_rejected"),
    ],
)
def test_what_teaches_nothing_has_a_reason(given: Pair, reason: str | None) -> None:
    assert unusable_reason(given) == reason


def test_unusable_pairs_are_refused_with_counts_or_dropped_with_fates() -> None:
    pairs = [pair("a", "b"), pair("a", "a"), pair("", "b"), pair("b", "b")]
    with pytest.raises(DataError, match="3 of 4 pairs cannot be trained on: empty_chosen 1, identical 2"):
        usable_pairs(pairs, Unusable.REFUSE)
    kept, fates = usable_pairs(pairs, Unusable.DROP)
    assert kept == (pairs[0],)
    assert [fate.reason for fate in fates] == ["identical", "empty_chosen", "identical"]


def test_statistics_count_each_prompt_twice() -> None:
    found = pair_statistics([ROW, SHORT])
    assert (found.num_pairs, found.num_tokens, found.num_trained_tokens, found.longest_tokens) == (2, 25 + 6, 15, 15)
    assert (found.median_chosen_tokens, found.median_rejected_tokens) == (2, 2)
    with pytest.raises(DataError, match="no pairs"):
        pair_statistics([])


def test_a_limit_below_two_tokens_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="max_length is 1"):
        fit_pairs([], 1)
