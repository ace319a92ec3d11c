"""Anthropic's protocol: thinking and text as blocks of one message, streamed as named events."""

import json
from collections.abc import Iterator, Mapping

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.asking import Ask, RefusedError
from thinkscale.engines.scripted.openai_replies import read_messages
from thinkscale.engines.scripted.protocol import Refusal, Said, number, text_of, whole_number
from thinkscale.keys import JSON
from thinkscale.records import Finish, Message, Sampling

STATUS: Mapping[FailureKind, tuple[int, str]] = {
    FailureKind.RATE_LIMIT: (429, "rate_limit_error"),
    FailureKind.OUT_OF_CREDIT: (402, "billing_error"),
    FailureKind.OVERLOADED: (529, "overloaded_error"),
    FailureKind.SERVER_ERROR: (500, "api_error"),
    FailureKind.REFUSED_KEY: (401, "authentication_error"),
    FailureKind.BAD_REQUEST: (400, "invalid_request_error"),
}
SIGNATURE = "rehearsed"
"""Stands where Anthropic signs a thinking block."""


class MessagesProtocol:
    """POST /v1/messages. See ServedProtocol. A choice too many is a message whose content is missing."""

    def ask(self, body: Mapping[str, JSON]) -> Ask:
        """See ServedProtocol. The protocol has no seed, so every sample of a prompt gets the same reply."""
        if "max_tokens" not in body:
            raise RefusedError("max_tokens: Field required")
        if body.get("stop_sequences") or body.get("tools"):
            raise RefusedError("this server knows no tools and no stop_sequences")
        max_tokens = whole_number(body, "max_tokens", 0)
        if max_tokens < 1:
            raise RefusedError("max_tokens must be at least 1")
        system = body.get("system")
        told = (Message(role="system", content=text_of(system)),) if system else ()
        return Ask(
            sampling=Sampling(
                max_tokens=max_tokens,
                temperature=number(body, "temperature", 1.0),
                top_p=number(body, "top_p", 1.0),
                seed=0,
            ),
            messages=(*told, *read_messages(body.get("messages"))),
            stream=bool(body.get("stream")),
            include_usage=True,
            thinks=_thinks(body, max_tokens),
        )

    def refusal(self, refusal: Refusal) -> tuple[int, dict[str, JSON]]:
        """See ServedProtocol."""
        status, kind = STATUS[refusal.kind]
        return status, {"type": "error", "error": {"type": kind, "message": refusal.text}, "request_id": None}

    def whole(self, said: Said) -> dict[str, JSON]:
        """See ServedProtocol."""
        content: list[JSON] = [
            _block(thinking, "".join(texts)) for thinking, texts in _blocks(said) if not said.extra_choice
        ]
        return {
            **_message(said),
            "content": content,
            "stop_reason": _stop_reason(said),
            "usage": _usage(said, said.reported_tokens),
        }

    def events(self, said: Said) -> Iterator[tuple[bytes, int]]:
        """See ServedProtocol."""
        start = {**_message(said), "content": [], "stop_reason": None, "usage": _usage(said, 1)}
        yield _event("message_start", {"message": start}), 0
        yield _event("ping", {}), 0
        if not said.extra_choice:
            yield from _block_events(said)
        delta: JSON = {"stop_reason": _stop_reason(said), "stop_sequence": None}
        yield _event("message_delta", {"delta": delta, "usage": {"output_tokens": said.reported_tokens}}), 0
        yield _event("message_stop", {}), 0


def _thinks(body: Mapping[str, JSON], max_tokens: int) -> bool:
    """Whether thinking was switched on, as it must be here. Raises RefusedError on a budget that leaves no answer."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        return False
    if thinking.get("type") == "enabled" and whole_number(thinking, "budget_tokens", 0) >= max_tokens:
        raise RefusedError("`max_tokens` must be greater than `thinking.budget_tokens`")
    return thinking.get("type") in ("enabled", "adaptive")


def _message(said: Said) -> dict[str, JSON]:
    return {"id": said.id, "type": "message", "role": "assistant", "model": said.model, "stop_sequence": None}


def _stop_reason(said: Said) -> str:
    return "end_turn" if said.answer.finish is Finish.END else "max_tokens"


def _usage(said: Said, output_tokens: int) -> dict[str, JSON]:
    """Nothing counts as cached: this provider caches only what is marked for it."""
    return {
        "input_tokens": said.answer.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }


def _blocks(said: Said) -> Iterator[tuple[bool, list[str]]]:
    """Whether each block is thinking, and its texts."""
    for thinking in (True, False):
        texts = [piece.text for piece in said.answer.pieces if piece.thinking is thinking]
        if texts:
            yield thinking, texts


def _block(thinking: bool, text: str) -> dict[str, JSON]:
    if thinking:
        return {"type": "thinking", "thinking": text, "signature": SIGNATURE}
    return {"type": "text", "text": text}


def _block_events(said: Said) -> Iterator[tuple[bytes, int]]:
    for index, thinking in enumerate(thinking for thinking, _ in _blocks(said)):
        empty = {**_block(thinking, ""), "signature": ""} if thinking else _block(thinking, "")
        yield _event("content_block_start", {"index": index, "content_block": empty}), 0
        name = "thinking" if thinking else "text"
        for piece in said.answer.pieces:
            if piece.thinking is thinking:
                yield _delta(index, f"{name}_delta", name, piece.text), piece.num_tokens
        if thinking:
            yield _delta(index, "signature_delta", "signature", SIGNATURE), 0
        yield _event("content_block_stop", {"index": index}), 0


def _delta(index: int, kind: str, name: str, text: str) -> bytes:
    return _event("content_block_delta", {"index": index, "delta": {"type": kind, name: text}})


def _event(name: str, body: dict[str, JSON]) -> bytes:
    data = json.dumps({"type": name, **body}, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()
