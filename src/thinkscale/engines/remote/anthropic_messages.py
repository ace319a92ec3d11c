"""Messages in, thinking and answer out, over Anthropic's `/v1/messages`; thinking blocks stay apart.

Thinking is asked for with a number of tokens (`thinking_budget`), or adaptively with an `effort`; either way the
server takes no temperature. Models since Opus 4.7 take none at all and refuse the request, so temperature and top_p
go only to the older models that we know to take them. A redacted thinking block holds no text: its tokens are in the
usage, nothing of it is in the reply. Anthropic takes no seed, so samples of one prompt differ by chance alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote import refusals, shapes, turns
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.wire import Call, Outcome, Reply
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON, plain
from thinkscale.records import Finish

VERSION = "2023-06-01"
MIN_THINKING_TOKENS = 1024
CACHED_CHARACTERS = 16_000
"""A system turn this long is marked for the prompt cache: over 4,096 tokens at 3.9 characters each, below which some
models cache nothing. Writing costs a quarter more (`jobs`), reading a tenth."""

_TAKES_TEMPERATURE = re.compile(r"claude-3|claude-[a-z]+-4(?:-[0-6](?!\d)|-20\d{6}|$|@)")
"""Claude 3, and 4 to 4.6."""

_FINISHES = {
    "end_turn": Finish.END,
    "stop_sequence": Finish.END,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicMessages:
    """Dialect of ChatRequest and ChatCompletion. See `wire.Dialect`."""

    model: str
    thinking_budget: int | None = None
    """Most tokens of thinking, at least 1,024 and fewer than `max_tokens`. None: no such limit."""
    effort: str | None = None
    """`low`, `medium`, `high`, `xhigh` or `max`: without a budget the model then decides how long it thinks."""
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """Further fields of the body. They win over ours, and a null takes a field out."""

    def __post_init__(self) -> None:
        """Raises ConfigError on a budget below what the server takes."""
        if self.thinking_budget is not None and self.thinking_budget < MIN_THINKING_TOKENS:
            raise ConfigError(
                f"thinking_budget is {self.thinking_budget}; Anthropic takes {MIN_THINKING_TOKENS} or more"
            )

    def headers(self, key: str | None) -> dict[str, str]:
        """The version, and the key where there is one."""
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def key_of(self, request: ChatRequest) -> str:
        """The caller's name for the request."""
        return request.key

    def identity(self, request: ChatRequest) -> JSON:
        """The body, and all of the sampling: the seed, which the protocol cannot say, keeps samples apart."""
        return plain({"body": self._body(request), "sampling": request.sampling})

    def call(self, request: ChatRequest, before: Reply, *, stream: bool) -> Call:
        """The conversation. Raises Failure BAD_REQUEST where `max_tokens` leaves no room behind the thinking."""
        most = request.sampling.max_tokens
        if self.thinking_budget is not None and most <= self.thinking_budget:
            said = f"max_tokens ({most}) must be more than thinking_budget ({self.thinking_budget})"
            raise Failure(FailureKind.BAD_REQUEST, said)
        return Call(
            path="/v1/messages",
            body=self._body(request) | ({"stream": True} if stream else {}),
            prompt_tokens=turns.prompt_estimate(request.messages) + self._most_premium(request),
            max_tokens=most,
        )

    def _body(self, request: ChatRequest) -> dict[str, JSON]:
        sampling = request.sampling
        system = "\n\n".join(turn.content for turn in request.messages if turn.role == "system")
        spoken = [turn for turn in request.messages if turn.role != "system"]
        body: dict[str, JSON] = {
            "model": self.model,
            "max_tokens": sampling.max_tokens,
            "messages": [{"role": turn.role, "content": turn.content} for turn in spoken],
            "system": _system(system),
            **self._thinking(),
        }
        if "thinking" not in body and _TAKES_TEMPERATURE.search(self.model):
            body["temperature"] = sampling.temperature
            body["top_p"] = sampling.top_p if sampling.top_p < 1 else None
        return {name: value for name, value in {**body, **self.extra}.items() if value is not None}

    def _most_premium(self, request: ChatRequest) -> int:
        """What writing the system turn to the cache may cost beside reading it, in prompt tokens."""
        told = [turn for turn in request.messages if turn.role == "system"]
        is_marked = sum(len(turn.content) for turn in told) >= CACHED_CHARACTERS
        return -(-turns.prompt_estimate(told) // 4) if is_marked else 0

    def _thinking(self) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        if self.thinking_budget is not None:
            found["thinking"] = {"type": "enabled", "budget_tokens": self.thinking_budget}
        if self.effort is not None:
            found.setdefault("thinking", {"type": "adaptive"})
            found["output_config"] = {"effort": self.effort}
        return found

    def take(self, reply: Reply, event: Mapping[str, JSON]) -> None:
        """Folds one event in; kinds of events that we do not know are passed over. Raises Failure."""
        match event.get("type"):
            case "content_block_delta":
                _take_delta(reply, shapes.table(event, "delta"))
            case "content_block_start":
                _take_block(reply, shapes.table(event, "content_block"))
            case "message_start":
                _take_usage(reply, shapes.table(event, "message"))
            case "message_delta":
                _take_usage(reply, event)
                _take_stop(reply, shapes.table(event, "delta"))
            case "message":
                self.take_whole(reply, event)
            case "error":
                raise refusals.failure_in(event) or Failure(FailureKind.SERVER_ERROR, "an error without a reason")

    def take_whole(self, reply: Reply, body: Mapping[str, JSON]) -> None:
        """An unstreamed message, or that of a batch's result. Raises Failure."""
        if body.get("type") != "message":
            raise refusals.failure_in(body) or Failure(FailureKind.MALFORMED, "a reply that is no message")
        _take_usage(reply, body)
        for block in shapes.rows(body, "content"):
            _take_block(reply, block)
        _take_stop(reply, body)

    def check(self, request: ChatRequest, reply: Reply) -> None:
        """TORN without a finish; WRONG_COUNTS where counts contradict each other or the limit."""
        if reply.finish is None:
            raise Failure(FailureKind.TORN, "the stream ended before the message did")
        written, thinking = reply.completion_tokens, reply.thinking_tokens or 0
        if written is None:
            return
        most = request.sampling.max_tokens
        if thinking > written:
            raise Failure(FailureKind.WRONG_COUNTS, f"{thinking} tokens of thinking among {written} in all")
        if not self.extra and written > most:
            raise Failure(FailureKind.WRONG_COUNTS, f"{written} tokens where at most {most} were asked for")

    def renew(self, reply: Reply) -> Reply:
        """Nothing: each attempt begins anew."""
        return Reply()

    def completion(self, request: ChatRequest, reply: Reply, outcome: Outcome) -> ChatCompletion:
        """The completion for the caller. See `turns.token_shares` for what its counts are."""
        return turns.chat_completion(request, reply, outcome)


def _system(text: str) -> JSON:
    """The system turn; a long one as a block that is marked for the cache, since it is the same in every request."""
    if len(text) < CACHED_CHARACTERS:
        return text or None
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


def _take_usage(reply: Reply, owner: Mapping[str, JSON]) -> None:
    """Counts are cumulative: the last of each stands. A `message_delta` may leave out what it does not change."""
    usage = shapes.table(owner, "usage")
    read = shapes.count(usage, "input_tokens")
    if read is not None:
        cached = shapes.count(usage, "cache_read_input_tokens") or 0
        reply.cache_written_tokens = shapes.count(usage, "cache_creation_input_tokens") or 0
        reply.prompt_tokens = read + cached + reply.cache_written_tokens
        reply.cached_tokens = cached
    written = shapes.count(usage, "output_tokens")
    if written is not None:
        reply.completion_tokens = written
    thinking = shapes.count(shapes.table(usage, "output_tokens_details"), "thinking_tokens")
    if thinking is not None:
        reply.thinking_tokens = thinking


def _take_block(reply: Reply, block: Mapping[str, JSON]) -> None:
    """A block's start, mostly empty, or a whole block. Thinking blocks are parted by an empty line."""
    if block.get("type") == "thinking":
        piece = shapes.text(block, "thinking")
        turns.add_thinking(reply, f"\n\n{piece}" if reply.thinking else piece)
    elif block.get("type") == "text":
        turns.add_text(reply, shapes.text(block, "text"))


def _take_delta(reply: Reply, delta: Mapping[str, JSON]) -> None:
    """Text or thinking; signatures and citations are no text."""
    if delta.get("type") == "thinking_delta":
        turns.add_thinking(reply, shapes.text(delta, "thinking"))
    elif delta.get("type") == "text_delta":
        turns.add_text(reply, shapes.text(delta, "text"))


def _take_stop(reply: Reply, owner: Mapping[str, JSON]) -> None:
    reason = owner.get("stop_reason")
    if reason is None:
        return
    if reason == "refusal":
        details = shapes.table(owner, "stop_details")
        why = shapes.text(details, "explanation") or shapes.text(details, "category") or reply.text
        raise Failure(FailureKind.BAD_REQUEST, f"the model refused: {why:.200}")
    if reason in ("pause_turn", "tool_use"):
        raise Failure(FailureKind.BAD_REQUEST, f"the model stopped for a tool ({reason}), and none is offered")
    if not isinstance(reason, str) or reason not in _FINISHES:
        raise Failure(FailureKind.MALFORMED, f"stop_reason {reason!r:.40} is none of a message")
    reply.finish = _FINISHES[reason]
