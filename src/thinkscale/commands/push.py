"""push: the tables of a run or a folder as a data set on the Hub, or a trained model, with a card of their own.

What would be uploaded is written to a folder first, and `--dry-run` ends there: it can be read, and loaded with
`datasets.load_dataset(FOLDER)`, before anything leaves the machine.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from thinkscale.commands.card_facts import card_facts, records_of
from thinkscale.commands.push_options import PushOptions, dry_folder
from thinkscale.credentials import redact
from thinkscale.errors import ConfigError, DataError, StorageError
from thinkscale.sources.cards import card
from thinkscale.sources.files import SUFFIXES
from thinkscale.sources.hub import HUB, upload
from thinkscale.sources.publishing import write_public
from thinkscale.store.tables import TABLES

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
USUAL = ("examples", "problems")
"""Which table is pushed where none is named: the first that is there."""


def push(folder: Path, to: str, options: PushOptions) -> str:
    """Uploads tables of `folder`, or its model, to `to`, and returns a line that says where they are.

    Raises ConfigError on a name that is none, DataError where a table or the model is missing or the Hub refuses.
    """
    if not REPOSITORY.fullmatch(to):
        kind = "model" if options.what == "model" else "data set"
        raise ConfigError(f"--to {to!r} is no name of a {kind}; write owner/name")
    if options.out is not None and not options.dry_run:
        raise ConfigError("--out is for --dry-run: it says where to write what would be uploaded")
    _check_fitting(options)
    if options.what == "model":
        from thinkscale.commands.push_model import push_model

        return push_model(folder, to, options)
    paths = _tables(folder, options.tables)
    if options.dry_run:
        out = dry_folder(to, options)
        rows = _write(out, folder, to, paths)
        return f"{out} holds what would be uploaded to {HUB}/datasets/{to}: {_said(rows)}. Nothing was sent"
    with TemporaryDirectory(prefix="thinkscale-push-") as written:
        rows = _write(Path(written), folder, to, paths)
        message = f"{', '.join(rows)} by thinkscale"
        address = upload(Path(written), to, private=options.private, revision=options.revision, message=message)
    return f"{_said(rows)} are at {HUB}/datasets/{to} ({address})"


def _check_fitting(options: PushOptions) -> None:
    """Raises ConfigError naming an option of the other kind."""
    of_model = {"--licence": options.licence, "--thinking-format": options.thinking_format}
    unfitting = {"--table": options.tables} if options.what == "model" else of_model
    for name, value in unfitting.items():
        if value:
            raise ConfigError(f"{name} is not for --what {options.what}")


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
            name: write_public(out / "data" / f"{name}.parquet", TABLES[name], records_of(path, TABLES[name]))
            for name, path in paths.items()
        }
        (out / "README.md").write_text(redact(card(card_facts(folder, to, rows, paths))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out} could not be written: {error.strerror or error}") from error
    return rows
