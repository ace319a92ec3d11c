"""The report on disk: figures, tables for LaTeX, report.md and report.html, each file whole or not there."""

import os
from collections.abc import Collection
from pathlib import Path

from thinkscale.errors import StorageError
from thinkscale.reporting.analysis import analyse
from thinkscale.reporting.charts import FIGURE_NAMES, figures
from thinkscale.reporting.composition import compose
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.html import render_html
from thinkscale.reporting.latex import HEAD, latex_tables
from thinkscale.reporting.markdown import render_markdown
from thinkscale.reporting.theme import png, svg


def write_report(data: ReportData, out: Path) -> list[Path]:
    """Writes figures/*.png, figures/*.svg, tables/*.tex, report.md and report.html into `out`; returns their paths.

    The same data gives the same bytes. Figures and tables of an earlier report that this data no longer fills are
    removed. Raises StorageError where `out` cannot be written.
    """
    analysis = analyse(data)
    drawn = figures(data, analysis)
    document = compose(data, analysis, drawn)
    drawings = {name: svg(figure) for name, figure in drawn.items()}
    contents: dict[Path, bytes] = {}
    for name, drawing in drawings.items():
        contents[Path("figures", f"{name}.png")] = png(drawing)
        contents[Path("figures", f"{name}.svg")] = drawing.encode()
    for name, text in latex_tables(document).items():
        contents[Path("tables", name)] = text.encode()
    contents[Path("report.md")] = render_markdown(document).encode()
    contents[Path("report.html")] = render_html(document, drawn, drawings).encode()
    try:
        _remove_stale(out, drawn.keys())
        _remove_stale_tables(out, contents.keys())
        return [_written(out / path, content) for path, content in contents.items()]
    except OSError as error:
        raise StorageError(f"cannot write the report into {out}: {error}") from error


def _remove_stale(out: Path, drawn: Collection[str]) -> None:
    for name in FIGURE_NAMES:
        if name not in drawn:
            for ending in ("png", "svg"):
                (out / "figures" / f"{name}.{ending}").unlink(missing_ok=True)


def _remove_stale_tables(out: Path, kept: Collection[Path]) -> None:
    """Removes tables that an earlier report made; a file of another maker stays."""
    for path in (out / "tables").glob("*.tex"):
        if path.relative_to(out) not in kept and path.read_text(encoding="utf-8", errors="replace").startswith(HEAD):
            path.unlink()


def _written(path: Path, content: bytes) -> Path:
    """Writes beside the place and moves in, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path
