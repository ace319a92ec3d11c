"""`thinkscale view` in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, expect

from tests.reporting.browser.conftest import Opened
from tests.reporting.traces.small_run import HOSTILE, Characters, write_many, write_tables
from thinkscale.reporting.traces.serving import TraceServer, TraceSite


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    yield from serving(write_tables(tmp_path))


@pytest.fixture
def many(tmp_path: Path) -> Iterator[str]:
    yield from serving(write_many(tmp_path, 3000))


def serving(tables: Path) -> Iterator[str]:
    with TraceServer(TraceSite("The run", tables, tables / "report.html", Characters), 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def test_the_served_page_filters_searches_and_opens_as_the_report_does(chromium: Browser, small: str) -> None:
    opened = Opened(chromium)
    page = opened.ready(small)
    expect(page.get_by_role("heading", level=1)).to_have_text("The run")
    expect(page.get_by_role("status")).to_have_text("6 responses")
    page.select_option("select[name=method]", "truncation")
    page.select_option("select[name=verdict]", "correct")
    expect(page.get_by_role("status")).to_have_text("1 of 6 responses")
    page.get_by_role("searchbox").fill("onerror")
    page.locator(".row").click()
    expect(page.locator(".opened h3")).to_have_text("✓ correct pick-1, sample 0")
    assert page.locator(".opened .thinking").evaluate("(node) => node.textContent") == f"Hm. {HOSTILE}"
    assert page.evaluate("window.owned") is None
    assert page.url.endswith("#traces&q=onerror&method=truncation&verdict=correct&trace=e3")
    assert opened.errors == []
    assert all(address.startswith(small) for address in opened.asked)


def test_a_link_opens_the_response_and_finds_its_place_in_the_list(chromium: Browser, many: str) -> None:
    page = Opened(chromium).ready(many + "#traces&order=longest&trace=t2500")
    expect(page.locator(".opened .thinking")).to_have_text("row 2500 of all")
    expect(page.locator(".rows .row.active")).to_contain_text("question 2500")


def test_rows_are_fetched_where_the_list_is_looked_at(chromium: Browser, many: str) -> None:
    opened = Opened(chromium, 390, "dark")
    page = opened.ready(many)
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.locator("#row-2999")).to_contain_text("question 2999")
    pages = [address for address in opened.asked if "/api/rows" in address]
    assert 2 <= len(pages) <= 4
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.errors == []


def test_the_page_asks_again_until_a_search_is_complete(
    chromium: Browser, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thinkscale.reporting.traces.search.SCANNED_AT_ONCE", 500)
    monkeypatch.setattr("thinkscale.reporting.traces.serving.SEARCH_SECONDS", 0.0)
    monkeypatch.setattr("thinkscale.reporting.traces.serving.QUICK_SECONDS", 0.0)
    opened = Opened(chromium)
    page = opened.ready(many)
    page.get_by_role("searchbox").fill('"row 29"')
    expect(page.get_by_role("status")).to_have_text("111 of 3,000 responses")
    asked = [address for address in opened.asked if "q=%22row" in address]
    assert len(asked) == 6
