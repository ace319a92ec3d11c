"""Which lane is taken, and what closes one."""

import pytest

from tests.engines.remote.pools import api_key
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.lanes import FAILURES_TO_DIE, Lane, LaneLimits, LaneState, least_full, make_lanes
from thinkscale.engines.remote.pace import Window

LOST = Failure(FailureKind.CONNECTION, "connection refused")


def lane(name: str, limit: float = 8, in_flight: int = 0) -> Lane:
    made = Lane(name, None, Window(100, limit=limit))
    for call in range(in_flight):
        made.sent(call, 0, 0.0)
    return made


def test_there_is_a_lane_for_each_endpoint_and_key() -> None:
    keys = [api_key("sk-aaaa-1"), api_key("sk-bbbb-2")]
    made = make_lanes(["http://a/v1/", "http://b/v1"], keys, LaneLimits(most_in_flight=5, requests_per_minute=60))
    names = ["http://a/v1 (KEY_1)", "http://a/v1 (KEY_2)", "http://b/v1 (KEY_1)", "http://b/v1 (KEY_2)"]
    assert [each.name for each in made] == names
    assert {each.window.limit for each in made} == {5.0}
    assert len({id(each.requests) for each in made}) == 4
    assert [each.name for each in make_lanes(["http://a"], [], LaneLimits())] == ["http://a"]


def test_the_lane_with_the_smallest_share_of_its_window_in_use_comes_next() -> None:
    half, third, full = lane("half", 4, 2), lane("third", 30, 10), lane("full", 2, 2)
    assert least_full([half, third, full], 1.0) is third
    assert least_full([full], 1.0) is None
    third.rests_until = 5.0
    assert least_full([half, third], 1.0) is half
    assert least_full([half, third], 5.0) is third
    half.state = third.state = LaneState.DEAD
    assert least_full([half, third], 9.0) is None


def test_an_endpoint_dies_of_calls_that_were_sent_after_anything_was_heard() -> None:
    one = lane("a", in_flight=4)
    one.started(0, 10.0)
    for call in (1, 2, 3):  # sent before: they tell of a connection, not of the endpoint
        assert one.failed(call, LOST, 9.0, 11.0) is None
    assert least_full([one], 11.0) is one
    said = [one.failed(call, LOST, 12.0, 13.0) for call in range(4, 4 + FAILURES_TO_DIE)]
    assert said[:-1] == [None] * (FAILURES_TO_DIE - 1)
    assert said[-1] == "a: does not answer (connection refused); its work goes elsewhere until it is back"
    assert (one.state, one.reason) == (LaneState.DEAD, "connection refused")
    assert one.failed(9, LOST, 12.0, 13.0) is None, "it is told once"


def test_anything_heard_in_between_starts_the_count_anew() -> None:
    one = lane("a")
    for _ in range(5):
        one.failed(0, LOST, 12.0, 13.0)
        one.failed(0, LOST, 12.0, 13.0)
        one.started(0, 11.0)
    assert one.state is LaneState.OPEN


def test_failures_that_bring_bytes_never_kill_a_lane() -> None:
    one = lane("a")
    for kind in (FailureKind.TORN, FailureKind.MALFORMED, FailureKind.SERVER_ERROR, FailureKind.WRONG_COUNTS):
        for _ in range(10):
            assert one.failed(0, Failure(kind, "no good"), 1.0, 2.0) is None
    assert one.state is LaneState.OPEN


def test_a_dead_endpoint_is_asked_ever_more_rarely_and_comes_back_with_a_small_window() -> None:
    one = lane("a", limit=64)
    one.die("gone", 100.0)
    asked, now = [], 100.0
    for _ in range(8):
        asked.append(one.probe_at - now)
        now = one.probe_at
        assert one.probed("still gone", now) is None
    assert asked == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert one.reason == "still gone"
    assert one.probed(None, now) == "a: answers again"
    assert (one.state, one.reason, one.window.limit) == (LaneState.OPEN, "", 8.0)
    assert one.probed(None, now) is None


@pytest.mark.parametrize(
    ("kind", "what"), [(FailureKind.OUT_OF_CREDIT, "is out of credit"), (FailureKind.REFUSED_KEY, "is refused")]
)
def test_a_key_that_is_of_no_use_is_retired_for_good_and_said_once(kind: FailureKind, what: str) -> None:
    one = Lane("http://a", api_key("sk-very-hidden-7"), Window(8))
    said = one.failed(0, Failure(kind, "no more"), 1.0, 2.0)
    assert said == f"http://a (KEY_7): the key {what} and left the rotation (no more)"
    assert one.failed(1, Failure(kind, "no more"), 1.0, 2.0) is None
    assert one.probed(None, 3.0) is None
    for _ in range(5):
        one.failed(0, LOST, 4.0, 5.0)
    assert one.state is LaneState.RETIRED
    assert "hidden" not in repr(one)


def test_a_lane_rests_as_long_as_the_server_asks_where_it_is_too_full() -> None:
    one = lane("a", limit=8, in_flight=8)
    for call in range(8):
        one.failed(call, Failure(FailureKind.RATE_LIMIT, "slow down", 30.0), 0.0, 1.0)
        one.ended(call, 0, 0, 1.0)
    assert one.wait_seconds(2.0) == 29.0
    assert one.wait_seconds(31.0) == 0.0
    assert one.window.limit < 8


def test_a_single_refusal_rests_nothing() -> None:
    one = lane("a", limit=8, in_flight=8)
    assert one.failed(0, Failure(FailureKind.RATE_LIMIT, "slow down", 30.0), 0.0, 1.0) is None
    assert one.wait_seconds(1.0) == 0.0
    assert one.window.limit == 8


def test_tokens_are_counted_as_expected_first_and_as_they_were_in_the_end() -> None:
    (one,) = make_lanes(["http://a"], [], LaneLimits(tokens_per_minute=600))  # a bucket of ten
    assert one.expected_tokens(5, 1000) == 1005
    one.sent(0, 1005, 0.0)
    assert one.wait_seconds(0.0) > 60
    one.ended(0, 1005, 5, 0.0)  # it took five
    assert one.wait_seconds(0.0) == 0.0
    one.succeeded(100)
    assert one.expected_tokens(5, 1000) == 105
    one.succeeded(200)
    assert one.expected_tokens(5, 1000) == 5 + 0.95 * 100 + 0.05 * 200
    assert one.expected_tokens(5, 50) == 55
