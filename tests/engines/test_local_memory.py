"""Lack of memory makes batches smaller; it loses no completion and changes none."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from tests.engines.local_requests import STOP, PassLog, random_prompt, request, run
from thinkscale.engines.local import LocalEngine, load_model
from thinkscale.engines.local.batch import Batch
from thinkscale.engines.local.memory import Room, is_out_of_memory
from thinkscale.engines.local.passes import Passes
from thinkscale.engines.local.rows import Drawn, Row
from thinkscale.engines.local.sampling import SamplingColumns, draw
from thinkscale.engines.local.slots import Band
from thinkscale.engines.tokens import TokenRequest
from thinkscale.errors import ModelError
from thinkscale.records import Finish, Usage

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def engine(random_model: str) -> LocalEngine:
    return LocalEngine(random_model, dtype="float64", batch_size=16)


@pytest.fixture(scope="module")
def requests() -> list[TokenRequest]:
    return [
        request(str(index), random_prompt(index, 3 + 7 * (index % 5)), 20 + 30 * (index % 4)) for index in range(14)
    ]


def ids(engine: LocalEngine, requests: Sequence[TokenRequest]) -> dict[str, tuple[int, ...]]:
    return {key: completion.ids for key, completion in run(engine, requests).items()}


def test_rows_that_move_from_band_to_band_give_the_same_tokens(
    engine: LocalEngine, requests: list[TokenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(engine, requests)
    monkeypatch.setattr(engine, "first_band_tokens", 8)
    log = PassLog(monkeypatch)
    assert ids(engine, requests) == expected
    assert max(log.visible) > 32, "through the bands of 8, 32 and 128"


def test_the_cache_stays_within_its_bound_and_rows_that_give_way_end_the_same(
    engine: LocalEngine, requests: list[TokenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(engine, requests)
    monkeypatch.setattr(engine, "first_band_tokens", 40)
    monkeypatch.setattr(engine, "cache_tokens", 400)
    taken: list[int] = []
    paused: list[int] = []
    step = Passes.step

    def watched(passes: Passes, bands: Sequence[Band]) -> list[Drawn]:
        taken.append(sum(band.num_tokens for band in bands))
        return step(passes, bands)

    monkeypatch.setattr(Passes, "step", watched)
    pause = Batch._pause

    def noted(batch: Batch, row: Row) -> None:
        paused.append(row.order)
        pause(batch, row)

    monkeypatch.setattr(Batch, "_pause", noted)
    assert ids(engine, requests) == expected
    assert 320 <= max(taken) <= 400
    assert paused, "a row gave way to an older one"


def test_one_sequence_may_go_beyond_the_bound_alone(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    long = [request("long", random_prompt(1, 90), 10), request("other", random_prompt(2, 90), 10)]
    expected = ids(engine, long)
    monkeypatch.setattr(engine, "cache_tokens", 1)
    assert ids(engine, long) == expected


def test_out_of_memory_in_steps_and_prefills_makes_them_smaller(
    engine: LocalEngine, requests: list[TokenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(engine, requests)
    log = PassLog(monkeypatch)
    failures: list[tuple[int, int]] = []

    def check() -> None:
        rows, columns = log.shapes[-1]
        if rows * columns > (5 if columns == 1 else 60):
            failures.append((rows, columns))
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(log, "check", check)
    monkeypatch.setattr("thinkscale.engines.local.passes.PREFILL_TOKENS", 1024)
    monkeypatch.setattr("thinkscale.engines.local.batch.LEAST_PREFILL_TOKENS", 32)
    assert ids(engine, requests) == expected
    assert any(columns == 1 for _, columns in failures)
    assert any(columns > 1 for _, columns in failures)
    assert len(failures) < 10, "what was learnt is kept"


def test_out_of_memory_where_the_cache_grows_makes_the_batch_smaller(
    engine: LocalEngine, requests: list[TokenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = random_prompt(9, 100)
    mixed = [*requests, *(request(f"s{index}", shared, 40) for index in range(6))]
    expected = ids(engine, mixed)
    room, failures = Band._room, [0]

    def bounded(band: Band, like: torch.Tensor) -> torch.Tensor:
        if band.num_tokens > 640:
            failures[0] += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return room(band, like)

    monkeypatch.setattr(Band, "_room", bounded)
    monkeypatch.setattr(engine, "first_band_tokens", 40)
    monkeypatch.setattr("thinkscale.engines.local.memory.FIRST_SLOTS_TOKENS", 80)
    assert ids(engine, mixed) == expected
    assert 0 < failures[0] < 15


def test_a_sequence_that_runs_out_of_memory_alone_fails_alone(
    engine: LocalEngine, requests: list[TokenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(engine, requests)
    log = PassLog(monkeypatch)

    def check() -> None:
        if log.visible[-1] > 70:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(log, "check", check)
    completions = run(engine, requests)
    assert completions.keys() == expected.keys()
    for item in requests:
        completion, fits = completions[item.key], len(item.prompt) + len(expected[item.key]) <= 70
        assert (completion.finish is not Finish.ERROR) == fits
        assert "out of memory" in (completion.error or "out of memory")
        assert completion.ids == (expected[item.key] if fits else ())
    assert {completion.finish is Finish.ERROR for completion in completions.values()} == {True, False}


def test_another_failure_of_the_model_ends_the_call_after_what_was_finished(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PassLog(monkeypatch)

    def check() -> None:
        if len(log.shapes) > 10:
            raise RuntimeError("device-side assert")

    monkeypatch.setattr(log, "check", check)
    iterator = engine.complete(deque([request("a", (9, 8), 3), request("b", (9, 10), 90)]))
    assert next(iterator).request.key == "a"
    with pytest.raises(RuntimeError, match="device-side assert"):
        next(iterator)


def test_what_is_kept_of_finished_rows_gives_way_to_running_ones() -> None:
    room = Room(context_tokens=64, cache_tokens=100, first_band_tokens=16)
    keys = torch.zeros(1, 1, 10, 2)
    for name in ("a", "b"):
        row = Row(request(name, random_prompt(ord(name), 10), 5), list(range(10)), 0, length=10)
        room.shelf.keep(row, [(keys[0], keys[0])], limit=100)
    rows = [Row(request(str(order), (1, 2), 5), [1, 2], order) for order in range(7)]
    assert [room.place(row, room.bands[0]) for row in rows[:6]] == [True] * 6
    assert (room.bands[0].slots, room.shelf.num_tokens) == (6, 0)
    assert not room.place(rows[6], room.bands[0]), "7 x 16 tokens are more than 100"


def test_usage_counts_the_prompt_and_what_was_written_with_the_stop_token(engine: LocalEngine) -> None:
    greedy = request("a", (9, 10, 11), 60, temperature=0)
    whole = run(engine, [greedy])["a"]
    assert whole.usage == Usage(prompt_tokens=3, completion_tokens=len(whole.ids) + (whole.finish is Finish.END))
    stop = whole.ids[4]
    stopped = TokenRequest(key="b", prompt=greedy.prompt, sampling=greedy.sampling, stop_ids=(STOP, stop))
    first = whole.ids.index(stop)
    assert run(engine, [stopped])["b"].usage == Usage(prompt_tokens=3, completion_tokens=first + 1)


def test_tokens_are_drawn_at_the_counter_within_the_nucleus() -> None:
    import numpy as np

    logits = torch.log(torch.tensor([[0.3, 0.5, 0.2]] * 5))
    sampling = SamplingColumns(
        temperature=np.array([0.0, 1.0, 1.0, 1.0, 1.0]),
        top_p=np.array([1.0, 1.0, 1.0, 1.0, 0.6]),
        uniform=np.array([0.9, 0.4, 0.7, 0.9, 0.9]),
    )
    # Sorted: 1 up to 0.5, 0 up to 0.8, 2 up to 1; the nucleus of 0.6 is 1 and 0, so 0.9 of its 0.8 is in 0.
    assert draw(logits, sampling).tolist() == [1, 1, 0, 2, 0]


def test_a_model_with_sliding_windows_is_refused_by_name(random_model: str, tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=16,
        max_window_layers=1,
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="sliding_attention"):
        load_model(str(tmp_path), "float32")


def test_only_lack_of_memory_counts_as_such() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
