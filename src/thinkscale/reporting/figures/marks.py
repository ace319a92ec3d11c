"""One colour and shape for each method, the same in every figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from thinkscale.records import Cell
from thinkscale.reporting.pairs import curve_variant
from thinkscale.reporting.theme import GREY, SHAPES
from thinkscale.reporting.wording import method_name, method_place

Mark = tuple[str, str]
"""Colour and shape."""

MARKS: Mapping[str, Mark] = {
    "truncation": ("#0072B2", "circle"),
    "budget_forcing": ("#D55E00", "square"),
    "class_conditional": ("#009E73", "triangle-up"),
    "minimum": ("#E69F00", "triangle-right"),
    "token_conditional": ("#CC79A7", "diamond"),
    "token_conditional_forced": ("#A24A8A", "triangle-right"),
    "step_conditional": ("#56B4E9", "cross"),
    "step_conditional_forced": ("#4C86A8", "triangle-down"),
    "rejection": ("#000000", "diamond"),
    "majority": ("#6A3D9A", "circle"),
    "best_of_n": ("#B2182B", "square"),
    "pass": ("#8A8A8A", "triangle-up"),
    "direct": (GREY, "cross"),
}
STRINGS = ("#D55E00", "#A65628", "#F0906B", "#C9413A", "#E8B07A")
"""Budget forcing with several wait strings: one tone for each."""
NAMED = ("budget_forcing", "best_of_n")
"""Methods of which several variants are curves of their own in the legend."""


@dataclass(frozen=True, slots=True)
class Legend:
    """Names of the curves of a figure in order, with their marks."""

    marks: Mapping[str, Mark]
    several: frozenset[str]
    """Methods whose curves are named by their variants too."""

    def name(self, cell: Cell) -> str:
        """What the legend calls the curve of a cell."""
        return curve_name(cell, self.several)

    @property
    def names(self) -> list[str]:
        """In order."""
        return list(self.marks)

    @property
    def colours(self) -> list[str]:
        """In the order of the names."""
        return [colour for colour, _ in self.marks.values()]

    @property
    def shapes(self) -> list[str]:
        """In the order of the names."""
        return [shape for _, shape in self.marks.values()]


def curve_name(cell: Cell, several: Iterable[str]) -> str:
    """`truncation`, or `budget forcing, Hmm` where there are several wait strings."""
    name = method_name(cell.method)
    variant = curve_variant(cell)
    if cell.method not in several or not variant:
        return name
    return f"{name}, {'no string' if variant == 'none' else variant}"


def legend_of(cells: Sequence[Cell]) -> Legend:
    """The curves of `cells`: methods in the order of every list, variants as they appear."""
    cells = sorted(cells, key=lambda cell: method_place(cell.method))
    variants: dict[str, list[str]] = {}
    for cell in cells:
        known = variants.setdefault(cell.method, [])
        if curve_variant(cell) and curve_variant(cell) not in known:
            known.append(curve_variant(cell))
    several = frozenset(method for method in NAMED if len(variants.get(method, [])) > 1)
    marks: dict[str, Mark] = {}
    for cell in cells:
        name = curve_name(cell, several)
        if name not in marks:
            marks[name] = _mark(cell, variants[cell.method], several)
    return Legend(marks, several)


def _mark(cell: Cell, variants: Sequence[str], several: frozenset[str]) -> Mark:
    colour, shape = MARKS.get(cell.method, (GREY, "circle"))
    if cell.method not in several or not curve_variant(cell):
        return colour, shape
    place = variants.index(curve_variant(cell))
    start = SHAPES.index(shape)
    tone = STRINGS[place % len(STRINGS)] if cell.method == "budget_forcing" else colour
    return tone, SHAPES[(start + place) % len(SHAPES)]
