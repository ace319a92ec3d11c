"""Tokens a second of the local engine and of transformers' `generate`, on the lab's model in the same run.

    python benchmarks/local_engine.py --out benchmarks/local_engine.json [--rounds 3]

Both run in this process on one thread, in turn, so that a busy machine slows both alike; time is CPU time of the
process. Each figure is the median over rounds, and each ratio the median of the rounds' own ratios. `generate` gets
batches of as many rows as ours, left-padded, in the order of arrival; a batch runs until its longest row is done, and
only tokens that were asked for count. `one_long_row` compares our cache in bands with our cache in one band.
"""

import argparse
import json
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from thinkscale.engines.catalogue import model_path
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.local.passes import Passes
from thinkscale.engines.local.slots import Band
from thinkscale.engines.tokens import TokenRequest
from thinkscale.records import Sampling

BATCH = 32
PAD = 0
VOCABULARY = 360
Ids = tuple[int, ...]
Work = Callable[[], int]
"""Does it all and says how many tokens of what was asked for came of it."""


def prompts(seed: int, count: int, least: int, most: int) -> list[Ids]:
    """Random token ids; what they mean does not matter, since no row stops by itself."""
    rng = random.Random(seed)
    return [tuple(rng.randrange(1, VOCABULARY) for _ in range(rng.randint(least, most))) for _ in range(count)]


def request(
    key: str, prompt: Ids, tokens: int, *, temperature: float = 0.0, follows: str | None = None
) -> TokenRequest:
    """Exactly `tokens` new ids."""
    sampling = Sampling(max_tokens=tokens, temperature=temperature, seed=len(key))
    return TokenRequest(key=key, prompt=prompt, sampling=sampling, stop_ids=(), follows=follows)


class Theirs:
    """`generate` over left-padded batches."""

    def __init__(self) -> None:
        # In evaluation mode already: from_pretrained returns it so.
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            model_path("lab"), dtype=torch.float32, attn_implementation="sdpa"
        )

    @torch.inference_mode()
    def generate(self, batch: Sequence[Ids], tokens: int, samples: int = 1) -> list[Ids]:
        """`tokens` new ids for each prompt; sampled where more than one is asked for of each."""
        width = max(map(len, batch))
        ids = torch.tensor([[PAD] * (width - len(prompt)) + list(prompt) for prompt in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
        whole = self._model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=samples > 1,
            num_return_sequences=samples,
            pad_token_id=PAD,
        )
        return [tuple(row) for row in whole[:, width:].tolist()]


def ragged(ours: LocalEngine, theirs: Theirs, longest: int) -> tuple[Work, Work]:
    """64 requests for 16 to `longest` tokens, spread evenly over the logarithm; all `longest` where that is 128."""
    rng = random.Random(2)
    lengths = [longest if longest == 128 else round(16 * (longest / 16) ** rng.random()) for _ in range(64)]
    texts = prompts(1, len(lengths), 20, 60)
    requests = [request(str(i), text, count) for i, (text, count) in enumerate(zip(texts, lengths, strict=True))]

    def their_work() -> int:
        for start in range(0, len(texts), BATCH):
            theirs.generate(texts[start : start + BATCH], max(lengths[start : start + BATCH]))
        return sum(lengths)

    return lambda: _count(ours, requests), their_work


def samples(ours: LocalEngine, theirs: Theirs) -> tuple[Work, Work]:
    """8 samples of each of 8 prompts of 400 tokens, 32 new tokens each."""
    texts = prompts(3, 8, 400, 400)
    requests = [request(f"{i}.{n}", text, 32, temperature=1.0) for i, text in enumerate(texts) for n in range(8)]

    def their_work() -> int:
        for start in range(0, len(texts), BATCH // 8):
            theirs.generate(texts[start : start + BATCH // 8], 32, samples=8)
        return len(requests) * 32

    return lambda: _count(ours, requests), their_work


def sweep(ours: LocalEngine, theirs: Theirs) -> tuple[Work, Work]:
    """8 trajectories of 300 tokens, then an answer of 16 tokens after 75, 150, 225 and 300 of each."""
    texts = prompts(4, 8, 40, 80)
    cuts = (75, 150, 225, 300)

    def our_work() -> int:
        queue = deque(request(f"{i}", text, 300) for i, text in enumerate(texts))
        count = 0
        for completion in ours.complete(queue):
            count += len(completion.ids)
            if len(completion.ids) == 300:
                key, prompt = completion.request.key, completion.request.prompt
                queue.extend(
                    request(f"{key}.{cut}", (*prompt, *completion.ids[:cut], 5, 6), 16, follows=key) for cut in cuts
                )
        return count

    def their_work() -> int:
        traces = theirs.generate(texts, 300)
        answers = [(*text, *trace[:cut], 5, 6) for text, trace in zip(texts, traces, strict=True) for cut in cuts]
        theirs.generate(answers, 16)
        return 8 * 300 + 32 * 16

    return our_work, their_work


def one_long_row(banded: LocalEngine, single: LocalEngine) -> tuple[Work, Work]:
    """A prompt of 6,000 tokens beside 31 of 20 to 60, 64 new tokens each."""
    texts = prompts(5, 1, 6000, 6000) + prompts(6, 31, 20, 60)
    requests = [request(str(i), text, 64) for i, text in enumerate(texts)]
    return lambda: _count(banded, requests), lambda: _count(single, requests)


def _count(engine: LocalEngine, requests: Sequence[TokenRequest]) -> int:
    return sum(len(completion.ids) for completion in engine.complete(deque(requests)))


def compare(first: Work, second: Work, rounds: int) -> dict[str, float]:
    """Tokens a second of both, and the ratio."""
    rates: list[tuple[float, float]] = [(_rate(first), _rate(second)) for _ in range(rounds)]
    return {
        "tokens_per_second": round(statistics.median(rate for rate, _ in rates)),
        "tokens_per_second_of_other": round(statistics.median(rate for _, rate in rates)),
        "ratio": round(statistics.median(rate / other for rate, other in rates), 2),
        "ratio_least": round(min(rate / other for rate, other in rates), 2),
        "ratio_most": round(max(rate / other for rate, other in rates), 2),
    }


def _rate(work: Work) -> float:
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


def most_cache_tokens(engine: LocalEngine, work: Work) -> int:
    """The most tokens that the bands had memory for in any step."""
    step, taken = Passes.step, [0]

    def watched(passes: Passes, bands: Sequence[Band]) -> list[int]:
        taken[0] = max(taken[0], sum(band.num_tokens for band in bands))
        return step(passes, bands)

    with mock.patch.object(Passes, "step", watched):
        work()
    return taken[0]


def equal_share(ours: LocalEngine, theirs: Theirs) -> float:
    """The share of 32 greedy completions of 64 tokens that are equal; `generate` suppresses the model's end token."""
    texts = prompts(7, BATCH, 20, 60)
    expected = theirs.generate(texts, 64)
    found = {item.request.key: item.ids for item in ours.complete(deque(_plain(texts, 64)))}
    return sum(found[str(index)] == ids for index, ids in enumerate(expected)) / BATCH


def _plain(texts: Sequence[Ids], tokens: int) -> list[TokenRequest]:
    return [request(str(index), text, tokens) for index, text in enumerate(texts)]


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    theirs = Theirs()
    ours = LocalEngine(model_path("lab"), batch_size=BATCH, device="cpu")
    banded = LocalEngine(model_path("lab"), batch_size=BATCH, device="cpu")
    single = LocalEngine(model_path("lab"), batch_size=BATCH, device="cpu", first_band_tokens=8192)
    banded.context_tokens = single.context_tokens = 8192
    long_row = one_long_row(banded, single)
    pairs = {
        "equal_lengths": ragged(ours, theirs, 128),
        "ragged_lengths": ragged(ours, theirs, 512),
        "eight_samples": samples(ours, theirs),
        "sweep_with_answers": sweep(ours, theirs),
        "one_long_row": long_row,
    }
    result: dict[str, object] = {
        "model": "lab (Qwen2, 3 layers of 128), float32, one CPU thread",
        "batch_rows": BATCH,
        "rounds": arguments.rounds,
        "equal_greedy_completions_of_generate": equal_share(ours, theirs),
    }
    for name, (first, second) in pairs.items():
        result[name] = compare(first, second, arguments.rounds)
        print(name, result[name], flush=True)
    result["cache_tokens_of_one_long_row"] = {
        "bands": most_cache_tokens(banded, long_row[0]),
        "one_band": most_cache_tokens(single, long_row[1]),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
