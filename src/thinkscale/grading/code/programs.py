"""Finding the program in a response.

Fenced blocks (fences.py) come first. A block is a candidate where its label says Python, or says nothing and it parses
or begins like Python. Blocks labelled as another language or as text are none. Of the candidates that parse, in order,
the last one in the first class that is not empty:

For tests that call a function or class (the *entry*):
1. `defines`: defines the entry and uses no function or class that only an earlier block defines.
2. `joined`: defines the entry; the earlier blocks whose functions and classes it uses are put before it.
3. `body`: is no whole program, but the function's body: the question's own code goes before it.

For tests on standard input and output, blocks that only define things (`def solve(): ...` without a call) after others,
and before them a later block that uses their functions (`solve()`), joined to them:
1. `reads`: reads standard input and uses nothing that only an earlier block defines.
2. `joined`: reads standard input, after the earlier blocks whose functions and classes it uses.
3. `writes`, `joined`: the same for blocks that print and read nothing.

So a block of sample usage after the program does not win, since it uses what the program defines; nor does a block of
sample output. A response that gives a program twice means the second. Where no class has any:

4. `python`: the last block that parses and does anything, then the last that was meant as Python. It will fail
   its tests, and that is the response's fault.
5. Without any block the whole text, where it parses as Python and defines the entry (or reads or prints), or where it
   begins like Python (`bare`); else, where the question gives the beginning of the function, the text as its body
   (`completion`).

A completion ends where the function ends if the whole parses, else before its first unindented line: models that were
not stopped run on with further functions and prints.

What is none of these is no program: `Missing`, with the language where all that was found is in another one.
"""

import ast
import builtins
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from thinkscale.grading.code.fences import Block, Language, blocks, parse

BLANK = r"(?:[^\S\n]*+(?:#[^\n]*+)?\n)*+"
"""Possessive: that it has one way to match keeps it linear."""
DEFINITION = r"import \w|from [\w.]+ import\b|(?:async )?def \w+\s*\(|class \w+\s*[:(]|@\w|if __name__"
STATEMENT = r"(?:for|while|if|with|try)\b[^\n]*:[ \t]*(?:#[^\n]*)?\n|\w+(?:, ?\w+)* *=[^=]|[\w.]+\([^\n]*\)[ \t]*\n"
TEXT_BEGINS_LIKE_PYTHON = re.compile(rf"{BLANK}(?:{DEFINITION})")
BLOCK_BEGINS_LIKE_PYTHON = re.compile(rf"{BLANK}(?:{DEFINITION}|{STATEMENT})")
BODY, COMPLETION = "body", "completion"
READERS = frozenset({"input", "raw_input", "stdin", "fileinput"})
OPENERS = frozenset({"open", "read", "fdopen", "FileIO"})
"""They read standard input where their first argument is 0, or a path that names it."""
WRITERS = frozenset({"print", "stdout", "write"})
BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the tests need: the function or class they use (empty for whole programs), and code that begins it."""

    entry: str = ""
    opening: str = ""
    """The question's own code up to where the function's body must follow; empty where it gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A program, and the rule that found it."""

    source: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """There is no program. `language` names the other language that the response is written in, if it is."""

    language: str = ""


def find_program(text: str, wanted: Wanted) -> Found | Missing:
    """The program in `text` by the ladder above. Never raises and never runs anything."""
    found = blocks(text)
    if not found:
        return _without_fence(text.replace("\r\n", "\n").replace("\r", "\n"), wanted)
    candidates = [block for block in found if _is_candidate(block)]
    program = _for_entry(candidates, wanted) if wanted.entry else _for_streams(candidates)
    if program is not None:
        return program
    if candidates:
        parsed = [block for block in candidates if block.tree]
        return Found(source=(parsed or candidates)[-1].source, rule="python")
    others = [block.label for block in found if block.language is Language.OTHER]
    return Missing(language=others[-1] if others else "")


def assembled(preamble: str, program: Found) -> str:
    """The source to run: `preamble`, then the program, unless its beginning is the question's own code already.

    `from __future__` must stand first in a module, so what the program has of it is moved there.
    """
    if not preamble or program.rule in (BODY, COMPLETION):
        return program.source
    tree = parse(program.source)
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)] if tree else []
    future = [node for node in nodes if node.module == "__future__"]
    lines = program.source.split("\n")
    for node in future:
        lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join([*(ast.unparse(node) for node in future), preamble, *lines])


def defined_names(tree: ast.Module) -> set[str]:
    """Functions, classes and names that the top level of a module binds, those within `if` and `try` included."""
    names: set[str] = set()
    for node in _top_level(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        else:
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and _stores(part)}
    return names


def methods_of(tree: ast.Module, name: str) -> set[str]:
    """The methods that the top-level class `name` defines itself."""
    return {
        part.name
        for node in _top_level(tree.body)
        if isinstance(node, ast.ClassDef) and node.name == name
        for part in node.body
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def free_names(tree: ast.AST) -> set[str]:
    """Names that code reads and never binds, in whatever scope, builtins left out."""
    nodes = list(ast.walk(tree))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and not _stores(node)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and _stores(node)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    bound |= {node.name for node in nodes if isinstance(node, (ast.ExceptHandler, ast.MatchAs)) and node.name}
    bound |= {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return read - bound - BUILTINS


def defines(tree: ast.Module, entry: str) -> bool:
    """Whether a module defines `entry`, as a name of its own or as a method of its class `Solution`."""
    return entry in defined_names(tree) or entry in methods_of(tree, "Solution")


def call_path(source: str, entry: str) -> str:
    """How a program's `entry` is reached: `Solution().entry` where its class `Solution` may have that method."""
    tree = parse(source)
    if tree is None or "Solution" not in defined_names(tree):
        return entry
    return entry if entry in _functions(tree) - methods_of(tree, "Solution") else f"Solution().{entry}"


def completed(opening: str, text: str) -> str | None:
    """`opening` with `text` as the body of its last function, None where no body begins there."""
    if not text.strip():
        return None
    whole = parse(opening + text)
    start = opening.count("\n")
    if whole is not None:
        for node in whole.body:
            if node.lineno <= start < (node.end_lineno or 0):
                return "".join((opening + text).splitlines(keepends=True)[: node.end_lineno])
    body = _indented_part(text)
    if body.strip():
        return opening + body
    indented = opening + "    " + _indented_part(text, first=True)
    return indented if parse(indented) else None


def _indented_part(text: str, first: bool = False) -> str:
    """`text` up to its first line that is neither indented nor empty; `first` lets the first line be any."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.strip() and not line[0].isspace() and not (first and number == 0):
            return "\n".join(lines[:number]) + "\n"
    return text + "\n"


def _is_candidate(block: Block) -> bool:
    if block.language is Language.UNLABELLED:
        return _acts(block.tree) if block.tree else bool(BLOCK_BEGINS_LIKE_PYTHON.match(block.source))
    return block.language is Language.PYTHON and bool(block.source.strip())


def _acts(tree: ast.Module) -> bool:
    """Whether code does anything: sample values such as `[1, 2]` parse as Python too."""
    kinds = (ast.Call, ast.stmt)
    return any(isinstance(node, kinds) and not isinstance(node, ast.Expr) for node in ast.walk(tree))


def _for_entry(candidates: Sequence[Block], wanted: Wanted) -> Found | None:
    found = _last(candidates, lambda tree: defines(tree, wanted.entry), "defines")
    if found is not None or not wanted.opening:
        return found
    for block in reversed(candidates):
        program = completed(wanted.opening, block.raw)
        if program is not None and parse(program):
            return Found(source=program, rule=BODY)
    return None


def _for_streams(candidates: Sequence[Block]) -> Found | None:
    return _streaming(candidates, _reads, "reads") or _streaming(candidates, _writes, "writes")


def _streaming(candidates: Sequence[Block], fits: Callable[[ast.Module], bool], rule: str) -> Found | None:
    started = _last(candidates, lambda tree: fits(tree) and _starts(tree), rule)
    return started or _started_later(candidates, fits) or _last(candidates, fits, rule)


def _started_later(candidates: Sequence[Block], fits: Callable[[ast.Module], bool]) -> Found | None:
    """The last candidate that uses earlier functions which fit, after them: `solve()` in a block of its own."""
    given: set[str] = set()
    last: tuple[int, ast.Module] | None = None
    for number, block in enumerate(candidates):
        if block.tree is None:
            continue
        if free_names(block.tree) & given:
            last = number, block.tree
        if fits(block.tree):
            given |= _functions(block.tree)
    return None if last is None else _joined([*_used_before(candidates, *last), candidates[last[0]]])


def _starts(tree: ast.Module) -> bool:
    """Whether running a module reads, writes, or uses a function of its own, rather than only defining some."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    rest = ast.Module(body=[node for node in tree.body if not isinstance(node, kinds)], type_ignores=[])
    return _reads(rest) or _uses(rest, WRITERS | _functions(tree))


def _last(candidates: Sequence[Block], fits: Callable[[ast.Module], bool], rule: str) -> Found | None:
    """The last candidate that fits and stands alone, else the last that fits, with what it uses before it."""
    fitting = [(number, block.tree) for number, block in enumerate(candidates) if block.tree and fits(block.tree)]
    for number, tree in reversed(fitting):
        if not _used_before(candidates, number, tree):
            return Found(source=candidates[number].source, rule=rule)
    if not fitting:
        return None
    number, tree = fitting[-1]
    return _joined([*_used_before(candidates, number, tree), candidates[number]])


def _joined(parts: Sequence[Block]) -> Found:
    return Found(source="\n".join(part.source for part in parts), rule="joined")


def _used_before(candidates: Sequence[Block], number: int, tree: ast.Module) -> list[Block]:
    """The blocks before `number` whose functions and classes `tree` uses and lacks, with those that they use."""
    missing, used = free_names(tree), []
    for block in reversed(candidates[:number]):
        given = _functions(block.tree) & missing if block.tree else set()
        if given and block.tree:
            used.append(block)
            missing = (missing - given) | free_names(block.tree)
    return used[::-1]


def _functions(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in _top_level(tree.body) if isinstance(node, kinds)}


def _without_fence(text: str, wanted: Wanted) -> Found | Missing:
    tree = parse(text)
    if tree is not None:
        fits = defines(tree, wanted.entry) if wanted.entry else _reads(tree) or _writes(tree)
        if fits:
            return Found(source=text, rule="bare")
    program = completed(wanted.opening, text) if wanted.opening else None
    if program is not None:
        return Found(source=program, rule=COMPLETION)
    return Found(source=text, rule="bare") if TEXT_BEGINS_LIKE_PYTHON.match(text) else Missing()


def _reads(tree: ast.Module) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    opened = [call.args[0] for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in OPENERS]
    values = [argument.value for argument in opened if isinstance(argument, ast.Constant)]
    return _uses(tree, READERS) or any(value == 0 or "stdin" in str(value) for value in values)


def _writes(tree: ast.Module) -> bool:
    return _uses(tree, WRITERS)


def _uses(tree: ast.Module, names: frozenset[str]) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in names)
        or (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.alias) and node.name.split(".")[0] in names)
        for node in ast.walk(tree)
    )


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module and within its `if`, `try`, `with` and loops. Not recursive: chains can be long."""
    waiting: list[ast.stmt | ast.ExceptHandler] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            parts = [getattr(node, part, []) for part in ("body", "handlers", "orelse", "finalbody")]
            waiting += [inner for part in reversed(parts) for inner in reversed(part)]


def _stores(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)
