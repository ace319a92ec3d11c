"""Capacity, allowances a minute, keys and credit."""

import threading

import httpx
import pytest

from tests.engines.scripted.worlds import backend, chat
from thinkscale.engines.scripted.admission import Admission
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.served import Ending
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.errors import ConfigError, EngineError


def together(server: ReplayServer, count: int) -> list[httpx.Response]:
    """Replies to `count` requests that are in flight at once."""
    replies: list[httpx.Response] = []

    def post(number: int) -> None:
        replies.append(httpx.post(f"{server.url}/chat/completions", json=chat(f"q{number}"), timeout=10))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_a_full_server_refuses_or_lets_wait() -> None:
    with running_server(backend(), ServerOptions(capacity=1, first_token_seconds=0.2)) as server:
        statuses = sorted(reply.status_code for reply in together(server, 4))
        assert server.settled().most_running == 1
        assert statuses.count(429) == server.settled().endings[Ending.REFUSED] >= 1
        assert statuses[0] == 200
    with running_server(backend(), ServerOptions(capacity=2, queue=True, first_token_seconds=0.02)) as server:
        assert [reply.status_code for reply in together(server, 6)] == [200] * 6
        assert server.settled().most_running == 2


def test_a_client_that_leaves_frees_its_slot_and_is_billed_for_what_it_got() -> None:
    options = ServerOptions(capacity=1, queue=True, tokens_per_second=100)
    with running_server(backend(), options) as server:
        with httpx.stream("POST", f"{server.url}/chat/completions", json=chat(stream=True)) as reply:
            next(reply.iter_lines())
        whole = httpx.post(f"{server.url}/completions", json={"prompt": "a", "max_tokens": 1}, timeout=5)
        left = server.settled().attempts[0]
    assert whole.status_code == 200
    assert left.ending is Ending.DISCONNECTED
    assert left.sent_tokens < 63


def test_an_allowance_refills_with_the_clock() -> None:
    now = 0.0
    admission = Admission(ServerOptions(requests_per_minute=60, tokens_per_minute=600, burst_seconds=2), lambda: now)
    assert admission.enter("a", 10) is None
    assert admission.headers("a")["x-ratelimit-remaining-requests"] == "1"
    assert admission.headers("a")["x-ratelimit-remaining-tokens"] == "10"
    assert admission.enter("a", 10) is None
    refused = admission.enter("a", 10)
    assert refused is not None
    assert refused.retry_after == pytest.approx(1.0)  # ten tokens at ten a second, and one request at one a second
    assert admission.enter("b", 10) is None
    now = 1.0
    assert admission.enter("a", 10) is None
    assert admission.enter("a", 10) is not None


def test_a_spent_allowance_is_a_429_that_says_when_to_come_back() -> None:
    options = ServerOptions(requests_per_minute=6, burst_seconds=10)
    with running_server(backend(), options) as server:
        first, second = (httpx.post(f"{server.url}/chat/completions", json=chat(f"q{number}")) for number in range(2))
    assert (first.status_code, second.status_code) == (200, 429)
    assert 9 < float(second.headers["retry-after"]) <= 10
    assert second.headers["x-ratelimit-limit-requests"] == "6"
    assert second.headers["x-ratelimit-remaining-requests"] == "0"


def test_keys_are_checked_and_their_credit_ends() -> None:
    options = ServerOptions(keys=("sk-rich", "sk-poor"), credit={"sk-poor": 50})
    with running_server(backend(), options) as server:

        def status(header: dict[str, str], path: str = "/chat/completions") -> int:
            return httpx.post(server.url + path, json=chat(), headers=header).status_code

        poor, rich = {"Authorization": "Bearer sk-poor"}, {"x-api-key": "sk-rich"}
        assert [status(poor), status(poor), status(rich), status(rich)] == [200, 429, 200, 200]
        assert status({}) == 401
        assert status({}, "/batches") == 401
        assert status({}, "/messages/batches") == 401
        hashes = {served.key for served in server.settled().attempts}
    assert len(hashes) == 3
    assert not any("sk-" in found for found in hashes)


def test_options_that_make_no_server_are_named_and_a_taken_port_is_told() -> None:
    with pytest.raises(ConfigError, match="capacity is 0; give a number above 0"):
        ServerOptions(capacity=0)
    with running_server(backend()) as server:
        port = int(server.url.split(":")[-1].removesuffix("/v1"))
        with (
            pytest.raises(EngineError, match=f"cannot listen on 127.0.0.1:{port}"),
            running_server(backend(), ServerOptions(port=port)),
        ):
            pass
