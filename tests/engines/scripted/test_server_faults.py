"""Each fault is on the wire what it says."""

import json

import httpx
import pytest

from tests.engines.scripted.worlds import ANSWER_TOKENS, THINKING_TOKENS, always, backend, chat
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.served import Ending
from thinkscale.engines.scripted.server import ReplayServer, running_server

STREAM = {"stream": True, "stream_options": {"include_usage": True}}
WHOLE_TOKENS = THINKING_TOKENS + ANSWER_TOKENS


def ask(server: ReplayServer, text: str = "hi", /, **more: object) -> httpx.Response:
    return httpx.post(f"{server.url}/chat/completions", json=chat(text, **more), timeout=5)


def faulty(fault: Fault, **options: object) -> ServerOptions:
    return ServerOptions(faults=always(fault), **options)  # type: ignore[arg-type]  # each test gives the right type


def lines(reply: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in reply.text.splitlines() if line]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.RATE_LIMIT, 429, "rate_limit_exceeded"),
        (Fault.SERVER_ERROR, 500, "internal_server_error"),
        (Fault.OVERLOADED, 503, "service_unavailable"),
        (Fault.BAD_REQUEST, 400, "invalid_request_error"),
        (Fault.OUT_OF_CREDIT, 429, "insufficient_quota"),
    ],
)
def test_refusals_have_openais_shape(fault: Fault, status: int, code: str) -> None:
    with running_server(backend(), faulty(fault, retry_after_seconds=0.25)) as server:
        reply = ask(server)
        (served,) = server.settled().attempts
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == code
    assert reply.headers.get("retry-after") == ("0.25" if fault is Fault.RATE_LIMIT else None)
    assert (served.ending, served.fault, served.billed_tokens) == (Ending.REFUSED, fault, 0)


def test_a_torn_stream_breaks_off_before_its_end() -> None:
    with running_server(backend(), faulty(Fault.TORN_STREAM)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            ask(server, **STREAM)
        with pytest.raises(httpx.RemoteProtocolError):
            ask(server)
        streamed, whole = server.settled().attempts
    assert streamed.ending is whole.ending is Ending.BROKEN
    assert streamed.sent_tokens < WHOLE_TOKENS


def test_a_malformed_reply_is_broken_json_in_one_event_or_in_the_body() -> None:
    with running_server(backend(), faulty(Fault.MALFORMED)) as server:
        streamed, whole = ask(server, **STREAM), ask(server)
    broken = 0
    for line in lines(streamed)[:-1]:
        try:
            json.loads(line)
        except ValueError:
            broken += 1
    assert broken == 1
    assert lines(streamed)[-1] == "[DONE]"
    assert whole.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        whole.json()


def test_wrong_counts_are_a_usage_that_cannot_be_or_a_choice_too_many() -> None:
    with running_server(backend(), faulty(Fault.WRONG_COUNTS)) as server:
        replies = [ask(server, f"question {number}").json() for number in range(12)]
        streams = [lines(ask(server, f"question {number}", stream=True)) for number in range(3)]
    kinds = {(len(reply["choices"]), reply["usage"]["completion_tokens"] == WHOLE_TOKENS) for reply in replies}
    assert kinds == {(1, False), (2, True)}
    assert all(reply["usage"]["completion_tokens"] > 100 for reply in replies if len(reply["choices"]) == 1)
    for found in streams:
        assert any(choice["index"] == 1 for line in found[:-1] for choice in json.loads(line)["choices"])


def test_a_stall_sends_nothing_more_and_frees_its_slot_when_the_client_leaves() -> None:
    with running_server(backend(), faulty(Fault.STALL, capacity=1, queue=True)) as server:
        for number in range(4):  # each waits for the slot of the one before
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{server.url}/chat/completions", json=chat(f"q{number}", **STREAM), timeout=0.1)
    assert server.log.running == 0
    assert [served.fault for served in server.settled().attempts] == [Fault.STALL] * 4
    assert all(served.sent_tokens < WHOLE_TOKENS for served in server.settled().attempts)


def test_a_slow_death_ends_without_the_end_of_its_reply() -> None:
    with (
        running_server(backend(), faulty(Fault.SLOW_DEATH, stall_seconds=0.1)) as server,
        httpx.stream("POST", f"{server.url}/chat/completions", json=chat(**STREAM)) as reply,
    ):
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            reply.read()


def test_a_retry_succeeds_where_the_plan_lets_it_and_attempts_are_counted() -> None:
    plan = FaultPlan(shares={Fault.SERVER_ERROR: 0.5})
    with running_server(backend(), ServerOptions(faults=plan)) as server:
        for number in range(10):
            while ask(server, f"q{number}").status_code != 200:
                pass
        log = server.settled()
    assert log.num_requests == 10
    assert log.endings[Ending.DONE] == 10
    assert log.faults[Fault.SERVER_ERROR] == log.endings[Ending.REFUSED] > 0
    assert all(plan.fault(served.request, served.attempt) is served.fault for served in log.attempts)


def test_only_the_first_key_that_meets_it_runs_out_of_credit() -> None:
    with running_server(backend(), ServerOptions(faults=always(Fault.OUT_OF_CREDIT))) as server:

        def status(key: str, text: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.post(f"{server.url}/chat/completions", json=chat(text), headers=headers).status_code

        assert [status("sk-a", "1"), status("sk-b", "2"), status("sk-a", "3"), status("sk-b", "4")] == [
            429,
            200,
            429,
            200,
        ]
