"""The tables of cases beside the tests."""

import json
from pathlib import Path
from typing import Any


def cases(table: str) -> list[dict[str, Any]]:
    """One case a line."""
    return [json.loads(line) for line in Path(__file__).with_name(table).read_text(encoding="utf-8").splitlines()]


def name(case: dict[str, Any]) -> str:
    """What a case is called in the output of a test."""
    return str(case["name"])
