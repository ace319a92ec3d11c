"""Rows, masks and what becomes of over-long rows."""

from collections.abc import Sequence

import pytest

from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Decision
from thinkscale.training.tokens import OverLong, build_row, fit_rows, show, token_statistics


class LetterTokenizer:
    """Id 0 is `a`; enough of a tokenizer to print rows."""

    eos_token_id: int | None = 25

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) - ord("a") for letter in text]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return "".join(chr(ord("a") + token) for token in token_ids)

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> str:
        raise NotImplementedError


def test_only_the_completion_with_its_end_of_turn_is_trained() -> None:
    row = build_row("p", [1, 2, 3], [4, 5, 9], thinking_tokens=1)
    assert row.input_ids == (1, 2, 3, 4, 5, 9)
    assert row.trained == (False, False, False, True, True, True)
    assert row.thinking == (3, 4)
    assert (len(row), row.num_trained) == (6, 3)


@pytest.mark.parametrize(("prompt", "completion", "lack"), [([], [1], "prompt"), ([1], [], "completion")])
def test_a_row_without_prompt_or_completion_is_refused(prompt: list[int], completion: list[int], lack: str) -> None:
    with pytest.raises(DataError, match=f"p: the {lack} has no tokens"):
        build_row("p", prompt, completion)


def test_over_long_rows_are_refused_by_default_with_the_numbers_and_the_ways_out() -> None:
    rows = [build_row("short", [1], [2]), build_row("long", [1], [2] * 8), build_row("longest", [1], [2] * 9)]
    with pytest.raises(DataError) as caught:
        fit_rows(rows, 8)
    for part in ("2 of 3", "max_length 8", "longest with 10 tokens", "over_length=drop", "over_length=truncate_middle"):
        assert part in str(caught.value)


def test_a_row_at_the_limit_is_not_over_long() -> None:
    rows = (build_row("p", [1], [2] * 7),)
    assert fit_rows(rows, 8).rows == rows


def test_dropped_rows_leave_a_fate_each() -> None:
    rows = [build_row("short", [1], [2]), build_row("long", [1], [2] * 8)]
    fitted = fit_rows(rows, 8, OverLong.DROP)
    assert [row.problem_id for row in fitted.rows] == ["short"]
    (fate,) = fitted.fates
    assert (fate.problem_id, fate.decision, fate.reason) == ("long", Decision.DROPPED, "over_long")
    assert fate.evidence == "9 tokens, max_length 8"


def test_truncating_keeps_prompt_both_ends_of_the_thinking_and_answer() -> None:
    row = build_row("p", [1, 2], [10, 11, 12, 13, 14, 15, 20, 21], thinking_tokens=6)
    fitted = fit_rows([row], 7, OverLong.TRUNCATE_MIDDLE)
    (cut,) = fitted.rows
    assert cut.input_ids == (1, 2, 10, 14, 15, 20, 21)
    assert cut.trained == (False, False, True, True, True, True, True)
    assert cut.thinking == (2, 5)
    (fate,) = fitted.fates
    assert (fate.decision, fate.reason) == (Decision.KEPT, "thinking_cut")
    assert fate.evidence == "3 of 10 tokens cut, max_length 7"


def test_truncating_refuses_where_the_thinking_cannot_make_room_or_is_not_known() -> None:
    with pytest.raises(DataError, match="only 3 of them are thinking"):
        fit_rows([build_row("p", [1, 2], [3] * 8, thinking_tokens=3)], 8, OverLong.TRUNCATE_MIDDLE)
    with pytest.raises(DataError, match="span is not known"):
        fit_rows([build_row("p", [1, 2], [3] * 8)], 8, OverLong.TRUNCATE_MIDDLE)


def test_a_limit_without_room_for_prompt_and_completion_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="max_length is 1"):
        fit_rows([], 1)


def test_statistics_count_tokens() -> None:
    found = token_statistics([build_row("p", [1], [2] * 3), build_row("q", [1] * 4, [2] * 6)])
    assert (found.num_rows, found.num_tokens, found.num_trained_tokens) == (2, 14, 9)
    assert (found.shortest_tokens, found.median_tokens, found.longest_tokens) == (4, 4, 10)
    with pytest.raises(DataError, match="no training rows"):
        token_statistics([])


def test_show_colours_trained_tokens() -> None:
    text = show(build_row("p", [0, 1], [2, 3]), LetterTokenizer())
    assert text.plain == "abcd"
    assert [(span.start, span.end, str(span.style)) for span in text.spans] == [(0, 2, "dim"), (2, 4, "green")]


def test_cutting_the_end_keeps_the_first_tokens_and_says_so() -> None:
    row = build_row("p", [1, 2], [3, 4, 5, 6, 7], thinking_tokens=4)
    fitted = fit_rows([row, build_row("q", [1], [2])], 5, OverLong.TRUNCATE_END)
    assert fitted.rows[0].input_ids == (1, 2, 3, 4, 5)
    assert fitted.rows[0].trained == (False, False, True, True, True)
    assert fitted.rows[0].thinking == (2, 5)
    assert [(fate.problem_id, fate.reason, fate.evidence) for fate in fitted.fates] == [
        ("p", "end_cut", "the last 2 of 7 tokens cut, max_length 5")
    ]


def test_cutting_the_end_refuses_where_only_the_prompt_would_be_left() -> None:
    with pytest.raises(DataError, match="prompt alone has 3 tokens, so of the first 3 none would be trained"):
        fit_rows([build_row("p", [1, 2, 3], [4, 5])], 3, OverLong.TRUNCATE_END)
