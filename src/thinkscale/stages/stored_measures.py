"""The measures of a run: made of its journal, and kept as Parquet files in its folder `measures`.

The journal is the only truth: it holds problems, traces, grades and labels, and the files are only what follows from
them and from the recipe. They stand beside the journal since they are read by column, in a fraction of a second, and
may be discarded: where a file is missing, or the stamp in it names another state of the journal, they are measured
again. The stamp is the identity of the stage `select`, without the settings that decide nothing here.

Rejected: rows of the journal (a million small rows, read back one by one), and a cache outside the run.
"""

from thinkscale.config.select import MEASURED
from thinkscale.curation.measures import COLUMNS, Measures
from thinkscale.errors import RunDirectoryError
from thinkscale.keys import content_key
from thinkscale.store.atomic import atomic_file, remove_partial_files, writing
from thinkscale.store.run import RunDirectory

FOLDER = "measures"
ROWS_PER_GROUP = 20_000
"""Few enough that one row is read in milliseconds."""
MEASURES_VERSION = 2
"""Raised when the same journal gives other measures."""
STAMP = "thinkscale.stamp"


def stored_measures(run: RunDirectory) -> Measures | None:
    """The measures in the run's folder, None where they are missing, broken, or of another state of the journal."""
    import polars as pl

    wanted = stamp(run)
    tables: dict[str, pl.DataFrame] = {}
    for name in COLUMNS:
        path = run.path / FOLDER / f"{name}.parquet"
        try:
            if pl.read_parquet_metadata(path).get(STAMP) != wanted:
                return None
            tables[name] = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):  # missing or broken: either way it is measured again
            return None
    return Measures(**tables)


def write_measures(run: RunDirectory, measures: Measures) -> None:
    """Puts the measures into the run's folder, each file whole or not at all. Raises StorageError."""
    import pyarrow.parquet as pq

    folder = run.path / FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    remove_partial_files(folder)
    metadata = {STAMP: stamp(run)}
    for name, frame in measures.tables().items():
        path = folder / f"{name}.parquet"
        table = frame.to_arrow().replace_schema_metadata(metadata)
        with atomic_file(path) as stream, writing(path):
            pq.write_table(table, stream, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP)


def stamp(run: RunDirectory) -> str:
    """What the measures of a run depend on. RunDirectoryError where its stage `select` was not begun."""
    stage = run.journal.stage("select")
    if stage is None:
        raise RunDirectoryError(f"{run.path}: nothing was selected here; run its recipe to the stage `select` first")
    section = stage.identity.get("select")
    settings = {name: section.get(name) for name in MEASURED} if isinstance(section, dict) else section
    others = {key: value for key, value in stage.identity.items() if key not in ("select", "seed")}
    return content_key("measures", MEASURES_VERSION, others, settings)
