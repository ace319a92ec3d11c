"""From a batch's result to a completion: what was said, what it cost, and what is wrong with it."""

from collections.abc import Callable
from typing import TypeAlias

from thinkscale.engines.batches.notes import Row
from thinkscale.engines.batches.provider import RowResult
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.wire import Dialect, Outcome, Reply

Price: TypeAlias = Callable[[int, int, int], float]
"""Dollars for prompt tokens, those of them that were cached, and completion tokens."""
ChatDialect: TypeAlias = Dialect[ChatRequest, ChatCompletion]


def no_price(prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
    """For a model without one."""
    return 0.0


def read(dialect: ChatDialect, price: Price, row: Row, result: RowResult) -> tuple[Reply, Failure | None]:
    """The reply and what is wrong with it. Its tokens and price are added to the row's, also where it is refused."""
    reply = Reply()
    if result.body is None:
        return reply, result.failure or Failure(FailureKind.MALFORMED, "a result without a body")
    try:
        dialect.take_whole(reply, result.body)
        dialect.check(row.request, reply)
    except Failure as failure:
        return reply, failure
    finally:
        read_tokens, written_tokens = reply.prompt_tokens or 0, reply.completion_tokens or 0
        row.prompt_tokens += read_tokens
        row.completion_tokens += written_tokens
        row.usd += price(read_tokens, reply.cached_tokens, written_tokens)
    return reply, None


def completion(dialect: ChatDialect, row: Row, reply: Reply, error: str | None) -> ChatCompletion:
    """The row's completion with what all its attempts in this process cost."""
    outcome = Outcome(
        attempts=row.attempts,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        usd=row.usd,
        error=error,
    )
    return dialect.completion(row.request, reply, outcome)
