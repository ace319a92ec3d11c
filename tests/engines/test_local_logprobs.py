"""A minimum of tokens, and log-probabilities, against Hugging Face's own; and neither depends on the batch."""

from collections import deque
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from tests.engines.local_requests import STOP, random_prompt, request, run
from tests.engines.test_local_drafts import Killed, Saved
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.tokens import LOGPROB_STEP, TokenCompletion, TokenRequest, rounded_logprob

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def engine(random_model: str) -> LocalEngine:
    return LocalEngine(random_model, dtype="float64", batch_size=16)


def asked(count: int, *, min_tokens: int = 0, temperature: float = 0.0) -> list[TokenRequest]:
    made = [request(str(at), random_prompt(at, 3 + at), 40, temperature=temperature) for at in range(count)]
    return [replace(item, min_tokens=min_tokens, logprobs=True) for item in made]


@pytest.fixture(scope="module")
def stopping(engine: LocalEngine) -> tuple[TokenRequest, ...]:
    """Greedy requests, each with a stop id that ends it within its first 30 tokens."""
    found = []
    for item in asked(12):
        ids = run(engine, [item])[item.key].ids
        found.append(replace(item, stop_ids=(STOP, ids[min(len(ids) - 1, 5 + int(item.key))])))
    return tuple(found)


@pytest.mark.parametrize("min_tokens", [1, 9, 25, 40])
def test_a_minimum_gives_the_tokens_of_hugging_face_with_min_new_tokens(
    engine: LocalEngine, stopping: tuple[TokenRequest, ...], min_tokens: int
) -> None:
    import torch

    held = [replace(item, min_tokens=min_tokens) for item in stopping]
    plain, completions = run(engine, stopping), run(engine, held)
    for item in held:
        prompt = torch.tensor([item.prompt])
        with torch.inference_mode():
            whole = engine.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, min_new_tokens=min_tokens,
                do_sample=False, eos_token_id=list(item.stop_ids), pad_token_id=0,
            )  # fmt: skip
        expected = whole[0, prompt.shape[1] :].tolist()
        completion = completions[item.key]
        drawn = completion.ids if completion.stop_id is None else (*completion.ids, completion.stop_id)
        assert list(drawn) == expected
        assert len(completion.ids) >= min_tokens
    changed = [item.key for item in held if len(plain[item.key].ids) < min_tokens]
    assert all(plain[key].ids == completions[key].ids for key in plain.keys() - set(changed))
    assert min_tokens == 1 or changed


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_log_probabilities_are_those_of_the_raw_logits_of_one_pass_over_the_sequence(
    engine: LocalEngine, temperature: float
) -> None:
    import torch

    for item in asked(6, min_tokens=12, temperature=temperature):
        completion = run(engine, [item])[item.key]
        sequence = torch.tensor([[*item.prompt, *completion.ids]])
        with torch.inference_mode():
            scores = engine.model(sequence, use_cache=False).logits[0].double().log_softmax(dim=-1)
        expected = [
            scores[len(item.prompt) - 1 + at, token].item() for at, token in enumerate(completion.ids)
        ]  # the token at a position is foretold by the one before
        assert completion.logprobs == pytest.approx(expected, abs=LOGPROB_STEP)
        assert len(completion.logprobs) == len(completion.ids) > 0


def test_neither_batch_size_nor_company_changes_a_log_probability(random_model: str, engine: LocalEngine) -> None:
    requests = asked(24, min_tokens=8, temperature=1.0)
    wide = run(engine, requests)
    narrow = run(LocalEngine(random_model, dtype="float64", batch_size=3), requests[::-1])
    assert wide == narrow
    assert all(value % LOGPROB_STEP == 0 for item in wide.values() for value in item.logprobs)


def test_nobody_asked_so_nothing_is_told_and_the_tokens_are_the_same(engine: LocalEngine) -> None:
    told = run(engine, asked(5, temperature=1.0))
    silent = run(engine, [replace(item, logprobs=False) for item in asked(5, temperature=1.0)])
    assert {key: item.ids for key, item in told.items()} == {key: item.ids for key, item in silent.items()}
    assert all(item.logprobs == () for item in silent.values())


def test_killed_at_any_save_it_ends_with_the_log_probabilities_of_an_undisturbed_one(
    random_model: str, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thinkscale.engines.local.batch.DRAFT_TOKENS", 5)
    requests = asked(3, min_tokens=35, temperature=1.0)
    undisturbed = run(engine, requests)
    num_saves = 0
    for killed_at in range(1, 40, 3):
        drafts = _Dying(killed_at)
        completed: dict[str, TokenCompletion] = {}
        try:
            for completion in engine.complete(deque(requests), drafts):
                completed[completion.request.key] = completion
        except Killed:
            num_saves += 1
        drafts.is_dead = False
        left = [item for item in requests if item.key not in completed]
        resumed = run(LocalEngine(random_model, dtype="float64", batch_size=2), left, drafts)
        assert completed | resumed == undisturbed
    assert num_saves > 5


def test_a_draft_counts_towards_the_minimum(engine: LocalEngine, stopping: tuple[TokenRequest, ...]) -> None:
    item = replace(stopping[0], min_tokens=25)
    whole = run(engine, [item])[item.key]
    drafts = Saved()
    drafts.save(f"{item.key}/logprobs", [round(-value / LOGPROB_STEP) for value in whole.logprobs[:20]])
    drafts.save(item.key, whole.ids[:20])
    assert run(engine, [item], drafts)[item.key] == whole


def test_log_probabilities_are_rounded_to_whole_steps_and_bounded() -> None:
    assert rounded_logprob(-1.0) == -1.0
    assert rounded_logprob(-(2**-21) * 1.5) == -LOGPROB_STEP
    assert rounded_logprob(-1e-9) == 0.0
    assert rounded_logprob(float("-inf")) == -9999.0
    assert rounded_logprob(1e-7) == 0.0


class _Dying(Saved):
    """Drafts of a process that is killed right behind its nth save, be it of ids or of log-probabilities."""

    def __init__(self, killed_at: int) -> None:
        super().__init__()
        self.left = killed_at

    def save(self, key: str, ids: object) -> None:
        super().save(key, ids)  # type: ignore[arg-type]
        self.left -= 1
        if self.left == 0:
            self.is_dead = True
            raise Killed
