"""Tables for papers: escaped, whole, with their intervals, and compiled where there is a LaTeX."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from thinkscale.reporting import ReportData, write_report
from thinkscale.reporting.analysis import analyse
from thinkscale.reporting.composition import compose
from thinkscale.reporting.document import Document, Section, Table
from thinkscale.reporting.latex import HEAD, escaped, latex_tables


@pytest.fixture(scope="module")
def tables(data: ReportData) -> dict[str, str]:
    return latex_tables(compose(data, analyse(data), {}))


def document(rows: int, text: str = "x", note: str = "") -> Document:
    table = Table(
        headers=("what", "value"), rows=((text, "−1.0 [−2.0, 0.5]"),) * rows, num_words=1, title="T_1", note=note
    )
    return Document(
        title="A & B",
        facts=(),
        sections=(Section(anchor="part", title="50% of it", blocks=(table,)),),
    )


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("50% of_it & #1", r"50\% of\_it \& \#1"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("$x^2$ ~", r"\$x\textasciicircum{}2\$ \textasciitilde{}"),
        ("−1.2 → 2 × Wait…", r"$-$1.2 $\rightarrow$ 2 $\times$ Wait\ldots{}"),
        ("é ł 中 \x07\u202e", "é ł [U+4E2D] [U+202E]"),
        ("a\nb\t c", "a b c"),
    ],
)  # fmt: skip
def test_text_is_printed_and_never_run(text: str, printed: str) -> None:
    assert escaped(text) == printed


def test_a_table_is_whole_and_keeps_its_intervals() -> None:
    text = latex_tables(document(2, "[b]"))["part-1.tex"]
    assert text.startswith(HEAD)
    assert r"\caption{50\% of it: T\_1}\label{tab:part-1}" in text
    assert r"\begin{tabular}{lr}" in text
    assert text.count(r"{[}b] & $-$1.0 [$-$2.0, 0.5] \\") == 2
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_a_long_table_goes_over_pages() -> None:
    text = latex_tables(document(41))["part-1.tex"]
    assert r"\begin{longtable}{lr}" in text
    assert text.count(r"\endfirsthead") == 1


def test_a_report_without_tables_makes_no_files() -> None:
    assert latex_tables(Document(title="t", facts=(), sections=())) == {}


def test_every_table_of_the_report_is_sound(tables: dict[str, str]) -> None:
    assert {"metrics-1.tex", "comparisons-1.tex", "falls-1.tex", "accounting-1.tex", "report.tex"} <= set(tables)
    for name, text in tables.items():
        opened = re.findall(r"\\begin\{(\w+)\}", text)
        closed = re.findall(r"\\end\{(\w+)\}", text)
        assert sorted(opened) == sorted(closed), name
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}"), name
        assert plain.replace(r"\$", "").count("$") % 2 == 0, name
        assert all(ord(character) < 0x180 for character in text), name
        if name != "report.tex":
            (columns,) = re.findall(r"\\begin\{(?:tabular|longtable)\}\{((?:[lr]|p\{6cm\})+)\}", text)
            width = len(columns.replace("p{6cm}", "p"))
            rows = [line for line in text.splitlines() if line.endswith(r" \\")]
            assert rows, name
            assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {width - 1}, name


def test_the_whole_document_takes_in_every_table(tables: dict[str, str]) -> None:
    taken = re.findall(r"\\input\{([\w.-]+)\}", tables["report.tex"])
    assert sorted(taken) == sorted(set(tables) - {"report.tex"})


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_pdflatex_compiles_all_tables(tables: dict[str, str], tmp_path: Path) -> None:
    for name, text in tables.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]


def test_tables_of_an_earlier_report_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thinkscale.reporting.html.javascript_bundle", lambda: "")
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "old-1.tex").write_text(f"{HEAD}\n")
    (folder / "mine.tex").write_text("% mine\n")
    write_report(ReportData(title="t", recipe="r", models=(), problems_by_benchmark={}), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine.tex"]
