import multiprocessing
import random
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from thinkscale.store.manifest import verify
from thinkscale.store.run import RunDirectory

from . import kill_child
from .kill_child import NUM_UNITS, ROWS_PER_UNIT

NUM_WORK_KILLS = 26
NUM_EXPORT_KILLS = 6


def _start(folder: Path, longest_sleep: float, forever: bool) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "thinkscale.store.run", "pyarrow.parquet", "pandas"])
    words, theirs = context.Pipe(duplex=False)
    child = context.Process(target=kill_child.main, args=(folder, longest_sleep, forever, theirs))
    child.start()
    theirs.close()
    return child, words


def _heard(words: Connection, last: str) -> list[str]:
    """What a child says, up to the word `last` or to its end."""
    said: list[str] = []
    with suppress(EOFError):
        while last not in said:
            said.append(words.recv())
    return said


def _kill(folder: Path, longest_sleep: float, after_word: str, delay: float) -> list[str]:
    """Starts a child and kills it `delay` seconds after it said `after_word` (at once where empty); what it said."""
    child, words = _start(folder, longest_sleep, forever=True)
    said = _heard(words, after_word) if after_word else []
    time.sleep(delay)
    child.kill()
    said += _heard(words, "")
    child.join()
    words.close()
    assert child.exitcode == -signal.SIGKILL
    return said


def _run_to_the_end(folder: Path) -> None:
    child, words = _start(folder, 0.0, forever=False)
    assert _heard(words, "")[-1:] == ["done"]
    words.close()
    child.join()
    assert child.exitcode == 0


def _check_units_are_whole(folder: Path) -> int:
    with RunDirectory.read(folder) as run:
        done = run.journal.done_units("generate")
        for table in ("responses", "grades"):
            assert run.journal.num_rows(table, ["generate"]) == len(done) * ROWS_PER_UNIT
        return len(done)


def _names(folder: Path) -> set[str]:
    """Files but for those of SQLite's that the last reader leaves."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("journal.db-")}


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    _run_to_the_end(calm)
    chance = random.Random(7)
    in_work = 0
    for number in range(NUM_WORK_KILLS):
        before_ready = number % 6 == 0
        said = _kill(rough, 0.012, "" if before_ready else "ready", chance.uniform(0, 0.1))
        in_work += "worked" not in said
        if (rough / "journal.db").exists() and number % 4 == 1:
            _check_units_are_whole(rough)
    assert in_work >= 20
    for _ in range(NUM_EXPORT_KILLS):
        _kill(rough, 0.0, "exporting", chance.uniform(0, 0.15))
    _run_to_the_end(rough)

    assert _check_units_are_whole(rough) == NUM_UNITS["generate"]
    names = _names(calm)
    assert _names(rough) == names
    tables = sorted(name for name in names if name.endswith(".parquet"))
    assert tables == ["cells.parquet", "grades.parquet", "problems.parquet", "responses.parquet"]
    for name in [*tables, "recipe.yaml", "manifest.json"]:
        assert (calm / name).read_bytes() == (rough / name).read_bytes(), name
    assert verify(rough) == ()
