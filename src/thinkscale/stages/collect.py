"""collect: rows of the sources become problems, or fates that say why not.

Where a source brings traces, grades and labels with its questions (s1's 59,000), they are stored beside the problems,
as the records that the later stages would have made (sources/brought.py). Where a JSON escape took the first letter of
a LaTeX command it is put back, and the row says so (sources/repairs.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from thinkscale.config import FileSourceSettings, LabSourceSettings, SourceSettings
from thinkscale.config.collect import CatalogueSourceSettings
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate, Record
from thinkscale.sources.brought import brought, count_words
from thinkscale.sources.files import SourceRow
from thinkscale.sources.ids import Ids
from thinkscale.sources.origins import Origin, catalogue_origin, file_hash
from thinkscale.sources.problems import Malformed, parse_problem
from thinkscale.sources.reading import Found, Tally, Wanted
from thinkscale.sources.repairs import repaired_problem, repairs_text
from thinkscale.stages.context import StageContext

ROWS_PER_UNIT = 500
WORDS = "words"
"""What counts a trace's tokens where neither the set nor a student's tokenizer does."""


@dataclass(slots=True)
class _Collecting:
    """The state of one pass over all sources."""

    refuse: bool
    ids: Ids
    count: Callable[[str], int] = count_words
    counted_by: str = WORDS
    dropped: int = 0
    repaired: int = 0


def collect(context: StageContext) -> None:
    """Reads every source in order. Ids are made unique across sources by the source's name. An id that a source states
    twice is refused; under `malformed: drop` it gets a number, or where the question is the same, a fate `repeated_id`
    (sources/ids.py)."""
    settings = context.section(context.recipe.collect)
    refuse = settings.malformed == "refuse"
    state = _Collecting(refuse=refuse, ids=Ids(strict=refuse))
    found = _read_all(context, settings.sources)
    with context.progress.task(context.stage, _expected(settings.sources), "rows") as task:
        position = 0
        while chunk := list(islice(found, ROWS_PER_UNIT)):
            records = [record for item, number, origin in chunk for record in _records(item, number, origin, state)]
            context.commit(f"rows-{position}", position, records)
            position += 1
            task.total = max(task.total or 0, task.done + len(chunk))
            task.advance(len(chunk))
    if state.dropped:
        context.progress.say(f"collect: {state.dropped:,} rows are no problems; each has its fate in fates.parquet")
    if state.repaired:
        context.notice(f"collect: {repairs_text(state.repaired)}")


def _read_all(context: StageContext, sources: tuple[SourceSettings, ...]) -> Iterator[tuple[Found, int, Origin | None]]:
    """Every row that counts, with the number of its source. What a source leaves out goes to the run's diary."""
    for number, source in enumerate(sources):
        if isinstance(source, LabSourceSettings):
            yield from ((found, number, None) for found in _lab_rows(source, context.recipe.seed))
            continue
        origin, tally = origin_of(source, context.folder, context.recipe.seed), Tally()
        yield from ((found, number, origin) for found in origin.read(tally))
        if not isinstance(source, FileSourceSettings):
            context.notice(f"collect: {describe(origin, tally)}")


def _lab_rows(source: LabSourceSettings, seed: int) -> Iterator[Found]:
    from thinkscale.lab.pool import pool_rows

    for number, values in enumerate(pool_rows(source.size, seed), 1):
        row = SourceRow(f"lab, row {number}", values)
        yield Found(row.place, parse_problem(row.values, "lab", {}), row.values)


def origin_of(source: SourceSettings, folder: Path, seed: int) -> Origin:
    """A source of a recipe that lies in files. Raises ConfigError."""
    assert not isinstance(source, LabSourceSettings)
    if isinstance(source, CatalogueSourceSettings):
        wanted = Wanted(seed=seed, years=source.years, limit=source.limit, all_rows=source.all_rows)
        local = folder / source.local if source.local else None
        return catalogue_origin(
            source.name, wanted, folder, local=local, revision=source.revision, columns=source.columns
        )
    if isinstance(source, FileSourceSettings):
        return Origin(
            name=source.name or Path(source.path).name.split(".")[0],
            key=source.path,
            wanted=Wanted(seed=seed),
            lock_folder=folder,
            local=folder / source.path,
            columns=source.columns,
        )
    return Origin(
        name=source.name or source.repository.split("/")[1],
        key=source.repository,
        wanted=Wanted(seed=seed, limit=source.limit),
        lock_folder=folder,
        repository=source.repository,
        revision=source.revision,
        config=source.config,
        split=source.split,
        files=source.files,
        columns=source.columns,
    )


def describe(origin: Origin, tally: Tally) -> str:
    """A line of what was read of a source, at which commit, and what was left out for which reason."""
    at = f" at {origin.commit}" if origin.commit else ""
    left_out = "; ".join(f"{number:,} {why}" for why, number in tally.left_out.items())
    expected = origin.entry.rows if origin.entry and not origin.wanted.limit else None
    other = f", where the catalogue knows {expected:,}" if expected not in (None, tally.rows) else ""
    absent = f"; no column of it says: {', '.join(tally.absent)}" if tally.absent else ""
    return f"{origin.name}{at}: {tally.rows:,} rows read{other}{f'; left out: {left_out}' if left_out else ''}{absent}"


def _expected(sources: tuple[SourceSettings, ...]) -> int:
    return sum(source.size for source in sources if isinstance(source, LabSourceSettings))


def _records(found: Found, number: int, origin: Origin | None, state: _Collecting) -> Iterator[Record]:
    """The problem of a row with what the set brings beside it, or its fate."""
    name = origin.name if origin else "lab"
    problem = found.problem
    if isinstance(problem, Malformed):
        if state.refuse:
            raise DataError(
                f"{found.place}: {problem.reason}: {problem.detail}. Mend the row, map the column "
                "(collect.sources.N.columns), or set collect.malformed=drop to record such rows and go on"
            )
        state.dropped += 1
        yield _fate(state.ids.take(problem.row_id), problem.reason, f"{found.place}: {problem.detail}")
        return
    settled = state.ids.settle(problem, found.row, number, name)
    if settled is None:
        if state.refuse:
            raise DataError(
                f"{found.place}: the id {problem.id!r} stands on an earlier row too; ids must be unique (or set "
                "collect.malformed=drop to keep the first of each)"
            )
        state.dropped += 1
        yield _fate(state.ids.take(problem.id), "repeated_id", f"{found.place}: an earlier row is {problem.id}")
        return
    whole = repaired_problem(settled)
    state.repaired += whole is not settled
    yield whole
    if origin and origin.entry and origin.entry.brings:
        yield from brought(origin.entry.brings, whole, found.row, state.count, state.counted_by)


def _fate(row_id: str, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=row_id, stage="collect", decision=Decision.DROPPED, reason=reason, evidence=evidence)


def source_fingerprints(sources: tuple[SourceSettings, ...], folder: Path) -> dict[str, JSON]:
    """What identifies the content of the sources: hashes of local files, commits of the others.

    Raises DataError where a file is missing, or a commit has to be looked up and cannot be.
    """
    found: dict[str, JSON] = {}
    for source in sources:
        if isinstance(source, FileSourceSettings):
            found[source.path] = file_fingerprint(folder / source.path, "collect.sources")
        elif not isinstance(source, LabSourceSettings):
            found.update(origin_of(source, folder, 0).fingerprints())
    return found


def file_fingerprint(path: Path, setting: str) -> str:
    """A hash of a file that `setting` of the recipe names. DataError where it is missing."""
    if not path.is_file():
        raise DataError(f"there is no file {path} ({setting}); relative paths start at the recipe's folder")
    return file_hash(path)
