"""What the loopback server does with a request, whatever protocol it came in: admission, faults, slots, counts."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.admission import OUT_OF_CREDIT, Admission, key_hash
from thinkscale.engines.scripted.asking import Answer, Ask, Backend, RefusedError, key_text
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.protocol import Refusal, Said, ServedProtocol
from thinkscale.engines.scripted.served import Ending, PrefixCache, Served, ServerLog
from thinkscale.keys import JSON
from thinkscale.records import Finish

REFUSING = {
    Fault.RATE_LIMIT: FailureKind.RATE_LIMIT,
    Fault.SERVER_ERROR: FailureKind.SERVER_ERROR,
    Fault.OVERLOADED: FailureKind.OVERLOADED,
    Fault.BAD_REQUEST: FailureKind.BAD_REQUEST,
}
"""Faults that are a status instead of an answer."""
WRONG_BY_TOKENS = 7


class RefusedWithError(Exception):
    """The request gets a refusal instead of an answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class Service:
    """The state of one server."""

    def __init__(self, backend: Backend, options: ServerOptions) -> None:
        self.backend = backend
        self.options = options
        self.log = ServerLog()
        self._admission = Admission(options, time.monotonic)
        shares = {Fault.SERVER_ERROR: options.batch_failed_share}
        self._batch_faults = FaultPlan(shares=shares, seed=options.faults.seed)
        self._cache = PrefixCache()
        self._slots = asyncio.Semaphore(options.capacity) if options.capacity else None
        self._numbers = count(1)

    def begin(self, route: str, key: str, ask: Ask) -> Served:
        """The record of a new attempt at `ask`, and with it the fault that it meets."""
        text = f"{route}\n{key_text(ask)}"
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        attempt = self.log.next_attempt(digest)
        served = Served(route=route, request=digest, key=key_hash(key), attempt=attempt)
        served.fault = self.options.faults.fault(digest, attempt)
        self.log.open += 1
        return served

    async def answer(self, key: str, ask: Ask, served: Served) -> Answer:
        """The backend's answer, after all that may be in its way. Raises RefusedWithError."""
        fault, served.fault = served.fault, None  # it counts only where nothing else turns the request away
        answer = await self.reply(ask)
        needed = answer.prompt_tokens + ask.sampling.max_tokens
        if needed > self.options.max_model_len:
            raise RefusedWithError(_too_long(self.options.max_model_len, answer.prompt_tokens, needed))
        refusal = self._admission.enter(key, needed)
        if refusal:
            raise self._crowded_out(served, refusal)
        served.fault = fault
        refusal = self._fault_refusal(key, served)
        if refusal:
            raise RefusedWithError(refusal)
        return answer

    async def reply(self, ask: Ask) -> Answer:
        """The backend's answer. Raises RefusedWithError where it has none."""
        try:
            answer = await self.backend.reply(ask, self.options.chunk_tokens)
        except RefusedError as error:
            raise RefusedWithError(Refusal(kind=FailureKind.BAD_REQUEST, text=str(error))) from error
        if answer.finish is Finish.ERROR:
            raise RefusedWithError(Refusal(kind=FailureKind.SERVER_ERROR, text=answer.error or "the script failed"))
        return answer

    def _fault_refusal(self, key: str, served: Served) -> Refusal | None:
        if served.fault is Fault.OUT_OF_CREDIT:
            if self._admission.go_broke(key):
                return OUT_OF_CREDIT
            served.fault = None
        if served.fault not in REFUSING:
            return None
        after = self.options.retry_after_seconds if served.fault is Fault.RATE_LIMIT else None
        return Refusal(kind=REFUSING[served.fault], text=f"injected fault: {served.fault}", retry_after=after)

    def _crowded_out(self, served: Served, refusal: Refusal) -> RefusedWithError:
        served.fault = None
        self.log.take_back_attempt(served.request)
        return RefusedWithError(refusal)

    async def take_slot(self, served: Served) -> None:
        """Waits for a slot. Raises RefusedWithError where there is none and requests do not wait."""
        if self._slots is not None:
            if self._slots.locked() and not self.options.queue:
                text = f"this server answers {self.options.capacity} requests at a time"
                retry_after = self.options.retry_after_seconds
                refusal = Refusal(kind=FailureKind.RATE_LIMIT, text=text, retry_after=retry_after)
                raise self._crowded_out(served, refusal)
            self.log.waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self.log.waiting -= 1
        self.log.running += 1
        self.log.most_running = max(self.log.most_running, self.log.running)

    def free_slot(self) -> None:
        """Gives a slot back."""
        self.log.running -= 1
        if self._slots is not None:
            self._slots.release()

    def said(self, ask: Ask, answer: Answer, model: str, served: Served, place: float) -> Said:
        """The answer with its name, its cached tokens, and counts that are wrong where they are to be."""
        served.prompt_tokens, served.cached_tokens = answer.prompt_tokens, self._cache.take(answer.prompt)
        wrong = served.fault is Fault.WRONG_COUNTS
        usage_is_seen = not ask.stream or ask.include_usage
        wrong_usage = wrong and usage_is_seen and place < 0.5
        return Said(
            id=f"rehearsal-{next(self._numbers)}",
            model=model,
            created=int(time.time()),
            ask=ask,
            answer=answer,
            cached_tokens=served.cached_tokens,
            reported_tokens=answer.completion_tokens + (ask.sampling.max_tokens + WRONG_BY_TOKENS) * wrong_usage,
            extra_choice=wrong and not wrong_usage,
        )

    def end(self, key: str, served: Served, answer: Answer | None) -> None:
        """Notes an attempt that is over, charges its key, and remembers what was written for the prefix cache."""
        self._admission.spend(key, served.billed_tokens)
        if answer and isinstance(answer.prompt, tuple) and served.sent_tokens:
            ids = [token for piece in answer.pieces for token in piece.ids]
            self._cache.take((*answer.prompt, *ids[: served.sent_tokens]))
        self.log.add(served)

    async def batch_row(
        self, protocol: ServedProtocol, key: str, body: Mapping[str, JSON]
    ) -> tuple[int, dict[str, JSON]]:
        """Status and body of one row of a batch. Limits of requests a minute do not hold for batches."""
        try:
            ask = replace(protocol.ask(body), stream=False)
        except RefusedError as error:
            return protocol.refusal(Refusal(kind=FailureKind.BAD_REQUEST, text=str(error)))
        served = self.begin("batch", key, ask)
        answer: Answer | None = None
        try:
            if served.fault is None and self._batch_faults.fault(served.request, served.attempt):
                served.fault = Fault.SERVER_ERROR
            if served.fault is not None:
                kind = REFUSING.get(served.fault, FailureKind.SERVER_ERROR)
                raise RefusedWithError(Refusal(kind=kind, text=f"injected fault: {served.fault}"))
            answer = await self.reply(ask)
            served.sent_tokens = answer.completion_tokens
            said = self.said(ask, answer, str(body.get("model", "")), served, 1.0)
        except RefusedWithError as error:
            served.status, refused = protocol.refusal(error.refusal)
            served.ending = Ending.REFUSED
            return served.status, refused
        else:
            served.ending = Ending.DONE
            return 200, protocol.whole(said)
        finally:
            self.end(key, served, answer)

    def limit_headers(self, key: str) -> dict[str, str]:
        """What is left of the key's allowance."""
        return self._admission.headers(key)


def _too_long(limit: int, prompt_tokens: int, needed: int) -> Refusal:
    text = (
        f"This model's maximum context length is {limit} tokens. However, you requested {needed} tokens "
        f"({prompt_tokens} in the prompt, {needed - prompt_tokens} in the completion). "
        "Please reduce the length of the prompt or the completion."
    )
    return Refusal(kind=FailureKind.BAD_REQUEST, text=text)
