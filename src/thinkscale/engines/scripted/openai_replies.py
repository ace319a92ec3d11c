"""OpenAI's protocol as vLLM serves it: raw completions with token ids, and chat with the thinking in its own field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.asking import Ask, Piece, RefusedError
from thinkscale.engines.scripted.protocol import Refusal, Said, number, text_of, whole_number
from thinkscale.keys import JSON
from thinkscale.records import Finish, Message, Sampling

STATUS: Mapping[FailureKind, tuple[int, str]] = {
    FailureKind.RATE_LIMIT: (429, "rate_limit_exceeded"),
    FailureKind.OUT_OF_CREDIT: (429, "insufficient_quota"),
    FailureKind.OVERLOADED: (503, "service_unavailable"),
    FailureKind.SERVER_ERROR: (500, "internal_server_error"),
    FailureKind.REFUSED_KEY: (401, "invalid_api_key"),
    FailureKind.BAD_REQUEST: (400, "invalid_request_error"),
}
DONE = b"data: [DONE]\n\n"
DEFAULT_COMPLETION_TOKENS = 16
"""OpenAI's default for raw completions."""
DEFAULT_CHAT_TOKENS = 4096
THINK_OPEN, THINK_CLOSE = "<think>\n", "\n</think>\n\n"


def _refusal(refusal: Refusal) -> tuple[int, dict[str, JSON]]:
    status, code = STATUS[refusal.kind]
    return status, {"error": {"message": refusal.text, "type": code, "param": None, "code": code}}


def _usage(said: Said) -> dict[str, JSON]:
    thinking = sum(piece.num_tokens for piece in said.answer.pieces if piece.thinking)
    usage: dict[str, JSON] = {
        "prompt_tokens": said.answer.prompt_tokens,
        "completion_tokens": said.reported_tokens,
        "total_tokens": said.answer.prompt_tokens + said.reported_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens} if said.cached_tokens else None,
    }
    if thinking:
        usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
    return usage


def _head(said: Said, kind: str) -> dict[str, JSON]:
    return {"id": said.id, "object": kind, "created": said.created, "model": said.model}


def _finish(said: Said) -> str:
    return "stop" if said.answer.finish is Finish.END else "length"


def _event(body: Mapping[str, JSON]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _usage_event(said: Said, kind: str) -> Iterator[tuple[bytes, int]]:
    if said.ask.include_usage:
        yield _event({**_head(said, kind), "choices": [], "usage": _usage(said)}), 0


def _sampling(body: Mapping[str, JSON], max_tokens: int) -> Sampling:
    if max_tokens < 1:
        raise RefusedError(f"max_tokens must be at least 1, got {max_tokens}.")
    if whole_number(body, "n", 1) != 1:
        raise RefusedError("this server answers one choice a request; send n requests with seeds of their own")
    if body.get("stop") or body.get("tools"):
        raise RefusedError("this server knows no tools and no stop strings; use stop_token_ids")
    return Sampling(
        max_tokens=max_tokens,
        temperature=number(body, "temperature", 1.0),
        top_p=number(body, "top_p", 1.0),
        seed=whole_number(body, "seed", 0),
    )


def _includes_usage(body: Mapping[str, JSON]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def _ids(value: JSON, name: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise RefusedError(f"{name} must be a list of token ids")
    return tuple(value)  # type: ignore[arg-type]  # each was just seen to be an int


def _logprobs(said: Said, piece: Piece, start: int) -> JSON:
    """As vLLM sends them where no other tokens than those drawn were asked about."""
    if said.answer.logprobs is None:
        return None
    values = said.answer.logprobs[start : start + piece.num_tokens]
    tokens = [f"token_id:{token}" for token in piece.ids]
    return {"token_logprobs": list(values), "tokens": list(tokens), "top_logprobs": None, "text_offset": []}


class CompletionsProtocol:
    """POST /v1/completions. See ServedProtocol."""

    def ask(self, body: Mapping[str, JSON]) -> Ask:
        """See ServedProtocol."""
        prompt = body.get("prompt")
        is_text = isinstance(prompt, str)
        if not prompt:
            raise RefusedError("prompt must be a text or a list of token ids, and not empty")
        sampling = _sampling(body, whole_number(body, "max_tokens", DEFAULT_COMPLETION_TOKENS))
        min_tokens = whole_number(body, "min_tokens", 0)
        if not 0 <= min_tokens <= sampling.max_tokens:
            raise RefusedError(f"min_tokens must be between 0 and max_tokens={sampling.max_tokens}, got {min_tokens}.")
        return Ask(
            sampling=sampling,
            min_tokens=min_tokens,
            logprobs=body.get("logprobs") is not None,
            text=str(prompt) if is_text else None,
            ids=() if is_text else _ids(prompt, "prompt"),
            stop_ids=_ids(body.get("stop_token_ids") or [], "stop_token_ids"),
            stream=bool(body.get("stream")),
            include_usage=_includes_usage(body),
            return_ids=bool(body.get("return_token_ids")),
        )

    def refusal(self, refusal: Refusal) -> tuple[int, dict[str, JSON]]:
        """See ServedProtocol."""
        return _refusal(refusal)

    def whole(self, said: Said) -> dict[str, JSON]:
        """See ServedProtocol."""
        pieces = said.answer.pieces
        ids = tuple(token for piece in pieces for token in piece.ids)
        whole = Piece("".join(piece.text for piece in pieces), said.answer.completion_tokens, ids)
        choice = self._choice(said, whole, 0, last=True)
        choices: list[JSON] = [choice, {**choice, "index": 1}] if said.extra_choice else [choice]
        return {**_head(said, "text_completion"), "choices": choices, "usage": _usage(said)}

    def _choice(self, said: Said, piece: Piece, start: int, *, last: bool) -> dict[str, JSON]:
        """`start` is the number of tokens before the piece."""
        choice: dict[str, JSON] = {
            "index": 0,
            "text": piece.text,
            "logprobs": _logprobs(said, piece, start),
            "finish_reason": _finish(said) if last else None,
            "stop_reason": said.answer.stop_id if last else None,
        }
        if said.ask.return_ids and not isinstance(said.answer.prompt, str):
            choice["token_ids"] = list(piece.ids)
            choice["prompt_token_ids"] = list(said.answer.prompt) if start == 0 else None
        return choice

    def events(self, said: Said) -> Iterator[tuple[bytes, int]]:
        """See ServedProtocol. The prompt's ids come with the first event, the finish with the last tokens."""
        head = _head(said, "text_completion")
        pieces = said.answer.pieces or (Piece("", 0),)
        start = 0
        for at, piece in enumerate(pieces):
            choice = self._choice(said, piece, start, last=at == len(pieces) - 1)
            start += piece.num_tokens
            yield _event({**head, "choices": [choice], "usage": None}), piece.num_tokens
            if at == 0 and said.extra_choice:
                yield _event({**head, "choices": [{**choice, "index": 1}], "usage": None}), 0
        yield from _usage_event(said, "text_completion")
        yield DONE, 0


@dataclass(frozen=True, slots=True)
class ChatProtocol:
    """POST /v1/chat/completions. See ServedProtocol."""

    thinking_field: str | None
    """Field of the message that holds the thinking; None puts it into the text between marks."""

    def ask(self, body: Mapping[str, JSON]) -> Ask:
        """See ServedProtocol."""
        most = body.get("max_completion_tokens")
        default = whole_number(body, "max_tokens", DEFAULT_CHAT_TOKENS)
        return Ask(
            sampling=_sampling(body, default if most is None else whole_number(body, "max_completion_tokens", default)),
            messages=read_messages(body.get("messages")),
            stream=bool(body.get("stream")),
            include_usage=_includes_usage(body),
        )

    def refusal(self, refusal: Refusal) -> tuple[int, dict[str, JSON]]:
        """See ServedProtocol."""
        return _refusal(refusal)

    def _texts(self, said: Said) -> Iterator[tuple[str, str, int]]:
        """Field, text and tokens of each piece."""
        was_thinking = False
        for piece in said.answer.pieces:
            if self.thinking_field is not None:
                yield self.thinking_field if piece.thinking else "content", piece.text, piece.num_tokens
                continue
            mark = THINK_OPEN if piece.thinking and not was_thinking else ""
            mark = THINK_CLOSE if was_thinking and not piece.thinking else mark
            was_thinking = piece.thinking
            yield "content", mark + piece.text, piece.num_tokens

    def whole(self, said: Said) -> dict[str, JSON]:
        """See ServedProtocol."""
        texts: dict[str, str] = {}
        for name, text, _ in self._texts(said):
            texts[name] = texts.get(name, "") + text
        choice: dict[str, JSON] = {
            "index": 0,
            "message": {"role": "assistant", "content": None, **texts},
            "logprobs": None,
            "finish_reason": _finish(said),
            "stop_reason": None,
        }
        choices: list[JSON] = [choice, {**choice, "index": 1}] if said.extra_choice else [choice]
        return {**_head(said, "chat.completion"), "choices": choices, "usage": _usage(said)}

    def events(self, said: Said) -> Iterator[tuple[bytes, int]]:
        """See ServedProtocol. The role comes first, the finish with the last tokens."""
        kind = "chat.completion.chunk"
        head = _head(said, kind)

        def event(delta: dict[str, JSON], finish: str | None = None, index: int = 0) -> bytes:
            choice: dict[str, JSON] = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            return _event({**head, "choices": [choice]})

        yield event({"role": "assistant", "content": ""}), 0
        if said.extra_choice:
            yield event({"role": "assistant", "content": "too many"}, index=1), 0
        last = len(said.answer.pieces) - 1
        for at, (name, text, count) in enumerate(self._texts(said)):
            yield event({name: text}, _finish(said) if at == last else None), count
        if last < 0:
            yield event({}, _finish(said)), 0
        yield from _usage_event(said, kind)
        yield DONE, 0


def read_messages(value: JSON) -> tuple[Message, ...]:
    """The conversation of a body. Raises RefusedError."""
    if not isinstance(value, list) or not value:
        raise RefusedError("messages must be a list with at least one message")
    found = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("role"), str):
            raise RefusedError("each message must be an object with a role and a content")
        found.append(Message(role=str(item["role"]), content=text_of(item.get("content"))))
    return tuple(found)
