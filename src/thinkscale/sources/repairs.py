r"""Problems with the letters of LaTeX commands put back that a JSON escape took (curation/quality/repair.py).

What was put back stands in the problem's `extra.repaired`: field to commands, such as `{"question": ["\\frac"]}`. A row
keeps the id that it had, so the same row has the same id with and without repair. Programs and their tests are left
alone: there a tab or a line break is what it looks like.
"""

import re
from dataclasses import replace

from thinkscale.curation.quality.repair import EATEN, LETTERS, repaired
from thinkscale.keys import JSON
from thinkscale.records import Kind, Problem

RECORD = "repaired"
"""The key of `extra` that says what was put back."""
_REST = re.compile(r"[A-Za-z]*")


def repaired_problem(problem: Problem) -> Problem:
    """The problem as it was written; the very same one where nothing is missing."""
    if problem.kind is Kind.CODE:
        return problem
    texts = {"question": problem.question, "reference": problem.reference, "solution": problem.solution}
    found: dict[str, JSON] = {name: put for name, text in texts.items() if text and (put := _put_back(text))}
    if of_choices := [command for choice in problem.choices for command in _put_back(choice)]:
        found["choices"] = of_choices
    if not found:
        return problem
    return replace(
        problem,
        question=repaired(problem.question),
        reference=problem.reference and repaired(problem.reference),
        solution=problem.solution and repaired(problem.solution),
        choices=tuple(map(repaired, problem.choices)),
        extra={**problem.extra, RECORD: found},
    )


def repairs_text(number: int) -> str:
    """A line that says how many rows were repaired."""
    return f"{number:,} rows: letters of LaTeX commands that an escape took are put back; `extra.{RECORD}` says which"


def _put_back(text: str) -> list[JSON]:
    """The commands whose first letter is missing, in order."""
    found: list[JSON] = []
    for match in EATEN.finditer(text):
        rest = _REST.match(text, match.end())
        found.append(f"\\{LETTERS[match[0]]}{rest[0] if rest else ''}")
    return found
