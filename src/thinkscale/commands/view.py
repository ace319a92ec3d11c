"""view: the responses of a run in a browser, served on this machine, or as logs for Inspect's viewer."""

import os
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from functools import cache
from pathlib import Path

from thinkscale.config import Recipe
from thinkscale.errors import ConfigError, DataError, ThinkscaleError
from thinkscale.reporting.traces.serving import TraceServer, TraceSite
from thinkscale.settings import load_settings
from thinkscale.stages.trace_rows import student_tokens, tables_of
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.formats import BoundFormat

PORT = 8377
"""Where the page is if nobody says otherwise and it is free: links to responses then last from one day to the next."""


def view(folder: Path, port: int | None, *, open_browser: bool, say: Callable[[str], None]) -> None:
    """Serves the run's responses until Ctrl-C; `say` gets the address when the page can be read.

    Only this machine can ask, and nothing is written. Raises DataError where the run has no responses yet and
    ConfigError where the port is taken.
    """
    with RunDirectory.read(folder) as run, tables_of(run) as tables:
        if not (tables / "responses.parquet").is_file():
            raise DataError(f"{folder}: this run has no responses yet; `thinkscale status {folder}` says how far it is")
        recipe = _recipe(run)

        @cache
        def tokens() -> BoundFormat | None:
            return student_tokens(recipe) if recipe else None

        site = TraceSite(
            recipe.report.title if recipe else folder.resolve().name, tables, folder / "report.html", tokens
        )
        with _server(site, port) as server:
            say(f"{server.url}  ({site.num_rows:,} responses; Ctrl-C stops)")
            if open_browser and _has_screen():
                webbrowser.open(server.url)
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                say("stopped")


def _recipe(run: RunDirectory) -> Recipe | None:
    """The run's recipe; None for one that this version does not understand: its responses can be read all the same."""
    try:
        return load_settings(Recipe, run.recipe_yaml, name=str(run.path / "recipe.yaml")).value
    except ThinkscaleError:
        return None


def _server(site: TraceSite, port: int | None) -> TraceServer:
    if port is not None:
        return TraceServer(site, port)
    try:
        return TraceServer(site, PORT)
    except ConfigError:  # another run is being viewed
        return TraceServer(site, 0)


def _has_screen() -> bool:
    """Whether a browser would have a window; without one Python starts a browser of the terminal, which holds us up."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def export_inspect(folder: Path, out: Path) -> list[Path]:
    """Writes the run as Inspect's logs into `out`, one for each cell, and returns their paths.

    Raises DataError where the run has no responses yet, ConfigError where `out` is a file.
    """
    from thinkscale.reporting.inspect_logs import write_logs

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--inspect {out}: this is a file; give a folder for the logs")
    with RunDirectory.read(folder) as run, tables_of(run) as tables:
        if not (tables / "responses.parquet").is_file():
            raise DataError(f"{folder}: this run has no responses yet; `thinkscale status {folder}` says how far it is")
        recipe = _recipe(run)
        name = recipe.name if recipe else folder.resolve().name
        started = {stage.name: stage.started for stage in run.journal.stages()}
        return write_logs(tables, out, name, started.get("evaluate", min(started.values())))


def inspect_viewer() -> str | None:
    """Inspect's program, None where it is not installed."""
    beside = Path(sys.executable).with_name("inspect")
    return str(beside) if beside.is_file() else shutil.which("inspect")


def open_inspect(program: str, out: Path) -> int:
    """Runs Inspect's viewer on the logs until it is stopped; its exit code."""
    try:
        return subprocess.call([program, "view", "start", "--log-dir", str(out)])
    except KeyboardInterrupt:
        return 0
