"""Engines over HTTP: token for token what the local engine says, over kills and torn streams; and the cache."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.remote.pools import backend, pool, requests
from tests.engines.scripted.lab_server import lab_server
from thinkscale.engines.remote import health, jobs, loop
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import open_chat, open_tokens
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.engines.tokens import TokenEngine, TokenRequest
from thinkscale.errors import StorageError
from thinkscale.records import Finish, Sampling, Usage

CONTEXT = 1024
DRAFT = 32
CHUNK = 8
DIALECT = OpenAIChat(model="toy")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "backoff_seconds", lambda *_: 0.01)
    monkeypatch.setattr(loop, "DRAFT_TOKENS", DRAFT)


@pytest.fixture(scope="module")
def local(random_model: str) -> TokenEngine:
    from thinkscale.engines.local import LocalEngine

    return LocalEngine(random_model, dtype="float64")


def token_request(number: int, max_tokens: int, engine: TokenEngine) -> TokenRequest:
    prompt = tuple(range(20 + number, 40 + number))
    eos = engine.tokenizer.eos_token_id
    assert eos is not None
    return TokenRequest(key=f"t{number}", prompt=prompt, sampling=Sampling(max_tokens=max_tokens), stop_ids=(eos,))


@pytest.fixture(scope="module")
def long(local: TokenEngine) -> TokenRequest:
    """A request whose completion is cut off after 120 tokens."""
    asked = [token_request(number, 120, local) for number in range(8)]
    found = [one.request for one in local.complete(deque(asked)) if one.finish is Finish.LENGTH]
    return min(found, key=lambda request: request.key)


def ids_of(engine: TokenEngine, asked: Sequence[TokenRequest]) -> dict[str, tuple[object, ...]]:
    return {
        completion.request.key: (completion.ids, completion.finish, completion.stop_id)
        for completion in engine.complete(deque(asked))
    }


class Kept:
    """Drafts in memory; with `ends_after` the process is killed at that save, and nothing is stored from then on."""

    def __init__(self, ends_after: int | None = None) -> None:
        self.stored: dict[str, tuple[int, ...]] = {}
        self.num_saves = 0
        self.ends_after = ends_after

    def load(self, key: str) -> tuple[int, ...]:
        return self.stored.get(key, ())

    def save(self, key: str, ids: Sequence[int]) -> None:
        self.num_saves += 1
        if self.ends_after is None or self.num_saves <= self.ends_after:
            self.stored[key] = tuple(ids)
        if self.num_saves == self.ends_after:
            raise KeyboardInterrupt


@pytest.mark.lab
def test_ids_over_http_equal_those_of_the_local_engine(local: TokenEngine) -> None:
    asked = [token_request(number, 40 + number, local) for number in range(12)]
    with lab_server(ServerOptions(max_model_len=CONTEXT, chunk_tokens=5), local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        assert remote.context_tokens == CONTEXT
        assert ids_of(remote, asked) == ids_of(local, asked)
        assert len(server.settled().attempts) == 12


@pytest.mark.lab
def test_what_does_not_fit_the_context_is_a_failed_completion_and_no_call(local: TokenEngine) -> None:
    asked = [token_request(0, CONTEXT, local), replace(token_request(1, 5, local), key="e", prompt=())]
    with lab_server(ServerOptions(max_model_len=CONTEXT), local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        found = {one.request.key: one.error for one in remote.complete(deque([*asked, token_request(1, 5, local)]))}
        assert len(server.settled().attempts) == 1
    expected = f"prompt and max_tokens need {CONTEXT + 20} tokens, the model has {CONTEXT}"
    assert found == {"t0": expected, "e": "empty prompt", "t1": None}


@pytest.mark.lab
def test_a_killed_completion_goes_on_from_its_last_draft(local: TokenEngine, long: TokenRequest) -> None:
    (expected,) = local.complete(deque([long]))
    options = ServerOptions(max_model_len=CONTEXT, chunk_tokens=CHUNK, tokens_per_second=1000)
    drafts = Kept(ends_after=2)
    with lab_server(options, local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        with pytest.raises(KeyboardInterrupt):
            list(remote.complete(deque([long]), drafts))
        saved = drafts.load(long.key)
        assert 2 * DRAFT <= len(saved) < 120
        assert saved == expected.ids[: len(saved)]
        drafts.ends_after = None
        (completion,) = remote.complete(deque([long]), drafts)
        first, second = server.settled().attempts
    assert (completion.ids, completion.finish, completion.stop_id) == (expected.ids, Finish.LENGTH, None)
    assert second.prompt_tokens == 20 + len(saved)
    # The draft was written by the first start, which had read the prompt; it is not written twice.
    assert completion.usage == Usage(prompt_tokens=20 + second.prompt_tokens, completion_tokens=120)
    regenerated = first.sent_tokens + second.sent_tokens - 120
    assert 0 <= regenerated <= DRAFT + 4 * CHUNK  # the draft's step, and what was on the line when the end came


@pytest.mark.lab
def test_an_orderly_end_saves_all_that_has_come(local: TokenEngine, long: TokenRequest) -> None:
    options = ServerOptions(max_model_len=CONTEXT, chunk_tokens=CHUNK, tokens_per_second=1000)
    drafts = Kept()
    short = replace(long, key="short", sampling=Sampling(max_tokens=4))
    with lab_server(options, local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        completions = remote.complete(deque([short, long]), drafts)
        assert next(completions).request.key == "short"
        completions.close()  # type: ignore[attr-defined]
    (expected,) = local.complete(deque([long]))
    saved = drafts.load(long.key)
    assert saved == expected.ids[: len(saved)]


@pytest.mark.lab
def test_a_torn_completion_goes_on_from_its_last_token(local: TokenEngine) -> None:
    asked = [token_request(number, 120, local) for number in range(8)]
    expected = ids_of(local, asked)
    plan = FaultPlan(shares={Fault.TORN_STREAM: 0.5}, seed=1)
    with lab_server(ServerOptions(max_model_len=CONTEXT, chunk_tokens=CHUNK, faults=plan), local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        completions = list(remote.complete(deque(asked)))
        sent, num_torn = server.settled().sent_tokens, server.settled().faults[Fault.TORN_STREAM]
    assert [one.error for one in completions] == [None] * 8
    assert {one.request.key: (one.ids, one.finish, one.stop_id) for one in completions} == expected
    assert num_torn >= 3
    assert sum(one.attempts for one in completions) == 8 + num_torn
    written = sum(len(one.ids) + (one.finish is Finish.END) for one in completions)
    assert sent <= written + CHUNK * num_torn


@pytest.mark.lab
def test_a_sweep_over_http_equals_the_sweep_on_the_local_engine(local: TokenEngine) -> None:
    from tests.engines.test_sweep import BUDGETS, WAITS, swept
    from thinkscale.thinking.budgets import budget_forcing, truncation
    from thinkscale.thinking.formats import BoundFormat, find_format

    bound = BoundFormat(find_format("s1"), local.tokenizer)
    settings = [*truncation(BUDGETS), *budget_forcing(BUDGETS, WAITS, ("Wait",))]
    with lab_server(ServerOptions(max_model_len=CONTEXT), local) as server:
        remote = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        over_http = swept(remote, bound, settings, 0.0)  # type: ignore[arg-type]  # any token engine will do
    assert over_http == swept(local, bound, settings, 0.0)  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RequestCache]:
    made = RequestCache.open(tmp_path / "requests.db")
    yield made
    made.close()


def test_the_same_requests_are_never_paid_twice_also_at_another_host_of_ours(cache: RequestCache) -> None:
    with running_server(backend()) as server:
        first = open_chat(pool(server.url, cache=cache), DIALECT)
        answers = {one.request.key: one.answer_text for one in first.answer(requests(200))}
        assert len(server.settled().attempts) == 200
    with running_server(backend()) as other:
        second = open_chat(pool(other.url, cache=cache), DIALECT)
        again = list(second.answer(requests(210)))
        assert len(other.settled().attempts) == 10
    assert len(again) == len({one.request.key for one in again}) == 210
    assert set(answers.values()) == {one.answer_text for one in again} == {"It is four."}
    assert second.dispatcher.meter.from_cache == 200


@pytest.mark.parametrize(("card", "calls"), [({"root": "org/toy"}, 0), ({"owned_by": "a provider"}, 5)])
def test_a_providers_other_host_is_another_place(
    cache: RequestCache, monkeypatch: pytest.MonkeyPatch, card: dict[str, str], calls: int
) -> None:
    async def models(*_: object, **__: object) -> dict[str, object]:
        return {"data": [{"id": "toy", **card}]}

    monkeypatch.setattr(health, "get_json", models)
    with running_server(backend()) as one, running_server(backend()) as other:
        for server in (one, other):
            list(open_chat(pool(server.url, cache=cache), DIALECT).answer(requests(5)))
        assert (len(one.settled().attempts), len(other.settled().attempts)) == (5, calls)


def test_a_failure_is_not_kept(cache: RequestCache) -> None:
    plan = FaultPlan(shares={Fault.BAD_REQUEST: 1.0})
    with running_server(backend(), ServerOptions(faults=plan)) as server:
        failed = list(open_chat(pool(server.url, cache=cache), DIALECT).answer(requests(4)))
    with running_server(backend()) as server:
        good = list(open_chat(pool(server.url, cache=cache), DIALECT).answer(requests(4)))
    assert {one.finish for one in failed} == {Finish.ERROR}
    assert {one.finish for one in good} == {Finish.END}


def test_a_cache_that_cannot_be_written_is_left_out_with_one_notice(
    cache: RequestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(cache, "put", full)
    notices: list[str] = []
    with running_server(backend()) as server:
        found = list(open_chat(pool(server.url, cache=cache, notices=notices), DIALECT).answer(requests(10)))
    assert len(found) == 10
    assert notices == ["the request cache is left out from here on: the disk is full"]


def test_a_stored_reply_of_another_shape_is_asked_for_again(
    cache: RequestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "get", lambda _key: {"reply": {"finish": "end", "colour": "red"}, "attempts": 1})
    with running_server(backend()) as server:
        assert len(list(open_chat(pool(server.url, cache=cache), DIALECT).answer(requests(3)))) == 3
        assert len(server.settled().attempts) == 3


def test_what_the_cache_holds_is_handed_on_while_the_server_is_still_busy(cache: RequestCache) -> None:
    with running_server(backend()) as server:
        list(open_chat(pool(server.url, cache=cache), DIALECT).answer(requests(20)[1:]))
    with running_server(backend(), ServerOptions(first_token_seconds=30)) as slow:
        answers = open_chat(pool(slow.url, cache=cache), DIALECT).answer(requests(20))
        found = [next(answers).request.key for _ in range(19)]  # the first request is new, and takes half a minute
        answers.close()  # type: ignore[attr-defined]
    assert sorted(found) == sorted(f"r{number}" for number in range(1, 20))
