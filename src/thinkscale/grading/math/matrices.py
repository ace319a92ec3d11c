r"""Sums, differences and products of matrices that an answer leaves undone, entry by entry as trees."""

import re

from thinkscale.grading.math.nodes import Head, Node

Entries = list[list[Node]]
PIECE = re.compile(r" *([-+*]?) *(\\begin\{pmatrix\}.*?\\end\{pmatrix\})")
MAX_FACTORS = 6
MAX_SIDE = 6


def pieces(text: str) -> list[tuple[str, str]] | None:
    """Signs and matrices of `A + B`, `A B`, `A - B C`; None where `text` is anything else or one matrix."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = PIECE.match(text, position)
        if match is None or len(found) == MAX_FACTORS:
            return None
        found.append((match[1], match[2]))
        position = match.end()
    return found if len(found) > 1 else None


def combined(signs: list[str], matrices: list[Entries]) -> Entries | None:
    """The value of matrices joined by signs, products first; None where sizes do not fit."""
    total: Entries | None = None
    term, minus = matrices[0], signs[0] == "-"
    for sign, matrix in zip([*signs[1:], "+"], [*matrices[1:], matrices[0]], strict=True):
        if sign in ("", "*") and matrix is not matrices[0]:
            product = _product(term, matrix)
            if product is None:
                return None
            term = product
            continue
        total = _sum(total, term, minus)
        if total is None:
            return None
        term, minus = matrix, sign == "-"
    return total


def _product(left: Entries, right: Entries) -> Entries | None:
    if len(left[0]) != len(right) or max(len(left), len(right), len(right[0])) > MAX_SIDE:
        return None
    columns = list(zip(*right, strict=True))
    return [
        [
            Node(Head.SUM, tuple(Node(Head.PRODUCT, pair) for pair in zip(row, column, strict=True)))
            for column in columns
        ]
        for row in left
    ]


def _sum(left: Entries | None, right: Entries, minus: bool) -> Entries | None:
    signed = [[Node(Head.NEGATIVE, (entry,)) if minus else entry for entry in row] for row in right]
    if left is None:
        return signed
    if [len(row) for row in left] != [len(row) for row in right]:
        return None
    return [
        [Node(Head.SUM, pair) for pair in zip(row, other, strict=True)] for row, other in zip(left, signed, strict=True)
    ]
