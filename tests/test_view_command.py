"""`thinkscale view` from the command line: a page until Ctrl-C, or logs for Inspect."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.reporting.traces.small_run import GRADES, PROBLEMS, RESPONSES, SCORES, WAITED
from thinkscale.store.run import RunDirectory

RECIPE = "name: small\nreport: {title: The small run}\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was stopped before its tables were written."""
    folder = tmp_path / "run"
    with RunDirectory.create_or_open(folder, RECIPE) as made:
        made.begin_stage("evaluate", {})
        made.commit("evaluate", "all", 0, [*PROBLEMS, *RESPONSES, *GRADES, *SCORES])
    return folder


@contextmanager
def viewing(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `thinkscale view` and its address."""
    command = [sys.executable, "-m", "thinkscale", "view", *arguments, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield process, line.split()[0] if line else ""
        finally:
            process.kill()


def got(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as reply:
        return str(reply.read().decode())


def thinkscale(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thinkscale", "view", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_run_under_way_is_served_until_it_is_stopped(run: Path, end: signal.Signals) -> None:
    scratch = run.parent / "scratch"
    scratch.mkdir()
    before = sorted(run.iterdir())
    command = [sys.executable, "-m", "thinkscale", "view", str(run), "--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(scratch)}
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        assert "The small run" in got(address)
        assert json.loads(got(f"{address}api/rows"))["total"] == len(RESPONSES)
        # Without a student there is no tokenizer, so the thinking is one text.
        assert json.loads(got(f"{address}api/trace?key=e1"))["detail"]["thinking"] == WAITED
        process.send_signal(end)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(30) == 0
    assert list(scratch.iterdir()) == []
    assert [path.name for path in sorted(run.iterdir()) if path in before] == [path.name for path in before]


def test_a_run_of_another_version_can_still_be_read(run: Path) -> None:
    (run / "recipe.yaml").write_text("name: small\nno_such_section: {}\n")
    with viewing(str(run), "--port", "0") as (_, address):
        assert "<h1>run</h1>" in got(address)
        assert json.loads(got(f"{address}api/rows"))["total"] == len(RESPONSES)


def test_finished_tables_are_read_where_they_lie(run: Path) -> None:
    with RunDirectory.open_existing(run) as made:
        made.finish_stage("evaluate")
        made.export_tables(["evaluate"])
    with viewing(str(run), "--port", "0") as (_, address):
        assert json.loads(got(f"{address}api/rows?verdict=correct"))["total"] == 2


def test_tables_that_are_behind_the_journal_are_not_believed(run: Path) -> None:
    with RunDirectory.open_existing(run) as made:
        made.finish_stage("evaluate")
        made.export_tables(["evaluate"])
        made.begin_stage("generate", {})
        made.commit("generate", "more", 0, [response for response in RESPONSES if response.key == "t1"])
    with viewing(str(run), "--port", "0") as (_, address):
        assert json.loads(got(f"{address}api/rows"))["total"] == len(RESPONSES) + 1


def test_a_taken_port_a_missing_run_and_an_empty_one_are_said_clearly(run: Path, tmp_path: Path) -> None:
    with viewing(str(run), "--port", "0") as (_, address):
        taken = thinkscale(str(run), "--no-browser", "--port", address.rstrip("/").rsplit(":", 1)[1])
    assert taken.returncode == 2
    assert "choose another, or 0 for any" in taken.stderr
    missing = thinkscale(str(tmp_path / "nowhere"))
    assert missing.returncode == 2
    assert "not a run directory" in missing.stderr
    with RunDirectory.create_or_open(tmp_path / "empty", RECIPE):
        pass
    empty = thinkscale(str(tmp_path / "empty"), "--no-browser")
    assert empty.returncode == 2
    assert "has no responses yet" in empty.stderr


def test_logs_for_inspect_are_written_and_what_is_missing_is_said(run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    said = thinkscale(str(run), "--inspect", str(tmp_path / "logs"), PATH=str(bare))
    assert said.returncode == 0, said.stderr
    logs = sorted((tmp_path / "logs").iterdir())
    assert len(logs) == 8
    assert f"8 logs in {tmp_path / 'logs'}" in said.stdout
    assert "pip install inspect-ai" in said.stdout
    with zipfile.ZipFile(logs[0]) as archive:
        assert json.loads(archive.read("header.json"))["version"] == 2


def test_inspects_viewer_is_started_on_the_logs_where_it_is_installed(run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    program = bare / "inspect"
    program.write_text(f'#!{shutil.which("sh")}\necho "started: $*"\nexit 3\n')
    program.chmod(0o755)
    said = thinkscale(str(run), "--inspect", str(tmp_path / "logs"), PATH=str(bare))
    assert f"started: view start --log-dir {tmp_path / 'logs'}" in said.stdout
    assert said.returncode == 3
    quiet = thinkscale(str(run), "--inspect", str(tmp_path / "logs"), "--no-browser", PATH=str(bare))
    assert "started" not in quiet.stdout


def test_a_file_is_no_place_for_logs(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = thinkscale(str(run), "--inspect", str(tmp_path / "file"))
    assert said.returncode == 2
    assert (tmp_path / "file").read_text() == "mine"
