"""Our own responses: a run directory, or a table of responses beside a table of problems.

Responses and problems are joined by id. The problems (and the grades of a run, as the recorded verdicts) are laid into
a temporary database on disk first, so that memory does not grow with either table.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from thinkscale.errors import DataError, StorageError
from thinkscale.keys import JSON
from thinkscale.records import Finish
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.problems import Malformed, parse_problem
from thinkscale.thinking.formats import find_format

RESPONSES, PROBLEMS, GRADES = "responses.parquet", "problems.parquet", "grades.parquet"
FORMAT = find_format("think_tags")
"""In which thinking and answer of a response are put together again."""


def is_run(folder: Path) -> bool:
    """Whether `folder` holds the tables of a run."""
    return (folder / RESPONSES).is_file()


def is_response(row: Mapping[str, JSON]) -> bool:
    """Whether a row is one of our responses: it names its problem, and has thinking and answer apart."""
    return {"problem_id", "answer_text", "finish"} <= row.keys()


def read_run(folder: Path) -> Iterator[SourceRow]:
    """The responses of a run directory with their problems, and with its grades where it has been graded."""
    grades = folder / GRADES
    yield from read_joined(folder / RESPONSES, folder / PROBLEMS, grades if grades.is_file() else None)


def read_joined(responses: Path, problems: Path, grades: Path | None = None) -> Iterator[SourceRow]:
    """Rows of `responses` with what `problems` says of their `problem_id` (or `id`).

    Raises DataError where a response names a problem that is not there, or two problems have one id.
    """
    with _lookup() as known, _lookup() as recorded:
        _lay_down(known, problems)
        for row in read_rows(grades) if grades else ():
            key, by = str(row.values.get("response_key")), str(row.values.get("grader"))
            recorded.put(key, {**(recorded.get(key) or {}), by: row.values.get("verdict")})
        for row in read_rows(responses):
            problem_id = row.values.get("problem_id", row.values.get("id"))
            problem = known.get(str(problem_id))
            if problem is None:
                raise DataError(f"{row.place}: its problem {problem_id!r} is not in {problems}")
            by_grader = recorded.get(str(row.values.get("key"))) or {}
            first = next(iter(by_grader.values()), row.values.get("recorded"))
            stated = {"recorded": first, "recorded_by": by_grader}
            yield SourceRow(row.place, {**problem, **_response(row), **stated})


def _response(row: SourceRow) -> dict[str, JSON]:
    """The whole text as the model would have written it, and the parts where they stand apart."""
    values = row.values
    if not is_response(values):
        names = {"id": values.get("id", values.get("problem_id"))}
        return {**{key: values[key] for key in values if key not in ("problem_id",)}, **names}
    thinking, answer = str(values.get("thinking") or ""), str(values.get("answer_text") or "")
    cut_in_thinking = values.get("finish") == Finish.LENGTH and not answer
    text = answer
    if thinking or cut_in_thinking:
        text = FORMAT.think_open + thinking + ("" if cut_in_thinking else f"\n{FORMAT.answer_open}{answer}")
    parts = {key: values.get(key) for key in ("thinking", "answer_text", "finish", "error")}
    return {"id": values.get("key"), "response": text, "thinking_format": FORMAT.name, **parts}


class _Lookup:
    """JSON objects by key, on disk."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")

    def put(self, key: str, value: Mapping[str, JSON]) -> None:
        self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", (_ascii(key), json.dumps(value)))

    def get(self, key: str) -> dict[str, JSON] | None:
        found = self._database.execute("SELECT value FROM objects WHERE key = ?", (_ascii(key),)).fetchone()
        return None if found is None else json.loads(found[0])


def _ascii(key: str) -> str:
    return json.dumps(key)  # a lone surrogate is no text to SQLite


@contextmanager
def _lookup() -> Iterator[_Lookup]:
    # An empty name is a private database on disk that SQLite deletes; it holds 2 MB of it in memory.
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            yield _Lookup(database)
    except sqlite3.Error as error:
        raise StorageError(
            f"the temporary database of problems failed ({error}); free some space, or set TMPDIR"
        ) from error


def _lay_down(known: _Lookup, path: Path) -> None:
    source = path.name.split(".")[0]
    for row in read_rows(path):
        problem = parse_problem(row.values, source, {})
        if isinstance(problem, Malformed):
            raise DataError(f"{row.place}: {problem.detail}")
        values: dict[str, JSON] = {
            "question": problem.question,
            "kind": problem.kind.value,
            "reference": problem.reference,
            "choices": list(problem.choices),
            "tests": problem.tests,
        }
        # Within a run the problems of a file are called after it (sources/benchmarks.py).
        for name in (problem.id, f"{source}/{problem.id}"):
            if known.get(name) is not None:
                raise DataError(f"{row.place}: there are two problems with the id {problem.id!r}")
            known.put(name, values)
