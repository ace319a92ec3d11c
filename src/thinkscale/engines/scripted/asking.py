"""The seam between the loopback server and what answers: one request in, the whole reply in pieces out.

A backend knows its whole reply before the first byte is sent. So the server needs one timer a request, a reply can be
cut, torn or slowed at any token, and counts are exact. Rejected: pieces that come as they are made. A thousand streams
would be a thousand tasks, and the point of this server is to cost less than the client that it tests.
"""

from dataclasses import dataclass
from typing import Protocol

from thinkscale.records import Finish, Message, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request asks for. One of `messages`, `text` and `ids` is given."""

    sampling: Sampling
    messages: tuple[Message, ...] = ()
    text: str | None = None
    """The prompt of a raw completion as text."""
    ids: tuple[int, ...] = ()
    """The prompt of a raw completion as token ids."""
    stop_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    """No stop id is among so many first tokens."""
    logprobs: bool = False
    stream: bool = False
    include_usage: bool = False
    return_ids: bool = False
    thinks: bool = True
    """Whether the reply to messages may hold thinking."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that go out in one event. `ids` is empty where the backend has no tokenizer."""

    text: str
    num_tokens: int
    ids: tuple[int, ...] = ()
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole reply. `finish` is end, length or error."""

    pieces: tuple[Piece, ...]
    finish: Finish
    prompt_tokens: int
    prompt: tuple[int, ...] | str
    """What the prefix cache is keyed by: ids, or the text where there are none."""
    stop_id: int | None = None
    """The id of `stop_ids` that ended it; None at the end of a turn."""
    logprobs: tuple[float, ...] | None = None
    """Of each token of all pieces; None where they were not asked for."""
    error: str | None = None

    @property
    def completion_tokens(self) -> int:
        """Tokens of all pieces."""
        return sum(piece.num_tokens for piece in self.pieces)


class RefusedError(Exception):
    """The request asks for what this server cannot give: a 400 with this text."""


class Backend(Protocol):
    """Answers requests."""

    @property
    def name(self) -> str:
        """The model's name as /v1/models states it."""
        ...

    @property
    def root(self) -> str:
        """Where the model comes from, as /v1/models states it."""
        ...

    async def reply(self, ask: Ask, chunk_tokens: int) -> Answer:
        """The reply in pieces of at most `chunk_tokens`. Raises RefusedError. It must not block for long."""
        ...


def key_text(ask: Ask) -> str:
    """What tells one request from another, for fault plans and logs: its prompt and its seed."""
    if ask.messages:
        prompt: object = [(message.role, message.content) for message in ask.messages]
    else:
        prompt = ask.ids or ask.text
    return f"{prompt!r}\n{ask.sampling.seed}"
