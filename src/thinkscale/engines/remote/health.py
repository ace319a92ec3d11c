"""Asks an endpoint whether it is there, and what it serves: its list of models, which every provider and server has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thinkscale.engines.remote.failures import OF_THE_KEY, Failure, FailureKind
from thinkscale.engines.remote.http import get_json
from thinkscale.keys import JSON

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What an endpoint says of the model that it is to serve."""

    identity: JSON
    """Tells this model from another of the same name at another server: owner and root where they are given."""
    context_tokens: int | None = None


async def problem_of(session: "aiohttp.ClientSession", endpoint: str, headers: Mapping[str, str]) -> str | None:
    """Why the endpoint cannot be used now; None where it answers, were it with a refusal, which a call will explain."""
    try:
        await get_json(session, f"{endpoint}/models", headers=headers)
    except Failure as failure:
        answered = failure.kind in OF_THE_KEY or failure.kind in (
            FailureKind.BAD_REQUEST,
            FailureKind.RATE_LIMIT,
            FailureKind.MALFORMED,
        )
        return None if answered else failure.text
    return None


async def served(session: "aiohttp.ClientSession", endpoint: str, headers: Mapping[str, str], model: str) -> Served:
    """What is served there under the name `model`. Raises Failure, BAD_REQUEST where the list lacks the model.

    A server without such a list, or that refuses to show it, is taken at its word: its host is the identity.
    """
    host = endpoint.split("://", 1)[-1].split("/", 1)[0]
    try:
        found = await get_json(session, f"{endpoint}/models", headers=headers)
    except Failure as failure:
        if failure.kind in (FailureKind.BAD_REQUEST, FailureKind.MALFORMED):
            return Served(identity={"host": host})
        raise
    rows = found.get("data")
    cards = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    card = next((row for row in cards if row.get("id") == model), None)
    if card is None:
        if not cards or found.get("has_more"):
            return Served(identity={"host": host})
        names = ", ".join(str(row.get("id")) for row in cards[:5])
        raise Failure(FailureKind.BAD_REQUEST, f"{endpoint} does not serve {model!r}; it serves {names}")
    length = card.get("max_model_len")
    is_ours = "root" in card or "max_model_len" in card
    return Served(
        # A server of one's own moves from host to host; a provider does not.
        identity={name: card.get(name) for name in ("owned_by", "root")} if is_ours else {"host": host},
        context_tokens=length if isinstance(length, int) else None,
    )
