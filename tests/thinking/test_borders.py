"""Where a sentence or a step ends, token by token."""

import pytest

from thinkscale.thinking.borders import sentence_end, step_cut


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["So", " it", " is", "."], 4),
        (["So", " it", " is", '."', " Then"], 4),
        (["pi", " is", " 3", ".", "14", " or", " so", "."], 8),
        (["It", " is", " 12", ".", " ", "Then"], 5),
        (["It", " is", " 12", ".\n", "Then"], 4),
        (["a", "\n", "b"], 2),
        (["Is", " it", "?)", " No"], 3),
        (["$x$", ".", "$", " y"], 2),
        (["答案", "是", "。", "所"], 3),
        (["no", " end", " here"], None),
    ],
)
def test_a_sentence_ends_at_its_mark_but_not_within_a_number(pieces: list[str], expected: int | None) -> None:
    assert sentence_end(pieces, 1, len(pieces)) == expected


def test_only_the_window_is_looked_at() -> None:
    pieces = ["a", ".", "b", ".", "c"]
    assert sentence_end(pieces, 2, 5) == 2
    assert sentence_end(pieces, 3, 5) == 4
    assert sentence_end(pieces, 3, 3) is None
    assert sentence_end(pieces, 5, 99) is None


@pytest.mark.parametrize(
    ("kind", "pieces", "ends"),
    [
        ("steps", ["a", ".\n\n", "b", "\n", "\n", "\n", "c", "\n", "d"], [2, 5, None]),
        ("steps", ["\n\n", "a", "\n", "  ", "\n", "b", "\n\n"], [5, 7, None]),
        ("steps", ["a\n\nb\n\n", "c"], [1, 1, None]),
        ("lines", ["a", "\n", "\n", "b", "\n", "c"], [2, 5, None]),
        # The lines of the markers begin behind tokens 1, 5 and 9; the marker of 0 ends all.
        (
            "countdown",
            ["Hm\n", "2 steps", " left", "\n", "add\n", "1 step", " left", "\n", "sum\n", "0 steps left", "\n", "so\n"],
            [5, 9, 9],
        ),
        ("countdown", ["3 steps left\n", "add\n", "0 steps left\n", "more\n"], [2, 2, 2]),
        ("countdown", ["3 steps left\n", "add", "\n2 steps left\n", "sum"], [2, None, None]),
        ("countdown", ["there are 2 steps left\n", "0 steps left\n"], [1, 1, 1]),
    ],
)
def test_a_step_ends_behind_its_line_paragraph_or_marker(kind: str, pieces: list[str], ends: list[int | None]) -> None:
    assert [step_cut(pieces, kind, number) for number in (1, 2, 3)] == ends
