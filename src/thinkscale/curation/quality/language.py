r"""Which language a text is in, by script shares and frequent words: no model, no network, a few microseconds.

Mathematics and code are in no language: formulas, commands and code are taken out first, single letters never count,
and a text with too little prose left is undecided rather than foreign.
Rejected: a trained identifier (fastText, langid). It calls `Compute $\sin 15^\circ$.` whatever it likes, weighs
megabytes, and cannot say which words made it decide.
"""

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from thinkscale.settings import load_settings

MIN_FREQUENT_WORDS = 3
MIN_SCRIPT_SHARE = 1 / 3
FORMULAS = re.compile(
    r"\[asy\].*?(?:\[/asy\]|$)|```.*?(?:```|$)|\$\$.*?\$\$|\$[^$]*\$"
    r"|\\\[[^\\]*(?:\\[^\[\]][^\\]*)*\\\]|\\\([^\\]*(?:\\[^()][^\\]*)*\\\)|\\[A-Za-z]+|https?://\S+",
    re.DOTALL,
)
"""Formulas, commands, code and addresses. Linear: what is not closed is given up at the next opening."""
LATIN_WORD = re.compile(r"\b[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+\b")


class Language(NamedTuple):
    """An ISO 639-1 code, and how many of the words that could be told speak for it."""

    code: str
    words: float
    of_words: float


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Script(_Entry):
    letters: str = Field(description="ranges, as within the brackets of a pattern")
    spaced: bool = Field(description="words are set apart by spaces; else each letter counts as half a word")


class _Languages(_Entry):
    scripts: dict[str, _Script]
    english: tuple[str, ...]
    words: dict[str, tuple[str, ...]]


class _Table(NamedTuple):
    foreign: re.Pattern[str]
    """A run of letters of any script other than the Latin."""
    scripts: re.Pattern[str]
    """A run of letters of a script other than the Latin, as a group with the name of its language."""
    spaced: frozenset[str]
    codes_of: dict[str, tuple[str, ...]]
    """The languages of a frequent word."""


def known_languages() -> tuple[str, ...]:
    """The codes that a text can be found to be in."""
    languages = _languages()
    return ("en", *languages.words, *languages.scripts)


def foreign_sieve() -> str:
    """A pattern, for `re` and for Rust, that every text finds whose language is known and not English."""
    languages = _languages()
    words = sorted({word for words in languages.words.values() for word in words})
    return rf"(?i){_letters(languages)}|\b(?:{'|'.join(words)})\b"


def language_of(text: str) -> Language | None:
    """The language of the prose of `text`, None where too little of it decides."""
    prose = FORMULAS.sub(" ", text)
    latin = LATIN_WORD.findall(prose.lower())
    return _by_script(prose, sum(len(word) > 1 for word in latin)) or _by_words(latin)


def _by_script(prose: str, num_latin: int) -> Language | None:
    """A script other than the Latin that makes up a third of the words or more."""
    if prose.isascii():
        return None
    table = _table()
    words: dict[str, float] = {}
    for word in table.foreign.findall(prose):
        for run in table.scripts.finditer(word):
            code, length = str(run.lastgroup), len(run[0])
            words[code] = words.get(code, 0) + ((length > 1) if code in table.spaced else length / 2)
    if not any(words.values()):
        return None
    if words.get("ja"):
        words["ja"] += words.pop("zh", 0)
    code = max(words, key=lambda name: words[name])
    total = sum(words.values()) + num_latin
    return Language(code, words[code], total) if words[code] >= MIN_SCRIPT_SHARE * total else None


def _by_words(latin: list[str]) -> Language | None:
    """The language with most frequent words, at least three; English where it has as many as another."""
    codes_of = _table().codes_of
    counts: dict[str, int] = {"en": 0}
    for word in latin:
        for code in codes_of.get(word, ()):
            counts[code] = counts.get(code, 0) + 1
    code = max(counts, key=lambda name: counts[name])
    enough = 1 if code == "en" else MIN_FREQUENT_WORDS
    return Language(code, counts[code], len(latin)) if counts[code] >= enough else None


@cache
def _languages() -> _Languages:
    text = files("thinkscale.curation.quality").joinpath("languages.yaml").read_text(encoding="utf-8")
    return load_settings(_Languages, text, name="languages.yaml").value


@cache
def _table() -> _Table:
    languages = _languages()
    codes_of: dict[str, tuple[str, ...]] = dict.fromkeys(languages.english, ("en",))
    for code, words in languages.words.items():
        for word in words:
            codes_of[word] = (*codes_of.get(word, ()), code)
    runs = (f"(?P<{code}>[{script.letters}]+)" for code, script in languages.scripts.items())
    spaced = frozenset(code for code, script in languages.scripts.items() if script.spaced)
    foreign = re.compile(f"(?:{_letters(languages)})+")
    return _Table(foreign=foreign, scripts=re.compile("|".join(runs)), spaced=spaced, codes_of=codes_of)


def _letters(languages: _Languages) -> str:
    return f"[{''.join(script.letters for script in languages.scripts.values())}]"
