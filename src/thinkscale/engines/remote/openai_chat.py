"""Messages in, thinking and answer out, over `/chat/completions` of any server that speaks OpenAI's protocol.

Thinking comes under `reasoning_content` (DeepSeek, SGLang, older vLLM) or `reasoning` (vLLM, OpenRouter), as parts of
the content (Mistral), or within the text between the markers of a format. A server that reports fewer completion
tokens than `total_tokens` leaves room for (Gemini, Grok) counts its thinking apart: it is added, since it is paid for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote import shapes, turns
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.openai_events import MAX_SEED, only_choice, raise_error, require_choice
from thinkscale.engines.remote.wire import Call, Outcome, Reply
from thinkscale.keys import JSON, plain
from thinkscale.records import Finish

_REASONING_MODEL = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d)(?!.*-chat))")
"""OpenAI's own names: these refuse `max_tokens`, `temperature` and `top_p`."""

_FINISHES = {
    "stop": Finish.END,
    "eos": Finish.END,
    "eos_token": Finish.END,
    "stop_sequence": Finish.END,
    "end_turn": Finish.END,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
}
_FAILED_FINISHES = {
    "abort": FailureKind.SERVER_ERROR,
    "error": FailureKind.SERVER_ERROR,
    "insufficient_system_resource": FailureKind.OVERLOADED,
    "content_filter": FailureKind.BAD_REQUEST,
    "tool_calls": FailureKind.BAD_REQUEST,
    "function_call": FailureKind.BAD_REQUEST,
}
"""No tools are offered, so a call of one is no answer, and the next attempt would end alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIChat:
    """Dialect of ChatRequest and ChatCompletion. See `wire.Dialect`."""

    model: str
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """Further fields of the body, such as `reasoning_effort` or `chat_template_kwargs`. They win over ours, and a null
    takes a field out (`seed: null` for a server that knows none)."""
    max_tokens_field: str = "auto"
    """`max_tokens`, `max_completion_tokens`, or `auto`: the second, without temperature, for OpenAI's reasoners."""

    def headers(self, key: str | None) -> dict[str, str]:
        """A bearer token where there is a key."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def key_of(self, request: ChatRequest) -> str:
        """The caller's name for the request."""
        return request.key

    def identity(self, request: ChatRequest) -> JSON:
        """The body, and all of the sampling: what the protocol cannot say (a seed) still keeps samples apart."""
        body = self.call(request, Reply(), stream=False).body
        return plain({"body": body, "sampling": request.sampling})

    def call(self, request: ChatRequest, before: Reply, *, stream: bool) -> Call:
        """The conversation; nothing of `before`, since a chat cannot go on from a torn reply."""
        sampling = request.sampling
        reasons = self.max_tokens_field == "auto" and _REASONING_MODEL.match(self.model) is not None
        limit = self.max_tokens_field
        if limit == "auto":
            limit = "max_completion_tokens" if reasons else "max_tokens"
        body: dict[str, JSON] = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            limit: sampling.max_tokens,
            "seed": sampling.seed & MAX_SEED,
        }
        if not reasons:
            body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        body = {name: value for name, value in {**body, **self.extra}.items() if value is not None}
        return Call(
            path="/chat/completions",
            body=body,
            prompt_tokens=turns.prompt_estimate(request.messages),
            max_tokens=sampling.max_tokens,
        )

    def take(self, reply: Reply, event: Mapping[str, JSON]) -> None:
        """Adds a chunk's texts; a whole reply is known by its `message`. Raises Failure."""
        raise_error(event)
        if event.get("usage") is not None:
            _take_usage(reply, shapes.table(event, "usage"))
        if (choice := only_choice(event)) is not None:
            _take_choice(reply, choice)

    def take_whole(self, reply: Reply, body: Mapping[str, JSON]) -> None:
        """An unstreamed reply. Raises Failure, WRONG_COUNTS where it has no choice."""
        self.take(reply, body)
        require_choice(body)

    def check(self, request: ChatRequest, reply: Reply) -> None:
        """TORN without a finish; WRONG_COUNTS where counts contradict each other or the limit."""
        if reply.finish is None:
            raise Failure(FailureKind.TORN, "the stream ended before the reply did")
        written, thinking = reply.completion_tokens, reply.thinking_tokens or 0
        if written is None:
            return
        if thinking > written:
            raise Failure(FailureKind.WRONG_COUNTS, f"{thinking} tokens of thinking among {written} in all")
        if written == 0 and (reply.text or reply.thinking):
            raise Failure(FailureKind.WRONG_COUNTS, "a reply with text of which the server counts no token")
        most = request.sampling.max_tokens
        if not self.extra and written > most + thinking + 1:  # thinking: some servers do not count it to the limit
            raise Failure(FailureKind.WRONG_COUNTS, f"{written} tokens where at most {most} were asked for")

    def renew(self, reply: Reply) -> Reply:
        """Nothing: each attempt begins anew."""
        return Reply()

    def completion(self, request: ChatRequest, reply: Reply, outcome: Outcome) -> ChatCompletion:
        """The completion for the caller. See `turns.token_shares` for what its counts are."""
        return turns.chat_completion(request, reply, outcome)


def _take_usage(reply: Reply, usage: Mapping[str, JSON]) -> None:
    read, written = shapes.count(usage, "prompt_tokens"), shapes.count(usage, "completion_tokens")
    total = shapes.count(usage, "total_tokens")
    if read is not None and written is not None and total is not None:
        written = max(written, total - read)
    reply.prompt_tokens, reply.completion_tokens = read, written
    reply.thinking_tokens = shapes.count(shapes.table(usage, "completion_tokens_details"), "reasoning_tokens")
    cached = shapes.count(shapes.table(usage, "prompt_tokens_details"), "cached_tokens")
    reply.cached_tokens = cached or shapes.count(usage, "prompt_cache_hit_tokens") or 0


def _take_choice(reply: Reply, choice: Mapping[str, JSON]) -> None:
    said = shapes.table(choice, "delta") or shapes.table(choice, "message")
    if thinking := shapes.text(said, "reasoning_content") or shapes.text(said, "reasoning"):
        turns.add_thinking(reply, thinking)
    content = said.get("content")
    if isinstance(content, str):
        if content:
            turns.add_text(reply, content)
    elif content is not None:
        _take_parts(reply, shapes.rows(said, "content"))
    if refused := shapes.text(said, "refusal"):
        raise Failure(FailureKind.BAD_REQUEST, f"the model refused: {refused:.200}")
    if (reason := choice.get("finish_reason")) is not None:
        reply.finish = _finish(reason)


def _take_parts(reply: Reply, parts: list[Mapping[str, JSON]]) -> None:
    """Content as typed parts; a thinking part holds text parts of its own."""
    for part in parts:
        if part.get("type") == "thinking":
            for inner in shapes.rows(part, "thinking"):
                turns.add_thinking(reply, shapes.text(inner, "text"))
        elif part.get("type") == "text":
            turns.add_text(reply, shapes.text(part, "text"))


def _finish(reason: JSON) -> Finish:
    if isinstance(reason, str):
        if reason in _FINISHES:
            return _FINISHES[reason]
        if reason in _FAILED_FINISHES:
            raise Failure(_FAILED_FINISHES[reason], f"the server ended the reply with {reason}")
    raise Failure(FailureKind.MALFORMED, f"finish_reason {reason!r:.40} is none of a chat")
