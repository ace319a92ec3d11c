"""Slow deaths are found, and nothing else is taken for one."""

from collections.abc import Callable

from thinkscale.engines.remote.watch import Watch


def found_at(pieces: Callable[[float], int], *, stall: float = 10.0, until: float = 200.0) -> float | None:
    """When a stream that has brought `pieces(t)` by t is given up, asked every tenth of a second."""
    watch, now = Watch(stall), 0.0
    while now < until:
        if watch.is_stuck(pieces(now), now):
            return now
        now += 0.1
    return None


def test_a_steady_stream_is_never_given_up_however_slow() -> None:
    assert found_at(lambda now: int(1000 * now)) is None
    assert found_at(lambda now: 1 + int(now / 2)) is None  # a piece in two seconds is its own best


def test_a_stream_that_has_not_begun_is_left_to_stand_in_line() -> None:
    assert found_at(lambda _: 0) is None


def test_each_pause_twice_the_last_is_found_within_a_few_spans() -> None:
    def dying(now: float) -> int:
        pieces, at, pause = 100, 0.0, 0.05
        while at < now:
            pieces, at, pause = pieces + 1, at + pause, pause * 2
        return pieces

    found = found_at(dying)
    assert found is not None
    assert 10 <= found <= 60


def test_a_stream_that_falls_to_next_to_nothing_is_found_after_the_time_allowed() -> None:
    found = found_at(lambda now: 1 + int(100 * min(now, 20)) + int(max(0.0, now - 20) / 5))
    assert found is not None
    assert 30 <= found <= 36


def test_a_stream_at_half_its_best_goes_on() -> None:
    assert found_at(lambda now: 1 + int(100 * min(now, 20) + 50 * max(0.0, now - 20))) is None


def test_a_pause_that_is_shorter_than_what_is_allowed_is_forgiven() -> None:
    assert found_at(lambda now: 1 + int(100 * (now if now < 20 else max(20.0, now - 7)))) is None
