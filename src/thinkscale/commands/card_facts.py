"""What a card states of a run, or of a folder of tables: read from its files, without folders of the machine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from thinkscale.errors import DataError, EncodingError
from thinkscale.keys import JSON
from thinkscale.records import Fate, Problem, Record, from_row
from thinkscale.sources.cards import CardFacts
from thinkscale.sources.files import read_rows
from thinkscale.sources.hub import is_commit
from thinkscale.store.atomic import read_json
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.provenance import without_folders
from thinkscale.store.run import PROVENANCE_NAME, RECIPE_NAME, RunDirectory
from thinkscale.store.tables import TABLES, read_table


def records_of(path: Path, record_type: type[Record]) -> Iterator[Record]:
    """The rows of a table, in Parquet or JSON lines. Raises DataError naming the row that is none of them."""
    if path.suffix == ".parquet":
        yield from read_table(path, record_type)
        return
    for row in read_rows(path):
        try:
            yield from_row(record_type, row.values)
        except (EncodingError, TypeError, ValueError, AssertionError) as error:
            raise DataError(f"{row.place} is no {record_type.__name__}: {error}") from error


def card_facts(folder: Path, to: str, rows: dict[str, int], paths: dict[str, Path]) -> CardFacts:
    """What `folder` knows of how the tables in `paths` were made; `rows` counts them, the first decides the sources."""
    recipe = recipe_of_folder(folder)
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


def recipe_of_folder(folder: Path) -> dict[str, JSON]:
    """The recipe of a run as it stands in its folder; empty where there is none."""
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
        return dict(Counter(item.source for item in records_of(problems, Problem) if isinstance(item, Problem)))
    source = {item.id: item.source for item in records_of(problems, Problem) if isinstance(item, Problem)}
    ids = (getattr(item, "problem_id", None) for item in records_of(paths[table], TABLES[table]))
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
        for fate in records_of(path, Fate):
            assert isinstance(fate, Fate)
            counts[(fate.stage, fate.decision.value, fate.reason)] += 1
    order = sorted(counts.items(), key=lambda pair: (pair[0][0], pair[0][1] == "kept", -pair[1], pair[0]))
    return [(*key, count) for key, count in order]


def _there(folder: Path, table: str) -> list[Path]:
    return [folder / f"{table}{end}" for end in (".parquet", ".jsonl") if (folder / f"{table}{end}").is_file()][:1]
