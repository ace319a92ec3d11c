"""A prompt that several requests share is read once, and nothing of their results changes."""

import pytest

pytest.importorskip("torch")

from tests.engines.local_requests import PassLog, alone, random_prompt, request, run
from thinkscale.engines.local import LocalEngine

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def engine(random_model: str) -> LocalEngine:
    return LocalEngine(random_model, dtype="float64", batch_size=16)


def test_samples_of_one_prompt_are_prefilled_once_and_equal_those_run_alone(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {name: random_prompt(seed, 50 + 10 * seed) for seed, name in enumerate("ab")}
    requests = [request(f"{name}{sample}", prompts[name], 12) for name in "ab" for sample in range(8)]
    expected = alone(engine, requests)
    log = PassLog(monkeypatch)
    together = run(engine, requests)
    assert log.shapes[0] == (2, 59), "both prompts in one pass, but for their last tokens"
    assert log.prefilled == 2 * 59
    assert {key: item.ids for key, item in together.items()} == {key: item.ids for key, item in expected.items()}
    assert len({item.ids for key, item in together.items() if key.startswith("a")}) > 1, "samples differ"


def test_a_sample_that_comes_later_copies_a_running_or_a_finished_one(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = random_prompt(3, 80)
    requests = [request(str(sample), prompt, 5 + 9 * sample) for sample in range(5)]
    expected = alone(engine, requests)
    for batch_size in (1, 2):
        monkeypatch.setattr(engine, "batch_size", batch_size)
        log = PassLog(monkeypatch)
        together = run(engine, requests)
        assert log.prefilled == 79
        assert {key: item.ids for key, item in together.items()} == {key: item.ids for key, item in expected.items()}
        monkeypatch.undo()


def test_prompts_with_a_common_beginning_read_only_what_is_their_own(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = random_prompt(4, 150)
    requests = [request(str(index), system + random_prompt(10 + index, 80), 10) for index in range(4)]
    expected = alone(engine, requests)
    log = PassLog(monkeypatch)
    together = run(engine, requests)
    assert [shape for shape in log.shapes if shape[1] > 1] == [(1, 229), (3, 79)]
    assert {key: item.ids for key, item in together.items()} == {key: item.ids for key, item in expected.items()}


def test_a_prompt_that_differs_early_shares_nothing(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = random_prompt(5, 70)
    other = (*prompt[:40], (prompt[40] + 1) % 300, *prompt[41:])
    requests = [request("a", prompt, 6), request("b", other, 6)]
    expected = alone(engine, requests)
    log = PassLog(monkeypatch)
    assert {key: item.ids for key, item in run(engine, requests).items()} == {
        key: item.ids for key, item in expected.items()
    }
    assert log.prefilled == 2 * 69


def test_a_long_prompt_is_read_in_several_passes_with_the_same_result(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        request(str(index), random_prompt(20 + index, length), 8) for index, length in enumerate((300, 250, 90))
    ]
    expected = run(engine, requests)
    monkeypatch.setattr("thinkscale.engines.local.passes.MASK_ENTRIES", 64 * 300)
    log = PassLog(monkeypatch)
    chunked = run(engine, requests)
    assert max(columns for _, columns in log.shapes) < 100
    assert {key: item.ids for key, item in chunked.items()} == {key: item.ids for key, item in expected.items()}
