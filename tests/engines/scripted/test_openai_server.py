"""The official OpenAI client talks to the loopback server: chat and completions, streamed and whole."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.engines.scripted.worlds import ANSWER, ANSWER_TOKENS, THINKING, THINKING_TOKENS, backend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import ReplayServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with running_server(backend()) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ReplayServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as opened:
        yield opened


def test_the_model_is_listed_and_the_server_is_healthy(server: ReplayServer, client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("toy", "thinkscale")
    assert model.model_dump()["max_model_len"] == 131072
    assert httpx.get(server.url.removesuffix("/v1") + "/health").status_code == 200


def test_a_whole_chat_reply_keeps_thinking_apart(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="toy", messages=[{"role": "user", "content": "12345678"}])
    message = reply.choices[0].message
    assert message.content == ANSWER
    assert message.model_dump()["reasoning_content"] == THINKING
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, THINKING_TOKENS + ANSWER_TOKENS)


def test_a_streamed_chat_reply_is_the_whole_one_in_pieces(client: openai.OpenAI) -> None:
    thinking, text, finish, usage, events = "", "", [], None, 0
    with client.chat.completions.create(
        model="toy",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                events += 1
                thinking += choice.delta.model_dump().get("reasoning_content") or ""
                text += choice.delta.content or ""
                finish.append(choice.finish_reason)
    assert (thinking, text) == (THINKING, ANSWER)
    assert finish == [None] * (events - 1) + ["stop"]
    assert events == 1 + 4 + 1  # the role, 60 tokens of thinking by 16, the answer
    assert usage is not None
    assert usage.completion_tokens == THINKING_TOKENS + ANSWER_TOKENS


def test_a_token_limit_cuts_the_thinking_exactly(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="toy", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=10
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content is None
    assert reply.choices[0].message.model_dump()["reasoning_content"] == THINKING[:40]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 10


def test_raw_text_completions_stream_what_they_say_whole(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="toy", prompt="<think>\n", max_tokens=1000).choices[0]
    with client.completions.create(model="toy", prompt="<think>\n", max_tokens=1000, stream=True) as stream:
        text = "".join(chunk.choices[0].text for chunk in stream)
    assert whole.text == text == f"{THINKING}\n</think>\n\n{ANSWER}"


def test_thinking_can_stand_in_the_text() -> None:
    with running_server(backend(), ServerOptions(thinking_field=None)) as server:
        body = {"model": "toy", "messages": [{"role": "user", "content": "hi"}]}
        message = httpx.post(f"{server.url}/chat/completions", json=body).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": f"<think>\n{THINKING}\n</think>\n\n{ANSWER}"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "broken JSON: "),
        (b"[]", "must be a JSON object"),
        (b'{"prompt": []}', "prompt must be a text or a list of token ids"),
        (b'{"prompt": [1, 2]}', "this server has no tokenizer"),
        (b'{"prompt": "a", "n": 2}', "one choice a request"),
        (b'{"prompt": "a", "stop": ["b"]}', "no stop strings"),
        (b'{"prompt": "a", "max_tokens": "x"}', "max_tokens must be an integer"),
        (b'{"prompt": "a", "max_tokens": 131073}', "maximum context length is 131072 tokens"),
    ],
)
def test_a_wrong_request_is_a_400_that_says_why(server: ReplayServer, body: bytes, text: str) -> None:
    reply = httpx.post(f"{server.url}/completions", content=body)
    assert reply.status_code == 400
    assert text in reply.json()["error"]["message"]


def test_metrics_count_what_was_sent() -> None:
    with running_server(backend()) as server:
        httpx.post(f"{server.url}/completions", json={"prompt": "x" * 400, "max_tokens": 5})
        httpx.post(f"{server.url}/completions", json={"prompt": "x" * 400, "max_tokens": 5})
        text = httpx.get(server.url.removesuffix("/v1") + "/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    labels = '{engine="0",model_name="toy"}'
    assert values[f"vllm:prompt_tokens_total{labels}"] == "200.0"
    assert values[f"vllm:generation_tokens_total{labels}"] == "10.0"
    assert values[f"vllm:prefix_cache_hits_total{labels}"] == "96.0"  # 6 whole blocks of 16 of the second prompt
