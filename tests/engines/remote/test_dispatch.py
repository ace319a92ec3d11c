"""The queue over a real server on loopback: every request ends exactly once, whatever goes wrong."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count

import pytest

from tests.engines.remote.pools import PRICE, TERMS, Queue, api_key, backend, request, requests
from tests.ports import lasting_port
from thinkscale.engines.chat import ChatRequest
from thinkscale.engines.remote import jobs, lanes
from thinkscale.engines.remote.jobs import Terms
from thinkscale.engines.remote.lanes import LaneLimits
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.remote.wire import Reply
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.errors import EngineError, SpendCapError
from thinkscale.keys import JSON
from thinkscale.records import Finish


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries after a hundredth of a second, and dead endpoints asked soon."""
    monkeypatch.setattr(jobs, "backoff_seconds", lambda *_: 0.01)
    monkeypatch.setattr(lanes, "FIRST_PROBE_SECONDS", 0.05)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "thinkscale-engine"]


def rested(server: ReplayServer) -> bool:
    """Whether the server holds no request any more, as soon as that is so."""
    for _ in range(1500):
        if not server.log.running and not server.log.waiting:
            return True
        time.sleep(0.02)
    return False


def once_each(queue: Queue, asked: int) -> None:
    keys = Counter(answered.request.key for answered in queue.answered)
    assert keys == Counter(f"r{number}" for number in range(asked))


TRANSIENT = [fault for fault in Fault if fault not in (Fault.BAD_REQUEST, Fault.OUT_OF_CREDIT)]


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_passing_fault_is_retried_until_every_request_is_answered(fault: Fault) -> None:
    plan = FaultPlan(shares={fault: 0.3}, seed=5)
    options = ServerOptions(faults=plan, retry_after_seconds=0.01, stall_seconds=3.0, chunk_tokens=4)
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url], terms=Terms(stall_seconds=0.15, patience_seconds=5))
        completions = queue.run(requests(40))
        assert server.settled().faults[fault] >= 5
    once_each(queue, 40)
    assert {completion.finish for completion in completions} == {Finish.END}
    attempts = sum(completion.attempts for completion in completions)
    assert attempts == len(server.settled().attempts) == queue.dispatcher.meter.attempts
    assert attempts - 40 == queue.dispatcher.meter.retries


def test_all_faults_together_end_every_request_as_an_answer_or_a_recorded_failure() -> None:
    shares: dict[Fault, float] = {fault: 0.05 for fault in Fault if fault is not Fault.OUT_OF_CREDIT}
    plan = FaultPlan(shares=shares, permanent_share=0.3, seed=1)
    options = ServerOptions(faults=plan, retry_after_seconds=0.01, stall_seconds=3.0, chunk_tokens=4)
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url], terms=Terms(stall_seconds=0.15, retries=2, most_attempts=6))
        completions = queue.run(requests(200))
        assert rested(server)
    once_each(queue, 200)
    failed = [completion for completion in completions if completion.finish is Finish.ERROR]
    assert 0 < len(failed) < 60
    assert all(completion.error and not completion.answer_text for completion in failed)
    assert max(completion.attempts for completion in completions) <= 6


def test_a_request_that_the_server_will_never_answer_is_a_failure_after_one_attempt() -> None:
    plan = FaultPlan(shares={Fault.BAD_REQUEST: 0.5}, seed=2)
    with running_server(backend(), ServerOptions(faults=plan)) as server:
        queue = Queue(urls=[server.url])
        completions = queue.run(requests(20))
    once_each(queue, 20)
    failed = [completion for completion in completions if completion.finish is Finish.ERROR]
    assert 3 < len(failed) < 17
    assert {completion.attempts for completion in failed} == {1}
    assert all("injected fault" in str(completion.error) for completion in failed)


def test_a_lasting_failure_is_given_up_after_the_retries_that_were_asked_for() -> None:
    plan = FaultPlan(shares={Fault.SERVER_ERROR: 1.0}, permanent_share=1.0)
    with running_server(backend(), ServerOptions(faults=plan)) as server:
        completions = Queue(urls=[server.url], terms=Terms(retries=2)).run(requests(3))
        assert len(server.settled().attempts) == 9
    assert {(completion.finish, completion.attempts) for completion in completions} == {(Finish.ERROR, 3)}
    assert all("(after 3 attempts)" in str(completion.error) for completion in completions)


def test_refusals_for_lack_of_room_count_no_retry_but_are_bounded_all_the_same() -> None:
    plan = FaultPlan(shares={Fault.OVERLOADED: 1.0}, permanent_share=1.0)
    with running_server(backend(), ServerOptions(faults=plan)) as server:
        completions = Queue(urls=[server.url], terms=Terms(retries=1, most_attempts=7)).run(requests(2))
    assert [completion.attempts for completion in completions] == [7, 7]


def test_a_server_with_room_for_few_gets_no_more_than_it_takes_for_long() -> None:
    options = ServerOptions(capacity=3, retry_after_seconds=0.01, first_token_seconds=0.01)
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url])
        queue.run(requests(100))
        assert server.settled().most_running == 3
    once_each(queue, 100)
    ceiling = queue.dispatcher.lanes[0].window.ceiling
    assert ceiling is not None
    assert ceiling < 8  # where the window starts; how near it gets to 3 depends on what else the cores do


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the server, cut off in mid-call
def test_work_of_an_endpoint_that_is_killed_goes_elsewhere_and_comes_back_with_it() -> None:
    slow = ServerOptions(first_token_seconds=0.02)
    with running_server(backend(), slow) as stays, ExitStack() as first, ExitStack() as second:
        again = ServerOptions(first_token_seconds=0.02, port=lasting_port())
        goes = first.enter_context(running_server(backend(), again))
        queue = Queue(urls=[stays.url, goes.url])
        back: list[ReplayServer] = []
        drawn = 0

        def told(text: str) -> bool:
            return any(text in notice for notice in queue.notices)

        def asked() -> Iterator[ChatRequest]:
            nonlocal drawn
            left = 100
            while left:
                if drawn == 60:
                    first.close()
                if not back and told("does not answer"):
                    back.append(second.enter_context(running_server(backend(), again)))
                left -= told("answers again")
                drawn += 1
                yield request(drawn - 1)

        queue.run(asked())
        once_each(queue, drawn)
        assert back[0].settled().attempts
    assert {answered.completion.finish for answered in queue.answered} == {Finish.END}
    assert sum("does not answer" in text for text in queue.notices) == 1
    assert sum("answers again" in text for text in queue.notices) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the server, cut off in mid-call
def test_when_every_endpoint_is_dead_the_run_stops_behind_what_was_answered() -> None:
    server = running_server(backend(), ServerOptions(first_token_seconds=0.01))
    url = server.__enter__().url
    queue = Queue(urls=[url], terms=Terms(patience_seconds=0.3, connect_seconds=0.5))

    def asked() -> Iterator[ChatRequest]:
        for number in range(200):
            if number == 40:
                server.__exit__(None, None, None)
            yield request(number)

    with pytest.raises(EngineError, match=r"no endpoint has answered for 0.3 s: http.*What was answered is stored"):
        queue.run(asked())
    assert 10 < len(queue.answered) < 60
    assert len({answered.request.key for answered in queue.answered}) == len(queue.answered)


def test_a_key_without_credit_leaves_the_rotation_and_the_others_do_its_work() -> None:
    keys = [api_key("sk-poor-secret-1"), api_key("sk-rich-secret-2")]
    options = ServerOptions(keys=tuple(key.secret.reveal() for key in keys), credit={"sk-poor-secret-1": 300})
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url], keys=keys)
        completions = queue.run(requests(60))
    once_each(queue, 60)
    assert {completion.finish for completion in completions} == {Finish.END}
    (notice,) = queue.notices
    assert "KEY_1" in notice
    assert "is out of credit and left the rotation" in notice
    assert "secret" not in notice


def test_when_no_key_is_left_the_run_stops_and_shows_none() -> None:
    keys = [api_key("sk-poor-secret-1"), api_key("sk-wrong-secret-2")]
    options = ServerOptions(keys=("sk-poor-secret-1",), credit={"sk-poor-secret-1": 500})
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url], keys=keys)
        with pytest.raises(EngineError, match=r"no API key is left to go on with: .*KEY_1.*KEY_2") as caught:
            queue.run(requests(60))
    assert 1 <= len(queue.answered) < 60
    assert "secret" not in str(caught.value) + " ".join(queue.notices)


@pytest.mark.parametrize("fault", [None, Fault.TORN_STREAM, Fault.STALL])
def test_the_spend_cap_is_never_crossed(fault: Fault | None) -> None:
    cap = 0.012  # each reply costs 33 tokens at 10 USD, and about 5 at 1 USD, a million
    ledger = Ledger(price=PRICE, cap_usd=cap)
    plan = FaultPlan(shares={fault: 0.3} if fault else {}, seed=3)
    with running_server(backend(), ServerOptions(faults=plan, chunk_tokens=2, stall_seconds=3)) as server:
        queue = Queue(urls=[server.url], ledger=ledger, terms=Terms(stall_seconds=0.15))
        with pytest.raises(SpendCapError, match=r"the spend cap of 0.012 USD is reached: 0.01\d* USD are spent"):
            queue.run(requests(500))
        assert rested(server)
        billed = (server.settled().prompt_tokens * 1.0 + server.settled().sent_tokens * 10.0) / 1e6
    assert ledger.reserved_usd == 0
    assert billed <= cap
    assert ledger.spent_usd <= cap
    assert ledger.spent_usd > cap - 0.0011  # the worst case of one request is 100 tokens at 10 USD, and its prompt
    assert sum(answered.outcome.usd for answered in queue.answered) <= ledger.spent_usd
    assert len(queue.answered) > 20


def test_the_queue_draws_no_more_requests_than_it_has_use_for() -> None:
    drawn = 0

    def endless() -> Iterator[ChatRequest]:
        nonlocal drawn
        for number in count():
            drawn += 1
            yield request(number)

    with running_server(backend(), ServerOptions(first_token_seconds=0.01)) as server:
        queue = Queue(urls=[server.url], limits=LaneLimits(most_in_flight=20))
        asked = endless()
        run = queue.dispatcher.run(lambda: (next(asked), Reply()))
        for _ in range(50):
            next(run)
        assert drawn <= 50 + 20 + 16 + 1
        run.close()  # type: ignore[attr-defined]
        assert rested(server)


def test_closing_early_ends_every_connection_and_gives_all_money_back() -> None:
    ledger = Ledger(price=PRICE, cap_usd=10.0)
    with running_server(backend(), ServerOptions(tokens_per_second=200)) as server:
        queue = Queue(urls=[server.url], ledger=ledger)
        asked = iter(requests(500))
        run = queue.dispatcher.run(lambda: (next(asked), Reply()))
        next(run)
        run.close()  # type: ignore[attr-defined]
        assert rested(server)
    assert ledger.reserved_usd == 0
    assert not ledger.exhausted
    (lane,) = queue.dispatcher.lanes
    assert (lane.window.num_in_flight, queue.dispatcher.meter.in_flight) == (0, 0)


def test_what_was_answered_but_not_handed_on_is_kept_all_the_same() -> None:
    kept: list[str] = []
    with running_server(backend()) as server:
        asked = iter(requests(30))
        run = Queue(urls=[server.url]).dispatcher.run(
            lambda: next(((one, Reply()) for one in asked), None), lambda answered: kept.append(answered.request.key)
        )
        next(run)
        for _ in range(100):
            if server.log.running == 0 and len(server.log.attempts) >= 8:
                break
            time.sleep(0.01)
        time.sleep(0.05)
        run.close()  # type: ignore[attr-defined]
    assert 8 <= len(kept) == len(set(kept))


def test_an_error_of_the_caller_ends_the_thread_and_the_dispatcher_can_be_run_again() -> None:
    with running_server(backend(), ServerOptions(first_token_seconds=0.01)) as server:
        queue = Queue(urls=[server.url])
        asked = iter(requests(100))

        def failing() -> None:
            for _ in queue.dispatcher.run(lambda: (next(asked), Reply())):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            failing()
        assert len(queue.run(requests(20))) == 20
    once_each(queue, 20)


class Broken(OpenAIChat):
    """A dialect with a mistake in one of its methods."""

    __slots__ = ()

    def take(self, reply: Reply, event: Mapping[str, JSON]) -> None:
        raise KeyError("a mistake of ours")


class BrokenHeaders(OpenAIChat):
    __slots__ = ()

    def renew(self, reply: Reply) -> Reply:
        raise KeyError("a mistake of ours")


@pytest.mark.parametrize("dialect", [Broken(model="toy"), BrokenHeaders(model="toy")])
def test_a_mistake_in_a_dialect_reaches_the_caller(dialect: OpenAIChat) -> None:
    with running_server(backend()) as server, pytest.raises(KeyError, match="a mistake of ours"):
        Queue(urls=[server.url], dialect=dialect).run(requests(5))


def test_an_error_in_drawing_requests_reaches_the_caller() -> None:
    def asked() -> Iterator[ChatRequest]:
        yield request(0)
        raise ValueError("a row that cannot be read")

    with running_server(backend()) as server, pytest.raises(ValueError, match="a row that cannot be read"):
        Queue(urls=[server.url]).run(asked())


def test_an_allowance_of_requests_a_minute_is_kept_to() -> None:
    options = ServerOptions(requests_per_minute=1200, burst_seconds=1.1)
    with running_server(backend(), options) as server:
        queue = Queue(urls=[server.url], limits=LaneLimits(requests_per_minute=1200))
        queue.run(requests(40))
        assert server.settled().statuses == {200: 40}
    once_each(queue, 40)


def test_an_unstreamed_reply_is_as_good() -> None:
    with running_server(backend()) as server:
        completions = Queue(urls=[server.url], terms=Terms(stream=False)).run(requests(5))
    assert {(completion.answer_text, completion.finish) for completion in completions} == {("It is four.", Finish.END)}


def test_an_endpoint_that_died_in_an_earlier_run_is_asked_again_in_the_next() -> None:
    with running_server(backend()) as server:
        queue = Queue(urls=[server.url], terms=TERMS)
        (lane,) = queue.dispatcher.lanes
        lane.die("gone", time.monotonic())
        lane.probe_at = float("inf")  # the run ended while it was being asked
        assert len(queue.run(requests(3))) == 3
    assert queue.notices == [f"{server.url}: answers again"]
