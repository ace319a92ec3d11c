"""The shapes in which data sets write tests, read into one Suite.

`Problem.tests` is Python source, or the JSON text of one of these (an object has its data set's own names):

- `{"inputs": [...], "outputs": [...]}` (APPS, TACO): a whole program on standard input. With `fn_name`: calls, where an
  item of `inputs` is the list of arguments, or a text with an argument as JSON on each line.
- `{"public_tests": {"input": [...], "output": [...]}, "private_tests": ..., "generated_tests": ...}` (CodeContests):
  standard input, all three.
- `{"public_test_cases": [...], "private_test_cases": [...], "func_name": ...}` (LiveCodeBench), or a list of
  `{"input": ..., "output": ..., "testtype": ...}`: standard input or calls by `testtype`.
- `{"functional": code}`, or code, that ends in `check(Solution().name)` (LeetCode): a check.
- `{"test": code, "entry_point": name, "prompt": code}` (HumanEval, LeetCodeDataset): a check.
- `{"test_list": [...], "test_setup_code": code, "test_imports": ..., "challenge_test_list": ...}` (MBPP), or a list of
  asserts: one check of all asserts in their order.

An input or output of a whole program that is a list holds lines. APPS wraps the value that a call returns in a list
in some problems and in others not, without saying which: where every output of a problem is a list of one, the value
may be that list or what is in it. What is none of these shapes, has no test, or asserts nothing is `Unreadable`.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence

from thinkscale.grading.code import checks
from thinkscale.grading.code.fences import parse
from thinkscale.grading.code.leetcode import PREAMBLE
from thinkscale.grading.code.suites import (
    CallTest,
    StreamTest,
    Suite,
    Test,
    UnknownShapeError,
    Unreadable,
    as_text,
    as_texts,
)
from thinkscale.keys import JSON

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def read_suite(text: str | None) -> Suite | Unreadable:
    """The suite that `text` states. Never raises."""
    if text is None or not text.strip():
        return Unreadable(reason="the problem has no tests")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if parse(text) is None:
            return Unreadable(reason=f"the tests are neither JSON nor Python: {error}"[:300])
        value = text
    try:
        suite = _suite(value)
    except UnknownShapeError as error:
        return Unreadable(reason=str(error))
    return suite if suite.tests else Unreadable(reason="the problem has no tests")


def _suite(value: JSON) -> Suite:
    if isinstance(value, str):
        return checks.code_suite(value)
    if isinstance(value, list):
        return (
            _cases(value, "")
            if not all(isinstance(item, str) for item in value)
            else checks.asserts(as_texts(value), "")
        )
    if not isinstance(value, dict):
        raise UnknownShapeError(f"the tests are {value!r:.60}, not a text, a list or an object")
    for key, read in SHAPES.items():
        if value.get(key) is not None:
            return read(value)
    raise UnknownShapeError(f"the tests have none of {', '.join(SHAPES)}")


def _nested(value: Mapping[str, JSON]) -> Suite:
    inner = value["input_output"]
    return _suite(_json(inner) if isinstance(inner, str) else inner)


def _inputs_outputs(value: Mapping[str, JSON]) -> Suite:
    inputs, outputs = _pair(value["inputs"], value.get("outputs"))
    function = value.get("fn_name") or value.get("func_name")
    return _calls(inputs, outputs, as_text(function)) if function else _streams(inputs, outputs)


def _calls(inputs: Sequence[JSON], outputs: Sequence[JSON], function: str) -> Suite:
    entry = _name(function)
    wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
    tests = []
    for given, output in zip(inputs, outputs, strict=True):
        if isinstance(given, str):
            tests.append(CallTest(arguments=_argument_lines(given), expected=(_json(as_text(output)),)))
        elif isinstance(given, list):
            inner = (output[0],) if wrapped and isinstance(output, list) else ()
            tests.append(CallTest(arguments=tuple(map(_argument, given)), expected=(output, *inner)))
        else:
            raise UnknownShapeError(f"the arguments of a call are {given!r:.60}, not a list")
    return Suite(tests=tuple(tests), entry=entry, preamble=PREAMBLE)


def _code_contests(value: Mapping[str, JSON]) -> Suite:
    tests: list[Test] = []
    for key in ("public_tests", "private_tests", "generated_tests"):
        part = value.get(key)
        if isinstance(part, dict):
            tests += _streams(*_pair(part.get("input"), part.get("output"))).tests
        elif isinstance(part, list):
            tests += _cases(part, "").tests
    return Suite(tests=tuple(tests))


def _live_code_bench(value: Mapping[str, JSON]) -> Suite:
    cases: list[JSON] = []
    for key in ("public_test_cases", "private_test_cases"):
        part = value.get(key)
        part = _json(part) if isinstance(part, str) else part
        if part is not None and not isinstance(part, list):
            raise UnknownShapeError(f"`{key}` must be a list, it is {part!r:.60}")
        cases += part or []
    return _cases(cases, as_text(value.get("func_name") or _starter_name(value.get("starter_code"))))


def _cases(cases: Sequence[JSON], function: str) -> Suite:
    """Tests as a list of objects, all of one type."""
    rows = [case for case in cases if isinstance(case, dict)]
    if len(rows) != len(cases):
        raise UnknownShapeError("the tests are a list of objects and other things")
    kinds = {row.get("testtype") or row.get("type") or "stdin" for row in rows}
    inputs, outputs = [row.get("input") for row in rows], [row.get("output") for row in rows]
    if kinds <= {"stdin", "stdin_stdout"}:
        return _streams(inputs, outputs)
    if not kinds <= {"functional", "function_call"}:
        raise UnknownShapeError(f"tests of the types {', '.join(sorted(map(str, kinds)))}")
    function = function or as_text(rows[0].get("fn_name") or "")
    return _calls(inputs, outputs, function)


def _streams(inputs: Sequence[JSON], outputs: Sequence[JSON]) -> Suite:
    pairs = zip(inputs, outputs, strict=True)
    return Suite(tests=tuple(StreamTest(stdin=_lines(given), expected=_lines(output)) for given, output in pairs))


def _starter_name(starter: JSON) -> str:
    """The last function of a starter code whose body is left open."""
    tree = parse(f"{starter.rstrip()} pass\n") if isinstance(starter, str) else None
    found = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] if tree else []
    return found[-1] if found else ""


def _pair(inputs: JSON, outputs: JSON) -> tuple[list[JSON], list[JSON]]:
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise UnknownShapeError("inputs and outputs must be lists of one length")
    return inputs, outputs


def _argument_lines(text: str) -> tuple[JSON, ...]:
    return tuple(_json(line) for line in text.split("\n") if line.strip())


def _argument(value: JSON) -> object:
    """An argument of APPS. Keys that are all integers were integers once, which JSON cannot write."""
    if isinstance(value, dict) and value and all(INTEGER.fullmatch(key) for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def _lines(value: JSON) -> str:
    """A text, or a list of lines."""
    if isinstance(value, list):
        return "\n".join(_lines(item) if not isinstance(item, list) else " ".join(map(_lines, item)) for item in value)
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        raise UnknownShapeError(f"an input or output of a program is {value!r:.60}, not a text or a list of lines")
    return str(value)


def _name(name: str) -> str:
    if not name.isidentifier():
        raise UnknownShapeError(f"{name!r:.60} is no name of a function")
    return name


def _json(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownShapeError(f"{text!r:.60} is not JSON: {error}"[:300]) from error
    return value


SHAPES = {
    "input_output": _nested,
    "inputs": _inputs_outputs,
    "functional": checks.leetcode,
    "test_list": checks.mbpp,
    "test": checks.human_eval,
    "public_test_cases": _live_code_bench,
    "private_test_cases": _live_code_bench,
    "public_tests": _code_contests,
    "private_tests": _code_contests,
    "generated_tests": _code_contests,
}
"""The key by which an object's shape is known, and what reads it."""
