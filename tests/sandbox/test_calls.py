"""Calls of a program's functions: values come back as plain data, and nothing else does."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.sandbox.tables import cases
from thinkscale.grading.execution import Ending, Execution
from thinkscale.sandbox.inside.wire import Opaque
from thinkscale.sandbox.programs import Sandbox, from_wire

VALUES = [
    "None",
    "True",
    "-7",
    "2 ** 63",
    "-(2 ** 200)",
    "10 ** 6000",
    "0.1",
    "-0.0",
    "float('inf')",
    "'text'",
    "'\\ud800'",
    "b'\\xff'",
    "bytearray(b'x')",
    "[1, [2, [3]]]",
    "(1, (2,))",
    "()",
    "{1, 2}",
    "frozenset({1, (2, 3)})",
    "{'a': [1], (1, 2): {}}",
    "1 + 2j",
    "range(3)",
    "__import__('collections').deque([1, 2])",
    "__import__('fractions').Fraction(1, 3)",
    "__import__('decimal').Decimal('1.50')",
    "{0: {1: ({2},)}}",
]


def call(sandbox: Sandbox, source: str, function: str = "f", *arguments: int) -> Execution:
    with sandbox.open(source) as program:
        return program.call(function, arguments)


@pytest.mark.parametrize("value", VALUES)
def test_plain_values_come_back_as_they_were(sandbox: Sandbox, value: str) -> None:
    returned = call(sandbox, f"def f(): return {value}")
    assert returned.ending is Ending.FINISHED
    found, wanted = from_wire(returned.value), eval(value)
    assert (found, type(found)) == (wanted, type(wanted))


def test_not_a_number_comes_back_as_such(sandbox: Sandbox) -> None:
    found = from_wire(call(sandbox, "def f(): return [float('nan')]").value)
    assert isinstance(found, list)
    assert str(found) == "[nan]"


def test_arguments_and_keywords_arrive_as_plain_lists(sandbox: Sandbox) -> None:
    with sandbox.open("def f(a, *, b): return [type(a).__name__, a, b]") as program:
        returned = program.call("f", [[1, [2]]], {"b": {"k": 3.5}})
    assert from_wire(returned.value) == ["list", [1, [2]], {"k": 3.5}]


@pytest.mark.parametrize("name", ["Solution().add", "Solution.add"])
def test_a_method_is_called_by_its_class(sandbox: Sandbox, name: str) -> None:
    source = "class Solution:\n    def add(self, a=0, b=0): return a + b\n"
    itself = [] if "()" in name else [0]
    assert from_wire(call(sandbox, source, name, *itself, 1, 2).value) == 3


def test_each_call_has_a_fresh_process(sandbox: Sandbox) -> None:
    with sandbox.open("seen = []\ndef f(x):\n    seen.append(x)\n    return seen") as program:
        assert [from_wire(program.call("f", [n]).value) for n in (1, 2)] == [[1], [2]]


def test_numbers_and_arrays_of_numpy_come_back_plain(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef f(): return [np.int64(3), np.float64(0.5), np.bool_(True), np.arange(3)]"
    found = from_wire(call(sandbox, source).value)
    assert found == [3, 0.5, True, [0, 1, 2]]
    assert isinstance(found, list)
    assert [type(item) for item in found] == [int, float, bool, list]


def test_shared_and_cyclic_lists_keep_their_shape(sandbox: Sandbox) -> None:
    found = from_wire(call(sandbox, "def f():\n    x = [1]\n    x.append(x)\n    return [x, x]").value)
    assert isinstance(found, list)
    assert found[0] is found[1]
    assert found[0][1] is found[0]


def test_a_list_twenty_thousand_deep_comes_back(sandbox: Sandbox) -> None:
    source = "def f():\n    x = []\n    for _ in range(20_000):\n        x = [x]\n    return x"
    found = from_wire(call(sandbox, source).value)
    depth = 0
    while isinstance(found, list) and found:
        depth, found = depth + 1, found[0]
    assert depth == 20_000


LIAR = """
class Liar({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 7
    def __iter__(self): return iter([7])
    def __getitem__(self, key): return 7
    def __len__(self): return 1
    def __int__(self): return 7
    def __index__(self): return 7
    def __float__(self): return 7.0
    def __str__(self): return 'seven'
    def __repr__(self): return '7'
    def __reduce__(self): return int, (7,)
    def items(self): return [(7, 7)]
    def keys(self): return [7]
    def tolist(self): return 7
def f(): return Liar({arguments})
"""


@pytest.mark.parametrize(
    ("base", "arguments", "value"),
    [
        ("int", "3", 3),
        ("float", "0.5", 0.5),
        ("str", "'x'", "x"),
        ("bytes", "b'x'", b"x"),
        ("list", "[1, 2]", [1, 2]),
        ("tuple", "[1, 2]", (1, 2)),
        ("set", "[1, 2]", {1, 2}),
        ("frozenset", "[1]", frozenset({1})),
        ("dict", "{1: 2}", {1: 2}),
        ("complex", "1, 2", 1 + 2j),
    ],
)
def test_a_subclass_crosses_as_its_true_base_value(sandbox: Sandbox, base: str, arguments: str, value: object) -> None:
    found = from_wire(call(sandbox, LIAR.format(base=base, arguments=arguments)).value)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "source",
    [
        LIAR.format(base="object", arguments=""),
        "def f(): yield 1",
        "def f():\n    def forever():\n        while True: yield 1\n    return forever()",
        "def f(): return lambda: 1",
        "import sys\ndef f(): return sys",
        "class M(type):\n    __module__ = 'numpy'\n    def __eq__(self, other): return True\n    __hash__ = None\n"
        "class A(metaclass=M): pass\ndef f(): return A()",
    ],
)
def test_what_is_no_plain_data_equals_nothing_and_is_neither_true_nor_false(sandbox: Sandbox, source: str) -> None:
    found = from_wire(call(sandbox, source).value)
    assert isinstance(found, Opaque)
    assert all(found != other for other in (True, 1, 7, None, [7], Opaque(found.handle, found.kind)))
    with pytest.raises(TypeError):
        bool(found)


@pytest.mark.parametrize("case", cases("failing_calls.jsonl"), ids=lambda case: case["source"])
def test_calls_that_give_no_value_are_told_apart(sandbox: Sandbox, case: dict[str, Any]) -> None:
    waits = case["endings"] == [Ending.WALL_TIME]
    limits = replace(sandbox.limits, cpu_seconds=0.6, wall_seconds=0.2 if waits else 10.0)
    with sandbox.open(case["source"]) as program:
        returned = program.call("f", [], limits=limits)
    assert returned.ending in case["endings"], returned
    assert returned.value is None
    assert len(returned.detail.encode()) <= 8_000


def test_a_forged_answer_is_at_most_a_value(sandbox: Sandbox) -> None:
    text = json.dumps({"v": 5, "n": []})
    forged = f"struct.pack('>II', 2, {len(text)}) + b'{{}}' + {text!r}.encode()"
    source = f"import os, struct\nos.write(3, {forged})\ndef f(): return 1"
    assert from_wire(call(sandbox, source).value) == 5
