r"""Reading an expression into a tree: a tokenizer and a recursive descent over LaTeX and plain notation, without eval.

    expression := [sign] term (sign term)*
    term       := factor (('*' | '/') [sign] factor | factor)*
    factor     := base ['!'] ['^' exponent] ['\degree']
    base       := number | mixed number | symbol | group | |expression| | \frac | \binom | \sqrt | function

Readings that notation leaves open are refused rather than guessed: `x/2y`, `1/2\pi`, `a^b^c`, `2 3`, `\sin(x)^2`. These
are settled: `2\frac{1}{3}` with a proper fraction of digits is a mixed number; `1/2x` with digits is half of x; `x^10`
is x to the tenth in plain text; `f(2)` and `I(0)` are values of functions, `\sin^{-1}` is the inverse.
"""

import re
from fractions import Fraction

from thinkscale.grading.math.monomials import Unreadable
from thinkscale.grading.math.nodes import Head, Node, call, number, symbol
from thinkscale.grading.math.tokens import ACCENTS, FUNCTIONS, is_number, tokens_of

MAX_CHARACTERS = 600
MAX_DEPTH = 30

CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
CALLS = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceil"}
ENDS = frozenset(CLOSING.values()) | {"+", "-", "", ","}
FUNCTION_LETTERS = frozenset("fghFGHPQT")
INVERSES = {name: f"arc{name}" for name in ("sin", "cos", "tan", "cot")}
HALF_TURN = number(180)


def read_tree(text: str) -> Node:
    """The tree of `text`. Raises Unreadable where it is outside the language or its bounds."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable("too long")
    reader = _Reader(tokens_of(text))
    tree = reader.expression()
    if reader.peek():
        raise Unreadable(f"unexpected {reader.peek()}")
    return tree


class _Reader:
    """Position in a list of tokens; an empty token stands for the end."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._bars = 0

    def peek(self, ahead: int = 0) -> str:
        position = self._position + ahead
        return self._tokens[position] if position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        self._position += 1
        return token

    def _signed(self) -> bool:
        """Reads one optional sign; whether it was a minus."""
        return self._next() == "-" if self.peek() in ("+", "-") else False

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        minus = self._signed()
        terms = [_negated(self._term()) if minus else self._term()]
        while self.peek() in ("+", "-"):
            minus = self._signed()
            terms.append(_negated(self._term()) if minus else self._term())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Node(Head.SUM, tuple(terms))

    def _term(self) -> Node:
        start = self._position
        tree, after_slash = self._factor(), False
        while (token := self.peek()) not in ENDS or (token == "|" and not self._bars):
            if token in ("*", "/"):
                self._next()
                minus = self._signed()
                factor = self._factor()
                tree = Node(Head.QUOTIENT if token == "/" else Head.PRODUCT, (tree, factor))
                tree = _negated(tree) if minus else tree
                after_slash = token == "/"
            elif (is_number(token) and self._tokens[self._position - 1] != ")") or (
                after_slash and not self._is_plain_fraction(start)
            ):
                raise Unreadable("ambiguous product")
            else:
                tree = Node(Head.PRODUCT, (tree, self._factor()))
        return tree

    def _is_plain_fraction(self, start: int) -> bool:
        r"""Whether the term so far is digits over digits, and no constant follows: `1/2x`, not `1/2\pi`."""
        read = self._tokens[start : self._position]
        return len(read) >= 3 and all(token.isdigit() for token in read[:3:2]) and self.peek() not in ("\\pi", "e", "i")

    def _factor(self) -> Node:
        tree = self._base()
        while self.peek() == "!":
            self._next()
            tree = Node(Head.FACTORIAL, (tree,))
        if self.peek() == "^":
            if tree.head is Head.CALL and tree.name in FUNCTIONS:
                raise Unreadable("ambiguous power")
            self._next()
            tree = Node(Head.POWER, (tree, self._exponent()))
            if self.peek() in ("^", "!"):
                raise Unreadable("ambiguous power")
        if self.peek() == "\\degree":
            self._next()
            tree = Node(Head.PRODUCT, (tree, Node(Head.QUOTIENT, (symbol("\\pi"), HALF_TURN))))
        return tree

    def _exponent(self) -> Node:
        minus = self._signed()
        token = self.peek()
        if token in ("{", "("):
            tree = self._group()
        elif is_number(token) or token.startswith("\\") or token.isalpha():
            tree = self._base()
        else:
            raise Unreadable("exponent missing")
        return _negated(tree) if minus else tree

    def _group(self) -> Node:
        opening = self._next()
        self._bars += opening == "|"
        tree = self.expression()
        self._bars -= opening == "|"
        if self._next() != CLOSING[opening]:
            raise Unreadable("brackets do not match")
        return call(CALLS[opening], tree) if opening in CALLS else tree

    def _base(self) -> Node:
        token = self.peek()
        if token in CLOSING:
            return self._group()
        self._next()
        if is_number(token):
            return self._number(token)
        if token == "\\frac":
            derivative = self._derivative()
            if derivative:
                return symbol(derivative)
            return Node(Head.QUOTIENT, (self._argument(), self._argument()))
        if token == "\\binom":
            return Node(Head.BINOMIAL, (self._argument(), self._argument()))
        if token in ("\\sqrt", "sqrt"):
            return self._root(plain=token == "sqrt")
        if token.lstrip("\\") in FUNCTIONS:
            return self._function(token.lstrip("\\"))
        if token in ACCENTS:
            return symbol(token + self._accented() + self._subscript())
        if token.startswith("\\") or token.isalpha():
            return self._symbol(token + self._subscript())
        raise Unreadable(f"unexpected {token or 'end'}")

    def _derivative(self) -> str:
        r"""The name of `\frac{dy}{dx}`, which is no quotient; an empty string where there is none."""
        tokens = self._tokens[self._position : self._position + 24]
        if tokens[:2] != ["{", "d"] or "}" not in tokens:
            return ""
        middle = tokens.index("}")
        if tokens[middle + 1 : middle + 3] != ["{", "d"] or "}" not in tokens[middle + 1 :] or middle < 3:
            return ""
        end = tokens.index("}", middle + 1)
        below = tokens[middle + 3 : end]
        if (
            len(below) not in (1, 3)
            or (len(below) == 3 and below[1] != "^")
            or len(set(tokens[2:middle]) - set("^(234)")) > 2
        ):
            return ""
        if middle > 3 and tokens[3] not in "(^" and tokens[2] != "^":
            return ""
        self._position += end + 1
        return f"{''.join(tokens[1:middle])}({''.join(tokens[middle + 2 : end])})"

    def _symbol(self, name: str) -> Node:
        """A variable, or the value of a function where one of its letters, or one bare argument, says so."""
        if name.startswith("C_") and name[2:].isdecimal() and self.peek() == "^":
            return self._combinations(name)
        while self.peek() == "'":
            name += self._next()
        if self.peek() != "(":
            return symbol(name)
        argument = self.peek(1)
        bare = self.peek(2) == ")" and (argument.isalpha() or is_number(argument)) and len(argument) < 3
        if name[0] in FUNCTION_LETTERS or (bare and name not in ("\\pi", "e", "i")):
            start = self._position
            self._group()
            return symbol(name + "".join(self._tokens[start : self._position]))
        return symbol(name)

    def _combinations(self, name: str) -> Node:
        """`C_5^2` as a binomial coefficient, where its numbers are in that order; else a power of a constant."""
        start = self._position
        self._next()
        lower = self._exponent()
        if lower.head is Head.NUMBER and 2 <= lower.value <= int(name[2:]):
            return Node(Head.BINOMIAL, (number(int(name[2:])), lower))
        self._position = start
        return symbol(name)

    def _number(self, token: str) -> Node:
        whole = number(Fraction(token.rstrip(".")))
        if self.peek() == "\\overline":
            return self._repeating(token)
        if not token.isdigit() or self.peek() != "\\frac":
            return whole
        start = self._position
        part = self._base()
        digits_only = all(token.isdigit() or token in "{}" for token in self._tokens[start + 1 : self._position])
        if digits_only and part.head is Head.QUOTIENT and part.arguments[0].value < part.arguments[1].value:
            return Node(Head.SUM, (whole, part))
        return Node(Head.PRODUCT, (whole, part))

    def _repeating(self, token: str) -> Node:
        r"""`0.1\overline{6}`: the digits under the bar go on for ever."""
        self._next()
        digits = "".join(self._tokens[self._position + 1 : self._position + 2])
        if "." not in token or not digits.isdigit() or self.peek() != "{" or self.peek(2) != "}":
            raise Unreadable("a bar over something else")
        self._position += 3
        places = len(token.partition(".")[2])
        period = Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)
        return number(Fraction(token.rstrip(".")) + period)

    def _argument(self) -> Node:
        """One argument of a LaTeX command: a group, a command, or a single digit or letter."""
        token = self.peek()
        if token == "{":
            return self._group()
        if token.isalnum():
            self._next()
            if len(token) > 1:
                self._position -= 1
                self._tokens[self._position] = token[1:]
            return number(int(token[0])) if token[0].isdecimal() else symbol(token[0])
        if token.startswith("\\"):
            return self._base()
        raise Unreadable("argument missing")

    def _root(self, plain: bool) -> Node:
        degree = number(2)
        if self.peek() == "[":
            degree = self._group()
        radicand = self._base() if plain or self.peek() == "(" else self._argument()
        return Node(Head.ROOT, (radicand, degree))

    def _function(self, name: str) -> Node:
        r"""A function and its argument: in brackets, or all factors up to the next sign or function (`\sin 2x`)."""
        base = self._log_base() if name in ("log", "lg") else None
        power: Node | None = None
        if self.peek() == "^":
            self._next()
            power = self._exponent()
            if name in INVERSES and power == Node(Head.NEGATIVE, (number(1),)):
                name, power = INVERSES[name], None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        argument = self._group() if self.peek() in ("(", "{", "[", "|") else self._factors()
        self._depth -= 1
        tree = call("log", base, argument) if base is not None else call(name, argument)
        return Node(Head.POWER, (tree, power)) if power is not None else tree

    def _log_base(self) -> Node | None:
        if self.peek().startswith("_{"):
            return read_tree(self._next()[2:-1])
        if self.peek() != "_":
            return None
        self._next()
        return self._argument()

    def _factors(self) -> Node:
        tree = self._factor()
        while (token := self.peek()) not in ENDS | {"*", "/", "(", "["} and token.lstrip("\\") not in FUNCTIONS:
            if is_number(token) or token in CLOSING:
                raise Unreadable("ambiguous argument")
            tree = Node(Head.PRODUCT, (tree, self._factor()))
        if self.peek() == "/" and tree.head is not Head.QUOTIENT:
            raise Unreadable("ambiguous argument")
        return tree

    def _accented(self) -> str:
        token = self._next()
        if token == "{":
            token = self._next()
            while self.peek().isalnum() and len(token) < 8:
                token += self._next()
            if self._next() != "}":
                raise Unreadable("accent over something else")
        if not (token.isalpha() or token[:1] == "\\"):
            raise Unreadable("accent over something else")
        return token

    def _subscript(self) -> str:
        if self.peek().startswith("_{"):
            return f"_{self._next()[2:-1]}"
        if self.peek() != "_":
            return ""
        self._next()
        token = self._next()
        if token == "{":
            token = ""
            while re.fullmatch(r"\w+|[-+,]|\\[A-Za-z]+", self.peek()) and len(token) < 20:
                token += self._next()
            if self._next() != "}":
                raise Unreadable("subscript is not simple")
        if not token or token in "+-,)]}":
            raise Unreadable("subscript is not simple")
        return f"_{token}"


def _negated(tree: Node) -> Node:
    return Node(Head.NEGATIVE, (tree,))
