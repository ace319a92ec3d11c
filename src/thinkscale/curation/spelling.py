r"""How a text is spelled, by rule: from any text to plain text, and from a unit of plain text to its words.

The tables are `notation.py`. `words_of` is the whole way for one text, slow and plain; `words.py` goes it for many.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from itertools import chain

from thinkscale.curation.notation import FIGURE, LAYOUT, REWRITTEN, SEPARATORS, SIGNS, SYMBOLS, SYNONYMS

S1, DEFAULT = "s1", "default"
RULES = (DEFAULT, S1)

ROW_END, NOT_THE_END = "\0", "\uffff"
"""Ends each text of a batch; no pattern of `notation.py` reaches over it. In a text the other takes its place."""

WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f "
WIDE_WHITE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
"""Together the white space of `str.split`."""
ESCAPED_BREAK = re.compile(r"\\n(?![a-z])")
"""A line break that was escaped twice, which is no command: `\\nFind`."""

_UNITS = str.maketrans({**dict.fromkeys(SEPARATORS + WHITE, " "), **{sign: f" {sign} " for sign in SIGNS}})
_SINGLE = re.compile(r"(?<!.)[a-z](?:\n[a-z](?!.))+")
STOPS = ".,"
"""Separate, except before a digit."""
_STOP = re.compile(r"[.,](?![0-9])")
_REWRITTEN = tuple(
    (mark, re.compile(pattern), new, pattern in (mark, re.escape(mark))) for mark, pattern, new in REWRITTEN
)
_SYMBOLS = str.maketrans(SYMBOLS)
_FIGURE = re.compile(FIGURE)
_LETTERS_FOR_DIGITS = str.maketrans("0123456789", "ghijklmnop")
_JOINED = (
    (re.compile(r"-(?:(?<=[^\W\d]{2}-)(?=[^\W\d])|(?<=[^\W\d]-)(?=[^\W\d]{2})|-+)"), " "),
    (re.compile(r"'(?:(?<=[^\W\d]')(?=[^\W\d])|(?<=[^\W\d]{2}')'*|(?<![^\W\d]')(?<!'')'*)"), ""),
    (re.compile(r"\\[,!]"), ""),
)
"""Dashes between words, apostrophes that are no primes, and spaces of LaTeX. The mark comes first: so it is searched
for at the speed of a plain string."""
_PIECE = re.compile(
    r"\\[a-z]+"
    r"|\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\w)\.\d+"
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # scripts without spaces: a character is a word
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
    r"|(?<=\d)!|(?<=\b[a-z])!|^!$|'+|[-+=<>^/%|]|\n",
    re.MULTILINE,
)


def words_of(text: str, rule: str = DEFAULT) -> list[str]:
    """The words of one text under `rule`, the instructions that data sets append among them."""
    if rule == S1:
        return plain(text, rule).split()
    units = _STOP.sub(" ", rewritten(plain(text, rule))).translate(_UNITS).split()
    words = "\n".join(chain.from_iterable(pieces(units)))
    return _SINGLE.sub(lambda run: run[0].replace("\n", ""), words).split()


def token_hash(word: str) -> int:
    """A stable 64-bit number of a word: BLAKE2b, the first byte lowest."""
    return int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def plain(text: str, rule: str) -> str:
    """A text in one case, with all white space in ASCII, without ROW_END."""
    if not text.isascii():
        text = WIDE_WHITE.sub(" ", text)
    if ROW_END in text:
        text = text.replace(ROW_END, NOT_THE_END)
    if rule == S1:
        return text.lower()
    return (ESCAPED_BREAK.sub(" ", text) if "\\n" in text else text).casefold()


def all_plain(texts: Sequence[str], rule: str) -> str:
    """Plain texts, each with ROW_END after it; where all of them are ASCII, in a pass over all at once."""
    if not texts:
        return ""
    joined = ROW_END.join((*texts, ""))
    if joined.isascii() and joined.count(ROW_END) == len(texts):
        return (ESCAPED_BREAK.sub(" ", joined) if rule != S1 and "\\n" in joined else joined).lower()
    return ROW_END.join((*(plain(text, rule) for text in texts), ""))


def rewritten(joined: str) -> str:
    """Plain texts, each with ROW_END after it, by `notation.REWRITTEN`: much faster on many texts at once."""
    for mark, pattern, new, is_plain in _REWRITTEN:
        if is_plain:
            joined = joined.replace(mark, new)
        elif mark in joined:
            joined = pattern.sub(partial(_filled, new) if "%" in new else new, joined)
    return _FIGURE.sub(_figure_word, joined) if "[asy]" in joined else joined


def _filled(template: str, match: re.Match[str]) -> str:
    """The groups of a match in their places; `re` takes four times as long over templates of its own."""
    return template % match.groups()


def _figure_word(figure: re.Match[str]) -> str:
    """One word for the code of a figure, of letters only: other code is another word."""
    return f" asy{token_hash(''.join(figure[1].split())):016x} ".translate(_LETTERS_FOR_DIGITS)


def pieces(units: Sequence[str]) -> list[tuple[str, ...]]:
    """The words of each unit by the default rule: units of plain text without white space and separators.

    All units are read in one pass, each on a line of its own, over whose ends no pattern here reaches.
    """
    lines = "\n".join([unit if unit.isascii() else _unified(unit) for unit in (*units, "")])
    for pattern, new in _JOINED:
        lines = pattern.sub(new, lines)
    made: list[tuple[str, ...]] = []
    found: list[str] = []
    for piece in _PIECE.findall(lines):
        if piece == "\n":
            made.append(tuple(found))
            found.clear()
        elif piece[0] == "\\":
            found.extend(_command(piece[1:]))
        elif piece[0] == ".":
            found.append("0" + piece)
        else:
            found.append(piece.replace(",", ""))
    return made


def _unified(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit.translate(_SYMBOLS)).casefold()


def _command(name: str) -> tuple[str, ...]:
    if name in LAYOUT:
        return ()
    meaning = SYNONYMS.get(name)
    return (name,) if meaning is None else tuple(re.findall(r"[a-z]+|\W", meaning))
