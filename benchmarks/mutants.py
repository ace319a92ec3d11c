"""Programs broken on purpose, one small change each: what a grader must not call correct."""

import ast
import random
from collections.abc import Callable
from typing import Any

Mutation = Callable[[ast.Module, random.Random], bool]
"""Breaks a tree in place; False where there is nothing to break."""


def nodes(tree: ast.AST, kind: type | tuple[type, ...]) -> list[Any]:
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def off_by_one(tree: ast.Module, choose: random.Random) -> bool:
    found = [node for node in nodes(tree, ast.Constant) if type(node.value) is int]
    if found:
        choose.choice(found).value += choose.choice((-1, 1))
    return bool(found)


FLIPPED = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}


def flipped_comparison(tree: ast.Module, choose: random.Random) -> bool:
    found = [node for node in nodes(tree, ast.Compare) if type(node.ops[0]) in FLIPPED]
    if found:
        node = choose.choice(found)
        node.ops[0] = FLIPPED[type(node.ops[0])]()
    return bool(found)


def swapped_operator(tree: ast.Module, choose: random.Random) -> bool:
    found = [node for node in nodes(tree, (ast.BinOp, ast.AugAssign)) if type(node.op) in SWAPPED]
    if found:
        node = choose.choice(found)
        node.op = SWAPPED[type(node.op)]()
    return bool(found)


def dropped_statement(tree: ast.Module, choose: random.Random) -> bool:
    kinds = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.If, ast.For, ast.While)
    bodies = [getattr(node, "body", None) for node in nodes(tree, (ast.FunctionDef, ast.For, ast.While, ast.If))]
    found = [(b, n) for b in bodies if isinstance(b, list) for n, s in enumerate(b) if isinstance(s, kinds)]
    found = [(b, n) for b, n in found if not (isinstance(b[n], ast.Expr) and isinstance(b[n].value, ast.Constant))]
    if found:
        body, number = choose.choice(found)
        body[number] = ast.Pass()
    return bool(found)


def negated_condition(tree: ast.Module, choose: random.Random) -> bool:
    found = nodes(tree, (ast.If, ast.While, ast.IfExp))
    if found:
        node = choose.choice(found)
        node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    return bool(found)


def in_every_function(source: str) -> Mutation:
    """Puts a statement at the beginning of every function, or of the program where it has none."""

    def broken(tree: ast.Module, _: random.Random) -> bool:
        for node in nodes(tree, ast.FunctionDef) or [tree]:
            node.body[:0] = ast.parse(source).body
        return True

    return broken


def at_the_end(source: str) -> Mutation:
    def broken(tree: ast.Module, _: random.Random) -> bool:
        tree.body += ast.parse(source).body
        return True

    return broken


MUTATIONS: dict[str, Mutation] = {
    "constant off by one": off_by_one,
    "comparison flipped": flipped_comparison,
    "operator swapped": swapped_operator,
    "statement dropped": dropped_statement,
    "condition negated": negated_condition,
    "raises": in_every_function("raise RuntimeError"),
    "unknown name": in_every_function("no_such_name"),
    "leaves": in_every_function("import os\nos._exit(0)"),
    "returns nothing": in_every_function("return None"),
    "loops for ever": in_every_function("while True: pass"),
    "crash at the end": at_the_end("raise RuntimeError"),
}
ALWAYS_FAIL = ("raises", "unknown name", "leaves", "loops for ever", "crash at the end", "broken syntax")
