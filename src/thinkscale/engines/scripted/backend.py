"""A script behind the loopback server: chat and raw completions, and continuations that go on where a cut was.

For a raw prompt the backend finds the user's turn in it, asks the script, renders the reply in the thinking format that
the prompt has opened, and looks how much of that reply the prompt already ends with. What is left is the answer. So a
draft that is sent back brings exactly the rest. A prompt that says something else after the turn (a wait string) gets
the reply from its beginning; one that closed the thinking gets the recorded answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, TypeVar

from thinkscale.engines.scripted.asking import Answer, Ask, Piece, RefusedError
from thinkscale.engines.scripted.pieces import (
    CHARACTERS_PER_TOKEN,
    held_open,
    id_pieces,
    overlap,
    text_pieces,
    text_tokens,
)
from thinkscale.engines.scripted.script import Script, ScriptedReply
from thinkscale.errors import ModelError
from thinkscale.records import Finish, Message
from thinkscale.thinking.formats import FORMATS, BoundFormat, ThinkingFormat, Tokenizer, find_format

REMEMBERED_REPLIES = 512
"""Replies whose ids are kept: the samples and continuations of one problem come close together."""


Units = TypeVar("Units", tuple[int, ...], str)
"""What a raw prompt and its reply are made of: token ids, or characters where there is no tokenizer."""


@dataclass(frozen=True, slots=True)
class _Rendered(Generic[Units]):
    """A reply as a model would write it."""

    whole: Units
    num_thinking: int
    """Units that open and hold the thinking."""
    num_closed: int
    """Those and the marks between thinking and answer."""


@dataclass(frozen=True, slots=True)
class SaidIds:
    """Ids that follow a prompt, a stop token as the last where `finish` is end."""

    ids: tuple[int, ...]
    finish: Finish
    eos_id: int


class TurnMarkers:
    """Where a chat template puts the user's turn, found by rendering two conversations."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """A template that cannot be rendered leaves the markers empty: then a prompt is all turn."""
        self.opening, self.closing = "", ""
        mark = "\x1aturn\x1a"
        try:
            plain = self._around(tokenizer, [{"role": "user", "content": mark}], mark)
            told = self._around(
                tokenizer, [{"role": "system", "content": "s"}, {"role": "user", "content": mark}], mark
            )
        except Exception:  # noqa: BLE001 - templates are programs of others and raise what they like
            return
        self.opening = _common_end(plain[0], told[0])
        self.closing = plain[1]

    @staticmethod
    def _around(tokenizer: Tokenizer, turns: list[dict[str, str]], mark: str) -> tuple[str, str]:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before, _, after = text.partition(mark)
        return before, after

    def split(self, prompt: str) -> tuple[str, str]:
        """The last user turn of a rendered prompt, and what the assistant has begun to say."""
        if not self.opening or not self.closing:
            return prompt, prompt
        head, _, turn = prompt.rpartition(self.opening)
        turn, found, begun = turn.partition(self.closing)
        return (turn, begun) if found else (head + turn, "")


def _common_end(first: str, second: str) -> str:
    size = 0
    while size < min(len(first), len(second)) and first[-size - 1] == second[-size - 1]:
        size += 1
    return first[len(first) - size :]


class ScriptedBackend:
    """See Backend. Without a tokenizer a prompt of token ids is refused, and a token is four characters."""

    def __init__(
        self,
        script: Script,
        *,
        name: str,
        tokenizer: Tokenizer | None = None,
        thinking_format: str | None = None,
    ) -> None:
        """`thinking_format` is for prompts that open none; the first that the tokenizer can express if not given.

        Raises ConfigError on an unknown format, ModelError where the tokenizer cannot express it.
        """
        self._name = name
        self._script = script
        self._tokenizer = tokenizer
        self._formats = _usable(tokenizer, thinking_format) if tokenizer else {}
        self._format = (
            next(iter(self._formats.values())).format if tokenizer else find_format(thinking_format or "think_tags")
        )
        self._turns = TurnMarkers(tokenizer) if tokenizer else None
        self._ids = lru_cache(REMEMBERED_REPLIES)(self._rendered_ids)

    @property
    def name(self) -> str:
        """See Backend."""
        return self._name

    @property
    def root(self) -> str:
        """See Backend."""
        return self._name

    async def reply(self, ask: Ask, chunk_tokens: int) -> Answer:
        """See Backend."""
        if ask.messages:
            return self._chat(ask, chunk_tokens)
        if self._tokenizer is None:
            return self._raw_text(ask, chunk_tokens)
        ids = ask.ids or tuple(self._tokenizer.encode(ask.text or "", add_special_tokens=False))
        return self._raw_ids(ask, ids, chunk_tokens)

    def _chat(self, ask: Ask, chunk_tokens: int) -> Answer:
        said = self._script(ask.messages[-1].content, ask.sampling.seed)
        prompt = self._chat_prompt(ask.messages)
        if said.finish is Finish.ERROR:
            return _failed(said, prompt)
        if not ask.thinks:
            said = replace(said, thinking="")
        thinking, answer = self._cut(said.thinking, said.answer_text, ask.sampling.max_tokens)
        pieces = (
            *self._pieces(thinking, chunk_tokens, thinking=True),
            *self._pieces(answer, chunk_tokens, thinking=False),
        )
        whole = len(thinking) + len(answer) == len(self._units(said.thinking)) + len(self._units(said.answer_text))
        return _answer(pieces, said.finish if whole else Finish.LENGTH, prompt)

    def _units(self, text: str) -> Sequence[int] | str:
        """What a reply is counted and cut by: ids, or characters."""
        return self._tokenizer.encode(text, add_special_tokens=False) if self._tokenizer else text

    def _cut(self, thinking: str, answer: str, max_tokens: int) -> tuple[Sequence[int] | str, Sequence[int] | str]:
        first, second = self._units(thinking), self._units(answer)
        limit = max_tokens if self._tokenizer else max_tokens * CHARACTERS_PER_TOKEN
        # Both parts begin at a token of their own, so the characters of a last thinking token may be fewer than four.
        used = len(first) if self._tokenizer else text_tokens(thinking) * CHARACTERS_PER_TOKEN
        return first[:limit], second[: max(0, limit - used)]

    def _pieces(self, units: Sequence[int] | str, chunk_tokens: int, *, thinking: bool) -> Iterable[Piece]:
        if isinstance(units, str):
            return text_pieces(units, chunk_tokens, thinking=thinking)
        assert self._tokenizer is not None
        return id_pieces(units, self._tokenizer, chunk_tokens, thinking=thinking)

    def _chat_prompt(self, messages: Sequence[Message]) -> tuple[int, ...] | str:
        if self._tokenizer is None:
            return "\n".join(message.content for message in messages)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _raw_text(self, ask: Ask, chunk_tokens: int) -> Answer:
        if ask.ids or ask.stop_ids or ask.min_tokens or ask.logprobs:
            raise RefusedError(
                "this server has no tokenizer, so it takes no token ids and tells nothing of tokens; start it with "
                "--tokenizer, or send text"
            )
        prompt = ask.text or ""
        said = self._script(prompt, ask.sampling.seed)
        if said.finish is Finish.ERROR:
            return _failed(said, prompt)
        rendered = _rendered_text(said, self._format, opened=self._format.think_open.strip() in prompt)
        rest = _rest(prompt, rendered, closed=_closed(prompt, self._format))
        cut = rest[: ask.sampling.max_tokens * CHARACTERS_PER_TOKEN]
        finish = said.finish if len(cut) == len(rest) else Finish.LENGTH
        return _answer(tuple(text_pieces(cut, chunk_tokens)), finish, prompt)

    def _raw_ids(self, ask: Ask, prompt: tuple[int, ...], chunk_tokens: int) -> Answer:
        assert self._tokenizer is not None
        said = self.said_behind(prompt, ask)
        if isinstance(said, ScriptedReply):
            return _failed(said, prompt)
        pieces = tuple(id_pieces(said.ids, self._tokenizer, chunk_tokens))
        logprobs = (0.0,) * len(said.ids) if ask.logprobs else None  # a script says each token for certain
        stop_id = said.ids[-1] if said.finish is Finish.END and said.ids[-1] != said.eos_id else None
        return replace(_answer(pieces, said.finish, prompt, stop_id), logprobs=logprobs)

    def said_behind(self, prompt: tuple[int, ...], ask: Ask) -> SaidIds | ScriptedReply:
        """What follows a prompt of ids; the script's reply where that is a failure. It needs a tokenizer."""
        assert self._tokenizer is not None
        assert self._turns is not None
        turn, begun = self._turns.split(self._tokenizer.decode(list(prompt), skip_special_tokens=False))
        said = self._script(turn, ask.sampling.seed)
        if said.finish is Finish.ERROR:
            return said
        name, opened = self._opened(begun)
        eos = self._formats[name].eos_id
        stops = frozenset((eos, *ask.stop_ids))
        rendered = self._ids(said, name, opened)
        rest = _rest(prompt, rendered, closed=_closed(begun, FORMATS[name]))
        if ask.min_tokens or begun.strip() not in ("", FORMATS[name].think_open.strip()):
            rest = held_open(prompt, rendered.whole, rest, stops, ask.min_tokens)
        end = next((at for at, token in enumerate(rest) if token in stops), None)
        limit = ask.sampling.max_tokens
        ids = rest[: limit if end is None else min(end + 1, limit)]
        return SaidIds(ids, Finish.LENGTH if end is None or end >= limit else Finish.END, eos)

    def _opened(self, begun: str) -> tuple[str, bool]:
        """The format whose thinking the prompt has opened, else ours; and whether it has."""
        for name, bound in self._formats.items():
            if bound.format.think_open.strip() in begun:
                return name, True
        return self._format.name, False

    def _rendered_ids(self, said: ScriptedReply, name: str, opened: bool) -> _Rendered[tuple[int, ...]]:
        bound = self._formats[name]
        text = _rendered_text(said, bound.format, opened=opened)
        thinking = bound.encode(text.whole[: text.num_thinking])
        closing = bound.encode(text.whole[text.num_thinking : text.num_closed])
        answer = bound.encode(text.whole[text.num_closed :])
        end = (bound.eos_id,) if said.finish is Finish.END else ()
        return _Rendered((*thinking, *closing, *answer, *end), len(thinking), len(thinking) + len(closing))


def _usable(tokenizer: Tokenizer, wanted: str | None) -> dict[str, BoundFormat]:
    """Formats that the tokenizer can express, the wanted one first."""
    found = {wanted: BoundFormat(find_format(wanted), tokenizer)} if wanted else {}
    for name, item in FORMATS.items():
        try:
            found.setdefault(name, BoundFormat(item, tokenizer))
        except ModelError:
            continue
    if not found:
        raise ModelError("the tokenizer has no end of turn, or none of the thinking formats is a token of it")
    return found


def _rendered_text(said: ScriptedReply, thinking_format: ThinkingFormat, *, opened: bool) -> _Rendered[str]:
    if not said.thinking and not opened:
        return _Rendered(said.answer_text, 0, 0)
    thinking = "" if opened else thinking_format.think_open
    if said.thinking:
        thinking += said.thinking.strip("\n") + ("\n" if said.answer_text else "")
    if not said.answer_text and said.finish is not Finish.END:
        return _Rendered(thinking, len(thinking), len(thinking))
    closed = thinking + thinking_format.answer_open
    return _Rendered(closed + said.answer_text + thinking_format.answer_end, len(thinking), len(closed))


def _closed(begun: str, thinking_format: ThinkingFormat) -> bool:
    return thinking_format.answer_open.strip() in begun


def _rest(prompt: Units, rendered: _Rendered[Units], *, closed: bool) -> Units:
    """What of the reply the prompt does not hold yet."""
    said = overlap(prompt, rendered.whole)
    if closed and said < rendered.num_thinking:
        answer = rendered.whole[rendered.num_closed :]
        return answer[overlap(prompt, answer) :]
    return rendered.whole[said:]


def _answer(
    pieces: tuple[Piece, ...], finish: Finish, prompt: tuple[int, ...] | str, stop_id: int | None = None
) -> Answer:
    count = text_tokens(prompt) if isinstance(prompt, str) else len(prompt)
    return Answer(pieces=pieces, finish=finish, prompt_tokens=count, prompt=prompt, stop_id=stop_id)


def _failed(said: ScriptedReply, prompt: tuple[int, ...] | str) -> Answer:
    count = text_tokens(prompt) if isinstance(prompt, str) else len(prompt)
    return Answer(
        pieces=(), finish=Finish.ERROR, prompt_tokens=count, prompt=prompt, error=said.error or "the script failed"
    )
