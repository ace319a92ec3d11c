r"""Reading a closed form: a tokenizer and a recursive descent over LaTeX and plain notation, without eval.

    expression := [sign] term (sign term)*
    term       := factor (('*' | '/') [sign] factor | factor)*
    factor     := base ['!'] ['^' exponent]
    base       := number | mixed number | symbol | group | \frac | \binom | \sqrt

Readings that notation leaves open are refused rather than guessed: `1/2x`, `a^b^c`, `2 3`, `f(2)`. Two are settled:
`2\frac{1}{3}` with a proper fraction of digits is a mixed number, and `x^10` is x to the tenth in plain text.
"""

import math
import re
from fractions import Fraction

from thinkscale.grading.exact import (
    Exact,
    added,
    as_rational,
    divided,
    multiplied,
    negated,
    raised,
    rational,
    root,
    symbol,
)
from thinkscale.grading.monomials import Unreadable

MAX_CHARACTERS = 600
MAX_DEPTH = 30
MAX_FACTORIAL = 60
MAX_BINOMIAL = 500

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)|(\\[A-Za-z]+)|([A-Za-z]+)|([-+*/^_!(){}\[\]]))")
CLOSING = {"(": ")", "[": "]", "{": "}"}
GREEK_NAMES = (
    r"\pi \alpha \beta \gamma \delta \epsilon \varepsilon \theta \lambda \mu \nu \rho \sigma \tau \phi \varphi \omega"
    r" \Delta \Gamma \Omega"
)
GREEK = frozenset(GREEK_NAMES.split())
FUNCTION_LETTERS = frozenset("fghFGHPQT")
SHORT_WORDS = (
    "sin cos tan cot sec csc log ln lg exp max min gcd lcm mod det arg lim sup inf deg dim ker"
    " and or nor not if no yes am pm th st nd rd is to of in by at on as it an the per all"
)
"""They are not products of variables."""
WORDS = frozenset(SHORT_WORDS.split())


def read_expression(text: str) -> Exact:
    """The exact value of `text`. Raises Unreadable where it is outside the language or its bounds."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable("too long")
    reader = _Reader(_tokens(text))
    value = reader.expression()
    if reader.peek():
        raise Unreadable(f"unexpected {reader.peek()}")
    return value


def _tokens(text: str) -> list[str]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"unexpected {text[position : position + 10]}")
        token = match.group().strip()
        tokens.extend(_letters(token) if token.isalpha() else [token])
        position = match.end()
    return tokens


def _letters(run: str) -> list[str]:
    """A run of up to three letters as a product of variables; `sqrt` and other words stay apart."""
    if run == "sqrt":
        return [run]
    if len(run) > 3 or run.lower() in WORDS:
        raise Unreadable(f"word {run[:20]}")
    return list(run)


def _is_number(token: str) -> bool:
    return token[:1].isdigit() or token[:1] == "."


class _Reader:
    """Position in a list of tokens; an empty token stands for the end."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        self._position += 1
        return token

    def _put_back(self, rest: str) -> None:
        if rest:
            self._position -= 1
            self._tokens[self._position] = rest

    def _signed(self) -> bool:
        """Reads one optional sign; whether it was a minus."""
        return self._next() == "-" if self.peek() in ("+", "-") else False

    def expression(self) -> Exact:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        minus = self._signed()
        value = negated(self._term()) if minus else self._term()
        while self.peek() in ("+", "-"):
            minus = self._signed()
            term = self._term()
            value = added(value, negated(term) if minus else term)
        self._depth -= 1
        return value

    def _term(self) -> Exact:
        value, after_slash = self._factor(), False
        while (token := self.peek()) and token not in ("+", "-", ")", "]", "}"):
            if token in ("*", "/"):
                self._next()
                minus = self._signed()
                factor = self._factor()
                value = divided(value, factor) if token == "/" else multiplied(value, factor)
                value = negated(value) if minus else value
                after_slash = token == "/"
            elif after_slash or _is_number(token):
                raise Unreadable("ambiguous product")
            else:
                value = multiplied(value, self._factor())
        return value

    def _factor(self) -> Exact:
        value = self._base()
        if self.peek() == "!":
            self._next()
            value = _factorial(value)
        if self.peek() == "^":
            self._next()
            value = raised(value, self._exponent())
            if self.peek() in ("^", "!"):
                raise Unreadable("ambiguous power")
        return value

    def _exponent(self) -> Fraction:
        minus = self._signed()
        token = self.peek()
        if token in ("{", "("):
            value = self._group()
        elif _is_number(token) or token == "\\frac":
            value = self._base()
        else:
            raise Unreadable("exponent is not a number")
        number = as_rational(value)
        if number is None:
            raise Unreadable("exponent is not rational")
        return -number if minus else number

    def _group(self) -> Exact:
        closing = CLOSING[self._next()]
        value = self.expression()
        if self._next() != closing:
            raise Unreadable("brackets do not match")
        return value

    def _base(self) -> Exact:
        token = self.peek()
        if token in CLOSING:
            return self._group()
        self._next()
        if _is_number(token):
            return self._number(token)
        if token == "\\frac":
            return divided(self._argument(), self._argument())
        if token == "\\binom":
            return _binomial(self._argument(), self._argument())
        if token in ("\\sqrt", "sqrt"):
            return self._root(plain=token == "sqrt")
        if token in FUNCTION_LETTERS and self.peek() == "(":
            raise Unreadable("function value")
        if token in GREEK or token.isalpha():
            return symbol(token + self._subscript())
        raise Unreadable(f"unexpected {token or 'end'}")

    def _number(self, token: str) -> Exact:
        whole = rational(Fraction(token.rstrip(".")))
        if not token.isdigit() or self.peek() != "\\frac":
            return whole
        start = self._position
        part = self._base()
        digits_only = all(token.isdigit() or token in "{}" for token in self._tokens[start + 1 : self._position])
        fraction = as_rational(part)
        if digits_only and fraction is not None and 0 < fraction < 1:
            return added(whole, part)
        return multiplied(whole, part)

    def _argument(self) -> Exact:
        """One argument of a LaTeX command: a group, a command, or a single digit or letter."""
        token = self.peek()
        if token == "{":
            return self._group()
        if token.isalnum():
            self._next()
            self._put_back(token[1:])
            return rational(int(token[0])) if token[0].isdigit() else symbol(token[0])
        if token.startswith("\\"):
            return self._base()
        raise Unreadable("argument missing")

    def _root(self, plain: bool) -> Exact:
        degree = 2
        if self.peek() == "[":
            number = as_rational(self._group())
            if number is None or number.denominator != 1:
                raise Unreadable("degree of a root is not an integer")
            degree = int(number)
        if plain or self.peek() == "(":
            return root(self._base(), degree)
        return root(self._argument(), degree)

    def _subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self._next()
        token = self._next()
        if token == "{":
            token = self._next()
            if self._next() != "}":
                raise Unreadable("subscript is not simple")
        if not token.isalnum():
            raise Unreadable("subscript is not simple")
        return f"_{token}"


def _natural(value: Exact, largest: int) -> int:
    number = as_rational(value)
    if number is None or number.denominator != 1 or not 0 <= number <= largest:
        raise Unreadable("not a natural number in bounds")
    return int(number)


def _factorial(value: Exact) -> Exact:
    return rational(math.factorial(_natural(value, MAX_FACTORIAL)))


def _binomial(upper: Exact, lower: Exact) -> Exact:
    return rational(math.comb(_natural(upper, MAX_BINOMIAL), _natural(lower, MAX_BINOMIAL)))
