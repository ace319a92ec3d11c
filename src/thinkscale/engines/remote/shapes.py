"""Typed reading of a server's JSON: what has not the protocol's shape is a Failure, never a crash.

One place where foreign JSON becomes our types, so that the dialects need no casts.
"""

import json
from collections.abc import Mapping, Sequence

from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.keys import JSON


def decoded(payload: bytes | str) -> dict[str, JSON]:
    """The JSON object in `payload`. Raises Failure MALFORMED."""
    try:
        value = json.loads(payload if isinstance(payload, str) else payload.decode())
    except (ValueError, RecursionError) as error:
        raise Failure(FailureKind.MALFORMED, f"the server sent no JSON: {_start(payload)}") from error
    if type(value) is not dict:
        raise Failure(FailureKind.MALFORMED, f"the server sent no JSON object: {_start(payload)}")
    return value


def _start(payload: bytes | str) -> str:
    text = payload if isinstance(payload, str) else payload[:80].decode(errors="replace")
    return repr(text[:80])


def table(row: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    """The object under `name`; empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(name, "an object", value)
    return value


def rows(row: Mapping[str, JSON], name: str) -> list[Mapping[str, JSON]]:
    """The objects in the list under `name`; empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(name, "a list of objects", value)
    found: list[Mapping[str, JSON]] = []
    for item in value:
        if not isinstance(item, Mapping):
            raise _wrong(name, "a list of objects", value)
        found.append(item)
    return found


def text(row: Mapping[str, JSON], name: str) -> str:
    """The string under `name`; empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value


def count(row: Mapping[str, JSON], name: str) -> int | None:
    """The number under `name`, not negative; None where it is absent or null."""
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(name, "a count", value)
    return value


def token_ids(row: Mapping[str, JSON], name: str) -> list[int] | None:
    """The list of token ids under `name`; None where it is absent or null."""
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, Sequence) or not all(type(item) is int for item in value):
        raise _wrong(name, "a list of token ids", value)
    return value  # type: ignore[return-value]  # every item was looked at


def numbers(row: Mapping[str, JSON], name: str) -> list[float]:
    """The list of numbers under `name`; empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(name, "a list of numbers", value)
    found: list[float] = []
    for item in value:
        if isinstance(item, bool) or not isinstance(item, (int, float)) or not abs(item) < 1e9:
            raise _wrong(name, "a list of numbers", value)
        found.append(float(item))
    return found


def _wrong(name: str, wanted: str, value: JSON) -> Failure:
    return Failure(FailureKind.MALFORMED, f"`{name}` should be {wanted}, and is {value!r:.80}")


def required_id(row: Mapping[str, JSON]) -> str:
    """The `id` of what a provider made. Raises Failure, MALFORMED where it named none."""
    found = text(row, "id")
    if not found:
        raise Failure(FailureKind.MALFORMED, "the provider named no id")
    return found
