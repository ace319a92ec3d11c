"""push: the tables of a run, or of a folder, as a data set on the Hub with a card of its own.

What would be uploaded is written to a folder first, and `--dry-run` ends there: it can be read, and loaded with
`datasets.load_dataset(FOLDER)`, before anything leaves the machine.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from thinkscale.credentials import redact
from thinkscale.errors import ConfigError, DataError, EncodingError, StorageError
from thinkscale.keys import JSON
from thinkscale.records import Fate, Problem, Record, from_row
from thinkscale.sources.cards import CardFacts, card
from thinkscale.sources.files import SUFFIXES, read_rows
from thinkscale.sources.hub import HUB, is_commit, upload
from thinkscale.sources.publishing import write_public
from thinkscale.store.atomic import read_json
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.provenance import without_folders
from thinkscale.store.run import PROVENANCE_NAME, RECIPE_NAME, RunDirectory
from thinkscale.store.tables import TABLES, read_table

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
USUAL = ("examples", "problems")
"""Which table is pushed where none is named: the first that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """How a folder is pushed."""

    tables: tuple[str, ...] = ()
    private: bool = False
    revision: str | None = None
    dry_run: bool = False
    out: Path | None = None
    """Where a dry run writes what would be uploaded."""


def push(folder: Path, to: str, options: PushOptions) -> str:
    """Uploads tables of `folder` to the data set `to`, and returns a line that says where they are.

    Raises ConfigError on a name that is none, DataError where a table is missing or the Hub refuses.
    """
    if not REPOSITORY.fullmatch(to):
        raise ConfigError(f"--to {to!r} is no name of a data set; write owner/name")
    paths = _tables(folder, options.tables)
    if options.dry_run:
        out = options.out or Path(f"push-{to.replace('/', '-')}")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out} is there already; give an empty folder with --out")
        rows = _write(out, folder, to, paths)
        return f"{out} holds what would be uploaded to {HUB}/datasets/{to}: {_said(rows)}. Nothing was sent"
    if options.out is not None:
        raise ConfigError("--out is for --dry-run: it says where to write what would be uploaded")
    with TemporaryDirectory(prefix="thinkscale-push-") as written:
        rows = _write(Path(written), folder, to, paths)
        message = f"{', '.join(rows)} by thinkscale"
        address = upload(Path(written), to, private=options.private, revision=options.revision, message=message)
    return f"{_said(rows)} are at {HUB}/datasets/{to} ({address})"


def _said(rows: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in rows.items()) + " and a card"


def _tables(folder: Path, wanted: tuple[str, ...]) -> dict[str, Path]:
    """Table to file, in the order in which they were asked for."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; give a run directory, or a folder of tables")
    suffixes = (".parquet", *(suffix for suffix in SUFFIXES if suffix != ".parquet"))
    there = {
        name: path
        for name in TABLES
        if (path := next((folder / f"{name}{end}" for end in suffixes if (folder / f"{name}{end}").is_file()), None))
    }
    chosen = wanted or tuple(name for name in USUAL if name in there)[:1]
    missing = [name for name in chosen if name not in there]
    if missing or not chosen:
        raise DataError(
            f"{folder} holds no table {', '.join(missing or USUAL)}; it holds {', '.join(there) or 'none of ours'}"
        )
    return {name: there[name] for name in chosen}


def _write(out: Path, folder: Path, to: str, paths: dict[str, Path]) -> dict[str, int]:
    """The folder that is uploaded: a Parquet file for each table, and README.md. Returns the rows of each table."""
    try:
        rows = {
            name: write_public(out / "data" / f"{name}.parquet", TABLES[name], _records(path, TABLES[name]))
            for name, path in paths.items()
        }
        (out / "README.md").write_text(redact(card(_facts(folder, to, rows, paths))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out} could not be written: {error.strerror or error}") from error
    return rows


def _records(path: Path, record_type: type[Record]) -> Iterator[Record]:
    if path.suffix == ".parquet":
        yield from read_table(path, record_type)
        return
    for row in read_rows(path):
        try:
            yield from_row(record_type, row.values)
        except (EncodingError, TypeError, ValueError, AssertionError) as error:
            raise DataError(f"{row.place} is no {record_type.__name__}: {error}") from error


def _facts(folder: Path, to: str, rows: dict[str, int], paths: dict[str, Path]) -> CardFacts:
    recipe = _recipe(folder)
    evaluate = recipe.get("evaluate")
    benchmarks = evaluate.get("benchmarks") if isinstance(evaluate, dict) else None
    return CardFacts(
        repository=to,
        tables=rows,
        sources=_sources(folder, next(iter(rows)), paths),
        commits=_commits(folder),
        recipe=yaml.safe_dump(_without_folders(recipe), sort_keys=False) if recipe else "",
        provenance=_provenance(folder),
        funnel=_funnel(folder),
        benchmarks=[str(_without_folders(item)) for item in benchmarks] if isinstance(benchmarks, list) else [],
        is_selected="select" in recipe,
    )


def _recipe(folder: Path) -> dict[str, JSON]:
    path = folder / RECIPE_NAME
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} is not readable: {error}") from error
    return found if isinstance(found, dict) else {}


def _without_folders(value: JSON) -> JSON:
    """A recipe without the folders of the machine that it ran on."""
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return without_folders(value) if isinstance(value, str) else value


def _provenance(folder: Path) -> dict[str, JSON]:
    try:
        found = read_json(folder / PROVENANCE_NAME)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / PROVENANCE_NAME} is not readable: {error}") from error
    return found if isinstance(found, dict) else {}


def _sources(folder: Path, table: str, paths: dict[str, Path]) -> dict[str, int]:
    """Source to the rows of a table that came from it; empty where the problems are not there to say it."""
    problems = paths.get("problems") or next(iter(_there(folder, "problems")), None)
    if problems is None:
        return {}
    if table == "problems":
        return dict(Counter(item.source for item in _records(problems, Problem) if isinstance(item, Problem)))
    source = {item.id: item.source for item in _records(problems, Problem) if isinstance(item, Problem)}
    ids = (getattr(item, "problem_id", None) for item in _records(paths[table], TABLES[table]))
    return dict(Counter(source[name] for name in ids if name in source))


def _commits(folder: Path) -> dict[str, str]:
    """Source to the commit that a run read, as its identity keeps it."""
    if not (folder / JOURNAL_NAME).is_file():
        return {}
    with RunDirectory.read(folder) as run:
        stage = run.journal.stage("collect")
        files = stage.identity.get("files") if stage else None
    known = files.items() if isinstance(files, dict) else ()
    return {name: value for name, value in known if isinstance(value, str) and is_commit(value)}


def _funnel(folder: Path) -> list[tuple[str, str, str, int]]:
    """Counts of all fates by stage, decision and reason: what was kept last, the frequent reasons first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for path in _there(folder, "fates"):
        for fate in _records(path, Fate):
            assert isinstance(fate, Fate)
            counts[(fate.stage, fate.decision.value, fate.reason)] += 1
    order = sorted(counts.items(), key=lambda pair: (pair[0][0], pair[0][1] == "kept", -pair[1], pair[0]))
    return [(*key, count) for key, count in order]


def _there(folder: Path, table: str) -> list[Path]:
    return [folder / f"{table}{end}" for end in (".parquet", ".jsonl") if (folder / f"{table}{end}").is_file()][:1]
