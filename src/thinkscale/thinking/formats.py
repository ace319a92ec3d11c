"""How models mark thinking: a few strings a format, and the token ids they become under one tokenizer.

A format is data. `BoundFormat` is the format under one tokenizer: it renders prompts and training rows as
ids, and knows which ids end the thinking and which open the answer. Ids, not text, cross every seam, since
a text round trip can move token borders and then neither counts nor continuations are exact.

Rejected: one class per model family with overridden methods. Every family differs only in its markers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from thinkscale.errors import ConfigError, ModelError
from thinkscale.records import Message

FORCED_ANSWER = "Final Answer:"
"""Opens the answer of a thinking that was cut (s1, section 3.1), so that the model must commit itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingFormat:
    """Markers around thinking and answer, as text."""

    name: str
    think_open: str
    """Follows the generation prompt and opens the thinking."""
    think_end: str
    """The marker, one token, whose appearance ends the thinking."""
    answer_open: str
    """Stands between thinking and answer; begins with `think_end`."""
    answer_end: str = ""
    """Closes the answer before the end of the turn, where the format has such a marker."""


FORMATS: Mapping[str, ThinkingFormat] = {
    item.name: item
    for item in (
        ThinkingFormat(
            name="s1",
            think_open="<|im_start|>think\n",
            think_end="<|im_start|>",
            answer_open="<|im_start|>answer\n",
        ),
        ThinkingFormat(name="think_tags", think_open="<think>\n", think_end="</think>", answer_open="</think>\n\n"),
        ThinkingFormat(
            name="sky_t1",
            think_open="<|begin_of_thought|>\n\n",
            think_end="<|end_of_thought|>",
            answer_open="<|end_of_thought|>\n\n<|begin_of_solution|>\n\n",
            answer_end="<|end_of_solution|>",
        ),
    )
}


def find_format(name: str) -> ThinkingFormat:
    """The format called `name`; ConfigError names those there are."""
    if name not in FORMATS:
        raise ConfigError(f"there is no thinking format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def recognised_format(text: str) -> ThinkingFormat:
    """The format whose markers stand in `text`, the first in order of FORMATS; `think_tags` where none do."""
    for item in FORMATS.values():
        if any(marker.strip() in text for marker in (item.think_open, item.answer_open, item.answer_end) if marker):
            return item
    return FORMATS["think_tags"]


@dataclass(frozen=True, slots=True)
class SplitText:
    """A whole response in its parts. `terminated` is False where the thinking never ended."""

    thinking: str
    answer: str
    terminated: bool


def split_text(text: str, thinking_format: ThinkingFormat) -> SplitText:
    """Splits a whole response as text. One without any marker is an answer with no thinking.

    The closing marker decides (the last one, as s1 does), so that a template that already opened the
    thinking in the prompt is read rightly. An opened thinking without a close is unterminated, also where it is
    opened again behind an earlier close: its answer is empty.
    """
    close = thinking_format.answer_open.strip()
    opening = thinking_format.think_open.strip()
    head, found, answer = text.rpartition(close)
    if not found and (tail := thinking_format.think_end) != opening[: len(tail)]:
        head, found, answer = text.rpartition(tail)
    if found and opening not in answer:
        thinking = head.split(opening, 1)[-1]
        return SplitText(thinking.strip("\n"), _without(answer, thinking_format.answer_end), True)
    if opening in text:
        return SplitText(text.split(opening, 1)[1].strip("\n"), "", False)
    return SplitText("", text.strip(), True)


def _without(answer: str, marker: str) -> str:
    return (answer.split(marker, 1)[0] if marker else answer).strip()


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that we use."""

    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = ...) -> str: ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool = ..., add_generation_prompt: bool = ...
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Closing:
    """The ids that close a thinking: `marker`, then `forced` which is already part of the answer."""

    marker: tuple[int, ...]
    forced: tuple[int, ...]


class BoundFormat:
    """A thinking format under one tokenizer."""

    def __init__(self, thinking_format: ThinkingFormat, tokenizer: Tokenizer) -> None:
        """Raises ModelError where the end of thinking is not one token, or the tokenizer has no end of turn."""
        self.format = thinking_format
        self.tokenizer = tokenizer
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no eos token, so the end of a turn cannot be seen")
        self.eos_id = tokenizer.eos_token_id
        self.think_stop_ids = (self._single(thinking_format.think_end), self.eos_id)
        answer_end = thinking_format.answer_end
        self.answer_stop_ids = (self._single(answer_end), self.eos_id) if answer_end else (self.eos_id,)
        self._pieces: dict[int, str] = {}
        self._markers: dict[str, tuple[int, ...]] = {}

    def _single(self, marker: str) -> int:
        ids = self.encode(marker)
        if len(ids) != 1:
            raise ModelError(
                f"thinking format {self.format.name!r} needs {marker!r} as one token, but this tokenizer makes "
                f"{len(ids)} of it; choose another format or add it to the tokenizer as a special token"
            )
        return ids[0]

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text` with nothing added."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def piece(self, token: int) -> str:
        """Text of one id alone; part of a character becomes a replacement sign."""
        if token not in self._pieces:
            self._pieces[token] = self.decode((token,))
        return self._pieces[token]

    def _marker(self, text: str) -> tuple[int, ...]:
        """Ids of a text that recurs."""
        if text not in self._markers:
            self._markers[text] = self.encode(text)
        return self._markers[text]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, special tokens included."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)

    def chat_prompt(self, messages: Sequence[Message]) -> str:
        """The model's own chat template up to where the assistant begins."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    def direct_prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Prompt ids for an answer at once, without thinking."""
        return self.encode(self.chat_prompt(messages))

    def thinking_prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Prompt ids with the thinking opened, once only: some templates open it themselves."""
        prompt = self.chat_prompt(messages)
        return self.encode(prompt + self._opening(prompt))

    def _opening(self, prompt: str) -> str:
        opens_itself = prompt.rstrip("\n").endswith(self.format.think_open.strip())
        return "" if opens_itself else self.format.think_open

    def closing(self, thinking_ids: Sequence[int], *, cut: bool) -> Closing:
        """What follows the thinking: the answer's opening, and after a cut a line break and `Final Answer:`."""
        if not cut:
            return Closing(self._marker(self.format.answer_open), ())
        line_break = "" if not thinking_ids or self.piece(thinking_ids[-1]).endswith("\n") else "\n"
        return Closing(self._marker(line_break + self.format.answer_open), self._marker(FORCED_ANSWER))

    def training_ids(self, messages: Sequence[Message], thinking: str, answer: str) -> "TrainingIds":
        """What a model is shown and what it should then write: opening, thinking, answer, end of turn.

        The opening is trained too (as s1 does), so that the model thinks also where nobody opens it for it.
        """
        prompt = self.chat_prompt(messages)
        opened = self.encode(self._opening(prompt) + thinking.strip("\n") + "\n")
        rest = self.encode(self.format.answer_open + answer + self.format.answer_end)
        return TrainingIds(self.encode(prompt), (*opened, *rest, self.eos_id), len(opened))


@dataclass(frozen=True, slots=True)
class TrainingIds:
    """A training row in parts. The first `thinking_tokens` ids of the completion are opening and thinking."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    thinking_tokens: int
