"""Pairs under real tokenizers: one prompt, replies as in supervised training, what may be cut of a prompt."""

from typing import Any

import pytest

from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.errors import DataError, ModelError
from thinkscale.records import Message, Pair
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.pair_tokens import PairTokens, show_pair
from thinkscale.training.pairs import OverLongPair, fit_pairs

SYSTEM = Message(role="system", content="Be brief.")
ASKED = Message(role="user", content="What is 3 + 4?")


@pytest.fixture(scope="module")
def tokens() -> PairTokens:
    return PairTokens(find_format("s1"), open_tokenizer("lab"))


def said(content: str, thinking: str | None = None) -> Message:
    return Message(role="assistant", content=content, thinking=thinking)


def pair(chosen: Message, rejected: Message, *prompt: Message) -> Pair:
    return Pair(problem_id="p", prompt=prompt or (ASKED,), chosen=chosen, rejected=rejected, why="")


def test_a_reply_with_thinking_is_encoded_as_a_row_of_supervised_training(tokens: PairTokens) -> None:
    row = tokens.row(pair(said("7", "3 + 4 = 7"), said("8", "3 + 4 = 8\nWait")))
    bound = BoundFormat(find_format("s1"), tokens.tokenizer)
    for ids, thinking, answer in (
        (row.chosen_ids, "3 + 4 = 7", "7"),
        (row.rejected_ids, "3 + 4 = 8\nWait", "8"),
    ):
        wanted = bound.training_ids([ASKED], thinking, answer)
        assert (row.prompt_ids, ids) == (wanted.prompt, wanted.completion)
    assert row.chosen_thinking is not None
    start, end = row.chosen_thinking
    assert bound.decode(row.chosen_ids[:start]) == "<|im_start|>think\n"
    assert bound.decode(row.chosen_ids[start:end]) == "3 + 4 = 7\n"
    assert bound.decode(row.chosen_ids[end:]) == "<|im_start|>answer\n7<|im_end|>"


def test_a_reply_without_thinking_is_its_text_and_the_end_of_the_turn(tokens: PairTokens) -> None:
    row = tokens.row(pair(said("7"), said("7", "3 + 4 = 7")))
    assert tokens.tokenizer.decode(list(row.chosen_ids)) == "7<|im_end|>"
    assert row.chosen_thinking is None
    assert tokens.tokenizer.decode(list(row.rejected_ids)).startswith("<|im_start|>think\n3 + 4")


def test_replies_of_one_token_and_with_a_shared_beginning_stay_apart(tokens: PairTokens) -> None:
    row = tokens.row(pair(said("7"), said("8")))
    assert [len(row.chosen_ids), len(row.rejected_ids)] == [2, 2]
    assert row.chosen_ids[0] != row.rejected_ids[0]
    assert row.chosen_ids[1] == row.rejected_ids[1] == tokens.eos_id
    shared = tokens.row(pair(said("7", "3 + 4 = 7"), said("7", "3 + 4 = 7\nWait\n3 + 4 = 7")))
    assert shared.chosen_ids[:8] == shared.rejected_ids[:8]


def test_what_may_be_cut_of_a_prompt_is_the_conversation_alone(tokens: PairTokens) -> None:
    turns = (SYSTEM, ASKED, said("7"), Message(role="user", content="And 5 + 5?"))
    row = tokens.row(pair(said("10"), said("11"), *turns))
    start, end = row.asked
    parts = [tokens.tokenizer.decode(list(row.prompt_ids[a:b])) for a, b in ((0, start), (start, end), (end, None))]
    assert parts == [
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
        "What is 3 + 4?<|im_end|>\n<|im_start|>assistant\n7<|im_end|>\n<|im_start|>user\nAnd 5 + 5?",
        "<|im_end|>\n<|im_start|>assistant\n",
    ]
    (cut,) = fit_pairs([row], len(row) - 3, OverLongPair.TRUNCATE_PROMPT).rows
    assert cut.prompt_ids == row.prompt_ids[:start] + row.prompt_ids[start + 3 :]


def test_content_that_looks_like_the_template_does_not_move_what_may_be_cut(tokens: PairTokens) -> None:
    row = tokens.row(pair(said("7"), said("8"), SYSTEM, Message(role="user", content="user")))
    assert tokens.tokenizer.decode(list(row.prompt_ids[slice(*row.asked)])) == "user"


class OpeningTokenizer:
    """A character tokenizer whose chat template opens the thinking by itself, as DeepSeek-R1's does."""

    eos_token_id: int | None = 0

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [1 if piece == "</think>" else ord(piece) for piece in self._pieces(text)]

    def _pieces(self, text: str) -> list[str]:
        head, found, tail = text.partition("</think>")
        return [*head, *([found] if found else []), *(self._pieces(tail) if found else [])]

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> str:  # noqa: ANN401
        return "".join({0: "<eos>", 1: "</think>"}.get(token, chr(token)) for token in token_ids)

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> str:
        if any(turn["role"] == "system" for turn in conversation):
            raise ValueError("no system turns")
        return "".join(f"[{turn['content']}]" for turn in conversation) + "<think>\n"


def test_a_template_that_opens_the_thinking_gets_it_closed_where_a_reply_has_none() -> None:
    tokens = PairTokens(find_format("think_tags"), OpeningTokenizer())
    row = tokens.row(pair(said("7"), said("8", "3 + 4")))
    decode = tokens.tokenizer.decode
    assert decode(row.prompt_ids) == "[What is 3 + 4?]<think>\n"
    assert decode(row.chosen_ids) == "\n</think>\n\n7<eos>"
    assert decode(row.rejected_ids) == "3 + 4\n</think>\n\n8<eos>"


def test_a_prompt_that_the_template_refuses_is_named() -> None:
    tokens = PairTokens(find_format("think_tags"), OpeningTokenizer())
    with pytest.raises(DataError, match=r"pair p: the chat template cannot render \(system, user\): no system turns"):
        tokens.row(pair(said("7"), said("8"), SYSTEM, ASKED))
    with pytest.raises(DataError, match="pair p: its prompt has no turn that a reply could answer"):
        tokens.row(Pair(problem_id="p", prompt=(SYSTEM,), chosen=said("7"), rejected=said("8"), why=""))


class PlainTokenizer(OpeningTokenizer):
    """The same without any marker as a token of its own."""

    def _pieces(self, text: str) -> list[str]:
        return list(text)

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> str:
        return "".join(f"[{turn['content']}]" for turn in conversation)


def test_plain_pairs_need_no_markers_in_the_tokenizer_and_thinking_ones_do() -> None:
    tokens = PairTokens(find_format("sky_t1"), PlainTokenizer())
    assert tokens.row(pair(said("7"), said("8"))).rejected_ids == (ord("8"), 0)
    with pytest.raises(ModelError, match="as one token"):
        tokens.row(pair(said("7", "3 + 4"), said("8")))


def test_show_has_the_chosen_reply_green_and_the_rejected_one_red(tokens: PairTokens) -> None:
    text = show_pair(tokens.row(pair(said("7"), said("8"))), tokens.tokenizer)
    styles = {str(span.style): text.plain[span.start : span.end] for span in text.spans}
    assert (styles["green"], styles["red"]) == ("7<|im_end|>", "8<|im_end|>")
    assert styles["dim"].endswith("What is 3 + 4?<|im_end|>\n<|im_start|>assistant\n")
