"""A deterministic chat engine without a model: a script answers. It ships in the package, for the lab and for tests.

It can take its time and fail as a server does. Requests overlap up to `concurrency`: each has an end on the real clock,
and completions come in order of their ends. Rejected: a thread or a task for each request, which would make the order
of completions depend on the scheduler.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.scripted.faults import NO_FAULTS, Fault, FaultPlan
from thinkscale.engines.scripted.script import Script
from thinkscale.keys import content_key
from thinkscale.records import Finish, Usage

LASTING = frozenset({Fault.BAD_REQUEST, Fault.OUT_OF_CREDIT})
"""Faults that no retry mends."""


@dataclass(frozen=True, slots=True)
class ScriptedEngine:
    """Answers each request from `script`, counting tokens with `count_tokens`: in order, unless it keeps a pace.

    A request whose every attempt meets a fault is a completion with finish `error`, after `most_attempts`.
    """

    name: str
    script: Script
    count_tokens: Callable[[str], int]
    tokens_per_second: float | None = None
    """Of each request; None is as fast as it goes."""
    concurrency: int = 1
    """Requests that are answered at a time where there is a pace."""
    faults: FaultPlan = NO_FAULTS
    most_attempts: int = 5

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine."""
        completions = (self._completion(request) for request in requests)
        if self.tokens_per_second is None:
            yield from completions
        else:
            yield from self._paced(completions, self.tokens_per_second)

    def _paced(self, completions: Iterator[ChatCompletion], tokens_per_second: float) -> Iterator[ChatCompletion]:
        running: list[tuple[float, int, ChatCompletion]] = []
        order = count()
        now = time.monotonic()
        while True:
            while len(running) < self.concurrency and (completion := next(completions, None)):
                seconds = completion.usage.completion_tokens / tokens_per_second
                heapq.heappush(running, (now + seconds, next(order), completion))
            if not running:
                return
            now, _, completion = heapq.heappop(running)
            time.sleep(max(0.0, now - time.monotonic()))
            yield completion
            now = max(now, time.monotonic())

    def _completion(self, request: ChatRequest) -> ChatCompletion:
        prompt = request.messages[-1].content
        fault, attempts = self._attempted(
            content_key([message.content for message in request.messages], request.sampling.seed)
        )
        if fault is not None:
            error = f"{fault}: injected, {attempts} attempts"
            return ChatCompletion(
                request=request, thinking="", answer_text="", finish=Finish.ERROR, error=error, attempts=attempts
            )
        reply = self.script(prompt, request.sampling.seed)
        thinking_tokens, answer_tokens = self.count_tokens(reply.thinking), self.count_tokens(reply.answer_text)
        return ChatCompletion(
            request=request,
            thinking=reply.thinking,
            answer_text=reply.answer_text,
            finish=reply.finish,
            thinking_tokens=thinking_tokens,
            answer_tokens=answer_tokens,
            usage=Usage(prompt_tokens=self.count_tokens(prompt), completion_tokens=thinking_tokens + answer_tokens),
            error=reply.error,
            attempts=attempts,
        )

    def _attempted(self, key: str) -> tuple[Fault | None, int]:
        """The fault of the last attempt, None where it succeeded; and how many there were."""
        fault: Fault | None = None
        for attempt in range(1, self.most_attempts + 1):
            fault = self.faults.fault(key, attempt)
            if fault is None or fault in LASTING:
                return fault, attempt
        return fault, self.most_attempts
