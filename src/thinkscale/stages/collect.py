"""collect: rows of the sources become problems, or fates that say why not."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from thinkscale.config import FileSourceSettings, LabSourceSettings, SourceSettings
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate, Problem
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.problems import Malformed, parse_problem
from thinkscale.stages.context import StageContext

ROWS_PER_UNIT = 500

Taken: TypeAlias = dict[str, SourceSettings | None]
"""Ids in use, with the source of the problem, None for a fate."""


def collect(context: StageContext) -> None:
    """Reads every source in order. Ids are made unique across sources by the source's name; an id that repeats within
    a source is refused, or under `malformed: drop` a fate, `repeated_id`."""
    settings = context.section(context.recipe.collect)
    rows = _read_all(settings.sources, context.folder, context.recipe.seed)
    taken: Taken = {}
    dropped = 0
    with context.progress.task(context.stage, _expected(settings.sources), "rows") as task:
        position = 0
        while chunk := list(islice(rows, ROWS_PER_UNIT)):
            records = [_problem_or_fate(row, source, taken, settings.malformed) for row, source in chunk]
            dropped += sum(isinstance(record, Fate) for record in records)
            context.commit(f"rows-{position}", position, records)
            position += 1
            task.total = max(task.total or 0, task.done + len(chunk))
            task.advance(len(chunk))
    if dropped:
        context.progress.say(f"collect: {dropped:,} rows are no problems; each has its fate in fates.parquet")


def _read_all(
    sources: tuple[SourceSettings, ...], folder: Path, seed: int
) -> Iterator[tuple[SourceRow, SourceSettings]]:
    for source in sources:
        for row in _read(source, folder, seed):
            yield row, source


def _read(source: SourceSettings, folder: Path, seed: int) -> Iterator[SourceRow]:
    if isinstance(source, FileSourceSettings):
        return read_rows(folder / source.path)
    return _lab_rows(source, seed)


def _lab_rows(source: LabSourceSettings, seed: int) -> Iterator[SourceRow]:
    from thinkscale.lab.pool import pool_rows

    for number, row in enumerate(pool_rows(source.size, seed), 1):
        yield SourceRow(f"lab, row {number}", row)


def _expected(sources: tuple[SourceSettings, ...]) -> int:
    return sum(source.size for source in sources if isinstance(source, LabSourceSettings))


def _problem_or_fate(row: SourceRow, source: SourceSettings, taken: Taken, policy: str) -> Problem | Fate:
    name, columns = _naming(source)
    found = parse_problem(row.values, name, columns)
    if isinstance(found, Malformed):
        if policy == "refuse":
            raise DataError(
                f"{row.place}: {found.reason}: {found.detail}. Mend the row, map the column "
                "(collect.sources.N.columns), or set collect.malformed=drop to record such rows and go on"
            )
        return _fate(_free_id(found.row_id, taken), found.reason, f"{row.place}: {found.detail}")
    if taken.get(found.id, source) is not source:  # sources of others may count from 0 each
        found = replace(found, id=f"{name}-{found.id}")
    if found.id in taken:
        if policy == "refuse":
            raise DataError(
                f"{row.place}: the id {found.id!r} stands on an earlier row too; ids must be unique (or set "
                "collect.malformed=drop to keep the first of each)"
            )
        return _fate(_free_id(found.id, taken), "repeated_id", f"{row.place}: the id {found.id} is taken")
    taken[found.id] = source
    return found


def _naming(source: SourceSettings) -> tuple[str, dict[str, str]]:
    if isinstance(source, FileSourceSettings):
        return source.name or Path(source.path).name.split(".")[0], source.columns
    return "lab", {}


def _free_id(wanted: str, taken: Taken) -> str:
    """`wanted`, or `wanted` with a number: no fate may hide behind another row's id."""
    free, number = wanted, 2
    while free in taken:
        free, number = f"{wanted}#{number}", number + 1
    taken[free] = None
    return free


def _fate(row_id: str, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=row_id, stage="collect", decision=Decision.DROPPED, reason=reason, evidence=evidence)


def source_fingerprints(sources: tuple[SourceSettings, ...], folder: Path) -> dict[str, JSON]:
    """What identifies the content of file sources. DataError where a file is missing."""
    paths = [source.path for source in sources if isinstance(source, FileSourceSettings)]
    return {path: file_fingerprint(folder / path, "collect.sources") for path in paths}


def file_fingerprint(path: Path, setting: str) -> str:
    """A hash of a file that `setting` of the recipe names. DataError where it is missing."""
    import hashlib

    if not path.is_file():
        raise DataError(f"there is no file {path} ({setting}); relative paths start at the recipe's folder")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
