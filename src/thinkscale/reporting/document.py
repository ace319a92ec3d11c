"""The report before it has a format: sections of blocks, which markdown.py and html.py write down."""

from dataclasses import dataclass
from typing import TypeAlias

from thinkscale.reporting.data import Sample
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.traces.inline import InlineTraces


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph of plain text; a `note` explains how to read what stands above it."""

    text: str
    note: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list of plain sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Warnings that must not be missed."""

    items: tuple[str, ...]
    title: str = "Warnings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of plain text under their headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_words: int
    """The first so many columns are words and stand left; the rest are numbers and stand right."""
    title: str = ""
    note: str = ""
    """How to read it, under the table."""
    folded: bool = False
    """Long: closed until asked for, where the format can (the title stays visible)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure in its place."""

    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One response in full."""

    sample: Sample
    title: str
    facts: tuple[tuple[str, str], ...]
    num_forced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The list of all responses, where the format can hold one."""

    traces: InlineTraces


Block: TypeAlias = Text | Bullets | Alarm | Table | Drawing | Trace | Browser


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of the report; `anchor` is unique."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
