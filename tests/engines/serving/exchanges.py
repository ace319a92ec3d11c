"""What a token engine over HTTP must keep, whichever server stands behind it: bodies of tests, handed engines.

tests/vllm runs them against a real vLLM; the fast suite against the loopback server with a model behind it. The local
engine is the reference, and everything is greedy, so what comes over HTTP must equal it id for id.
"""

import threading
import time
import urllib.request
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from thinkscale.engines.sweep import SweepResult, SweepTask, run_sweep
from thinkscale.engines.tokens import TokenCompletion, TokenEngine, TokenRequest
from thinkscale.lab.world import benchmark_rows
from thinkscale.records import Finish, Message, Sampling
from thinkscale.thinking.budgets import budget_forcing, class_conditional, minimum, truncation
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.sweep import PrefixEnd, plan_trajectories

BUDGETS = (4, 24, None)
WAITS = (0, 1, 2)
LONGEST_THINKING = 96
ANSWER_TOKENS = 16
METRICS_SECONDS = 10.0
"""A server writes its metrics a moment after the reply they count."""


class Server(Protocol):
    """A server that can be taken down without a word, and brought back under the same address."""

    @property
    def base_url(self) -> str:
        """What clients call."""
        ...

    def kill(self) -> None:
        """Ends it at once; replies on their way are torn."""
        ...

    def start(self) -> None:
        """Returns when it answers."""
        ...


def lab_format(engine: TokenEngine) -> BoundFormat:
    """The format in which the lab's model thinks."""
    return BoundFormat(find_format("s1"), engine.tokenizer)


def lab_prompts(bound: BoundFormat, count: int) -> list[tuple[int, ...]]:
    """Prompts of lab questions with the thinking opened."""
    rows = benchmark_rows("lab_numeric", count, seed=42)
    return [bound.thinking_prompt((Message(role="user", content=str(row["question"])),)) for row in rows]


def plain_prompts(bound: BoundFormat, count: int) -> list[tuple[int, ...]]:
    """The questions as plain text, as the lab's base model has read them: it works on them to the last token allowed.

    Along 400 tokens of these its best token leads the next by 0.0016 in logits or more, along 96 by 0.06: far beyond
    what another order of the same sums can move in float32.
    """
    return [bound.encode(str(row["question"]) + "\n") for row in benchmark_rows("lab_numeric", count, seed=42)]


def greedy(key: str, prompt: tuple[int, ...], max_tokens: int, stop_ids: tuple[int, ...]) -> TokenRequest:
    """One request without chance."""
    return TokenRequest(key=key, prompt=prompt, sampling=Sampling(max_tokens=max_tokens), stop_ids=stop_ids)


def completed(engine: TokenEngine, requests: Sequence[TokenRequest]) -> dict[str, TokenCompletion]:
    """All completions by key. Each comes once, and none fails."""
    found: dict[str, TokenCompletion] = {}
    for completion in engine.complete(deque(requests)):
        assert completion.error is None, completion.error
        assert completion.request.key not in found
        found[completion.request.key] = completion
    assert set(found) == {request.key for request in requests}
    return found


def told(completion: TokenCompletion) -> tuple[object, ...]:
    """What must be equal of two completions. A server may keep the stop token of the model's own turn to itself."""
    return completion.ids, completion.finish


def check_round_trips(remote: TokenEngine, local: TokenEngine, max_tokens: int = 96) -> None:
    """Ids of 16 prompts of the lab go out and other ids come back: the local engine's own, with both kinds of end."""
    bound = lab_format(local)
    prompts = [*lab_prompts(bound, 8), *plain_prompts(bound, 16)[8:]]
    requests = [greedy(str(index), prompt, max_tokens, bound.think_stop_ids) for index, prompt in enumerate(prompts)]
    expected, found = completed(local, requests), completed(remote, requests)
    for key, completion in found.items():
        assert told(completion) == told(expected[key]), key
        assert completion.usage is not None
        assert completion.usage.prompt_tokens == len(completion.request.prompt)
    assert {completion.finish for completion in found.values()} == {Finish.END, Finish.LENGTH}


def sweep_tasks(bound: BoundFormat, count: int) -> list[SweepTask]:
    """Trajectories for every method, budget and number of waits; those of the last prompt never end by themselves."""
    settings = [
        *truncation(BUDGETS),
        *budget_forcing(BUDGETS, WAITS, ("Wait", "none")),
        *minimum((32,)),
        *class_conditional(),
    ]
    plans = plan_trajectories(settings, LONGEST_THINKING, is_greedy=True)
    return [
        SweepTask(key=f"{index}.{number}", prompt=prompt, plan=plan, sampling=Sampling(max_tokens=ANSWER_TOKENS))
        for index, prompt in enumerate([*lab_prompts(bound, count), *plain_prompts(bound, 1)])
        for number, plan in enumerate(plans)
    ]


def cells(result: SweepResult) -> dict[object, tuple[object, ...]]:
    """What each setting reads of a trajectory: its thinking, how that ended, and the answer behind it."""
    trajectory = result.trajectory
    read: dict[object, tuple[object, ...]] = {}
    for setting in result.task.plan.settings:
        prefix = trajectory.prefix(setting)
        answer = result.answers[prefix]
        read[setting] = (prefix.end, tuple(trajectory.thinking(prefix)), answer.ids, answer.finish)
    return read


def check_budget_forcing(remote: TokenEngine, local: TokenEngine, count: int = 8) -> None:
    """Every cell of a sweep over HTTP is the local engine's: thinking cut, waits forced and answers given alike."""
    bound = lab_format(local)
    tasks = sweep_tasks(bound, count)
    expected = {result.task.key: result for result in run_sweep(local, bound, tasks)}
    found = {result.task.key: result for result in run_sweep(remote, bound, tasks)}
    assert set(found) == {task.key for task in tasks}
    assert not [result.error for result in found.values() if result.error]
    for key, result in found.items():
        assert cells(result) == cells(expected[key]), key
    ends = {cell[0] for result in found.values() for cell in cells(result).values()}
    assert ends == set(PrefixEnd), "some thinking must end, some be cut, and some be left unfinished"


def metric(base_url: str, name: str) -> float:
    """The sum of one counter of the server's /metrics, over its engines."""
    address = base_url.removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(address, timeout=METRICS_SECONDS) as reply:
        lines = reply.read().decode().splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    assert values, f"the server has no metric {name}"
    return sum(map(float, values))


def prefix_hits(base_url: str) -> float:
    """Prompt tokens that the server found in its cache so far."""
    return metric(base_url, "vllm:prefix_cache_hits_total")


def check_prefix_cache(remote: TokenEngine, base_url: str, block_tokens: int) -> None:
    """A continuation is read from the cache but for its last blocks: what was thought before is not computed again."""
    bound = lab_format(remote)
    prompt = plain_prompts(bound, 17)[16]  # one that no other check has sent
    first = completed(remote, [greedy("first", prompt, LONGEST_THINKING, bound.think_stop_ids)])["first"]
    before = prefix_hits(base_url)
    known = prompt + first.ids
    completed(remote, [greedy("second", known + bound.encode("Wait"), 8, bound.think_stop_ids)])
    # The last token that was written is in no cache yet, and only whole blocks are kept.
    least = (len(known) - 1) // block_tokens * block_tokens
    assert least > 0, "the trajectory is too short to fill a block"
    deadline = time.monotonic() + METRICS_SECONDS
    while (hits := prefix_hits(base_url) - before) < least and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hits >= least, f"{hits:g} of {len(known)} tokens came from the cache, {least} could"


def check_kill(remote: TokenEngine, local: TokenEngine, server: Server, *, count: int) -> None:
    """The server dies while replies are on their way, and comes back: every request ends once, as if nothing was."""
    bound = lab_format(local)
    prompts = plain_prompts(bound, count)
    # Lengths differ, so that when the server dies, some are done, some half done, and some not begun.
    requests = [greedy(str(index), prompt, 24 + 8 * index, (bound.eos_id,)) for index, prompt in enumerate(prompts)]
    expected = completed(local, requests)
    found: dict[str, TokenCompletion] = {}
    back = threading.Thread(target=server.start)
    for completion in remote.complete(deque(requests)):
        assert completion.error is None, completion.error
        assert completion.request.key not in found, "done twice"
        found[completion.request.key] = completion
        if len(found) == 1:
            server.kill()
            back.start()
    back.join()
    assert set(found) == set(expected), "lost"
    for key, completion in found.items():
        assert told(completion) == told(expected[key]), key
    assert any(completion.attempts > 1 for completion in found.values()), "the server died with nothing on its way"
    written = sum(completion.usage.completion_tokens for completion in found.values() if completion.usage)
    assert written <= sum(len(completion.ids) + 1 for completion in found.values()), (
        "what had arrived was asked for again"
    )


def check_logprobs(remote: TokenEngine, local: TokenEngine, max_tokens: int = 48) -> None:
    """Every id has the log-probability that the local engine states, with and without a minimum of tokens.

    In float32 both sum the same logits in another order: 0.001 nats is a hundred times what that moves here."""
    bound = lab_format(local)
    prompts = lab_prompts(bound, 6)
    plain = [greedy(f"plain{at}", prompt, max_tokens, bound.think_stop_ids) for at, prompt in enumerate(prompts)]
    held = [replace(item, key=f"held{at}", min_tokens=max_tokens - 8) for at, item in enumerate(plain)]
    requests = [replace(item, logprobs=True) for item in [*plain, *held]]
    expected, found = completed(local, requests), completed(remote, requests)
    for key, completion in found.items():
        own = expected[key]
        assert len(completion.logprobs) == len(completion.ids) > 0
        if key.startswith("plain"):
            assert told(completion) == told(own), key
        # Behind a barred end the next best token may lead by less than float32 tells apart; up to there all is equal.
        same = next(
            (at for at, pair in enumerate(zip(own.ids, completion.ids, strict=False)) if len(set(pair)) > 1), None
        )
        assert completion.logprobs[:same] == pytest.approx(own.logprobs[:same], abs=1e-3), key
        assert len(completion.ids) >= completion.request.min_tokens
    assert any(len(found[f"plain{at}"].ids) < max_tokens - 8 for at in range(len(prompts))), "a minimum that held"
