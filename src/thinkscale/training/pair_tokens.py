"""From a Pair's turns to ids: the chat template renders the prompt once, the thinking format each reply.

A reply with thinking is encoded as a row of supervised training is (`BoundFormat.training_ids`). One without, where
`thinking` is None, is its text and the end of the turn, with no markers; under a chat template that opens the thinking
by itself it closes an empty thinking first, since the prompt has begun one. A thinking format needs markers in the
tokenizer, so it is looked for only where a reply thinks: plain pairs train under any model.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from rich.text import Text

from thinkscale.errors import DataError, ModelError
from thinkscale.records import Message, Pair
from thinkscale.thinking.formats import BoundFormat, ThinkingFormat, Tokenizer
from thinkscale.training.pairs import PairRow, Span

_PLACEHOLDERS = ("1 2", "3 4")
"""Two contents that begin and end differently: what a template makes of both alike is its own."""


class PairTokens:
    """Chat template, thinking format and tokenizer of one student."""

    def __init__(self, thinking_format: ThinkingFormat, tokenizer: Tokenizer) -> None:
        """Raises ModelError where the tokenizer has no end of turn."""
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no eos token, so a reply cannot be ended")
        self.thinking_format = thinking_format
        self.tokenizer = tokenizer
        self.eos_id = tokenizer.eos_token_id

    @cached_property
    def bound(self) -> BoundFormat:
        """The thinking format under the tokenizer. Raises ModelError where it lacks the markers."""
        return BoundFormat(self.thinking_format, self.tokenizer)

    def row(self, pair: Pair) -> PairRow:
        """`pair` as ids. Raises DataError where the chat template cannot render its prompt."""
        if all(turn.role == "system" for turn in pair.prompt):
            raise DataError(f"pair {pair.problem_id}: its prompt has no turn that a reply could answer")
        text = self._rendered(pair, pair.prompt)
        prompt = self._encode(text)
        if not prompt:
            raise DataError(f"pair {pair.problem_id}: the chat template makes an empty prompt of its turns")
        chosen, chosen_thinking = self._reply(pair.prompt, text, pair.chosen)
        rejected, rejected_thinking = self._reply(pair.prompt, text, pair.rejected)
        return PairRow(
            problem_id=pair.problem_id,
            prompt_ids=prompt,
            chosen_ids=chosen,
            rejected_ids=rejected,
            chosen_thinking=chosen_thinking,
            rejected_thinking=rejected_thinking,
            asked=self._asked(pair, prompt),
            why=pair.why,
        )

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def _rendered(self, pair: Pair, turns: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        conversation = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        except (TemplateError, ValueError) as error:
            roles = ", ".join(turn.role for turn in turns)
            raise DataError(f"pair {pair.problem_id}: the chat template cannot render ({roles}): {error}") from error

    def _reply(self, prompt: Sequence[Message], text: str, reply: Message) -> tuple[tuple[int, ...], Span | None]:
        opens_itself = text.rstrip("\n").endswith(self.thinking_format.think_open.strip())
        if reply.thinking is None and not opens_itself:
            return (*self._encode(reply.content), self.eos_id), None
        ids = self.bound.training_ids(prompt, reply.thinking or "", reply.content)
        opening = () if opens_itself else self._encode(self.thinking_format.think_open)
        return ids.completion, (_shared(opening, ids.completion), ids.thinking_tokens)

    def _asked(self, pair: Pair, prompt: tuple[int, ...]) -> Span:
        """Where the conversation stands between what the template and the system turn put around it."""
        turns = pair.prompt
        first = next(number for number, turn in enumerate(turns) if turn.role != "system")
        heads = [self._rendered(pair, _with_content(turns, first, text)) for text in _PLACEHOLDERS]
        tails = [self._rendered(pair, _with_content(turns, len(turns) - 1, text)) for text in _PLACEHOLDERS]
        head = heads[0][: _shared(heads[0], heads[1])]
        tail = tails[0][len(tails[0]) - _shared(tails[0][::-1], tails[1][::-1]) :]
        start = _shared(self._encode(head), prompt)
        return start, max(start, len(prompt) - _shared(self._encode(tail)[::-1], prompt[::-1]))


def _with_content(turns: Sequence[Message], number: int, content: str) -> list[Message]:
    return [*turns[:number], replace(turns[number], content=content), *turns[number + 1 :]]


def _shared(left: Sequence[object], right: Sequence[object]) -> int:
    """How many first items are the same."""
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return number
    return min(len(left), len(right))


def show_pair(row: PairRow, tokenizer: Tokenizer) -> Text:
    """The pair's text, special tokens included: the prompt dim, the chosen reply green, the rejected one red."""
    text = Text()
    for name, ids, style in (
        ("", row.prompt_ids, "dim"),
        ("\n-- chosen --\n", row.chosen_ids, "green"),
        ("\n-- rejected --\n", row.rejected_ids, "red"),
    ):
        text.append(name, style="bold")
        text.append(tokenizer.decode(list(ids), skip_special_tokens=False), style=style)
    return text
