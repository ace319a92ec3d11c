"""The official Anthropic client talks to the loopback server: messages streamed and whole."""

from collections.abc import Iterator

import anthropic
import httpx
import pytest

from tests.engines.scripted.worlds import ANSWER, ANSWER_TOKENS, THINKING, THINKING_TOKENS, always, backend
from thinkscale.engines.scripted.faults import Fault
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server

THINKS = anthropic.types.ThinkingConfigEnabledParam(type="enabled", budget_tokens=1024)
ASKED: list[anthropic.types.MessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def client() -> Iterator[anthropic.Anthropic]:
    with running_server(backend()) as server:
        url = server.url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=url, api_key="sk-test", max_retries=0) as opened:
            yield opened


def test_a_whole_message_has_thinking_and_text_as_blocks(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model="toy", max_tokens=2000, messages=ASKED, thinking=THINKS)
    thinking, text = reply.content
    assert thinking.type == "thinking"
    assert thinking.thinking == THINKING
    assert text.type == "text"
    assert text.text == ANSWER
    assert reply.stop_reason == "end_turn"
    assert reply.usage.output_tokens == THINKING_TOKENS + ANSWER_TOKENS


def test_a_streamed_message_adds_up_to_the_whole_one(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="toy", max_tokens=2000, messages=ASKED, thinking=THINKS) as stream:
        kinds = [event.type for event in stream]
        reply = stream.get_final_message()
    assert [block.model_dump()[block.type] for block in reply.content] == [THINKING, ANSWER]
    assert (reply.stop_reason, reply.usage.output_tokens) == ("end_turn", THINKING_TOKENS + ANSWER_TOKENS)
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2


def test_without_thinking_there_is_only_text_and_a_limit_is_told(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model="toy", max_tokens=2, messages=ASKED, system="Be brief.")
    assert [block.model_dump()["text"] for block in reply.content] == [ANSWER[:8]]
    assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 2)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Fault.RATE_LIMIT, 429, "rate_limit_error"),
        (Fault.SERVER_ERROR, 500, "api_error"),
        (Fault.OVERLOADED, 529, "overloaded_error"),
        (Fault.BAD_REQUEST, 400, "invalid_request_error"),
        (Fault.OUT_OF_CREDIT, 402, "billing_error"),
    ],
)
def test_refusals_have_anthropics_shape(fault: Fault, status: int, kind: str) -> None:
    with running_server(backend(), ServerOptions(faults=always(fault))) as server:
        body = {"model": "toy", "max_tokens": 9, "messages": ASKED}
        reply = httpx.post(f"{server.url}/messages", json=body)
    assert reply.status_code == status
    assert reply.json()["error"]["type"] == kind
    assert ("retry-after" in reply.headers) is (fault is Fault.RATE_LIMIT)
