"""A real Chromium for pages, where there is one, and what a page did while it was open."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.reporting.traces.small_run import Characters, write_many, write_tables
from thinkscale.records import Step
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.traces.inline import inline_traces
from thinkscale.reporting.training import TrainingFacts
from thinkscale.reporting.writing import write_report

PLACES = ("/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome")
"""Where Debian's wrapper keeps the program (the wrapper needs more of /etc than a container may have), then names."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    given = os.environ.get("THINKSCALE_CHROMIUM")
    return given or next(filter(None, map(shutil.which, PLACES)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: while Playwright's event loop runs in this thread, asyncio can start no other in it."""
    path = chromium_path()
    if path is None:
        pytest.skip("needs a Chromium: install one, or set THINKSCALE_CHROMIUM to its program")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            pytest.skip(f"{path} does not start here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


class Opened:
    """A page in a context of its own, with its errors and every address that it asked for."""

    def __init__(self, browser: Browser, width: int = 1400, scheme: str = "light", scripts: bool = True) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
        )
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def ready(self, address: str) -> Page:
        """The page at `address`, its list of responses read.

        A row, which the script draws, is waited for and no expression: what Playwright evaluates again and again
        in the page is an `eval`, which the served page's content security policy refuses.
        """
        self.page.goto(address)
        self.page.wait_for_selector(".row")
        return self.page


def report_with(folder: Path, data: ReportData, tables: Path) -> str:
    """The address of a report of `data` with the responses of `tables`."""
    write_report(replace(data, traces=inline_traces(tables, Characters())), folder)
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="session")
def whole_report(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> str:
    """With every figure that a report can have, and the responses of the small run."""
    out = tmp_path_factory.mktemp("whole")
    return report_with(out, data, write_tables(out / "tables"))


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """With one figure (a loss curve) and the responses of the small run."""
    out = tmp_path_factory.mktemp("small")
    steps = tuple(
        Step(step=step, epoch=step / 10, loss=1 / (1 + step), learning_rate=1e-3, gradient_norm=1.0)
        for step in range(20)
    )
    trainings = (TrainingFacts(steps=steps),)
    small = ReportData(title="Small", recipe="small", models=(), problems_by_benchmark={}, trainings=trainings)
    return report_with(out, small, write_tables(out / "tables"))


@pytest.fixture(scope="session")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Without evaluation: 10,000 responses and nothing else."""
    out = tmp_path_factory.mktemp("long")
    nothing = ReportData(title="Long", recipe="long", models=(), problems_by_benchmark={})
    return report_with(out, nothing, write_many(out / "tables", 10_000))
