import errno
import multiprocessing
import os
import resource
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from thinkscale.errors import EncodingError, RunDirectoryError, StorageError
from thinkscale.keys import combined_key, content_key
from thinkscale.records import Label, to_row
from thinkscale.store.atomic import write_text
from thinkscale.store.journal import Journal
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StoredState
from thinkscale.store.tables import write_table

from .samples import EVERY_KIND, grade, problem, response


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as made:
        made.begin_stage("collect", {"seed": 1})
        yield made


def test_rows_come_in_order_of_position_however_units_finish(journal: Journal) -> None:
    for position in (7, 2, -1, 400, 3):
        journal.commit("collect", f"u{position}", position, [problem(position), grade(1), problem(position + 1)])
    ids = [row["id"] for row in journal.rows("problems", ["collect"])]
    assert ids == ["lab--1", "lab-0", "lab-2", "lab-3", "lab-3", "lab-4", "lab-7", "lab-8", "lab-400", "lab-401"]
    assert journal.num_rows("problems", ["collect"]) == 10
    assert journal.num_rows("grades", ["collect", "other"]) == 5


def test_more_rows_than_a_page_stream_in_order(journal: Journal) -> None:
    for position in range(3):
        records = [problem(number) for number in range(position * 333, (position + 1) * 333)]
        journal.commit("collect", f"u{position}", position, records)
    assert [row["id"] for row in journal.rows("problems", ["collect"])] == [f"lab-{number}" for number in range(999)]


def test_a_unit_is_stored_once(journal: Journal) -> None:
    assert journal.commit("collect", "u", 0, [problem(1)], seconds=2.5)
    assert not journal.commit("collect", "u", 0, [problem(2)], seconds=9.0)
    assert not journal.commit("collect", "u", 5, [problem(2)])
    assert [row["id"] for row in journal.rows("problems", ["collect"])] == ["lab-1"]
    assert journal.done_units("collect") == {"u"}
    (stage,) = journal.stages()
    assert (stage.num_units, stage.unit_seconds) == (1, 2.5)


def test_a_unit_without_rows_is_remembered(journal: Journal) -> None:
    assert journal.commit("collect", "empty", 0, [])
    assert journal.done_units("collect") == {"empty"}


def test_mistakes_are_refused_and_leave_nothing(journal: Journal) -> None:
    journal.commit("collect", "u", 0, [problem(1)])
    with pytest.raises(ValueError, match="another unit than v has position 0"):
        journal.commit("collect", "v", 0, [grade(1)])
    with pytest.raises(ValueError, match="stage label is not running"):
        journal.commit("label", "u", 0, [])
    with pytest.raises(ValueError, match="collect exists already"):
        journal.begin_stage("collect", {})
    with pytest.raises(ValueError, match="label was not begun"):
        journal.finish_stage("label")
    with pytest.raises(EncodingError, match="a Label holds text that is not valid Unicode"):
        journal.commit("collect", "v", 1, [Label(problem_id="\ud83d", name="", value="", by="")])
    journal.finish_stage("collect")
    with pytest.raises(ValueError, match="stage collect is not running"):
        journal.commit("collect", "w", 2, [])
    assert journal.done_units("collect") == {"u"}
    assert journal.num_rows("grades", ["collect"]) == 0


def test_every_record_comes_back_from_the_journal(journal: Journal) -> None:
    for position, records in enumerate(EVERY_KIND.values()):
        journal.commit("collect", f"u{position}", position, records)
    for table, records in EVERY_KIND.items():
        assert list(journal.rows(table, ["collect"])) == [to_row(record) for record in records]


def test_the_fingerprint_is_the_combined_key_of_the_rows(tmp_path: Path) -> None:
    made = []
    for name, order in (("a.db", (0, 1)), ("b.db", (1, 0))):
        with Journal.open(tmp_path / name) as journal:
            journal.begin_stage("s", {"name": name})
            for position in order:
                journal.commit(
                    "s", f"{name}{position}", position, [response(position), grade(position)], seconds=position
                )
            made.append(journal.finish_stage("s"))
            assert journal.finish_stage("s") == made[-1]
    rows = [("grades", grade(0)), ("grades", grade(1)), ("responses", response(0)), ("responses", response(1))]
    assert made[0] == made[1] == combined_key(content_key(table, record) for table, record in rows)


def test_threads_share_a_journal(journal: Journal) -> None:
    def commit(start: int) -> None:
        for position in range(start, start + 40):
            journal.commit("collect", f"u{position}", position, [problem(position)])
            journal.set_progress("collect", position, 160, "problems")

    threads = [threading.Thread(target=commit, args=(start,)) for start in range(0, 160, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["id"] for row in journal.rows("problems", ["collect"])] == [f"lab-{number}" for number in range(160)]


def test_progress_and_events_are_kept(journal: Journal) -> None:
    journal.set_progress("collect", 1, 10, "problems", 1.5)
    started = journal.progress()[0].started
    journal.set_progress("collect", 4, 10, "problems")
    (found,) = journal.progress()
    assert (found.stage, found.done, found.total, found.unit_name, found.seconds_left) == (
        "collect",
        4,
        10,
        "problems",
        None,
    )
    assert found.started == started
    assert found.updated >= started
    journal.add_event("collect", "retry", "429 from the server")
    journal.add_event("generate", "note", "x")
    assert [(event.kind, event.text) for event in journal.events("collect")] == [("retry", "429 from the server")]
    assert len(journal.events()) == 2


def test_discarding_a_stage_takes_all_of_it_and_nothing_else(journal: Journal) -> None:
    journal.begin_stage("grade", {})
    for stage in ("collect", "grade"):
        journal.commit(stage, "u", 0, [problem(1)])
        journal.set_progress(stage, 1, 1, "problems")
        journal.add_event(stage, "note", "x")
    journal.discard_stages(["collect", "unknown"])
    assert [stage.name for stage in journal.stages()] == ["grade"]
    assert journal.num_rows("problems", ["collect", "grade"]) == 1
    assert [found.stage for found in journal.progress()] == ["grade"]
    assert [event.stage for event in journal.events()] == ["grade"]


def _read_in_another_process(path: Path, answers: "multiprocessing.queues.Queue[int]") -> None:
    with Journal.open_read_only(path) as journal:
        answers.put(journal.stages()[0].num_units)
        answers.put(sum(1 for _ in journal.rows("problems", ["collect"])))


def test_another_process_reads_in_the_middle_of_a_transaction(journal: Journal) -> None:
    journal.commit("collect", "u", 0, [problem(1)])
    context = multiprocessing.get_context("forkserver")
    answers = context.Queue()
    with journal.transaction() as connection:
        connection.execute("INSERT INTO units VALUES ('collect', 'open', 1, 0, 0)")
        reader = context.Process(target=_read_in_another_process, args=(journal.path, answers))
        reader.start()
        assert [answers.get(timeout=20), answers.get(timeout=20)] == [1, 1]
        reader.join()
    assert journal.done_units("collect") == {"u", "open"}


def test_a_slow_reader_does_not_hold_up_the_writer(journal: Journal) -> None:
    journal.commit("collect", "u", 0, [problem(number) for number in range(500)])
    with Journal.open_read_only(journal.path) as reader:
        rows = reader.rows("problems", ["collect"])
        next(rows)
        journal.commit("collect", "v", 1, [problem(500)])
        assert sum(1 for _ in rows) == 500
        with pytest.raises(StorageError, match="readonly"):
            reader.add_event("collect", "note", "x")


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"x", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_foreign_or_damaged_file_is_refused_untouched(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    for opened in (Journal.open, Journal.open_read_only):
        with pytest.raises(RunDirectoryError, match="journal") as caught:
            opened(path)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RunDirectoryError, match="not a journal of thinkscale"):
        Journal.open(path)
    assert path.read_bytes() == before


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RunDirectoryError, match="journal format 99, this one reads 2"):
        Journal.open(path)


def test_flipped_and_lost_bytes_are_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.begin_stage("s", {})
        for position in range(200):
            journal.commit("s", f"u{position}", position, [response(position)])
    whole = path.read_bytes()
    at = whole.rindex(b"\x28\xb5\x2f\xfd")  # a compressed payload
    path.write_bytes(whole[: at + 30] + bytes([whole[at + 30] ^ 0xFF]) + whole[at + 31 :])
    with (
        Journal.open(path) as journal,
        pytest.raises(RunDirectoryError, match=r"damaged.*Put back a copy of journal.db"),
    ):
        list(journal.rows("responses", ["s"]))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunDirectoryError, match="damaged"), Journal.open(path) as journal:
        list(journal.rows("responses", ["s"]))


def test_a_journal_whose_maker_was_killed_before_its_tables_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    with Journal.open(path) as journal:
        assert journal.stages() == []


def test_no_journal_is_a_run_directory_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="there is no journal here"):
        Journal.open_read_only(tmp_path / "journal.db")


# A disk that does not take it


def test_a_file_size_limit_loses_only_the_unit_in_flight(journal: Journal) -> None:
    journal.commit("collect", "u", 0, [problem(1)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = Label(problem_id="", name="", value=os.urandom(400_000).hex(), by="")
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="run the same command again") as caught:
            journal.commit("collect", "big", 1, [noise])
        with pytest.raises(StorageError, match="the disk is full"):
            write_table(journal.path.with_name("labels.parquet"), Label, [noise])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(journal.path) in str(caught.value)
    assert journal.commit("collect", "big", 1, [noise])
    assert journal.done_units("collect") == {"u", "big"}
    assert not journal.path.with_name("labels.parquet").exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_the_run_goes_on_after_space_is_freed(tiny_disk: Path) -> None:
    path = tiny_disk / "run"
    (tiny_disk / "ballast").write_bytes(bytes(200_000))
    with RunDirectory.create_or_open(path, "recipe: lab\n") as run:
        run.begin_stage("s", {})
        noise = [Label(problem_id=str(number), name="", value=os.urandom(9000).hex(), by="") for number in range(200)]
        with pytest.raises(StorageError, match=r"journal.db: the disk is full.*Free space") as caught:
            _commit_all(run, noise)
        assert caught.value.exit_code == 1
        committed = len(run.journal.done_units("s"))
        assert 3 < committed < 100
        with pytest.raises(StorageError):
            run.journal.add_event("s", "note", "x" * 100_000)
        with pytest.raises(StorageError, match=r"x.json: the disk is full"):
            write_text(path / "x.json", "x" * 1_000_000)
    (tiny_disk / "ballast").unlink()
    with RunDirectory.create_or_open(path, "recipe: lab\n") as run:
        assert list(run.rows(Label)) == noise[:committed]
        assert run.commit("s", str(committed), committed, noise[committed : committed + 1])
        run.finish_stage("s")
        (tiny_disk / "ballast").write_bytes(bytes(_free(tiny_disk) - 40_000))
        with pytest.raises(StorageError, match=r"labels.parquet: the disk is full"):
            run.export_tables(["s"])
        (tiny_disk / "ballast").unlink()
    assert sorted(item.name for item in path.iterdir() if item.suffix in (".parquet", ".partial")) == []


def _commit_all(run: RunDirectory, labels: Sequence[Label]) -> None:
    for position, label in enumerate(labels):
        run.commit("s", label.problem_id, position, [label])


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_a_finished_run_is_readable_on_a_disk_that_is_read_only(tiny_disk: Path) -> None:
    with Journal.open(tiny_disk / "journal.db") as journal:
        journal.begin_stage("s", {})
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with Journal.open_read_only(tiny_disk / "journal.db") as journal:
        assert [stage.state for stage in journal.stages()] == [StoredState.RUNNING]
    with pytest.raises(StorageError, match="cannot be written"):
        write_text(tiny_disk / "x", "x")


def test_sqlites_own_message_is_enough(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal, "_insert", full)
    with pytest.raises(StorageError, match="the disk is full"):
        journal.commit("collect", "u", 0, [])
    monkeypatch.undo()
    assert journal.commit("collect", "u", 0, [])


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, r"cannot be written \(Permission denied\)"),
    ],
)
def test_a_failed_sync_is_a_storage_error(
    number: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageError, match=message):
        write_text(tmp_path / "x.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_units_carry_what_they_cost(journal: Journal) -> None:
    journal.commit("collect", "a", 0, [problem(1)], seconds=1.5, usd=0.25)
    journal.commit("collect", "b", 1, [problem(2)])
    assert journal.unit_costs("collect") == {"a": (1.5, 0.25), "b": (0.0, 0.0)}
    assert journal.unit_costs("other") == {}
    (stage,) = journal.stages()
    assert (stage.unit_seconds, stage.usd) == (1.5, 0.25)


def test_a_unit_is_known_by_stage_and_key(journal: Journal) -> None:
    journal.commit("collect", "a", 0, [])
    assert journal.has_unit("collect", "a")
    assert not journal.has_unit("collect", "b")
    assert not journal.has_unit("other", "a")


def test_forgotten_units_are_done_again_and_leave_the_rest_alone(journal: Journal) -> None:
    for position in range(3):
        journal.commit("collect", f"u{position}", position, [problem(position)], usd=1.0)
    whole = journal.finish_stage("collect")
    journal.forget_units("collect", ["u1", "unknown"])
    (stage,) = journal.stages()
    assert (stage.state, stage.num_units, stage.usd, stage.fingerprint) == (StoredState.RUNNING, 2, 2.0, "")
    assert [row["id"] for row in journal.rows("problems", ["collect"])] == ["lab-0", "lab-2"]
    assert journal.commit("collect", "u1", 1, [problem(1)], usd=1.0)
    assert journal.finish_stage("collect") == whole


def test_gauges_stand_beside_the_progress_and_are_replaced_with_it(journal: Journal) -> None:
    journal.set_progress("collect", 1, 10, "rows", gauges={"in_flight": 3, "spent_usd": 0.5})
    journal.set_progress("collect", 2, 10, "rows", seconds_left=8.0, gauges={"in_flight": 4})
    (progress,) = journal.progress()
    assert (progress.done, progress.total, progress.seconds_left) == (2, 10, 8.0)
    assert progress.gauges == {"in_flight": 4}
    journal.set_progress("collect", 3, 10, "rows")
    assert journal.progress()[0].gauges == {}
