"""What the two dialects of OpenAI's protocol share: an event with at most one choice, and the bound of a seed."""

from collections.abc import Mapping

from thinkscale.engines.remote import refusals, shapes
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.keys import JSON

MAX_SEED = 2**63 - 1


def raise_error(event: Mapping[str, JSON]) -> None:
    """Raises the Failure that an event carries in place of a choice."""
    if event.get("error") is not None and (failure := refusals.failure_in(event)):
        raise failure


def only_choice(event: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
    """The choice of an event, None where it has none. Raises Failure, WRONG_COUNTS on more of them."""
    choices = shapes.rows(event, "choices")
    if len(choices) > 1:
        raise Failure(FailureKind.WRONG_COUNTS, f"{len(choices)} choices where one was asked for")
    return choices[0] if choices else None


def require_choice(body: Mapping[str, JSON]) -> None:
    """Raises Failure, WRONG_COUNTS where a whole reply has no choice."""
    if not shapes.rows(body, "choices"):
        raise Failure(FailureKind.WRONG_COUNTS, "no choice where one was asked for")
