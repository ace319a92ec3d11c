"""The run directory: one writer at a time, stages that are done once, and tables exported from the journal."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from thinkscale.errors import RunDirectoryError
from thinkscale.keys import JSON, plain
from thinkscale.records import Record, from_row
from thinkscale.store.atomic import is_partial, read_json, remove_partial_files, write_json, write_text, writing
from thinkscale.store.drift import changes, drift_error
from thinkscale.store.journal import Journal
from thinkscale.store.lock import LOCK_NAME, DirectoryLock
from thinkscale.store.manifest import JOURNAL_NAME, MANIFEST_NAME, write_manifest
from thinkscale.store.states import StageState, StoredState
from thinkscale.store.tables import TABLE_OF, TABLES, write_rows

RECIPE_NAME = "recipe.yaml"
PROVENANCE_NAME = "provenance.json"

R = TypeVar("R")


class RunDirectory:
    """An open run directory. Made by `create_or_open`, `open_existing` (writers) or `read`; to be closed.

    A writer changes nothing in the folder of a finished run before its first `begin_stage` that is not DONE, export
    or other write; then the manifest goes and the recipe is replaced. So a refused recipe leaves all as it was.
    """

    def __init__(self, path: Path, journal: Journal, lock: DirectoryLock | None, recipe_yaml: str | None) -> None:
        self.path = path
        self.journal = journal
        self._lock = lock
        self._recipe = recipe_yaml
        self._writing = False

    @classmethod
    def create_or_open(cls, path: Path, recipe_yaml: str) -> Self:
        """The run at `path` for its one writer, made where there is none.

        Raises RunDirectoryError for a folder that is in use, that is neither empty nor a run, or whose journal is
        damaged; StorageError where it cannot be written.
        """
        _check_place(path)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        return cls._open(path, recipe_yaml)

    @classmethod
    def open_existing(cls, path: Path) -> Self:
        """The run at `path` for its one writer, with the recipe that it has. RunDirectoryError where there is none."""
        _check_exists(path)
        return cls._open(path, None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The run at `path` for reading, also while another process writes it. Raises RunDirectoryError."""
        _check_exists(path)
        return cls(path, Journal.open_read_only(path / JOURNAL_NAME), None, None)

    @classmethod
    def _open(cls, path: Path, recipe_yaml: str | None) -> Self:
        lock = DirectoryLock(path)
        try:
            remove_partial_files(path)
            run = cls(path, Journal.open(path / JOURNAL_NAME), lock, recipe_yaml)
        except BaseException:
            lock.release()
            raise
        try:
            if recipe_yaml is not None and not (path / RECIPE_NAME).exists():
                run._start_writing()
        except BaseException:
            run.close()
            raise
        return run

    def close(self) -> None:
        """Closes the journal and lets the next writer in. A second call does nothing."""
        try:
            self.journal.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_writing(self) -> None:
        if self._lock is None:
            raise RunDirectoryError(f"{self.path}: opened for reading only")
        if self._writing:
            return
        with writing(self.path / MANIFEST_NAME):
            (self.path / MANIFEST_NAME).unlink(missing_ok=True)
        for folder in (self.checkpoints, self.figures):
            with writing(folder):
                folder.mkdir(exist_ok=True)
        if self._recipe is not None:
            write_text(self.path / RECIPE_NAME, self._recipe)
        self._writing = True

    @property
    def checkpoints(self) -> Path:
        """Folder of trained models."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Folder of the report's figures."""
        return self.path / "figures"

    @property
    def recipe_yaml(self) -> str:
        """The resolved recipe as stored. RunDirectoryError where there is none."""
        try:
            return (self.path / RECIPE_NAME).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunDirectoryError(f"{self.path / RECIPE_NAME}: cannot be read ({error})") from error

    @property
    def is_done(self) -> bool:
        """Whether the last writing run came to its end."""
        return (self.path / MANIFEST_NAME).exists()

    # Stages

    def stage_state(self, name: str, identity: Mapping[str, JSON]) -> StageState:
        """What `begin_stage` would find; changes nothing. Raises DriftError where the stored identity differs."""
        stage = self.journal.stage(name)
        if stage is None:
            return StageState.NEW
        found = changes(stage.identity, _plain_object(identity))
        if found:
            raise drift_error(self.path, name, found)
        return StageState.DONE if stage.state is StoredState.DONE else StageState.RESUMED

    def begin_stage(self, name: str, identity: Mapping[str, JSON]) -> StageState:
        """Begins a stage, goes on with it, or finds it done. Raises DriftError where the stored identity differs."""
        state = self.stage_state(name, identity)
        if state is not StageState.DONE:
            self._start_writing()
        if state is StageState.NEW:
            self.journal.begin_stage(name, dict(identity))
        return state

    def commit(
        self,
        stage: str,
        unit_key: str,
        position: int,
        records: Iterable[Record],
        seconds: float = 0.0,
        usd: float = 0.0,
    ) -> bool:
        """`Journal.commit`: a unit with all of its records, or nothing; False where it was there already."""
        self._start_writing()
        return self.journal.commit(stage, unit_key, position, records, seconds, usd)

    def forget_units(self, stage: str, keys: Iterable[str]) -> None:
        """Forgets units with their rows, so that they are done again, and opens the stage for that."""
        self._start_writing()
        self.journal.forget_units(stage, keys)

    def finish_stage(self, name: str) -> str:
        """Marks a stage done; its fingerprint, which depends on its rows and their order alone."""
        self._start_writing()
        return self.journal.finish_stage(name)

    def discard_stages(self, names: Iterable[str]) -> None:
        """Forgets these stages and all of their rows. The caller names the stages behind them too."""
        self._start_writing()
        self.journal.discard_stages(names)

    def rows(self, record_type: type[R], stage: str | None = None) -> Iterator[R]:
        """Records of one table in order, streaming: of one stage, or of all in the order in which they were begun."""
        stages = [stage] if stage is not None else [item.name for item in self.journal.stages()]
        for row in self.journal.rows(TABLE_OF[record_type], stages):
            yield from_row(record_type, row)

    # Files

    def export_tables(self, stage_order: Sequence[str], always: Collection[str] = ()) -> dict[str, int]:
        """Writes the Parquet table of each kind of row that the finished stages of `stage_order` made; rows by table.

        Tables named in `always` are written even where they are empty; a table of an earlier export that has no rows
        any more is removed. Equal journals give equal bytes. Raises StorageError.
        """
        self._start_writing()
        done = {stage.name for stage in self.journal.stages() if stage.state is StoredState.DONE}
        stages = [name for name in stage_order if name in done]
        written = {}
        for table, record_type in TABLES.items():
            path = self.path / f"{table}.parquet"
            if table in always or self.journal.num_rows(table, stages):
                written[table] = write_rows(path, record_type, self.journal.rows(table, stages))
            else:
                with writing(path):
                    path.unlink(missing_ok=True)
        return written

    def write_provenance(self, facts: dict[str, JSON]) -> None:
        """Writes provenance.json. Facts of earlier writing runs that differ stay in its list `earlier`."""
        self._start_writing()
        path = self.path / PROVENANCE_NAME
        write_json(path, {**facts, "earlier": _earlier(path, facts)})

    def write_manifest(self) -> None:
        """Writes the manifest: the last act of a run, which says that it is done."""
        self._start_writing()
        done = (stage for stage in self.journal.stages() if stage.state is StoredState.DONE)
        write_manifest(self.path, {stage.name: stage.fingerprint for stage in done})
        self._writing = False


def _plain_object(identity: Mapping[str, JSON]) -> dict[str, JSON]:
    """As the journal gives it back: tuples are lists, enums their values."""
    made = plain(identity)
    assert isinstance(made, dict)
    return made


def _earlier(path: Path, facts: Mapping[str, JSON]) -> list[JSON]:
    try:
        before = read_json(path)
    except (OSError, ValueError):  # none yet
        return []
    if not isinstance(before, dict):
        return []
    earlier = before.pop("earlier", [])
    assert isinstance(earlier, list)
    return earlier if before == facts else [*earlier, before]


def _check_exists(path: Path) -> None:
    if not (path / JOURNAL_NAME).is_file():
        raise RunDirectoryError(f"{path}: not a run directory (it holds no {JOURNAL_NAME})")


def _check_place(path: Path) -> None:
    """Refuses a file, and a folder with anything that is not ours."""
    if not path.exists():
        return
    if not path.is_dir():
        raise RunDirectoryError(f"{path}: this is a file, not a run directory. Choose another --out")
    if (path / JOURNAL_NAME).exists():
        return
    foreign = sorted(item.name for item in path.iterdir() if item.name != LOCK_NAME and not is_partial(item))
    if foreign:
        raise RunDirectoryError(
            f"{path}: not empty and not a run directory (it holds {', '.join(foreign[:3])}). "
            "Choose another --out, or an empty folder"
        )
