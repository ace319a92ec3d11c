"""collect: rows of the sources become problems, or fates that say why not."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from thinkscale.config import FileSourceSettings, LabSourceSettings, SourceSettings
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate, Problem
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.problems import Malformed, parse_problem
from thinkscale.stages.context import StageContext

ROWS_PER_UNIT = 500


def collect(context: StageContext) -> None:
    """Reads every source in order. Ids are unique: a later row with a taken id is a fate, `repeated_id`."""
    settings = context.section(context.recipe.collect)
    rows = _read_all(settings.sources, context.folder, context.recipe.seed)
    taken: set[str] = set()
    with context.progress.task(context.stage, _expected(settings.sources), "rows") as task:
        position = 0
        while chunk := list(islice(rows, ROWS_PER_UNIT)):
            records = [_problem_or_fate(row, source, taken, settings.malformed) for row, source in chunk]
            context.commit(f"rows-{position}", position, records)
            position += 1
            task.total = max(task.total, task.done + len(chunk))
            task.advance(len(chunk))


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


def _problem_or_fate(row: SourceRow, source: SourceSettings, taken: set[str], policy: str) -> Problem | Fate:
    name, columns = _naming(source)
    found = parse_problem(row.values, name, columns)
    if isinstance(found, Malformed):
        if policy == "refuse":
            raise DataError(
                f"{row.place}: {found.reason}: {found.detail}. Mend the row, map the column "
                "(collect.sources.N.columns), or set collect.malformed=drop to record such rows and go on"
            )
        return _fate(_free_id(found.row_id, taken), found.reason, f"{row.place}: {found.detail}")
    if found.id in taken:
        return _fate(_free_id(found.id, taken), "repeated_id", f"{row.place}: the id {found.id} is taken")
    taken.add(found.id)
    return found


def _naming(source: SourceSettings) -> tuple[str, dict[str, str]]:
    if isinstance(source, FileSourceSettings):
        return source.name or Path(source.path).name.split(".")[0], source.columns
    return "lab", {}


def _free_id(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted` with a number: no fate may hide behind another row's id."""
    free, number = wanted, 2
    while free in taken:
        free, number = f"{wanted}#{number}", number + 1
    taken.add(free)
    return free


def _fate(row_id: str, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=row_id, stage="collect", decision=Decision.DROPPED, reason=reason, evidence=evidence)


def source_fingerprints(sources: tuple[SourceSettings, ...], folder: Path) -> dict[str, JSON]:
    """What identifies the content of file sources: size and a hash. DataError where a file is missing."""
    import hashlib

    found: dict[str, JSON] = {}
    for source in sources:
        if isinstance(source, FileSourceSettings):
            path = folder / source.path
            if not path.is_file():
                raise DataError(
                    f"there is no file {path} (collect.sources); relative paths start at the recipe's folder"
                )
            with path.open("rb") as file:
                found[source.path] = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    return found
