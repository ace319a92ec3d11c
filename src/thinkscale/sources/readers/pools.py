"""Pools that others made: DAPO's chat rows, and s1's 59,000 rows with their traces."""

import re
from collections.abc import Mapping

from thinkscale.keys import JSON

Row = Mapping[str, JSON]

INSTRUCTION = re.compile(
    r"^Solve the following math problem step by step\. The last line of your response should be of the form Answer: "
    r"\$Answer \(without quotes\) where \$Answer is the answer to the problem\.\s*"
)
REMINDER = re.compile(r'\s*Remember to put your answer on its own line after "Answer:"\.\s*$')
"""What DAPO puts around every question; it is the prompt of its training and no part of the problem."""


def dapo(row: Row, _part: str) -> dict[str, JSON]:
    """A row of DAPO: `prompt` becomes the question in its first user turn. Rows with a `problem` are as they are."""
    turns = row.get("prompt")
    if not isinstance(turns, list):
        return dict(row)
    asked = next((turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"), None)
    return {**row, "prompt": REMINDER.sub("", INSTRUCTION.sub("", asked)) if isinstance(asked, str) else None}


def s1_pool(row: Row, _part: str) -> dict[str, JSON]:
    """A row of s1's pool: only mathematics has an answer that rules compare; the rest was graded by a model."""
    return {**row, "kind": "math" if row.get("cot_type", "math") == "math" else "open"}
