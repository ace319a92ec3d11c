"""Events from bytes that were cut anywhere."""

import random

import pytest

from thinkscale.engines.remote import sse
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.sse import EventReader

STREAM = (
    "\ufeff: a comment\r\n"
    'event: message_start\r\ndata: {"text": "für 日本 🙂"}\r\n\r\n'
    "id: 7\nretry: 10\ndata:no space\n\n"
    "data: two\rdata:  lines\r\r"
    ": ping\n\n\n"
    "data\n\ndata: [DONE]\n\n"
).encode()
EVENTS = ['{"text": "für 日本 🙂"}'.encode(), b"no space", b"two\n lines", b"[DONE]"]


def read(pieces: list[bytes]) -> list[bytes]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.end()


def test_a_stream_reads_the_same_when_cut_in_two_at_any_byte() -> None:
    for cut in range(len(STREAM) + 1):
        assert read([STREAM[:cut], STREAM[cut:]]) == EVENTS, cut


def test_a_stream_reads_the_same_byte_by_byte() -> None:
    assert read([STREAM[at : at + 1] for at in range(len(STREAM))]) == EVENTS


def test_a_stream_reads_the_same_in_random_pieces_with_empty_ones_among_them() -> None:
    draw = random.Random(1)
    for _ in range(200):
        cuts = sorted(draw.choices(range(len(STREAM) + 1), k=12))
        pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
        assert read(pieces) == EVENTS


def test_the_line_ends_of_one_event_may_be_mixed() -> None:
    assert read([b"data: a\r", b"\ndata: b\n\r\n"]) == [b"a\nb"]
    assert read([b"data: a\r", b"\r", b"data: b\n\n"]) == [b"a", b"b"]


def test_an_event_that_the_server_did_not_close_comes_at_the_end() -> None:
    reader = EventReader()
    assert reader.feed(b"data: whole\n\ndata: to") == [b"whole"]
    assert reader.end() == [b"to"]
    assert reader.end() == []


def test_an_empty_line_without_data_is_no_event() -> None:
    assert read([b"event: ping\n\n\n\n: comment\n\n"]) == []


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    one_line, many_lines = EventReader(), EventReader()
    with pytest.raises(Failure) as caught:
        one_line.feed(b"data: " + b"x" * 100)
    assert caught.value.kind is FailureKind.MALFORMED
    assert many_lines.feed(b"data: xxxxx\n" * 5) == []
    with pytest.raises(Failure):
        many_lines.feed(b"data: xxxxx\n" * 5)
