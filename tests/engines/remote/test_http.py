"""One HTTP exchange: every way in which it can go wrong is a Failure of the right kind, and no text holds a secret."""

import asyncio
import json
import socket
from contextlib import aclosing

import pytest

from tests.engines.remote.conftest import HEADERS, answer, events_of, exchange, serving, stream
from thinkscale.engines.remote import http, refusals
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.keys import JSON

KEY = HEADERS["Authorization"].removeprefix("Bearer ")


def failure_of(pieces: list[bytes], *, holds: bool = False, stall_seconds: float = 5) -> Failure:
    with pytest.raises(Failure) as caught:
        asyncio.run(exchange(pieces, holds=holds, stall_seconds=stall_seconds))
    return caught.value


def test_events_come_in_order_until_done_and_what_follows_is_left() -> None:
    pieces = stream(b'data: {"a": 1}\n\ndata: {"a"', b": 2}\n\n: ping\n\n", b'data: [DONE]\n\ndata: {"a": 3}\n\n')
    assert asyncio.run(exchange(pieces)) == [{"a": 1}, {"a": 2}]


def test_a_stream_may_end_without_done_and_without_its_last_empty_line() -> None:
    assert asyncio.run(exchange(stream(b'data: {"a": 1}\n\n', b'data: {"a": 2}'))) == [{"a": 1}, {"a": 2}]


def test_a_whole_reply_to_a_request_for_a_stream_is_one_event() -> None:
    assert asyncio.run(exchange([answer(b'{"choices": []}')])) == [{"choices": []}]


def test_a_finished_stream_leaves_its_connection_to_the_next_request() -> None:
    async def twice() -> int:
        async with serving(stream(b"data: {}\n\ndata: [DONE]\n\n"), keeps=True) as seen:
            async with http.open_session(connect_seconds=5, stall_seconds=5) as session:
                for _ in range(3):
                    assert [event async for event in http.post_events(session, seen.url, headers={}, body={})] == [{}]
            assert len(seen.requests) == 3
            return seen.num_connections

    assert asyncio.run(twice()) == 1


def test_leaving_a_stream_early_closes_its_connection() -> None:
    async def leave() -> None:
        async with (
            serving(stream(b'data: {"a": 1}\n\n', ended=False), holds=True) as seen,
            http.open_session(connect_seconds=5, stall_seconds=60) as session,
        ):
            async with aclosing(http.post_events(session, seen.url, headers={}, body={})) as events:
                assert await anext(events) == {"a": 1}
            await asyncio.wait_for(seen.left.wait(), 5)

    asyncio.run(leave())


def test_the_body_is_sent_as_json_with_the_key() -> None:
    async def send() -> bytes:
        async with (
            serving([answer(b"{}")]) as seen,
            http.open_session(connect_seconds=5, stall_seconds=5) as session,
        ):
            body: dict[str, JSON] = {"prompt": [1, 2], "text": "für\ud800"}
            assert await http.post_json(session, seen.url, headers=HEADERS, body=body) == {}
            return seen.requests[0]

    head, _, body = asyncio.run(send()).partition(b"\r\n\r\n")
    assert json.loads(body) == {"prompt": [1, 2], "text": "für\ud800"}
    assert f"Authorization: Bearer {KEY}".encode() in head


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        (stream(b'data: {"a": 1}\n\n', ended=False), FailureKind.TORN),
        (stream(b'data: {"a": 1}\n\n', b'data: {"a'), FailureKind.TORN),
        (stream(b"data: {a: 1}\n\n"), FailureKind.MALFORMED),
        (stream(b"data: [1]\n\n"), FailureKind.MALFORMED),
        (stream(b"data: " + b"[" * 100_000 + b"\n\n"), FailureKind.MALFORMED),
        (stream(b'data: {"a": "\xff"}\n\n'), FailureKind.MALFORMED),
        ([answer(b"<html>", kind="text/html")], FailureKind.MALFORMED),
        ([answer(b'{"a": 1}')[:-1]], FailureKind.TORN),
        ([b""], FailureKind.CONNECTION),
        ([b"HTTP/1.1 200 OK\r\nContent-"], FailureKind.CONNECTION),
        ([b"no http at all\r\n\r\n"], FailureKind.CONNECTION),
        ([answer(b"", status="307 Elsewhere", more="Location: http://127.0.0.1:1/\r\n")], FailureKind.BAD_REQUEST),
    ],
    ids=[
        "connection lost in a stream", "stream ended in an event", "broken JSON", "JSON but no object",
        "nested too deeply", "no UTF-8", "a page instead of JSON", "body shorter than announced",
        "closed without a word", "closed in the header", "another protocol", "redirect",
    ],
)  # fmt: skip
def test_a_broken_reply_is_a_failure_of_its_kind(pieces: list[bytes], kind: FailureKind) -> None:
    assert failure_of(pieces).kind is kind


@pytest.mark.parametrize("pieces", [[], stream(b'data: {"a": 1}\n\n', ended=False)], ids=["at once", "in a stream"])
def test_silence_is_a_stall(pieces: list[bytes]) -> None:
    assert failure_of(pieces, holds=True, stall_seconds=0.1).kind is FailureKind.STALL


def test_a_closed_port_and_an_unknown_address_are_failures_to_connect() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(Failure) as caught:
            asyncio.run(events_of(url))
    assert caught.value.kind is FailureKind.CONNECTION
    with pytest.raises(Failure) as caught:
        asyncio.run(events_of("no address"))
    assert caught.value.kind is FailureKind.BAD_REQUEST


STATUSES: list[tuple[int, str, FailureKind]] = [
    (429, '{"error": {"message": "slow down, see https://x/account/billing", "code": "rate_limit_exceeded"}}',
     FailureKind.RATE_LIMIT),
    (429, '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}',
     FailureKind.OUT_OF_CREDIT),
    (400, '{"type": "error", "error": {"type": "invalid_request_error", "message": '
     '"Your credit balance is too low to access the API."}}', FailureKind.OUT_OF_CREDIT),
    (403, '{"type": "error", "error": {"type": "billing_error", "message": "no card"}}', FailureKind.OUT_OF_CREDIT),
    (402, '{"error": {"message": "Insufficient Balance"}}', FailureKind.OUT_OF_CREDIT),
    (401, '{"error": {"message": "bad key"}}', FailureKind.REFUSED_KEY),
    (403, "forbidden", FailureKind.REFUSED_KEY),
    (503, "", FailureKind.OVERLOADED),
    (529, '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', FailureKind.OVERLOADED),
    (408, "", FailureKind.SERVER_ERROR),
    (409, "", FailureKind.SERVER_ERROR),
    (500, "<html>oops", FailureKind.SERVER_ERROR),
    (502, "", FailureKind.CONNECTION),
    (400, '{"object": "error", "message": "long", "type": "BadRequestError", "code": 400}', FailureKind.BAD_REQUEST),
    (404, '{"detail": "Not Found"}', FailureKind.BAD_REQUEST),
    (422, '{"detail": [{"loc": ["body"], "msg": "extra"}]}', FailureKind.BAD_REQUEST),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), STATUSES)
def test_a_status_and_its_body_decide_the_kind(status: int, body: str, kind: FailureKind) -> None:
    failure = failure_of([answer(body.encode(), status=f"{status} Because")])
    assert failure.kind is kind
    assert failure.text.startswith(f"HTTP {status}: ")


ERRORS: list[tuple[JSON, FailureKind]] = [
    ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, FailureKind.OVERLOADED),
    ({"type": "error", "error": {"type": "api_error", "message": "x"}}, FailureKind.SERVER_ERROR),
    ({"error": {"message": "x", "type": "BadRequestError", "code": 400}}, FailureKind.BAD_REQUEST),
    ({"error": {"message": "x", "type": "InternalServerError", "code": 500}}, FailureKind.SERVER_ERROR),
    ({"error": {"message": "x", "code": "503"}}, FailureKind.OVERLOADED),
    ({"error": {"message": "x", "code": 429}}, FailureKind.RATE_LIMIT),
    ({"error": {"message": "x", "type": "tokens", "code": "rate_limit_exceeded"}}, FailureKind.RATE_LIMIT),
    ({"error": {"message": "x", "type": "insufficient_quota", "code": None}}, FailureKind.OUT_OF_CREDIT),
    ({"error": "something"}, FailureKind.SERVER_ERROR),
]


@pytest.mark.parametrize(("event", "kind"), ERRORS)
def test_an_error_in_mid_stream_is_a_failure(event: JSON, kind: FailureKind) -> None:
    failure = failure_of(stream(b'data: {"a": 1}\n\ndata: ' + json.dumps(event).encode() + b"\n\n"))
    assert failure.kind is kind


def test_an_error_of_null_is_none() -> None:
    assert asyncio.run(exchange(stream(b'data: {"error": null}\n\n'))) == [{"error": None}]


NOW = 1_784_117_000.0
WAITS: list[tuple[dict[str, str], float | None]] = [
    ({"retry-after": "7"}, 7),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
    ({"retry-after": "Wed, 15 Jul 2026 12:03:50 GMT"}, 30),
    ({"retry-after": "Wed, 15 Jul 2026 12:00:00 GMT"}, 0),
    ({"retry-after": "-3"}, 0),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "soon"}, None),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
    ({"x-ratelimit-reset-a": "6m0s", "x-ratelimit-remaining-a": "0", "x-ratelimit-reset-b": "1s"}, 360),
    ({"x-ratelimit-reset": "1784117012"}, 12),
    ({"x-ratelimit-reset": "1784117012000"}, 12),
    ({"x-ratelimit-reset-tokens": "later"}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_the_wait_that_the_server_asks_for_is_read_in_all_its_spellings(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert refusals.retry_after(headers, now=NOW, limited=True) == seconds


def test_resets_of_limits_count_only_where_a_limit_was_hit() -> None:
    assert refusals.retry_after({"x-ratelimit-reset-tokens": "1s"}, now=NOW, limited=False) is None
    assert failure_of([answer(b"", status="503 Busy", more="Retry-After: 9\r\n")]).retry_after == 9
    assert failure_of([answer(b"", status="400 Bad", more="Retry-After: 9\r\n")]).retry_after is None


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {KEY}.",
        f"header was 'Bearer {KEY}', sorry",
        f"Incorrect API key provided: sk-secre*******************{KEY[-4:]}. See the manual",
        f"key ...{KEY[-4:]} is unknown",
        f"key begins with {KEY[:8]}",
        "x" * 280 + f" {KEY}",
        f"another one: sk-ant-{5 * chr(122)}-0123",
        "*" * 5000 + KEY[-4:],
    ],
)
def test_no_failure_text_holds_a_key_or_the_parts_of_one(said: str) -> None:
    body = json.dumps({"error": {"message": said}}).encode()
    streamed, broken = stream(b"data: " + body + b"\n\n"), stream(b"data: " + body[1:] + b"\n\n")
    for pieces in ([answer(body, status="401 No")], streamed, broken):
        failure = failure_of(pieces)
        assert "secre" not in str(failure)
        assert KEY[-4:] not in str(failure)
        assert "zzzz" not in str(failure)
        assert len(failure.text) <= refusals.MAX_TEXT


def test_a_key_without_a_known_look_is_taken_out_as_well() -> None:
    secrets = refusals.secrets_of({"X-API-Key": "correct horse battery", "Accept": "text/html"})
    assert refusals.without_secrets("your key correct horse battery, text/html", secrets) == "your key ***, text/html"


def test_lines_of_a_file_come_one_at_a_time_and_the_last_needs_no_line_break() -> None:
    async def lines(pieces: list[bytes]) -> list[dict[str, JSON]]:
        async with serving(pieces) as seen, http.open_session(connect_seconds=5, stall_seconds=5) as session:
            return [line async for line in http.get_lines(session, seen.url, headers=HEADERS)]

    assert asyncio.run(lines([answer(b'{"a": 1}\r\n\n{"a": 2}', kind="application/x-jsonl")])) == [{"a": 1}, {"a": 2}]
    with pytest.raises(Failure):
        asyncio.run(lines([answer(b'{"a": 1}\n{"a"')]))
