"""How figures look, and how a specification becomes a picture. All of it works offline."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import altair as alt

Row: TypeAlias = "dict[str, str | int | float | bool | None]"
Rows: TypeAlias = "Sequence[Mapping[str, str | int | float | bool | None]]"

# Okabe and Ito's colours that stay apart under all common kinds of colour blindness, without the yellow,
# which is unreadable on white. Every use of colour goes with a shape or a label.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
BLUE, VERMILION, GREEN = COLOURS[:3]
GREY, INK = "#6b7280", "#1f2937"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Liberation Sans comes with the renderer: the same picture on every machine."""

PNG_SCALE = 2
"""Pixels for each unit of a figure, so that text stays sharp in print and on dense screens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawn specification with its words. `name` is the file name without its ending."""

    name: str
    title: str
    caption: str
    """How to read it: what is drawn, what the bars are, what was left out."""
    alt: str
    """What it shows, for those who cannot see it."""
    spec: Mapping[str, Any]
    """A complete Vega-Lite specification, data included."""


def data_of(rows: Rows) -> "alt.Data":
    """Rows as the inline data of a chart (no data frame library needed)."""
    import altair as alt

    return alt.Data(values=[dict(row) for row in rows])  # type: ignore[no-untyped-call]


def percent_ticks(low: float, high: float) -> list[int]:
    """Round ticks whose first and last enclose `low` and `high` (percent) within 0 to 100: the axis ends on them."""
    step = 20 if high - low > 50 else 10 if high - low > 20 else 5
    first = max(0, step * math.floor((low - 1) / step))
    last = min(100, step * math.ceil((high + 1) / step))
    return list(range(first, last + 1, step))


def finished(chart: "alt.TopLevelMixin") -> dict[str, Any]:
    """The specification of `chart` in the common style."""
    import altair as alt

    config = alt.Config(
        background="white",
        font=FONT,
        padding=10,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=12,
            titleFontSize=12.5,
            titleFontWeight="normal",
            titleColor=INK,
            labelColor=INK,
            gridColor="#e5e7eb",
            domainColor="#9ca3af",
            tickColor="#9ca3af",
            titlePadding=8,
            labelOverlap="greedy",
        ),
        legend=alt.LegendConfig(
            labelFontSize=12.5,
            title=None,
            orient="bottom",
            symbolSize=110,
            labelColor=INK,
            columnPadding=18,
            labelLimit=320,
            symbolOpacity=1,
        ),
        title=alt.TitleConfig(fontSize=14, fontWeight="bold", anchor="start", frame="group", color=INK, offset=10),
        concat=alt.CompositionConfig(spacing=26),
    )
    # Every part was checked against the schema when it was made; the whole is checked by being drawn.
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec["config"] = config.to_dict()
    return spec


@cache
def vegalite_version() -> str:
    """The Vega-Lite version that altair writes for, as the renderer names it (`6.4`)."""
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def svg(figure: Figure) -> str:
    """The figure as a drawing that scales."""
    import vl_convert

    return _renumbered(str(vl_convert.vegalite_to_svg(dict(figure.spec), vl_version=vegalite_version())))


def _renumbered(drawing: str) -> str:
    """`drawing` with its clip paths numbered from zero: the renderer counts them over the life of the process."""
    names = list(dict.fromkeys(re.findall(r'id="(clip\d+)"', drawing)))
    return re.sub(
        r'(id="|url\(#)(clip\d+)(?=["\)])',
        lambda found: found[1] + (f"clip{names.index(found[2])}" if found[2] in names else found[2]),
        drawing,
    )


def png(drawing: str) -> bytes:
    """A drawing made by `svg` as a picture of pixels."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(drawing, scale=PNG_SCALE))


@cache
def javascript_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (0.9 MB) for a page that loads nothing; takes seconds to make."""
    import vl_convert

    # The stub of the library wrongly demands a snippet.
    return str(vl_convert.javascript_bundle(vl_version=vegalite_version()))  # type: ignore[call-arg]
