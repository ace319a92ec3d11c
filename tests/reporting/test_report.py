"""The written report: complete, true to its data, self-contained, and safe with hostile text."""

import json
import re
import struct
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from thinkscale.errors import StorageError
from thinkscale.records import Verdict
from thinkscale.reporting import ReportData, write_report
from thinkscale.reporting.charts import FIGURE_NAMES
from thinkscale.reporting.markdown import escaped

HOSTILE_TAG = "<script>alert"


@pytest.fixture(scope="session")
def report(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    write_report(data, out)
    return out


@pytest.fixture(scope="session")
def markdown(report: Path) -> str:
    return (report / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(report: Path) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Collects what a browser would load or run, and the text it would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.specs: dict[str, str] = {}
        self.text = ""
        self._script: str | None = None
        self._spec: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data", "poster", "background"}:
                self.loads.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        self._spec = dict(attrs).get("data-spec") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self._spec is not None:
            self.specs[self._spec] = self.specs.get(self._spec, "") + data
        elif self.lasttag not in {"script", "style"}:
            self.text += data


def rows_of(markdown: str, *start: str) -> list[list[str]]:
    """Cells of the table rows that begin with `start`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines() if line[:1] == "|"
    ]
    return [row for row in rows if tuple(row[: len(start)]) == start]


def test_every_figure_is_there_as_png_and_svg_at_a_readable_size(report: Path) -> None:
    for name in FIGURE_NAMES:
        picture = (report / "figures" / f"{name}.png").read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", picture[16:24])
        assert 900 <= width <= 2400, (name, width)
        assert 250 <= height <= 2400, (name, height)
        drawing = (report / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert drawing.startswith("<svg")
        assert "<text" in drawing


def test_nothing_half_written_is_left(report: Path) -> None:
    assert not list(report.rglob("*.partial"))


def test_every_cell_is_in_the_tables_with_its_counts(data: ReportData, markdown: str) -> None:
    (cell,) = [
        item
        for item in data.cells
        if (item.benchmark, item.model, item.method, item.budget_tokens) == ("lab_choice", "lab-base", "truncation", 64)
    ]
    part = markdown[
        markdown.index("### lab\\_choice (") if "lab\\_choice (" in markdown else markdown.index("### lab_choice (") :
    ]
    (row,) = [row for row in rows_of(part, "lab-base", "truncation", "64 tokens") if len(row) == 15][:1]
    assert row[3] == "100"
    assert row[4].startswith(f"{100 * cell.accuracy:.1f}% [")
    correct, wrong, no_answer, cut_off, in_answer, ungradable = (int(number) for number in row[9:])
    assert (correct, wrong, no_answer) == (cell.correct, cell.wrong, cell.no_answer)
    assert (cut_off, in_answer, ungradable) == (cell.cut_off, 0, cell.ungradable)
    assert correct + wrong + no_answer + cut_off + ungradable == 100


def test_the_accounting_adds_up_to_all_scores(data: ReportData, markdown: str) -> None:
    part = markdown[markdown.index("## Answered, unanswered, cut off") : markdown.index("### Cells of")]
    rows = [row for row in rows_of(part) if row[0] in data.problems_by_benchmark]
    told = sum(int(re.sub(r"\D", "", row[3])) for row in rows)
    assert told == len(data.scores)
    cell = ("lab_choice", "lab-base", "truncation")
    cut = [score for score in data.scores if (score.benchmark, score.model, score.method) == cell]
    num_cut = sum(score.verdict is Verdict.CUT_OFF for score in cut)
    (row,) = [row for row in rows if tuple(row[:3]) == cell]
    assert row[6] == f"{num_cut} ({100 * num_cut / len(cut):.1f}%)"
    assert row[9] == "CUT OFF > 10%"


def test_the_headline_difference_is_that_of_the_scores(data: ReportData, markdown: str) -> None:
    def share(model: str) -> float:
        verdicts = [
            score.verdict
            for score in data.scores
            if (score.benchmark, score.model, score.method, score.budget_tokens)
            == ("lab_numeric", model, "truncation", None)
        ]
        return 100 * verdicts.count(Verdict.CORRECT) / len(verdicts)

    tuned, base = share("lab-distilled"), share("lab-base")
    assert f"lab-distilled answers {tuned:.1f}% correctly, the base model lab-base {base:.1f}%" in markdown
    assert f"+{tuned - base:.1f} points [" in markdown


def test_the_selection_gives_every_reason_its_count(data: ReportData, markdown: str) -> None:
    (row,) = rows_of(markdown, "select", "too easy")
    assert row[3:] == ["1,205", f"{100 * 1205 / 3208:.1f}%"]
    (row,) = rows_of(markdown, "decontaminate", "shares 8gram with benchmark")
    assert row[2] == "pool-decontaminate-0000: the integers a, b and c satisfy"


def test_detectable_differences_are_told_before_any_comparison(markdown: str, page: str) -> None:
    for text in (markdown, Page(page).text):
        assert text.index("detectable difference") < text.index("beyond noise.")


def test_many_cut_off_responses_raise_an_alarm_at_the_top(page: str) -> None:
    text = Page(page).text
    assert text.index("more than 10% of the responses are cut off") < text.index("What the benchmarks can show")


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_scripts(page: str) -> None:
    parsed = Page(page)
    assert all(load.startswith(("#", "data:image/svg+xml;base64,")) for load in parsed.loads)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    assert parsed.tags.count("script") == len(FIGURE_NAMES) + 3
    assert not parsed.handlers
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src &#39;none&#39;" in page
    assert len(page) < 4_000_000


def test_the_page_holds_the_specification_of_each_figure(page: str) -> None:
    specs = {name: json.loads(text) for name, text in Page(page).specs.items()}
    assert set(specs) == set(FIGURE_NAMES)
    assert specs["scaling"]["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_hostile_text_stays_text_in_the_page(page: str) -> None:
    assert HOSTILE_TAG not in page
    assert HOSTILE_TAG in Page(page).text


def test_hostile_text_stays_text_in_markdown(markdown: str) -> None:
    fence, outside = "", []
    for line in markdown.splitlines():
        run = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif run:
            fence = run.group()
        else:
            outside.append(line)
    assert not fence
    text = "\n".join(outside)
    assert HOSTILE_TAG not in text
    assert "![x](" not in text
    assert markdown.count("alert('owned')") >= 5


def test_escaped_text_holds_no_markup() -> None:
    assert escaped("a|b\n<b> `c` ![x](y) *d*") == "a\\|b &lt;b> \\`c\\` !\\[x]\\(y) \\*d\\*"


def test_forced_tokens_are_marked(page: str, markdown: str) -> None:
    assert '<mark title="put there by us">Wait</mark>' in page
    assert "⟦Wait⟧, 37 + 5 is 42" in markdown
    assert "Thinking: 29 tokens, 1 forced span" in page


def test_provenance_and_the_paths_of_full_tables_are_given(markdown: str) -> None:
    assert rows_of(markdown, "every response") == [["every response", "responses.parquet"]]
    assert rows_of(markdown, "host.cpus") == [["host.cpus", "2"]]


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the seconds that making the page's script takes, where the script does not matter."""
    monkeypatch.setattr("thinkscale.reporting.html.javascript_bundle", lambda: "")


def bare(data: ReportData) -> ReportData:
    return ReportData(title=data.title, recipe="lab", models=(), problems_by_benchmark={}, stages=data.stages)


@pytest.mark.usefixtures("no_bundle")
def test_the_same_data_gives_the_same_bytes_and_stale_figures_go(data: ReportData, tmp_path: Path) -> None:
    small = replace(bare(data), trainings=data.trainings, fates=data.fates)
    first = {path.name: path.read_bytes() for path in write_report(small, tmp_path / "a")}
    second = {path.name: path.read_bytes() for path in write_report(small, tmp_path / "b")}
    assert first == second
    assert "training.png" in first
    write_report(bare(data), tmp_path / "a")
    assert not (tmp_path / "a" / "figures" / "training.png").exists()
    assert (tmp_path / "a" / "figures" / "selection.png").exists()


@pytest.mark.usefixtures("no_bundle")
def test_rows_that_vanish_without_a_reason_are_reported(data: ReportData, tmp_path: Path) -> None:
    write_report(bare(data), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Stage clean: 4,000 rows in and 3,915 out, but 0 drops with a reason: 85 rows are unaccounted for." in text


def test_a_report_of_nothing_is_still_a_report(tmp_path: Path) -> None:
    nothing = ReportData(title="Empty & <new>", recipe="none", models=(), problems_by_benchmark={})
    paths = write_report(nothing, tmp_path)
    assert [path.name for path in paths] == ["report.md", "report.html"]
    assert "Empty &amp; &lt;new&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_bundle")
def test_one_cell_without_a_base_model_is_enough(data: ReportData, tmp_path: Path) -> None:
    scores = tuple(
        score
        for score in data.scores
        if (score.benchmark, score.model, score.method, score.budget_tokens)
        == ("lab_numeric", "lab-distilled", "truncation", None)
    )
    cells = tuple(cell for cell in data.cells if cell.model == "lab-distilled" and cell.benchmark == "lab_numeric")
    one = tuple(cell for cell in cells if cell.method == "truncation" and cell.budget_tokens is None)
    write_report(
        ReportData(
            title="One",
            recipe="one",
            models=("lab-distilled",),
            problems_by_benchmark={"lab_numeric": 120},
            cells=one,
            scores=scores,
        ),
        tmp_path,
    )
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "n/a (one cell)" in text
    assert "n/a (no comparisons)" in text
    assert (tmp_path / "figures" / "scaling.png").exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    nothing = ReportData(title="t", recipe="r", models=(), problems_by_benchmark={})
    with pytest.raises(StorageError, match="cannot write the report"):
        write_report(nothing, tmp_path / "file")


def test_importing_the_package_does_not_load_the_drawing_libraries() -> None:
    code = (
        "import sys, thinkscale.reporting; print([n for n in ('altair', 'vl_convert', 'jinja2') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
