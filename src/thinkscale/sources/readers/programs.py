"""Programming problems with tests: LiveCodeBench, APPS, TACO, HumanEval."""

import json
from collections.abc import Mapping

from thinkscale.keys import JSON

Row = Mapping[str, JSON]


def programs(row: Row, _part: str) -> dict[str, JSON]:
    """A row of APPS or TACO: `solutions` is the JSON text of a list, of which the first is the solution here.

    How many there are stays; their texts do not, since a problem may have hundreds. A code skeleton is part of the
    question: without its name a program cannot be called.
    """
    made = {key: value for key, value in row.items() if key not in ("solutions", "starter_code")}
    solutions = _list(row.get("solutions"))
    made |= {"solution": next((text for text in solutions if isinstance(text, str)), None)}
    made |= {"num_solutions": len(solutions), "question": _with_skeleton(row.get("question"), row.get("starter_code"))}
    return made


def livecodebench(row: Row, _part: str) -> dict[str, JSON]:
    """A row of LiveCodeBench: the question with its code skeleton. The tests keep the skeleton too, for its names."""
    made = {key: value for key, value in row.items() if key != "question_content"}
    return {**made, "question": _with_skeleton(row.get("question_content"), row.get("starter_code"))}


def human_eval(row: Row, _part: str) -> dict[str, JSON]:
    """A row of HumanEval: the question is the code that its tests go on from, so both have it."""
    made = {key: value for key, value in row.items() if key not in ("prompt", "test", "canonical_solution")}
    tests = {key: row.get(key) for key in ("prompt", "test", "entry_point")}
    return {**made, "question": row.get("prompt"), "tests": tests, "solution": row.get("canonical_solution")}


def _with_skeleton(question: JSON, skeleton: JSON) -> JSON:
    if not isinstance(question, str) or not isinstance(skeleton, str) or not skeleton.strip():
        return question
    return f"{question.strip()}\n\nBegin with this code:\n```python\n{skeleton.strip()}\n```"


def _list(value: JSON) -> list[JSON]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []
