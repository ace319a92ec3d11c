"""From a row in a set's words to a row in ours: columns, facts, levels, and where the final answer stands."""

from collections.abc import Callable, Mapping

from thinkscale.grading.answers import boxes
from thinkscale.keys import JSON
from thinkscale.sources.catalogue import FIELDS, Entry, Names
from thinkscale.sources.problems import without_thousands

MAX_SAID_CHARACTERS = 200
"""A solution of one line that is not longer is an answer: AIME's `60`."""
SAID = "Answer:"


def plain_row(entry: Entry, values: Mapping[str, JSON]) -> dict[str, JSON]:
    """A row with our names for what the entry names, and the set's for the rest."""
    made: dict[str, JSON] = {"kind": entry.kind.value}
    used: set[str] = set(entry.brings.names) if entry.brings else set()
    named = entry.columns
    for target, names in (*named.items(), *entry.facts.items()):
        found = next((item for item in names if at(values, item) is not None), None)
        if found is not None:
            made[target] = at(values, found)
            used.add(found.split(".")[0])
    set_by_reader = {key: values[key] for key in FIELDS if key in values and key not in used and key not in named}
    foreign = {"source": "origin", **({"level": "stated_level"} if "level" in named else {})}
    rest = {foreign.get(key, key): value for key, value in values.items() if key not in used and key not in FIELDS}
    made = {**rest, **made, **set_by_reader}
    if entry.levels and isinstance(made.get("level"), str):
        stated = str(made["level"])
        made["level"] = entry.levels.get(stated.lower())
        made.setdefault("difficulty", stated)
    made["reference"] = _reference(entry, made)
    return made


def _reference(entry: Entry, made: Mapping[str, JSON]) -> JSON:
    """The final answer by the entry's rule; None where the row states none."""
    stated, solution = made.get("reference"), made.get("solution")
    if stated is not None or entry.reference == "column" or not isinstance(solution, str):
        return stated
    return RULES[entry.reference](solution)


def boxed(solution: str) -> str | None:
    """What stands in the last box that is not empty."""
    return next((box.text.strip() for box in reversed(boxes(solution)) if box.text.strip()), None)


def _hashes(solution: str) -> str | None:
    """What stands behind the last `####`, without the commas of thousands."""
    _, mark, answer = solution.rpartition("####")
    return without_thousands(answer.strip()) or None if mark else None


def _said(solution: str) -> str | None:
    """A boxed answer, else what follows the last `Answer:` on its line, else a solution of one short line."""
    if answer := boxed(solution):
        return answer
    _, mark, said = solution.rpartition(SAID)
    line = (said if mark else solution).strip()
    return line if line and "\n" not in line and len(line) <= MAX_SAID_CHARACTERS else None


RULES: Mapping[str, Callable[[str], str | None]] = {"boxed": boxed, "hashes": _hashes, "said": _said}


def family_of(entry: Entry, row: Mapping[str, JSON]) -> str:
    """The source that a row of a pool came from, by the longest beginning that fits."""
    stated = str(row.get(entry.family) or "") if entry.family else ""
    fitting = [beginning for beginning in entry.families if stated.startswith(beginning)]
    return entry.families[max(fitting, key=len)] if fitting else ""


def column(row: Mapping[str, JSON], names: Names) -> JSON:
    """The value of the first of `names` that is there and not null."""
    return next((value for name in names if (value := at(row, name)) is not None), None)


def at(row: Mapping[str, JSON], name: str) -> JSON:
    """The value under a name, or under the path `a.b`."""
    if name in row:
        return row[name]
    head, point, tail = name.partition(".")
    inner = row.get(head) if point else None
    return at(inner, tail) if isinstance(inner, dict) else None
