"""The local engine gives the tokens that Hugging Face's own greedy decoding gives, in any batch."""

import random
from collections import deque

import numpy as np
import pytest

from thinkscale.engines.tokens import TokenCompletion, TokenRequest
from thinkscale.records import Finish, Sampling

pytest.importorskip("torch")

from thinkscale.engines.local import LocalEngine, counter_uniform

pytestmark = pytest.mark.lab

STOP = 7


def make_requests(engine: LocalEngine, count: int, temperature: float, top_p: float = 1.0) -> list[TokenRequest]:
    rng = random.Random(1)
    vocabulary = int(engine.model.config.vocab_size)
    return [
        TokenRequest(
            key=str(index),
            prompt=tuple(rng.randrange(vocabulary) for _ in range(rng.randint(1, 40))),
            sampling=Sampling(max_tokens=rng.randint(1, 60), temperature=temperature, top_p=top_p, seed=index),
            stop_ids=(STOP,),
        )
        for index in range(count)
    ]


def run(engine: LocalEngine, requests: list[TokenRequest]) -> dict[str, TokenCompletion]:
    return {completion.request.key: completion for completion in engine.complete(deque(requests))}


def test_greedy_tokens_equal_those_of_hugging_face_generate(random_model: str) -> None:
    import torch

    engine = LocalEngine(random_model, batch_size=16)
    requests = make_requests(engine, 40, temperature=0)
    for key, completion in run(engine, requests).items():
        prompt = torch.tensor([requests[int(key)].prompt])
        limit = requests[int(key)].sampling.max_tokens
        with torch.inference_mode():
            whole = engine.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=limit,
                do_sample=False,
                eos_token_id=STOP,
                pad_token_id=0,
            )
        expected = whole[0, prompt.shape[1] :].tolist()
        ended = STOP in expected
        assert completion.ids == tuple(expected[: expected.index(STOP)] if ended else expected)
        assert completion.finish is (Finish.END if ended else Finish.LENGTH)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_batch_size_does_not_change_tokens_in_float64(random_model: str, temperature: float) -> None:
    engine = LocalEngine(random_model, dtype="float64", batch_size=32)
    requests = make_requests(engine, 60, temperature, top_p=0.95)
    wide = run(engine, requests)
    engine.batch_size = 3
    narrow = run(engine, requests[::-1])
    assert {key: item.ids for key, item in wide.items()} == {key: item.ids for key, item in narrow.items()}


def test_a_sampled_request_continued_in_two_parts_equals_the_whole(random_model: str) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    sampling = Sampling(max_tokens=40, temperature=1.0, seed=9)
    whole = run(engine, [TokenRequest(key="w", prompt=(1, 2, 3), sampling=sampling, stop_ids=())])["w"].ids
    half = Sampling(max_tokens=20, temperature=1.0, seed=9)
    first = run(engine, [TokenRequest(key="a", prompt=(1, 2, 3), sampling=half, stop_ids=())])["a"].ids
    second = run(engine, [TokenRequest(key="b", prompt=(1, 2, 3, *first), sampling=half, stop_ids=())])["b"].ids
    assert first + second == whole


def test_a_request_beyond_the_context_is_a_failed_completion_and_the_rest_go_on(random_model: str) -> None:
    engine = LocalEngine(random_model)
    long = TokenRequest(key="long", prompt=(1,) * 1000, sampling=Sampling(max_tokens=100), stop_ids=())
    short = TokenRequest(key="short", prompt=(1,), sampling=Sampling(max_tokens=3), stop_ids=())
    completions = run(engine, [long, short])
    assert completions["long"].finish is Finish.ERROR
    assert "1100 tokens" in (completions["long"].error or "")
    assert len(completions["short"].ids) == 3


def test_requests_added_between_completions_enter_the_running_batch(random_model: str) -> None:
    engine = LocalEngine(random_model)
    queue = deque([TokenRequest(key="0", prompt=(1, 2), sampling=Sampling(max_tokens=2), stop_ids=())])
    keys = []
    for completion in engine.complete(queue):
        keys.append(completion.request.key)
        if len(keys) < 4:
            queue.append(TokenRequest(key=str(len(keys)), prompt=(1, 2), sampling=Sampling(max_tokens=2), stop_ids=()))
    assert keys == ["0", "1", "2", "3"]


def test_counter_uniforms_are_uniform_and_depend_on_seed_and_position() -> None:
    seeds = np.repeat(np.arange(200, dtype=np.uint64), 100)
    positions = np.tile(np.arange(100, dtype=np.uint64), 200)
    values = counter_uniform(seeds, positions)
    assert values.min() >= 0
    assert values.max() < 1
    assert len(np.unique(values)) == len(values)
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 50, "chi-square with 19 degrees of freedom, p about 1e-4"
