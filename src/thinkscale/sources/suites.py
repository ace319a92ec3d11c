"""Which columns of a foreign row are the tests of a program, as the one JSON text that a Problem holds.

grading/code/shapes.py says how each shape is read. Here only two things are done to it: columns that belong together
become one object, and the packed private tests of LiveCodeBench are unpacked.
"""

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Mapping

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, canonical_json

GROUPS: tuple[tuple[str, ...], ...] = (
    ("input_output",),
    ("test_list", "test_setup_code", "test_imports", "challenge_test_list"),
    ("public_test_cases", "private_test_cases"),
    ("public_tests", "private_tests", "generated_tests"),
    ("test", "entry_point"),
)
"""Columns that together are tests; the first group whose first column has a value is taken."""
MAX_UNPACKED_BYTES = 1 << 30
"""The largest private tests of LiveCodeBench take some 200 MB."""


class UnreadableTestsError(ValueError):
    """Packed tests cannot be unpacked; says why."""


def tests_of(row: Mapping[str, JSON], column: str) -> tuple[str | None, set[str]]:
    """The tests that `row` holds in `column`, or else in the columns of a known data set, and the columns they took.

    None where there are none. Raises UnreadableTestsError.
    """
    value = row.get(column)
    if value is not None:
        return _encoded(value), {column}
    for group in GROUPS:
        if row.get(group[0]) in (None, "") or (group[0] == "test" and not isinstance(row.get("entry_point"), str)):
            continue
        found = {key: row[key] for key in group if row.get(key) is not None}
        if group[0] == "input_output":
            return _encoded(found["input_output"]), {"input_output"}
        return canonical_json(_completed(found, row)), set(found)
    return None, set()


def _completed(found: dict[str, JSON], row: Mapping[str, JSON]) -> dict[str, JSON]:
    """A group with what other columns say about it."""
    if "test" in found and isinstance(row.get("prompt"), str):
        found["prompt"] = row["prompt"]
    if "public_test_cases" in found:
        found = {key: _unpacked(key, value) for key, value in found.items()}
        metadata = row.get("metadata")
        metadata = _object(metadata) if isinstance(metadata, str) else metadata
        function = metadata.get("func_name") if isinstance(metadata, dict) else None
        found |= {"func_name": function} if function else {}
        found |= {"starter_code": row["starter_code"]} if row.get("starter_code") else {}
    return found


def _encoded(value: JSON) -> str:
    """Tests as they stand where they are a text, made canonical where that can be done."""
    if not isinstance(value, str):
        return canonical_json(value)
    try:
        text = canonical_json(json.loads(value))
        text.encode()
    except (ValueError, RecursionError, EncodingError):
        return value  # source code, or JSON with NaN or half a character in it: what it means is the grader's to say
    return text


def _object(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except ValueError:
        return None
    return value


def _unpacked(key: str, value: JSON) -> JSON:
    """Test cases from JSON, or from base64 of a zlib stream of a pickled JSON text, as LiveCodeBench packs them."""
    if not isinstance(value, str):
        return value
    try:
        if value.lstrip().startswith("["):
            return _cases(value)
        stream = zlib.decompressobj()
        packed = stream.decompress(base64.b64decode(value, validate=True), MAX_UNPACKED_BYTES)
        if not stream.eof:
            raise UnreadableTestsError(f"`{key}` is cut short, or unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        text = PlainUnpickler(io.BytesIO(packed)).load()
        return _cases(text) if isinstance(text, str) else _cases(json.dumps(text))
    except (binascii.Error, zlib.error, pickle.UnpicklingError, ValueError, TypeError, EOFError, IndexError) as error:
        raise UnreadableTestsError(f"`{key}` cannot be unpacked: {error}"[:300]) from error


def _cases(text: str) -> JSON:
    value: JSON = json.loads(text)
    if not isinstance(value, list):
        raise UnreadableTestsError(f"it holds {value!r:.40}, not a list")
    return value


class PlainUnpickler(pickle.Unpickler):
    """Unpickles texts, numbers, lists and dicts; a pickle that names any class or function is refused."""

    def find_class(self, module_name: str, global_name: str) -> object:
        """Called for every name that a pickle wants to import."""
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")

    def persistent_load(self, pid: object) -> object:
        """Called for objects outside the pickle."""
        raise pickle.UnpicklingError(f"it asks for the object {pid!r:.40}")
