"""A killed completion goes on from its last saved token, and ends as if nothing had happened."""

import random
from collections import deque
from collections.abc import Generator, Iterator, Sequence

import pytest

pytest.importorskip("torch")

from tests.engines.local_requests import PassLog, random_prompt, request, run
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.tokens import TokenCompletion
from thinkscale.records import Finish, Usage

pytestmark = pytest.mark.lab

DRAFT_TOKENS = 20


class Killed(BaseException):
    """What no engine catches."""


class Saved:
    """Drafts in memory that take nothing more once the process is dead."""

    def __init__(self) -> None:
        self.ids: dict[str, tuple[int, ...]] = {}
        self.is_dead = False

    def load(self, key: str) -> tuple[int, ...]:
        return self.ids.get(key, ())

    def save(self, key: str, ids: Sequence[int]) -> None:
        if not self.is_dead:
            self.ids[key] = tuple(ids)


def _until_killed(completions: Iterator[TokenCompletion]) -> Iterator[tuple[str, TokenCompletion]]:
    try:
        for completion in completions:
            yield completion.request.key, completion
    except Killed:
        return
    pytest.fail("it was not killed")


@pytest.fixture(scope="module")
def engine(random_model: str) -> LocalEngine:
    return LocalEngine(random_model, dtype="float64", batch_size=8)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_step_it_goes_on_with_the_same_tokens_and_few_of_them_again(
    engine: LocalEngine, random_model: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("thinkscale.engines.local.batch.DRAFT_TOKENS", DRAFT_TOKENS)
    requests = [request(str(index), random_prompt(index, 5 + index), 90) for index in range(6)]
    undisturbed = run(engine, requests)
    killed_at = random.Random(seed).randrange(25, 85)
    drafts, log = Saved(), PassLog(monkeypatch)

    def kill() -> None:
        if len(log.shapes) == 1 + killed_at:  # one prefill, then a token of every row with each step
            drafts.is_dead = True
            raise Killed

    monkeypatch.setattr(log, "check", kill)
    finished = dict(_until_killed(engine.complete(deque(requests), drafts)))
    unfinished = [item for item in requests if item.key not in finished]
    assert unfinished
    for item in unfinished:
        assert 0 <= (killed_at - 1) - len(drafts.load(item.key)) < DRAFT_TOKENS, "tokens to be generated again"
    monkeypatch.undo()
    resumed = run(LocalEngine(random_model, dtype="float64", batch_size=3), unfinished, drafts)
    assert finished | resumed == undisturbed, "ids, finish and usage"


def test_closing_the_iterator_saves_all_there_is(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [request("short", (9, 10), 4, temperature=0), request("long", (9, 11, 12), 30, temperature=0)]
    whole = run(engine, requests)
    drafts = Saved()
    iterator = engine.complete(deque(requests), drafts)
    assert next(iterator).request.key == "short"
    assert isinstance(iterator, Generator)
    iterator.close()
    count = len(whole["short"].ids)
    assert drafts.ids == {"long": whole["long"].ids[:count]}
    log = PassLog(monkeypatch)
    assert run(engine, requests[1:], drafts)["long"] == whole["long"]
    assert sum(1 for _, columns in log.shapes if columns == 1) == len(whole["long"].ids) - count


def test_a_whole_draft_is_the_completion_and_costs_no_pass(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts, log = Saved(), PassLog(monkeypatch)
    drafts.ids["a"] = (11, 12, 13)
    completion = run(engine, [request("a", (1, 2), 3)], drafts)["a"]
    assert (completion.ids, completion.finish) == ((11, 12, 13), Finish.LENGTH)
    assert completion.usage == Usage(prompt_tokens=2, completion_tokens=3)
    assert not log.shapes
