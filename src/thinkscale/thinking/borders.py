"""Where a thinking may be cut well: behind a sentence or line, and behind a number of steps. Positions are in tokens.

A text is read token by token (`pieces`), each decoded alone. A token that holds part of a character decodes to a
replacement sign; the marks looked for are never part of one.

Rejected: a look at the token that follows. Then a cut could depend on a token that lies beyond the window.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

TAIL_TOKENS = 8
"""How far back the end of a sentence is read: closing quotes and brackets are a few tokens."""

_SENTENCE = re.compile(r"""(?:(?<!\d)\.|[!?…。！？]|\d\.(?=\s))["'”’»)\]}*$]*\s*$|\n\s*$""")
"""A period behind a digit ends a sentence only where white space follows: it may be a decimal point."""
_COUNTDOWN = re.compile(r"^\W{0,4}(\d+) steps? left\b", re.IGNORECASE)


def sentence_end(pieces: Sequence[str], first: int, last: int) -> int | None:
    """The first position from `first` to `last` behind which a sentence or line ends; None where there is none."""
    return next(
        (
            end
            for end in range(max(first, 1), min(last, len(pieces)) + 1)
            if _SENTENCE.search("".join(pieces[max(0, end - TAIL_TOKENS) : end]))
        ),
        None,
    )


def step_cut(pieces: Iterable[str], kind: str, number: int) -> int | None:
    """The position behind step `number`, None where there are fewer.

    `kind` is `steps` (an empty line ends one), `lines` or `countdown`. Who counts down to 0 sooner is cut there."""
    if kind == "countdown":
        return _counted_down(pieces, number)
    return next(islice(_separated(pieces, 1 if kind == "lines" else 2), number - 1, None), None)


def _separated(pieces: Iterable[str], line_breaks: int) -> Iterator[int]:
    """Positions behind each stretch of text that so many line breaks end."""
    has_text, found = False, 0
    for end, piece in enumerate(pieces, 1):
        for character in piece:
            if character == "\n":
                found += 1
                if has_text and found >= line_breaks:
                    has_text = False
                    yield end
            elif not character.isspace():
                has_text, found = True, 0


def _counted_down(pieces: Iterable[str], number: int) -> int | None:
    """Where the line of marker `number + 1` or of the marker 0 begins, whichever comes first."""
    line, line_start, num_markers = "", 0, 0
    for end, piece in enumerate(pieces, 1):
        *whole, rest = (line + piece).split("\n")
        for index, text in enumerate(whole, 1):
            if found := _COUNTDOWN.match(text):
                num_markers += 1
                if num_markers > number or int(found[1]) == 0:
                    return line_start
            # A token may hold the break and the beginning of the next line: then the cut comes before it.
            line_start = end - (bool(rest) or index < len(whole))
        line = rest
    return None
