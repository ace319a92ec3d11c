"""The tree of an expression: what the reader makes, and what exact arithmetic, floats and computer algebra read.

A node is a head with arguments. Heads: `number` (value), `symbol` (name; `i` is the imaginary unit, `\\pi` and `e` the
constants), `sum`, `product`, `quotient`, `negative`, `power` (base, exponent), `root` (radicand, degree), `factorial`,
`binomial`, and `call` (name of a function, its arguments). No text is left to be evaluated.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Head(StrEnum):
    """What a node does with its arguments."""

    NUMBER = "number"
    SYMBOL = "symbol"
    SUM = "sum"
    PRODUCT = "product"
    QUOTIENT = "quotient"
    NEGATIVE = "negative"
    POWER = "power"
    ROOT = "root"
    FACTORIAL = "factorial"
    BINOMIAL = "binomial"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `value` of a number, `name` of a symbol or of a called function."""

    head: Head
    arguments: tuple["Node", ...] = ()
    value: Fraction = Fraction(0)
    name: str = ""


CONSTANTS = frozenset({"\\pi", "e", "i"})


def number(value: Fraction | int) -> Node:
    return Node(Head.NUMBER, value=Fraction(value))


def symbol(name: str) -> Node:
    return Node(Head.SYMBOL, name=name)


def call(name: str, *arguments: Node) -> Node:
    return Node(Head.CALL, arguments, name=name)


def names_in(node: Node) -> frozenset[str]:
    """Names of the variables below `node`: symbols other than pi, e and i."""
    if node.head is Head.SYMBOL:
        return frozenset() if node.name in CONSTANTS else frozenset({node.name})
    found: frozenset[str] = frozenset()
    for argument in node.arguments:
        found |= names_in(argument)
    return found


def renamed(node: Node, names: dict[str, str]) -> Node:
    """The same tree with variables renamed."""
    if node.head is Head.SYMBOL:
        return symbol(names.get(node.name, node.name))
    if not node.arguments:
        return node
    return Node(node.head, tuple(renamed(part, names) for part in node.arguments), node.value, node.name)


def replaced(node: Node, name: str, value: Node) -> Node:
    """The same tree with a variable replaced by a value."""
    if node.head is Head.SYMBOL:
        return value if node.name == name else node
    if not node.arguments:
        return node
    return Node(node.head, tuple(replaced(part, name, value) for part in node.arguments), node.value, node.name)


def calls(node: Node, name: str) -> bool:
    """Whether the function is called anywhere below `node`."""
    return (node.head is Head.CALL and node.name == name) or any(calls(part, name) for part in node.arguments)
