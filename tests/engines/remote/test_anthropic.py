"""Anthropic's messages: bodies that its own types accept, and its streams with thinking blocks."""

import json
from collections.abc import Mapping

import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.anthropic_messages import CACHED_CHARACTERS, AnthropicMessages
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.wire import Outcome, Reply
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Message, Sampling

PLAIN = AnthropicMessages(model="claude-sonnet-4-6")
OUTCOME = Outcome(attempts=1, prompt_tokens=30, completion_tokens=7, usd=0.5)


def request_of(max_tokens: int = 2000, seed: int = 1) -> ChatRequest:
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="2+2?"),
        Message(role="assistant", content="4"),
        Message(role="user", content="3+3?"),
    )
    sampling = Sampling(max_tokens=max_tokens, temperature=0.6, top_p=0.9, seed=seed)
    return ChatRequest(key="k", messages=messages, sampling=sampling)


def body_of(dialect: AnthropicMessages) -> Mapping[str, JSON]:
    return dialect.call(request_of(), Reply(), stream=True).body


def start(**usage: JSON) -> dict[str, JSON]:
    return {"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1, **usage}}}  # fmt: skip


def block(index: int, **content: JSON) -> dict[str, JSON]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def piece(index: int, **delta: JSON) -> dict[str, JSON]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def end(reason: str, written: int, **more: JSON) -> dict[str, JSON]:
    usage: dict[str, JSON] = {"output_tokens": written, **more}
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


STREAM: list[dict[str, JSON]] = [
    start(cache_creation_input_tokens=5, cache_read_input_tokens=7),
    block(0, type="thinking", thinking="", signature=""),
    {"type": "ping"},
    piece(0, type="thinking_delta", thinking="3+3 "),
    piece(0, type="thinking_delta", thinking="is 6"),
    piece(0, type="signature_delta", signature="c2ln"),
    {"type": "content_block_stop", "index": 0},
    block(1, type="redacted_thinking", data="aGlkZGVu"),
    {"type": "content_block_stop", "index": 1},
    block(2, type="thinking", thinking="", signature=""),
    piece(2, type="thinking_delta", thinking="sure"),
    {"type": "content_block_stop", "index": 2},
    block(3, type="text", text=""),
    piece(3, type="text_delta", text="It is "),
    piece(3, type="text_delta", text="6."),
    {"type": "content_block_stop", "index": 3},
    end("end_turn", 40, output_tokens_details={"thinking_tokens": 33}),
    {"type": "message_stop"},
]


def said_of(*events: Mapping[str, JSON], max_tokens: int = 2000) -> ChatCompletion:
    reply, request = Reply(), request_of(max_tokens)
    for event in events:
        PLAIN.take(reply, event)
    PLAIN.check(request, reply)
    return PLAIN.completion(request, reply, OUTCOME)


def test_system_turns_stand_apart_and_sampling_goes_along() -> None:
    call = PLAIN.call(request_of(), Reply(), stream=True)
    assert call.path == "/v1/messages"
    assert call.body == {
        "model": "claude-sonnet-4-6", "max_tokens": 2000, "system": "Be brief.", "temperature": 0.6,
        "top_p": 0.9, "stream": True,
        "messages": [
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "3+3?"},
        ],
    }  # fmt: skip
    assert call.max_tokens == 2000
    assert PLAIN.headers("sk-ant-1") == {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01"}


def test_thinking_takes_a_budget_or_an_effort_and_then_no_temperature() -> None:
    budget = body_of(AnthropicMessages(model="c", thinking_budget=1024))
    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    effort = body_of(AnthropicMessages(model="c", effort="high"))
    assert (effort["thinking"], effort["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    both = body_of(AnthropicMessages(model="c", thinking_budget=1500, effort="low"))
    assert (both["thinking"], both["output_config"]) == ({"type": "enabled", "budget_tokens": 1500}, {"effort": "low"})
    assert not {"temperature", "top_p"} & (set(budget) | set(effort) | set(both))


@pytest.mark.parametrize(
    "dialect",
    [
        AnthropicMessages(model="claude-opus-5-5"),
        AnthropicMessages(model="c", thinking_budget=1024),
        AnthropicMessages(model="c", effort="xhigh", extra={"service_tier": "auto"}),
    ],
)
def test_the_sdk_accepts_the_body(dialect: AnthropicMessages) -> None:
    body = body_of(dialect)
    assert set(TypeAdapter(MessageCreateParamsStreaming).validate_python(body)) == set(body)


def test_a_budget_must_leave_room_and_be_large_enough() -> None:
    with pytest.raises(Failure) as caught:
        AnthropicMessages(model="c", thinking_budget=2000).call(request_of(2000), Reply(), stream=True)
    assert caught.value.kind is FailureKind.BAD_REQUEST
    with pytest.raises(ConfigError, match="1024"):
        AnthropicMessages(model="c", thinking_budget=1023)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-3-7-sonnet-20250219", True), ("claude-sonnet-4-20250514", True), ("claude-opus-4-1-20250805", True),
        ("claude-haiku-4-5", True), ("anthropic/claude-opus-4-6", True), ("claude-opus-4-7", False),
        ("claude-opus-4-8", False), ("claude-sonnet-5", False), ("claude-haiku-5-5", False),
        ("claude-opus-4-10", False),
    ],
)  # fmt: skip
def test_temperature_goes_only_to_models_that_take_one(model: str, sent: bool) -> None:
    body = body_of(AnthropicMessages(model=model))
    assert ("temperature" in body) == ("top_p" in body) == sent
    assert body_of(AnthropicMessages(model=model, extra={"temperature": 1}))["temperature"] == 1


def test_a_null_takes_a_field_out() -> None:
    assert "temperature" not in body_of(AnthropicMessages(model="claude-sonnet-4-6", extra={"temperature": None}))


def test_thinking_blocks_stay_apart_and_redacted_ones_bring_no_text() -> None:
    said = said_of(*STREAM)
    assert (said.thinking, said.answer_text, said.finish) == ("3+3 is 6\n\nsure", "It is 6.", Finish.END)
    assert (said.thinking_tokens, said.answer_tokens) == (33, 7)


def test_tokens_read_include_the_cached_ones() -> None:
    reply = Reply()
    PLAIN.take(reply, STREAM[0])
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (22, 7, 1)
    PLAIN.take(reply, end("end_turn", 40))
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (22, 7, 40)


def test_a_whole_message_reads_like_its_stream_and_as_the_sdk_writes_it() -> None:
    message: dict[str, JSON] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "stop_sequence": None,
        "content": [
            {"type": "thinking", "thinking": "3+3 is 6", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "aGlkZGVu"},
            {"type": "thinking", "thinking": "sure", "signature": "c2ln"},
            {"type": "text", "text": "It is 6."},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 40, "output_tokens_details": {"thinking_tokens": 33}},
    }  # fmt: skip
    theirs = json.loads(SdkMessage.model_validate(message).model_dump_json())
    for body in (message, theirs):
        reply = Reply()
        PLAIN.take_whole(reply, body)
        assert PLAIN.completion(request_of(), reply, OUTCOME) == said_of(*STREAM) == said_of(body)


def test_the_events_of_these_tests_are_of_the_sdk_s_types() -> None:
    events: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    for event in STREAM:
        if event["type"] != "ping":
            assert events.validate_python(event).type == event["type"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.END),
        ("stop_sequence", Finish.END),
        ("max_tokens", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
    ],
)
def test_a_message_ends_as_the_server_says(reason: str, finish: Finish) -> None:
    assert said_of(start(), end(reason, 40)).finish is finish


REFUSED: dict[str, JSON] = {
    "type": "message_delta", "usage": {"output_tokens": 2},
    "delta": {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "not this"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("events", "kind", "text"),
    [
        ([start(), REFUSED], FailureKind.BAD_REQUEST, "not this"),
        ([start(), end("pause_turn", 3)], FailureKind.BAD_REQUEST, "tool"),
        ([start(), end("tool_use", 3)], FailureKind.BAD_REQUEST, "tool"),
        ([start(), end("boredom", 3)], FailureKind.MALFORMED, "boredom"),
        (STREAM[:-2], FailureKind.TORN, "ended"),
        ([], FailureKind.TORN, "ended"),
        ([start(), end("end_turn", 2001)], FailureKind.WRONG_COUNTS, "2001"),
        ([start(), end("end_turn", 4, output_tokens_details={"thinking_tokens": 5})], FailureKind.WRONG_COUNTS, "5"),
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}],
         FailureKind.OVERLOADED, "Overloaded"),
        ([{"type": "content_block_delta", "delta": {"type": "text_delta", "text": 4}}], FailureKind.MALFORMED, "text"),
    ],
)  # fmt: skip
def test_a_message_that_is_no_answer_is_a_failure_of_its_kind(
    events: list[dict[str, JSON]], kind: FailureKind, text: str
) -> None:
    with pytest.raises(Failure, match=text) as caught:
        said_of(*events)
    assert caught.value.kind is kind


def test_kinds_of_events_and_blocks_that_are_new_are_passed_over() -> None:
    news: list[dict[str, JSON]] = [{"type": "weather"}, block(9, type="weather"), piece(9, type="weather_delta", sun=1)]
    assert said_of(*STREAM[:3], *news, *STREAM[3:]) == said_of(*STREAM)


def test_seeds_keep_samples_apart_though_the_protocol_has_none() -> None:
    assert PLAIN.call(request_of(seed=1), Reply(), stream=False) == PLAIN.call(
        request_of(seed=2), Reply(), stream=False
    )
    assert PLAIN.identity(request_of(seed=1)) != PLAIN.identity(request_of(seed=2))


def told(system: str) -> ChatRequest:
    messages = (Message(role="system", content=system), Message(role="user", content="2+2?"))
    return ChatRequest(key="k", messages=messages, sampling=Sampling(max_tokens=10))


def test_a_long_system_turn_is_marked_for_the_cache_and_a_short_one_is_not() -> None:
    long = "x" * CACHED_CHARACTERS
    marked, plain = (PLAIN.call(told(text), Reply(), stream=True) for text in (long, long[:-1]))
    assert marked.body["system"] == [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]
    TypeAdapter(MessageCreateParamsStreaming).validate_python(dict(marked.body))
    assert plain.body["system"] == long[:-1]
    # Writing to the cache costs a quarter more, and that is what a spend cap must reserve.
    assert 1.24 < marked.prompt_tokens / plain.prompt_tokens < 1.26


def test_what_was_written_to_the_cache_is_told_apart() -> None:
    reply = Reply()
    PLAIN.take(reply, start(cache_creation_input_tokens=5000, cache_read_input_tokens=0))
    assert (reply.prompt_tokens, reply.cached_tokens, reply.cache_written_tokens) == (5010, 0, 5000)
