"""The window against simulated servers whose capacity is known, on a clock that the test turns; allowances, pauses."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

import pytest

from thinkscale.engines.remote.pace import Allowance, Window, backoff_seconds

TRIP_SECONDS = 0.01


@dataclass(kw_only=True)
class Model:
    """A server of known capacity and a client that always has work, as events on a clock of their own."""

    capacity: Callable[[float], int]
    queues: bool = False
    """Whether calls beyond the capacity wait in line; else they are refused."""
    weather: float = 0.0
    """Share of calls that are refused whatever is in flight."""
    first_token: Callable[[random.Random, float], float] = lambda chance, now: 0.2 * chance.uniform(0.7, 1.3)
    most: int = 4096
    seed: int = 0
    window: Window = field(init=False)
    samples: list[tuple[float, float, int]] = field(default_factory=list)
    """Each tenth of a second: the time, the limit, and the calls that are being answered."""
    num_refused: int = 0
    num_sent: int = 0

    def run(self, seconds: float) -> "Model":
        chance, events, numbers = random.Random(self.seed), list[tuple[float, int, str, int]](), count()
        self.window = window = Window(self.most)
        running, line, sent = 0, deque[int](), dict[int, float]()

        def at(time: float, kind: str, call: int = 0) -> None:
            heappush(events, (time, next(numbers), kind, call))

        def begin(call: int, now: float) -> None:
            first = self.first_token(chance, now)
            at(now + first, "start", call)
            at(now + first + chance.uniform(0.5, 30), "end", call)

        at(0, "look")
        while events:
            now, _, kind, call = heappop(events)
            if now > seconds:
                break
            if kind == "look":
                window.look(now)
                self.samples.append((now, window.limit, running))
                at(now + 0.1, "look")
            elif kind == "arrive":
                if chance.random() < self.weather or (running >= self.capacity(now) and not self.queues):
                    at(now + TRIP_SECONDS, "refuse", call)
                elif running >= self.capacity(now):
                    line.append(call)
                else:
                    running += 1
                    begin(call, now)
            elif kind == "start":
                window.started(call, now)
            elif kind == "refuse":
                self.num_refused += 1
                window.crowded(call, sent.pop(call), now)
                window.ended(call)
            else:
                running -= 1
                sent.pop(call)
                window.ended(call)
                while line and running < self.capacity(now):
                    running += 1
                    begin(line.popleft(), now)
            while window.room > 0:
                self.num_sent += 1
                sent[self.num_sent] = now
                window.sent(self.num_sent, now)
                at(now + TRIP_SECONDS / 2, "arrive", self.num_sent)
        return self

    def near(self, after: float) -> float:
        """Share of the time in which the limit is within a tenth (and a call) of the capacity."""
        late = [(time, limit) for time, limit, _ in self.samples if time > after]
        good = [abs(limit - self.capacity(time)) <= 0.1 * self.capacity(time) + 1 for time, limit in late]
        return sum(good) / len(good)

    def used(self, after: float) -> float:
        """Share of the capacity that is in use."""
        late = [(time, running) for time, _, running in self.samples if time > after]
        return sum(min(running, self.capacity(time)) for time, running in late) / sum(
            self.capacity(time) for time, _ in late
        )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("weather", [0.0, 0.05])
@pytest.mark.parametrize("queues", [False, True])
@pytest.mark.parametrize("capacity", [20, 100])
def test_the_limit_finds_a_capacity_within_a_tenth_and_stays_there(
    capacity: int, queues: bool, weather: float, seed: int
) -> None:
    model = Model(capacity=lambda _: capacity, queues=queues, weather=weather, seed=seed).run(240)
    assert model.near(after=30) > 0.9
    assert model.used(after=10) > 0.94


@pytest.mark.parametrize("queues", [False, True])
def test_a_large_capacity_is_found_soon_and_few_calls_are_refused(queues: bool) -> None:
    model = Model(capacity=lambda _: 1000, queues=queues, weather=0.05).run(90)
    assert model.near(after=20) > 0.97
    assert model.used(after=5) > 0.97
    assert model.num_refused < 0.2 * model.num_sent


@pytest.mark.parametrize("queues", [False, True])
def test_a_capacity_of_four_is_used_up_without_many_refusals(queues: bool) -> None:
    model = Model(capacity=lambda _: 4, queues=queues).run(300)
    assert model.used(after=30) > 0.95
    late = [limit for time, limit, _ in model.samples if time > 30]
    assert min(late) > 3
    assert max(late) <= (8 if queues else 5)  # a line of one or two is what four at a time can be told by


@pytest.mark.parametrize("weather", [0.0, 0.05])
@pytest.mark.parametrize("queues", [False, True])
def test_a_capacity_that_halves_is_followed(queues: bool, weather: float) -> None:
    model = Model(capacity=lambda now: 120 if now < 60 else 60, queues=queues, weather=weather).run(240)
    assert model.near(after=110) > 0.9
    assert model.used(after=80) > 0.95


@pytest.mark.parametrize("weather", [0.0, 0.05])
@pytest.mark.parametrize("queues", [False, True])
def test_a_capacity_that_doubles_is_found(queues: bool, weather: float) -> None:
    model = Model(capacity=lambda now: 50 if now < 60 else 100, queues=queues, weather=weather).run(420)
    assert model.near(after=300) > 0.9
    assert model.used(after=300) > 0.95


@pytest.mark.parametrize("weather", [0.05, 0.1])
def test_random_refusals_alone_never_close_the_window(weather: float) -> None:
    for seed in range(4):
        model = Model(capacity=lambda _: 10**6, weather=weather, most=256, seed=seed).run(60)
        assert {limit for time, limit, _ in model.samples if time > 10} == {256.0}


def test_first_tokens_of_very_different_times_are_no_line() -> None:
    """Prompts of all lengths: a tenth of them take a hundred times longer to read than the shortest."""
    model = Model(
        capacity=lambda _: 10**6, most=256, first_token=lambda chance, _: min(3.0, 0.1 * chance.paretovariate(0.8))
    ).run(300)
    assert min(limit for time, limit, _ in model.samples if time > 200) > 200


def test_first_tokens_that_become_slower_for_good_are_learned() -> None:
    """Five times slower from a minute on, with nothing in line: the window may shrink, and grows again."""
    model = Model(
        capacity=lambda _: 10**6, most=256, first_token=lambda chance, now: (0.3 if now < 60 else 3.0) * chance.random()
    ).run(300)
    assert min(limit for time, limit, _ in model.samples if time > 200) > 200


def test_a_server_that_was_away_is_found_again_from_a_small_window() -> None:
    model = Model(capacity=lambda _: 100).run(60)
    model.window.reset()
    assert (model.window.limit, model.window.ceiling, model.window.opening) == (8.0, None, True)


def test_the_window_never_passes_what_the_user_allows() -> None:
    model = Model(capacity=lambda _: 10**6, most=30).run(60)
    assert max(limit for _, limit, _ in model.samples) == 30
    assert max(running for _, _, running in model.samples) <= 30
    assert Window(3).limit == 3.0


@pytest.mark.parametrize("per_minute", [3.0, 60.0, 1000.0])
def test_an_allowance_never_gives_more_than_its_number_in_any_minute(per_minute: float) -> None:
    allowance, now, taken = Allowance(per_minute), 0.0, deque[float]()
    total = 0
    while now < 600:
        wait = allowance.wait_seconds(now)
        if wait > 0:
            now += wait + 1e-9
            continue
        allowance.take(1, now)
        total += 1
        taken.append(now)
        while taken[0] <= now - 60:
            taken.popleft()
        assert len(taken) <= per_minute
    assert total > 0.9 * min(per_minute * 10, per_minute * 10 - 10)


def test_a_large_call_is_let_through_and_paid_back() -> None:
    allowance = Allowance(600)  # a bucket of 10, filled by 590 a minute
    allowance.take(1000, 0.0)
    assert allowance.wait_seconds(0.0) == pytest.approx((1 + 990) * 60 / 590)
    allowance.take(-1000, 0.0)
    assert allowance.wait_seconds(0.0) == 0
    allowance.take(-1000, 0.0)  # what is given back never fills more than the bucket
    allowance.take(20, 0.0)
    assert allowance.wait_seconds(0.0) > 1


def test_pauses_double_from_half_a_second_to_half_a_minute() -> None:
    assert [backoff_seconds(failures, 0.0) for failures in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert backoff_seconds(1, 0.999999) == pytest.approx(0.5)
    assert backoff_seconds(100, 0.0) == 15.0
    assert all(backoff_seconds(n, jitter) <= 30 for n in range(1, 1000) for jitter in (0.0, 0.5, 0.999))
