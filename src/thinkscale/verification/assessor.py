"""The judge as a scorer: a chat engine says how likely an answer is correct. What it is asked: grading/assessment.py.

Nobody shows it the reference, so its ratings may choose among samples. A rating is as good as the judge; what it does
not rate readably has none, which is no rating of 0. Greedy, so equal requests to a deterministic engine rate equally.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.errors import EncodingError
from thinkscale.grading.assessment import (
    assessment_messages,
    assessment_nonce,
    is_assessable,
    parse_rating,
)
from thinkscale.records import Finish, Sampling

Answers = Callable[[Iterable[ChatRequest]], Iterator[ChatCompletion]]
"""An engine's `answer`, or a stage's wrapper of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessItem:
    """One answer to be rated. `key` is the caller's name for it and is not shown to the judge."""

    key: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What came of an item: a rating from 0 to 1, or why there is none."""

    item: AssessItem
    rating: float | None
    reason: str = ""
    is_failed: bool = False
    """The engine gave nothing: another time it may."""
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class _Asked:
    item: AssessItem
    nonce: str
    first: ChatCompletion | None = None
    """The reply that could not be read, on the second try."""


def assess(answers: Answers, items: Iterable[AssessItem], max_tokens: int) -> Iterator[Assessed]:
    """One result for each item, in the order in which they are settled; items are drawn as the engine has room.

    What could not be read is asked once more, with a reminder, when all others are there.
    """
    unread: list[_Asked] = []
    refused: list[Assessed] = []
    yield from _round(answers, _first(items, refused), max_tokens, unread)
    yield from refused
    yield from _round(answers, iter(list(unread)), max_tokens, None)


def _first(items: Iterable[AssessItem], refused: list[Assessed]) -> Iterator[_Asked]:
    for item in items:
        try:
            if is_assessable(item.question, item.answer):
                yield _Asked(item, assessment_nonce(item.question, item.answer))
                continue
            reason = "a text is empty, or longer than the judge reads"
        except EncodingError as error:
            reason = str(error)
        refused.append(Assessed(item=item, rating=None, reason=reason))


def _round(
    answers: Answers, asked: Iterator[_Asked], max_tokens: int, unread: list[_Asked] | None
) -> Iterator[Assessed]:
    """Asks; with `unread`, what could not be read goes there instead of being a result."""
    running: dict[str, _Asked] = {}

    def requests() -> Iterator[ChatRequest]:
        for one in asked:
            request = _request(one, max_tokens)
            running[request.key] = one
            yield request

    for completion in answers(requests()):
        one = running.pop(completion.request.key)
        settled = _settled(one, completion)
        if settled.rating is None and not settled.is_failed and unread is not None:
            unread.append(replace(one, first=completion))
        else:
            yield settled
    for one in running.values():
        yield Assessed(item=one.item, rating=None, reason="the engine gave no completion", is_failed=True)


def _request(one: _Asked, max_tokens: int) -> ChatRequest:
    # Two items may have the same content, and a request's key names one request: hence the item's key.
    is_second = one.first is not None
    return ChatRequest(
        key=f"{one.item.key}-{one.nonce}-{int(is_second)}",
        messages=assessment_messages(one.item.question, one.item.answer, one.nonce, reminded=is_second),
        sampling=Sampling(max_tokens=max_tokens),
    )


def _settled(one: _Asked, completion: ChatCompletion) -> Assessed:
    seconds = completion.seconds + (one.first.seconds if one.first else 0.0)
    usd = completion.usd + (one.first.usd if one.first else 0.0)
    if completion.finish is Finish.ERROR:
        reason = completion.error or "no message"
        return Assessed(item=one.item, rating=None, reason=reason, is_failed=True, seconds=seconds, usd=usd)
    # A reply that was cut has not ended in its rating, whatever its last line looks like.
    cut = completion.finish is Finish.LENGTH
    rating = None if cut else parse_rating(completion.answer_text, one.nonce)
    reason = "" if rating is not None else "its reply was cut" if cut else "no rating in its reply"
    return Assessed(item=one.item, rating=rating, reason=reason, seconds=seconds, usd=usd)
