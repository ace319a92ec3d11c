"""Code fences of a response: where each block begins and ends, and which language its label names.

A fence is three or more backticks or tildes, indented or not, closed by a line of the same sign that is at least as
long. Models bend Markdown in a few ways that are read all the same: a fence labelled as Python that opens at the end of
a line of text, a fence that closes at the end of one, Windows line ends, and a last block that is never closed. A line
of backticks within a string of the program closes the block too early; one that does not parse is therefore extended
over the following fences where that makes it parse (a fence is no Python outside a string, so nothing else can be
swallowed).
"""

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass
from enum import StrEnum

MAX_CHARACTERS = 400_000
"""Only this much of the end of a text is searched."""
MAX_PROGRAM_CHARACTERS = 256_000
"""Longer programs are not parsed; the longest that contest sites take are 64 KB."""
MAX_EXTENSIONS = 6
"""Fences that one block is tried to be extended over."""

OPENING = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<label>[^`\n]*)$")
OPENING_IN_TEXT = re.compile(r".*[^`](?P<fence>`{3,})[ \t]*(?P<label>(?i:python|py)[\d.]*)[ \t]*$")
PYTHON_LABEL = re.compile(r"(?:c|i|micro)?python[-\d.]*|py[-\d.]*|pypy[-\d.]*", re.IGNORECASE)
OTHER_LANGUAGES = frozenset(
    """
    ada awk bf c c# c++ c++11 c++14 c++17 c++20 c++23 cc clojure cobol coffeescript cpp cs
    csharp cxx d dart delphi elixir erlang f# fortran fsharp gcc go golang g++ groovy h haskell
    hs java java8 javascript jl js jsx julia kotlin kt lisp lua matlab mysql nim objc
    objective-c ocaml octave pascal perl php pl pgsql postgresql prolog r racket rb rs ruby rust
    scala scheme solidity sql sqlite swift ts tsx typescript vb vba zig
    """.split()  # noqa: SIM905 (as quoted words it fills a page)
)
NO_PROGRAM = frozenset(
    """
    ascii bash bat cmd console csv diff dockerfile dot graphviz html ini input json json5 jsonl
    latex log makefile markdown math md mermaid output plain pycon plaintext powershell pseudo
    pseudocode result sample sh shell shell-session stderr stdin stdout svg terminal tex text
    toml traceback tsv txt xml yaml yml zsh
    """.split()  # noqa: SIM905 (as quoted words it fills a page)
)


class Language(StrEnum):
    """What a block's label says."""

    PYTHON = "python"
    UNLABELLED = "unlabelled"
    """No label, or one that names neither a language nor a kind of text."""
    OTHER = "other"
    """Another programming language."""
    TEXT = "text"
    """Sample input, output, a shell session: no program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block. `raw` has its lines as they stand, `source` without a margin; `tree` is None for no Python."""

    source: str
    raw: str
    label: str
    language: Language
    closed: bool
    tree: ast.Module | None = None


def parse(source: str) -> ast.Module | None:
    """The syntax tree of `source`, None where it has none or is too long. Never raises; linear in the length."""
    if len(source) > MAX_PROGRAM_CHARACTERS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes such as "\d" in a model's strings
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):  # what the parser raises on hostile text
            return None


def blocks(text: str) -> list[Block]:
    """The fenced blocks of `text` in their order; only its last 400,000 characters are looked at."""
    lines = text[-MAX_CHARACTERS:].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found, number = [], 0
    while number < len(lines):
        opening = OPENING.match(lines[number]) or OPENING_IN_TEXT.match(lines[number])
        number += 1
        if opening is not None:
            block, number = _block(lines, number, opening)
            found.append(block)
    return found


def has_fence(text: str) -> bool:
    """Whether a fence opens anywhere in `text`."""
    return bool(blocks(text))


def _block(lines: list[str], start: int, opening: re.Match[str]) -> tuple[Block, int]:
    """The block whose content begins at line `start`, and the line from which to look for the next."""
    fence, label = opening["fence"], opening["label"].strip()
    margin = re.compile(rf"^[ \t]{{0,{len(opening.groupdict().get('indent') or '')}}}")
    language = _language(label)
    code = language in (Language.PYTHON, Language.UNLABELLED)
    end, following, closed = _end(lines, start, fence)
    raw = "\n".join(margin.sub("", line) for line in lines[start:end]).rstrip() + "\n"
    raw = raw if closed else raw.rstrip().removesuffix(fence) + "\n"
    source, tree = _read(raw) if code else (raw, None)
    later = end
    for _ in range(MAX_EXTENSIONS if code and tree is None and _within_a_string(raw) else 0):
        later, after, _closed = _end(lines, later + 1, fence)
        longer = "\n".join(margin.sub("", line) for line in lines[start:later]).rstrip() + "\n"
        if parse(longer) is not None:
            raw, following, (source, tree) = longer, after, _read(longer)
            break
    return Block(source=source, raw=raw, label=label, language=language, closed=closed, tree=tree), following


def _read(raw: str) -> tuple[str, ast.Module | None]:
    """A block's source and tree, without a margin where it has one."""
    tree = parse(raw)
    source = raw if tree is not None else textwrap.dedent(raw)
    return source, tree or parse(source)


def _end(lines: list[str], start: int, fence: str) -> tuple[int, int, bool]:
    """The line after a block, the line to go on from, and whether a fence closes it.

    A fence labelled as Python ends whatever block is open: that one was never closed.
    """
    closing = re.compile(rf"[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")
    for number in range(start, len(lines)):
        if closing.match(lines[number]):
            return number, number + 1, True
        opening = OPENING.match(lines[number])
        if opening and _language(opening["label"]) is Language.PYTHON:
            return number, number, False
    return len(lines), len(lines), False


def _within_a_string(source: str) -> bool:
    return source.count('"""') % 2 == 1 or source.count("'''") % 2 == 1


def _language(label: str) -> Language:
    words = label.strip().strip("{}").lstrip(".").casefold().split()
    word = re.split(r"[,:;={(]", words[0])[0] if words else ""
    if PYTHON_LABEL.fullmatch(word):
        return Language.PYTHON
    if word in OTHER_LANGUAGES:
        return Language.OTHER
    return Language.TEXT if word in NO_PROGRAM else Language.UNLABELLED
