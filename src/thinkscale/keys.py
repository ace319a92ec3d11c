"""Content keys: the same content has the same key on every machine and in every version of Python.

A key is 128 bits of BLAKE2b over one canonical JSON text: object keys sorted, no white space, floats
by their shortest repr. What has no stable form (NaN, sets, arbitrary objects) is refused rather
than guessed at, since a key that changes by itself would pay twice for the same work.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeAlias

from thinkscale.errors import EncodingError

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


def plain(value: object) -> JSON:
    """`value` as plain JSON types. Dataclasses become objects, enums their value, tuples lists.

    Raises EncodingError on NaN, infinities, sets, non-string object keys and any other type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EncodingError(f"{value} has no stable encoding; use None or an enum for a missing value")
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise EncodingError(f"object key {key!r} is not a string")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise EncodingError(f"a value of type {type(value).__name__} has no stable encoding: {value!r:.80}")


def canonical_json(value: object) -> str:
    """The one JSON text that stands for `value`."""
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def content_key(*parts: object) -> str:
    """32 hexadecimal digits that stand for `parts` in order. Raises EncodingError, also on broken text."""
    try:
        text = canonical_json(parts).encode()
    except UnicodeEncodeError as error:
        raise EncodingError(f"a text is not valid Unicode, so it has no stable encoding: {error}") from error
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def combined_key(keys: Iterable[str]) -> str:
    """One key for a sequence of keys, order included, in constant memory."""
    digest = hashlib.blake2b(digest_size=16)
    for key in keys:
        digest.update(key.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def seed_from(*parts: object) -> int:
    """A 63-bit seed that depends on `parts` alone, so that every row has its own stream at any worker count."""
    return int(content_key(*parts)[:16], 16) >> 1
