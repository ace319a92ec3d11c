"""Tier 3: a chat engine decides whether an answer is equivalent to its reference. What it is asked: grading/judge.py.

A verdict of a judge is as good as the judge. Its grades bear their own grader name, each names model and wording in
its evidence, and verification/audit.py reports how it agrees with the rules.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from thinkscale.engines.chat import ChatCompletion, ChatEngine, ChatRequest
from thinkscale.errors import EncodingError
from thinkscale.grading.judge import (
    MAX_CHARACTERS,
    JudgeReply,
    judge_messages,
    judge_nonce,
    parse_reply,
    prompt_key,
    reminded,
)
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.records import Finish, Sampling, Usage, Verdict

GRADER = "judge"
MAX_REFUSED = 1024
"""Results that wait for the engine's next completion before they are handed out."""

TIERS: Mapping[JudgeReply, tuple[Verdict, str]] = {
    JudgeReply.EQUIVALENT: (Verdict.CORRECT, "judge"),
    JudgeReply.DIFFERENT: (Verdict.WRONG, "judge"),
    JudgeReply.UNCLEAR: (Verdict.UNGRADABLE, "judge_unclear"),
    JudgeReply.UNPARSABLE: (Verdict.UNGRADABLE, "judge_unparsable"),
}
"""Verdict and tier of each reply. Tiers keep the ways of not knowing apart; `judge_failed` is the engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeItem:
    """One answer to be judged. `key` is the caller's name for it and is not shown to the judge."""

    key: str
    question: str | None
    reference: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of an item, and what it took."""

    item: JudgeItem
    judgement: Judgement
    num_requests: int
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """An item between its requests: what it took so far, and what will be asked next."""

    item: JudgeItem
    nonce: str
    request: ChatRequest
    num_requests: int = 0
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True, kw_only=True)
class _Queue:
    """What is still to be asked, and what is with the engine: a few items, however many there are."""

    waiting: Iterator[_Pending | Judged]
    retries: deque[_Pending] = field(default_factory=deque)
    refused: deque[Judged] = field(default_factory=deque)
    running: dict[str, _Pending] = field(default_factory=dict)
    exhausted: bool = False

    @property
    def is_empty(self) -> bool:
        return self.exhausted and not self.retries

    def requests(self) -> Iterator[ChatRequest]:
        """Retries first. Ends early where many items in a row were refused, so that they can be handed out."""
        while len(self.refused) < MAX_REFUSED:
            pending = self.retries.popleft() if self.retries else next(self.waiting, None)
            if pending is None:
                self.exhausted = True
                return
            if isinstance(pending, Judged):
                self.refused.append(pending)
            else:
                self.running[pending.request.key] = pending
                yield pending.request

    def take_refused(self) -> Iterator[Judged]:
        while self.refused:
            yield self.refused.popleft()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A judge is an engine and limits. It is greedy, so equal requests to a deterministic engine get equal verdicts."""

    engine: ChatEngine
    max_tokens: int = 2048
    retries: int = 1
    """More requests, with a reminder, where a reply cannot be read. An engine's error is not retried here."""

    @property
    def identity(self) -> JSON:
        """What decides its verdicts: model, wording of the prompt, and limits."""
        return {
            "model": self.engine.name,
            "prompt": prompt_key(),
            "max_tokens": self.max_tokens,
            "retries": self.retries,
        }

    def grade(self, items: Iterable[JudgeItem]) -> Iterator[Judged]:
        """One result for each item, in the order in which they are settled; items are drawn as the engine has room.

        Never a default: what the engine did not answer, or not readably, is `ungradable`, with a tier that says which.
        """
        queue = _Queue(waiting=map(self._prepare, count(), items))
        while not queue.is_empty:
            for completion in self.engine.answer(queue.requests()):
                settled = self._read(queue.running.pop(completion.request.key), completion)
                if isinstance(settled, Judged):
                    yield settled
                else:
                    queue.retries.append(settled)
                yield from queue.take_refused()
            yield from queue.take_refused()
            for pending in queue.running.values():
                yield _failed(pending, "the engine gave no completion")
            queue.running.clear()

    def _prepare(self, number: int, item: JudgeItem) -> _Pending | Judged:
        texts = (item.question or "", item.reference, item.answer)
        longest = max(map(len, texts))
        if longest > MAX_CHARACTERS:
            return _refused(item, f"a text of {longest} characters, the judge reads at most {MAX_CHARACTERS}")
        if not item.reference.strip() or not item.answer.strip():
            return _refused(item, "the reference or the answer is empty")
        try:
            nonce = judge_nonce(item.question, item.reference, item.answer)
        except EncodingError as error:
            return _refused(item, str(error))
        # Two items may have the same content, and a request's key names one request: hence the number.
        request = ChatRequest(
            key=f"{nonce}-{number}-0",
            messages=judge_messages(item.question, item.reference, item.answer, nonce),
            sampling=Sampling(max_tokens=self.max_tokens),
        )
        return _Pending(item=item, nonce=nonce, request=request)

    def _read(self, pending: _Pending, completion: ChatCompletion) -> _Pending | Judged:
        """The result, or the same item with its next request."""
        spent = replace(pending, num_requests=pending.num_requests + 1, usage=_sum(pending.usage, completion.usage))
        if completion.finish is Finish.ERROR:
            return _failed(spent, f"engine error: {completion.error or 'no message'}")
        # A reply that was cut has not ended in its verdict, whatever its last line looks like.
        cut = completion.finish is Finish.LENGTH
        reply = JudgeReply.UNPARSABLE if cut else parse_reply(completion.answer_text, pending.nonce)
        if reply is JudgeReply.UNPARSABLE and spent.num_requests <= self.retries:
            return replace(spent, request=_next_request(spent))
        verdict, tier = TIERS[reply]
        said = "its reply was cut" if cut else f"it says {reply}"
        evidence = f"{self.engine.name}, prompt {prompt_key()}: {said}"
        if spent.num_requests > 1:
            evidence += f", after {spent.num_requests} requests"
        judgement = Judgement(verdict=verdict, extracted=pending.item.answer, tier=tier, evidence=evidence)
        return Judged(item=pending.item, judgement=judgement, num_requests=spent.num_requests, usage=spent.usage)


def _next_request(pending: _Pending) -> ChatRequest:
    stem = pending.request.key.rpartition("-")[0]
    return replace(
        pending.request,
        key=f"{stem}-{pending.num_requests}",
        messages=reminded(pending.request.messages, pending.nonce),
    )


def _refused(item: JudgeItem, why: str) -> Judged:
    judgement = Judgement(verdict=Verdict.UNGRADABLE, extracted=item.answer, tier="judge_refused", evidence=why)
    return Judged(item=item, judgement=judgement, num_requests=0)


def _failed(pending: _Pending, why: str) -> Judged:
    item = pending.item
    judgement = Judgement(verdict=Verdict.UNGRADABLE, extracted=item.answer, tier="judge_failed", evidence=why)
    return Judged(item=item, judgement=judgement, num_requests=pending.num_requests, usage=pending.usage)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
    )
