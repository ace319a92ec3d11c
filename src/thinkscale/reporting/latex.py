r"""tables/*.tex: every table of the report for a paper, with booktabs, intervals included; and a page that shows them.

A file holds one table and nothing else, so that a paper can `\input` it; `report.tex` is a whole document with all of
them. Text of models is escaped: what LaTeX would take for a command is written out, and a character that pdfLaTeX has
no letter for becomes its code point, such as [U+4E2D].

Rejected: siunitx columns (an interval beside a number is no number to it), and one file with all tables (a paper needs
three of them).
"""

import re
from collections.abc import Iterable, Iterator

from thinkscale.reporting.document import Document, Section, Table

HEAD = "% Made by thinkscale report. Needs \\usepackage{booktabs}"
LONG_ROWS = 40
"""Longer tables go over several pages (longtable)."""
MOST_CHARACTERS = 60
"""Of a cell of words on one line; longer text is set as a paragraph."""

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"\textquotedbl{}",
    "−": "$-$", "×": r"$\times$", "→": r"$\rightarrow$", "–": "--", "—": "---", "…": r"\ldots{}", "·": r"$\cdot$",
    "≤": r"$\le$", "≥": r"$\ge$", "≈": r"$\approx$", "±": r"$\pm$", "°": r"$^\circ$", "⟦": "[[", "⟧": "]]",
    "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~",
}  # fmt: skip


def latex_tables(document: Document) -> dict[str, str]:
    """File name to text of every table, and `report.tex` with all; empty where there is no table."""
    made = {
        f"{section.anchor}-{number}.tex": _table(table, section, number) for section, number, table in _tables(document)
    }
    return {**made, "report.tex": _whole(document.title, made)} if made else {}


def _tables(document: Document) -> Iterator[tuple[Section, int, Table]]:
    for section in document.sections:
        tables = [block for block in section.blocks if isinstance(block, Table) and block.rows]
        for number, table in enumerate(tables, start=1):
            yield section, number, table


def escaped(text: str) -> str:
    """Plain text on one line as LaTeX that prints it."""
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii():
        return character if character.isprintable() else ""
    is_letter = character.isalpha() and ord(character) < 0x180
    return character if is_letter else f"[U+{ord(character):04X}]"


def _table(table: Table, section: Section, number: int) -> str:
    caption = f"{section.title}: {table.title}" if table.title else section.title
    titled = rf"\caption{{{escaped(caption)}}}\label{{tab:{section.anchor}-{number}}}"
    head = rf"{_row(table.headers)} \\"
    rows = [rf"{_row(row)} \\" for row in table.rows]
    note = [rf"\par\smallskip\footnotesize {escaped(table.note)}"] if table.note else []
    columns = _columns(table)
    if len(rows) > LONG_ROWS:
        body = [
            rf"\begin{{longtable}}{{{columns}}}", rf"{titled}\\", r"\toprule", head, r"\midrule", r"\endfirsthead",
            r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", *note,
        ]  # fmt: skip
        return "\n".join([f"{HEAD}, longtable", r"{\small", *body, "}", ""])
    body = [
        r"\begin{table}[htbp]", r"\centering\small", titled, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head,
        r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", *note, r"\end{table}",
    ]  # fmt: skip
    return "\n".join([HEAD, *body, ""])


def _columns(table: Table) -> str:
    kinds = []
    for place in range(len(table.headers)):
        longest = max(len(row[place]) for row in (table.headers, *table.rows))
        wide = longest > MOST_CHARACTERS
        kinds.append("r" if place >= table.num_words else "p{6cm}" if wide else "l")
    return "".join(kinds)


def _row(cells: Iterable[str]) -> str:
    return " & ".join(map(_cell, cells))


def _cell(text: str) -> str:
    r"""A cell; a bracket or a star behind `\\` would be read as its option."""
    made = escaped(text)
    return re.sub(r"^([\[*])", r"{\1}", made)


def _whole(title: str, files: Iterable[str]) -> str:
    lines = [
        r"\documentclass[10pt]{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{textcomp,booktabs,longtable}",
        r"\usepackage[landscape,margin=1.2cm]{geometry}",
        rf"\title{{{escaped(title)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    lines += [rf"\input{{{name}}}\clearpage" for name in files]
    return "\n".join([*lines, r"\end{document}", ""])
