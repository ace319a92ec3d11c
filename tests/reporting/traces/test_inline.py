"""The responses packed into a page."""

import base64
import gzip
import json
import string
from pathlib import Path
from typing import Any

from tests.reporting.traces.small_run import HOSTILE, Characters, write_many
from thinkscale.reporting.document import Browser, Document, Section
from thinkscale.reporting.html import render_html
from thinkscale.reporting.traces.inline import MOST_BYTES, InlineTraces, inline_traces
from thinkscale.reporting.traces.section import traces_section


def unpacked(traces: InlineTraces) -> dict[str, Any]:
    whole = json.loads(gzip.decompress(base64.b64decode(traces.packed)))
    assert isinstance(whole, dict)
    return whole


def packed(folder: Path, most_bytes: int = MOST_BYTES) -> InlineTraces:
    traces = inline_traces(folder, Characters(), most_bytes)
    assert traces is not None
    return traces


def test_a_page_holds_every_response_whole(tables: Path) -> None:
    traces = packed(tables)
    whole = unpacked(traces)
    assert (traces.num_rows, traces.num_all, traces.is_complete) == (6, 6, True)
    assert [row["key"] for row in whole["rows"]] == ["t1", "e1", "e2", "e3", "e4", "e5"]
    assert whole["details"][3]["answer"] == f"B {HOSTILE}"
    assert whole["details"][1]["thinking"] == ["First 3.\n", "Wait", "\nThen 4."]
    assert whole["problems"][whole["rows"][3]["problem"]]["choices"] == ["3", HOSTILE]
    assert packed(tables) == traces


def test_what_is_packed_cannot_leave_its_element(tables: Path) -> None:
    allowed = set(string.ascii_letters + string.digits + "+/=")
    assert set(packed(tables).packed) <= allowed
    traces = packed(tables)
    section = Section(anchor="traces", title="All", blocks=(Browser(traces=traces),))
    page = render_html(Document(title="t", facts=(), sections=(section,)), {}, {})
    assert "window.owned" not in page
    assert page.count("</script>") == 3


def test_a_page_that_cannot_hold_all_holds_some_of_every_kind_and_says_so(tmp_path: Path, tables: Path) -> None:
    folder = write_many(tmp_path, 3000)
    traces = packed(folder, 20_000)
    assert len(traces.packed) <= 20_000
    assert 100 < traces.num_rows < 3000
    assert [row["key"] for row in unpacked(traces)["rows"]] == [f"t{number}" for number in range(traces.num_rows)]
    section = traces_section(traces)
    assert section is not None
    assert f"This page holds {traces.num_rows:,} of 3,000 responses (its limit is 0.02 MB)" in str(section.blocks)
    small = unpacked(packed(tables, 1_000))
    assert 0 < len(small["rows"]) < 6
    assert max(row["problem"] for row in small["rows"]) < len(small["problems"])


def test_a_run_without_responses_has_no_browser(tmp_path: Path) -> None:
    assert inline_traces(tmp_path, None) is None
    assert inline_traces(write_many(tmp_path, 0), None) is None
    assert traces_section(None) is None
