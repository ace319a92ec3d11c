"""OpenAI's two protocols: bodies that its own types accept, replies in all the spellings of servers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion as SdkChatCompletion
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.openai_completions import OpenAICompletions
from thinkscale.engines.remote.wire import Call, Dialect, Outcome, Reply
from thinkscale.engines.tokens import TokenCompletion, TokenRequest
from thinkscale.keys import JSON
from thinkscale.records import Finish, Message, Sampling, Usage

TOKENS = OpenAICompletions(model="lab")
CHAT = OpenAIChat(model="qwen")
EOS, STOP = 9, 8
OUTCOME = Outcome(attempts=2, prompt_tokens=30, completion_tokens=7, usd=0.5)


def token_request(max_tokens: int = 5) -> TokenRequest:
    sampling = Sampling(max_tokens=max_tokens, temperature=0.7, top_p=0.9, seed=2**63 + 5)
    return TokenRequest(key="k", prompt=(1, 2, 3), sampling=sampling, stop_ids=(STOP, EOS))


def chat_request(max_tokens: int = 100) -> ChatRequest:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="2+2?"))
    return ChatRequest(key="k", messages=messages, sampling=Sampling(max_tokens=max_tokens, temperature=0.6, seed=3))


def chunk(ids: Sequence[int], finish: str | None = None, stop: JSON = None) -> dict[str, JSON]:
    """As vLLM sends it: the choice of one chunk of `/completions`."""
    choice: dict[str, JSON] = {"index": 0, "text": "t", "logprobs": None, "finish_reason": finish, "stop_reason": stop}
    return {"id": "cmpl-1", "object": "text_completion", "choices": [choice | {"token_ids": list(ids)}]}


def counted(read: int, written: int) -> dict[str, JSON]:
    return {
        "choices": [],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def tokens_of(
    events: Sequence[Mapping[str, JSON]], *, before: Sequence[int] = (), max_tokens: int = 5
) -> TokenCompletion:
    reply, request = Reply(ids=list(before)), token_request(max_tokens)
    for event in events:
        TOKENS.take(reply, event)
    TOKENS.check(request, reply)
    return TOKENS.completion(request, reply, OUTCOME)


def failure_of_tokens(*events: Mapping[str, JSON], before: Sequence[int] = (), max_tokens: int = 5) -> Failure:
    with pytest.raises(Failure) as caught:
        tokens_of(events, before=before, max_tokens=max_tokens)
    return caught.value


def test_a_prompt_goes_out_as_ids_with_everything_that_brings_ids_back() -> None:
    call = TOKENS.call(token_request(), Reply(), stream=True)
    assert call.path == "/completions"
    assert (call.prompt_tokens, call.max_tokens) == (3, 5)
    assert call.body == {
        "model": "lab", "prompt": [1, 2, 3], "max_tokens": 5, "temperature": 0.7, "top_p": 0.9, "seed": 5, "n": 1,
        "stop_token_ids": [8, 9], "return_token_ids": True, "skip_special_tokens": False,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert "stream" not in TOKENS.call(token_request(), Reply(), stream=False).body


def test_a_torn_completion_goes_on_behind_its_ids_with_what_is_left_to_write() -> None:
    torn = Reply(finish=None, prompt_tokens=3)
    TOKENS.take(torn, chunk([4, 5]))
    renewed = TOKENS.renew(torn)
    assert (renewed.ids, renewed.prompt_tokens, renewed.num_pieces) == ([4, 5], None, 0)
    call = TOKENS.call(token_request(), renewed, stream=True)
    assert (call.body["prompt"], call.body["max_tokens"]) == ([1, 2, 3, 4, 5], 3)
    assert (call.prompt_tokens, call.max_tokens) == (5, 3)
    completion = tokens_of([chunk([6, STOP], "stop", STOP), counted(5, 2)], before=renewed.ids)
    assert completion.ids == (4, 5, 6)


def test_a_finished_reply_that_was_refused_is_not_gone_on_from() -> None:
    assert TOKENS.renew(Reply(ids=[4, 5], finish=Finish.LENGTH)).ids == []


@pytest.mark.parametrize(
    ("events", "ids", "finish", "stop_id"),
    [
        ([chunk([4]), chunk([5, STOP], "stop", STOP), counted(3, 3)], (4, 5), Finish.END, STOP),
        ([chunk([4, 5], "stop", STOP), counted(3, 3)], (4, 5), Finish.END, STOP),
        ([chunk([4, 5], "stop", STOP), counted(3, 2)], (4, 5), Finish.END, STOP),
        ([chunk([4, 5, EOS], "stop"), counted(3, 3)], (4, 5), Finish.END, EOS),
        ([chunk([4, 5], "stop"), counted(3, 3)], (4, 5), Finish.END, None),
        ([chunk([STOP], "stop", STOP), counted(3, 1)], (), Finish.END, STOP),
        ([chunk([4, 5, 6, 7, 4], "length"), counted(3, 5)], (4, 5, 6, 7, 4), Finish.LENGTH, None),
        ([chunk([4, 5, 6, 7, STOP], "length"), counted(3, 5)], (4, 5, 6, 7), Finish.END, STOP),
        ([chunk([4, 5]), chunk([], "length")], (4, 5), Finish.LENGTH, None),
    ],
    ids=[
        "stop token in the ids", "left out but counted", "left out and not counted", "the model's own eos",
        "eos left out", "nothing but a stop token", "the limit", "a stop token as the last one allowed", "no usage",
    ],
)  # fmt: skip
def test_ids_come_without_the_stop_token_wherever_the_server_puts_it(
    events: list[dict[str, JSON]], ids: tuple[int, ...], finish: Finish, stop_id: int | None
) -> None:
    completion = tokens_of(events)
    assert (completion.ids, completion.finish, completion.stop_id) == (ids, finish, stop_id)
    assert (completion.attempts, completion.usd) == (2, 0.5)
    assert completion.usage == Usage(prompt_tokens=30, completion_tokens=7)


def test_a_whole_reply_reads_like_its_stream() -> None:
    body = chunk([4, 5, STOP], "stop", STOP) | {"usage": {"prompt_tokens": 3, "completion_tokens": 3}}
    reply = Reply()
    TOKENS.take_whole(reply, body)
    TOKENS.check(token_request(), reply)
    assert TOKENS.completion(token_request(), reply, OUTCOME) == tokens_of([body])


def test_the_sdk_reads_what_the_dialect_reads() -> None:
    body = chunk([4, STOP], "stop", STOP) | counted(3, 2) | {"created": 1, "model": "lab"}
    body["choices"] = chunk([4, STOP], "stop", STOP)["choices"]
    theirs = Completion.model_validate(body)
    reply = Reply()
    TOKENS.take_whole(reply, cast("dict[str, JSON]", json.loads(theirs.model_dump_json())))
    assert (reply.ids, reply.stop_id, reply.completion_tokens) == ([4], STOP, 2)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([chunk([4])], FailureKind.TORN),
        ([], FailureKind.TORN),
        ([chunk([4, 5, 6, 7, 4, 5], "length")], FailureKind.WRONG_COUNTS),
        ([chunk([4, 5], "length"), counted(3, 3)], FailureKind.WRONG_COUNTS),
        ([chunk([4, 5, STOP], "stop", STOP), counted(3, 1)], FailureKind.WRONG_COUNTS),
        ([chunk([4, 5, STOP], "stop", STOP), counted(3, 4)], FailureKind.WRONG_COUNTS),
        ([chunk([4, 5, STOP], "stop", STOP), counted(5, 3)], FailureKind.WRONG_COUNTS),
        ([{"choices": [{"token_ids": [4]}, {"token_ids": [5]}]}], FailureKind.WRONG_COUNTS),
        ([chunk([4, STOP, 5], "length")], FailureKind.BAD_REQUEST),
        ([{"choices": [{"text": "a"}]}], FailureKind.BAD_REQUEST),
        ([chunk([4], "abort")], FailureKind.SERVER_ERROR),
        ([chunk([4], "error")], FailureKind.SERVER_ERROR),
        ([chunk([4], "bored")], FailureKind.MALFORMED),
        ([{"choices": [{"token_ids": ["4"]}]}], FailureKind.MALFORMED),
        ([{"choices": [{"token_ids": [True]}]}], FailureKind.MALFORMED),
        ([{"choices": "none"}], FailureKind.MALFORMED),
        ([{"choices": [4]}], FailureKind.MALFORMED),
        ([{"usage": {"prompt_tokens": -1}}], FailureKind.MALFORMED),
        ([{"error": {"message": "dead engine", "code": 500}}], FailureKind.SERVER_ERROR),
    ],
)  # fmt: skip
def test_a_completion_that_contradicts_itself_is_refused(events: list[dict[str, JSON]], kind: FailureKind) -> None:
    assert failure_of_tokens(*events).kind is kind


def test_counts_are_checked_over_attempts() -> None:
    assert tokens_of([chunk([6], "length"), counted(7, 1)], before=[4, 5, 6, 7]).finish is Finish.LENGTH
    assert failure_of_tokens(chunk([6], "length"), counted(7, 5), before=[4, 5, 6, 7]).kind is FailureKind.WRONG_COUNTS


def test_an_unstreamed_reply_without_a_choice_is_refused() -> None:
    for dialect in (TOKENS, CHAT):
        with pytest.raises(Failure) as caught:
            dialect.take_whole(Reply(), {"choices": []})
        assert caught.value.kind is FailureKind.WRONG_COUNTS


def test_what_cannot_serve_budgets_says_what_to_use_instead() -> None:
    assert "chat protocol" in failure_of_tokens({"choices": [{"text": "a"}]}).text


def test_a_failed_completion_has_its_reason_and_its_usage_and_no_ids() -> None:
    outcome = Outcome(attempts=3, prompt_tokens=9, completion_tokens=4, usd=0.1, error="server_error: it fell")
    failed = TOKENS.completion(token_request(), Reply(ids=[4]), outcome)
    assert (failed.ids, failed.finish, failed.error) == ((), Finish.ERROR, "server_error: it fell")
    said = CHAT.completion(chat_request(), Reply(text="half"), outcome)
    assert (said.answer_text, said.finish, said.error, said.answer_tokens) == ("", Finish.ERROR, outcome.error, 0)
    assert said.usage == failed.usage == Usage(prompt_tokens=9, completion_tokens=4)


def body_of(dialect: OpenAIChat) -> Mapping[str, JSON]:
    return dialect.call(chat_request(), Reply(), stream=True).body


def test_a_conversation_goes_out_as_it_is() -> None:
    call = CHAT.call(chat_request(), Reply(ids=[1]), stream=True)
    assert call.path == "/chat/completions"
    assert call.body == {
        "model": "qwen",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
        "max_tokens": 100, "seed": 3, "temperature": 0.6, "top_p": 1.0,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert call.prompt_tokens == 8 + (8 + 3) + (8 + 2)


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("o3", "max_completion_tokens"), ("gpt-5.2-mini", "max_completion_tokens"),
        ("openai/gpt-6-astra", "max_completion_tokens"), ("gpt-4o", "max_tokens"),
        ("gpt-5-chat-latest", "max_tokens"), ("Qwen/QwQ-32B", "max_tokens"), ("openai/gpt-oss-120b", "max_tokens"),
    ],
)  # fmt: skip
def test_the_field_of_the_limit_follows_the_model(model: str, field: str) -> None:
    body = body_of(OpenAIChat(model=model))
    assert body[field] == 100
    assert ("temperature" in body) == ("top_p" in body) == (field == "max_tokens")
    assert len([name for name in body if name.startswith("max_")]) == 1


def test_settings_win_over_the_body_and_a_null_takes_a_field_out() -> None:
    extra: dict[str, JSON] = {"reasoning_effort": "high", "seed": None, "temperature": 1}
    body = body_of(OpenAIChat(model="qwen", extra=extra, max_tokens_field="max_completion_tokens"))
    assert (body["reasoning_effort"], body["temperature"], body["max_completion_tokens"]) == ("high", 1, 100)
    assert "seed" not in body


@pytest.mark.parametrize("model", ["o3", "gpt-4o"])
def test_the_sdk_accepts_the_body(model: str) -> None:
    body = body_of(OpenAIChat(model=model, extra={"reasoning_effort": "high"}))
    accepted = TypeAdapter(CompletionCreateParamsStreaming).validate_python(body)
    assert set(accepted) == set(body)


def delta(**said: JSON) -> dict[str, JSON]:
    finish = said.pop("finish", None)
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def usage(read: int, written: int, **more: JSON) -> dict[str, JSON]:
    return {"choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written, **more}}


def chat_of(*events: Mapping[str, JSON], max_tokens: int = 100) -> ChatCompletion:
    reply, request = Reply(), chat_request(max_tokens)
    for event in events:
        CHAT.take(reply, event)
    CHAT.check(request, reply)
    return CHAT.completion(request, reply, OUTCOME)


@pytest.mark.parametrize(
    "events",
    [
        [delta(role="assistant", content=""), delta(reasoning_content="\n2+2"), delta(reasoning_content=" is 4\n"),
         delta(content="\n\n"), delta(content="4"), delta(finish="stop")],
        [delta(reasoning="2+2 is 4"), delta(content="4", reasoning=None), delta(finish="stop")],
        [delta(content="<think>\n2+2"), delta(content=" is 4\n</th"), delta(content="ink>\n\n4", finish="stop")],
        [delta(content="2+2 is 4\n</think>\n\n4", finish="stop")],
        [delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "2+2 is 4"}]}]),
         delta(content=[{"type": "text", "text": "4"}]), delta(finish="stop")],
        [{"object": "chat.completion", "choices": [
            {"message": {"content": "4", "reasoning_content": "2+2 is 4"}, "finish_reason": "stop"}]}],
    ],
    ids=["reasoning_content", "reasoning", "think tags", "closing tag alone", "parts", "a whole reply"],
)  # fmt: skip
def test_thinking_and_answer_are_parted_in_every_spelling(events: list[dict[str, JSON]]) -> None:
    said = chat_of(*events, usage(20, 18))
    assert (said.thinking, said.answer_text, said.finish) == ("2+2 is 4", "4", Finish.END)
    assert (said.thinking_tokens, said.answer_tokens) == (16, 2)  # 8 of 9 characters


def test_a_thinking_that_a_limit_cut_leaves_no_answer() -> None:
    cut = chat_of(delta(content="<think>\nlet me see", finish="length"), usage(20, 100))
    assert (cut.thinking, cut.answer_text, cut.finish) == ("let me see", "", Finish.LENGTH)
    assert (cut.thinking_tokens, cut.answer_tokens) == (100, 0)


def test_a_marker_that_is_only_mentioned_parts_nothing() -> None:
    said = chat_of(delta(content="The opening tag is <think>.", finish="stop"))
    assert (said.thinking, said.answer_text) == ("", "The opening tag is <think>.")


def test_counts_of_the_server_are_taken_where_it_gives_them() -> None:
    said = chat_of(
        delta(reasoning="aaaa"), delta(content="b", finish="stop"),
        usage(20, 50, completion_tokens_details={"reasoning_tokens": 31}, prompt_tokens_details={"cached_tokens": 16}),
    )  # fmt: skip
    assert (said.thinking_tokens, said.answer_tokens) == (31, 19)
    reply = Reply()
    CHAT.take(reply, usage(20, 50, prompt_tokens_details={"cached_tokens": 16}))
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (20, 16, 50)
    CHAT.take(reply, usage(20, 50, prompt_cache_hit_tokens=7))
    assert reply.cached_tokens == 7


def test_thinking_that_a_server_counts_apart_is_paid_for_all_the_same() -> None:
    reply = Reply()
    CHAT.take(reply, usage(20, 10, total_tokens=70, completion_tokens_details={"reasoning_tokens": 40}))
    assert (reply.completion_tokens, reply.thinking_tokens) == (50, 40)


def test_pieces_stand_for_tokens_where_the_server_counts_none() -> None:
    said = chat_of(
        delta(reasoning="ab"), delta(reasoning="cd"), delta(content="ef"), delta(content="gh", finish="stop")
    )
    assert (said.thinking_tokens, said.answer_tokens) == (2, 2)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([delta(content="a")], FailureKind.TORN),
        ([delta(content="a", finish="content_filter")], FailureKind.BAD_REQUEST),
        ([delta(content="a", finish="tool_calls")], FailureKind.BAD_REQUEST),
        ([delta(refusal="I cannot")], FailureKind.BAD_REQUEST),
        ([delta(content="a", finish="insufficient_system_resource")], FailureKind.OVERLOADED),
        ([delta(content="a", finish="abort")], FailureKind.SERVER_ERROR),
        ([delta(content="a", finish="bored")], FailureKind.MALFORMED),
        ([delta(content=7)], FailureKind.MALFORMED),
        ([delta(content="a", finish="stop"), usage(20, 102)], FailureKind.WRONG_COUNTS),
        ([delta(content="a", finish="stop"), usage(20, 0)], FailureKind.WRONG_COUNTS),
        ([delta(content="a", finish="stop"), usage(20, 5, completion_tokens_details={"reasoning_tokens": 6})],
         FailureKind.WRONG_COUNTS),
        ([{"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}], FailureKind.WRONG_COUNTS),
        ([{"error": {"message": "x", "code": 429}}], FailureKind.RATE_LIMIT),
    ],
)  # fmt: skip
def test_a_reply_that_is_no_answer_is_a_failure_of_its_kind(events: list[dict[str, JSON]], kind: FailureKind) -> None:
    with pytest.raises(Failure) as caught:
        chat_of(*events)
    assert caught.value.kind is kind


def test_replies_in_the_types_of_the_sdk_are_read() -> None:
    ended = {"finish_reason": "stop"}
    choice = {"index": 0, "message": {"role": "assistant", "content": "4"}, **ended}
    counts = {
        "prompt_tokens": 20, "completion_tokens": 50, "total_tokens": 70,
        "completion_tokens_details": {"reasoning_tokens": 49}, "prompt_tokens_details": {"cached_tokens": 3},
    }  # fmt: skip
    row = {"id": "x", "created": 1, "model": "m", "choices": [choice], "usage": counts}
    whole = SdkChatCompletion.model_validate(row | {"object": "chat.completion"})
    streamed = ChatCompletionChunk.model_validate(
        row
        | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}],
        }
    )
    for theirs in (whole, streamed):
        said = chat_of(json.loads(theirs.model_dump_json()))
        assert (said.answer_text, said.thinking_tokens, said.answer_tokens) == ("4", 49, 1)


def test_what_decides_the_reply_is_the_identity() -> None:
    request = chat_request()
    other = replace(request, key="other")
    reseeded = ChatRequest(
        key="k", messages=request.messages, sampling=Sampling(max_tokens=100, temperature=0.6, seed=4)
    )
    without_seed = OpenAIChat(model="qwen", extra={"seed": None})
    assert CHAT.identity(request) == CHAT.identity(other)
    assert without_seed.identity(request) != without_seed.identity(reseeded)
    assert CHAT.identity(request) != without_seed.identity(request)
    assert TOKENS.identity(token_request(5)) != TOKENS.identity(token_request(6))


def test_keys_go_into_headers_only() -> None:
    dialects: list[Dialect[ChatRequest, ChatCompletion]] = [CHAT]
    assert dialects[0].headers("sk-1") == {"Authorization": "Bearer sk-1"}
    tokens: Dialect[TokenRequest, TokenCompletion] = TOKENS
    assert tokens.headers(None) == {}
    call: Call = tokens.call(token_request(), Reply(), stream=True)
    assert "sk-1" not in json.dumps(call.body)
