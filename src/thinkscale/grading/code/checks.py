"""Suites of test code: LeetCode, HumanEval, MBPP, and asserts without a name."""

import ast
from collections.abc import Mapping, Sequence

from thinkscale.grading.code.fences import parse
from thinkscale.grading.code.leetcode import PREAMBLE
from thinkscale.grading.code.programs import defined_names, free_names
from thinkscale.grading.code.suites import CheckTest, Suite, UnknownShapeError, as_text, as_texts
from thinkscale.keys import JSON


def leetcode(value: Mapping[str, JSON]) -> Suite:
    return code_suite(as_text(value["functional"]))


def human_eval(value: Mapping[str, JSON]) -> Suite:
    """A test with `check(candidate)`; `prompt` is the code that the question gives, open at its end or whole."""
    code, target, prompt = (
        as_text(value["test"]),
        as_text(value.get("entry_point") or ""),
        as_text(value.get("prompt") or ""),
    )
    tree = _checked(code)
    if not target:
        return code_suite(code)
    entry = target.split(".")[-1]
    opens = _begins_body(prompt, entry)
    before = _before(prompt, entry) if opens else prompt if parse(prompt) else ""
    calls = "check" if "check" in defined_names(tree) else ""
    test = CheckTest(code=code, entry=calls, candidates=(target,))
    return Suite(
        tests=(test,),
        entry=entry,
        opening=prompt if opens else "",
        preamble=before,
        context=prompt if opens else before,
    )


def mbpp(value: Mapping[str, JSON]) -> Suite:
    statements = [*as_texts(value["test_list"]), *as_texts(value.get("challenge_test_list") or [])]
    imports = value.get("test_imports") or []
    setup = [*as_texts([imports] if isinstance(imports, str) else imports), as_text(value.get("test_setup_code") or "")]
    return asserts(statements, "\n".join(setup))


def asserts(statements: Sequence[str], setup: str) -> Suite:
    code = "\n".join(part.replace("\r\n", "\n").strip() for part in statements) + "\n"
    return _free_code(code, setup.replace("\r\n", "\n")) if statements else Suite(tests=())


def code_suite(code: str) -> Suite:
    """Test code that ends by calling its check with a method or function, or that calls the program's names itself."""
    code = code.replace("\r\n", "\n")
    tree = _checked(code)
    target = _last_target(tree)
    if target is None:
        return _free_code(code, "")
    call = tree.body[-1]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert isinstance(call.value.func, ast.Name)
    code = "\n".join(code.split("\n")[: call.lineno - 1]) + "\n"
    preamble = PREAMBLE if "." in target else ""
    test = CheckTest(code=code, entry=call.value.func.id, candidates=(target,))
    return Suite(tests=(test,), entry=target.split(".")[-1], preamble=preamble, context=preamble)


def _free_code(code: str, setup: str) -> Suite:
    """Code whose names that nothing defines are the program's; a set-up that uses such names is part of the test."""
    before = parse(setup)
    if before is None:
        raise UnknownShapeError("the set-up of the tests is no Python")
    _checked(code)
    if free_names(before):
        code, setup = f"{setup}\n{code}", ""
    tree = _checked(code)
    given = defined_names(before) if setup else set()
    names = [name for name in _in_order(tree) if name in free_names(tree) - given] or _calls(tree)[:1]
    if not names:
        raise UnknownShapeError("the tests use nothing that a program would define")
    return Suite(
        tests=(CheckTest(code=code, entry="", candidates=tuple(names)),), entry=_entry(tree, names), context=setup
    )


def _entry(tree: ast.Module, names: Sequence[str]) -> str:
    return next((name for name in _calls(tree) if name in names), names[0])


def _calls(tree: ast.Module) -> list[str]:
    """The names that the first assert calls, the outermost call first. A program may define a builtin anew."""
    first = next(node for node in ast.walk(tree) if isinstance(node, ast.Assert))
    return [node.func.id for node in ast.walk(first) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]


def _checked(code: str) -> ast.Module:
    tree = parse(code)
    if tree is None:
        raise UnknownShapeError("the test's code is no Python")
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        raise UnknownShapeError("the test's code asserts nothing")
    return tree


def _last_target(tree: ast.Module) -> str | None:
    """What the last statement hands to a function of the test's: `f`, or `Solution().f`."""
    last = tree.body[-1]
    call = last.value if isinstance(last, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or len(call.args) != 1 or call.keywords:
        return None
    target = ast.unparse(call.args[0])
    plain = isinstance(call.args[0], ast.Name)
    method = isinstance(call.args[0], ast.Attribute) and target.startswith("Solution().")
    return target if call.func.id in defined_names(tree) and (plain or method) else None


def _begins_body(prompt: str, entry: str) -> bool:
    """Whether `prompt` ends within the function `entry`, before anything but its documentation and imports."""
    tree = parse(prompt) or parse(prompt.rstrip() + "\n    pass\n")
    last = tree.body[-1] if tree and tree.body else None
    if not isinstance(last, (ast.FunctionDef, ast.AsyncFunctionDef)) or last.name != entry:
        return False
    return all(
        isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in last.body
    )


def _before(prompt: str, entry: str) -> str:
    """The lines of `prompt` before the definition of `entry`: imports and functions that the question gives."""
    tree = parse(prompt) or parse(prompt.rstrip() + "\n    pass\n")
    assert tree is not None
    last = tree.body[-1]
    assert isinstance(last, (ast.FunctionDef, ast.AsyncFunctionDef))
    first = min([last.lineno, *(decorator.lineno for decorator in last.decorator_list)])
    return "".join(prompt.splitlines(keepends=True)[: first - 1])


def _in_order(tree: ast.Module) -> list[str]:
    """Names that code reads, as they first stand in it."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return list(dict.fromkeys(node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))))
