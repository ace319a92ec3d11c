r"""Reading a formula into sympy objects by our own tokenizer and descent: no text is ever evaluated.

It reads what the rules' reader (grading/math/expressions.py) does, and what needs a computer algebra system: functions,
powers and roots of anything, absolute values, floors, sums, products, integrals, limits. Runs only inside a killable
worker, and still refuses at once what would only burn its time (powers and factorials beyond bounds).

`e` is Euler's number and `i` the imaginary unit, unless a sum binds them; `C_{400}^{40}` is a binomial coefficient.
`\log` without a base is read with the base that the caller gives. Degrees are read in arguments of trigonometric
functions only; other units are not read here.
"""

import re

import sympy
from sympy import Expr, Integer, Rational, Symbol

MAX_CHARACTERS = 2_000
MAX_DEPTH = 60
MAX_POWER_BITS = 50_000
MAX_FACTORIAL = 2_000
MAX_BINOMIAL = 10_000
MAX_NUMBER_CHARACTERS = 4_000
"""Python converts no longer ones (sys.set_int_max_str_digits)."""

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)|(\\[A-Za-z]+|\\[|])|([A-Za-z])|([-+*/^_!(){}\[\]|,=<>&;:']))")
CLOSING = {"(": ")", "[": "]", "{": "}"}
GREEK_NAMES = (
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \lambda \mu \nu \xi \rho"
    r" \sigma \tau \phi \varphi \chi \psi \omega \Delta \Gamma \Omega \Lambda \Sigma \Phi \Psi \Theta \ell \hbar"
)
GREEK = frozenset(GREEK_NAMES.split())
TRIGONOMETRIC = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
}  # fmt: skip
FUNCTIONS = TRIGONOMETRIC | {
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "coth": sympy.coth,
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "arccot": sympy.acot,
    "arcsinh": sympy.asinh, "arccosh": sympy.acosh, "arctanh": sympy.atanh,
    "asin": sympy.asin, "acos": sympy.acos, "atan": sympy.atan,
    "exp": sympy.exp, "ln": sympy.log, "log": sympy.log, "lg": sympy.log, "lb": sympy.log,
}  # fmt: skip
INVERSES = {"sin": sympy.asin, "cos": sympy.acos, "tan": sympy.atan, "cot": sympy.acot}
SEVERAL = {"max": sympy.Max, "min": sympy.Min, "gcd": sympy.gcd, "lcm": sympy.lcm}
PLAIN_NAMES = sorted([*FUNCTIONS, *SEVERAL, "sqrt", "pi", "floor", "ceil"], key=len, reverse=True)
PLAIN_NAME = re.compile(rf"(?<![\\A-Za-z])(?:{'|'.join(PLAIN_NAMES)})(?![A-Za-z])")
WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{4,}")
UNDEFINED = frozenset("fghFGH")
FENCES = {"\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "\\lvert": "\\rvert", "|": "|", "\\vert": "\\vert"}
ENDS = frozenset({"", "+", "-", ")", "]", "}", ",", "=", "\\rfloor", "\\rceil", "\\rvert", "\\vert", "&"})


class UnreadableError(Exception):
    """The text is outside the language."""


class UnknownCommandError(UnreadableError):
    """A command that this reader does not know, in an otherwise readable place: another reader may."""


class OutOfBoundsError(UnreadableError):
    """The text is read, but what it says is too large: no other reader is asked."""


def read_latex(text: str, log_base: Expr) -> Expr:
    """The sympy expression of `text` (a canonical spelling). Raises UnreadableError, OutOfBoundsError."""
    if len(text) > MAX_CHARACTERS:
        raise OutOfBoundsError("too long")
    reader = _Reader(_tokens(text), log_base)
    value = reader.expression()
    if reader.peek():
        raise UnreadableError(f"unexpected {reader.peek()}")
    return value


def power(base: Expr, exponent: Expr) -> Expr:
    """base ** exponent, refused where it would be a number too long to be meant."""
    if base.is_number and exponent.is_number:
        size, height = abs(sympy.re(exponent)), sympy.Abs(base)
        if not (size.is_comparable and height.is_comparable):
            raise UnreadableError("power of what has no size")
        if base.is_Rational:
            bits = max(int(base.p).bit_length(), int(base.q).bit_length())
        else:
            bits = max(1, base.count_ops()) * 8
        if size > MAX_POWER_BITS or (bits > 1 and size * bits > MAX_POWER_BITS):
            raise OutOfBoundsError("power out of bounds")
    return base**exponent


def _tokens(text: str) -> list[str]:
    text = PLAIN_NAME.sub(lambda match: f"\\{match.group()} ", text).rstrip()
    if WORD.search(text):
        raise UnreadableError("words")
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.end() - position > MAX_NUMBER_CHARACTERS:
            raise UnreadableError(f"unexpected {text[position : position + 10]}")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


def _name_of(tokens: list[str]) -> str:
    """Letters and digits that stand for the tokens, other characters by their number."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in "".join(tokens))


def _is_number(token: str) -> bool:
    return token[:1].isdigit() or token[:1] == "."


class _Reader:
    """Position in a list of tokens; an empty token stands for the end."""

    def __init__(self, tokens: list[str], log_base: Expr) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._log_base = log_base
        self._bound: list[str] = []
        self._in_angle = 0
        self._fences: list[str] = []

    def peek(self, ahead: int = 0) -> str:
        index = self._position + ahead
        return self._tokens[index] if index < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        self._position += 1
        return token

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise UnreadableError(f"{found or 'end'} instead of {token}")

    def expression(self) -> Expr:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise OutOfBoundsError("nested too deeply")
        terms = [self._signed_term()]
        while self.peek() in ("+", "-"):
            terms.append(self._signed_term())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else sympy.Add(*terms)

    def _signed_term(self) -> Expr:
        minus = False
        while self.peek() in ("+", "-"):
            minus ^= self._next() == "-"
        term = self._term()
        return -term if minus else term

    def _term(self) -> Expr:
        value, slashed = self._factor(), False
        while not self._at_end():
            token = self.peek()
            if token in ("*", "/"):
                self._next()
                minus = False
                while self.peek() in ("+", "-"):
                    minus ^= self._next() == "-"
                factor = -self._factor() if minus else self._factor()
                value = value / factor if token == "/" else value * factor
                slashed = token == "/"
            elif slashed or _is_number(token):
                raise UnreadableError("ambiguous product")
            else:
                value = value * self._factor()
        return value

    def _factor(self) -> Expr:
        value = self._base()
        while self.peek() in ("!", "^", "\\degree"):
            mark = self._next()
            if mark == "!":
                value = self._factorial(value)
            elif mark == "^":
                value = power(value, self._exponent())
            elif self._in_angle:
                value = value * sympy.pi / 180
            else:
                raise UnreadableError("degrees outside an angle")
        return value

    def _exponent(self) -> Expr:
        if self.peek() in ("+", "-"):
            return -self._exponent() if self._next() == "-" else self._exponent()
        return self._argument(digits=True)

    def _factorial(self, value: Expr) -> Expr:
        if value.is_number and not (value.is_Integer and 0 <= value <= MAX_FACTORIAL):
            raise OutOfBoundsError("factorial out of bounds")
        return sympy.factorial(value)

    def _group(self) -> Expr:
        opening = self._next()
        self._fences.append("")
        value = self.expression()
        self._fences.pop()
        self._expect(CLOSING[opening])
        return value

    def _base(self) -> Expr:
        token = self.peek()
        if token in CLOSING:
            return self._group()
        if token in FENCES and not (self._fences and self._fences[-1] == token):
            return self._fenced()
        self._next()
        if _is_number(token):
            return self._number(token)
        if token.startswith("\\"):
            return self._command(token)
        if token.isalpha():
            return self._letter(token)
        raise UnreadableError(f"unexpected {token or 'end'}")

    def _fenced(self) -> Expr:
        opening = self._next()
        self._fences.append(FENCES[opening])
        value = self.expression()
        self._fences.pop()
        self._expect(FENCES[opening])
        if opening == "\\lfloor":
            return sympy.floor(value)
        return sympy.ceiling(value) if opening == "\\lceil" else sympy.Abs(value)

    def _number(self, token: str) -> Expr:
        whole = Rational(token.rstrip(".")) if token != "." else sympy.nan
        if not token.isdigit() or self.peek() != "\\frac":
            return whole
        start = self._position
        part = self._base()
        plain = all(token.isdigit() or token in "{}" for token in self._tokens[start + 1 : self._position])
        return whole + part if plain and part.is_Rational and 0 < part < 1 else whole * part

    def _command(self, token: str) -> Expr:
        name = token[1:]
        if name == "frac":
            if self.peek(1) == "d" and self._tokens[self._position :].count("d") > 1:
                raise UnreadableError("a derivative")
            upper = self._argument()
            return upper / self._argument()
        if name == "binom":
            return self._binomial(self._argument(), self._argument())
        if name == "sqrt":
            degree = self._group() if self.peek() == "[" else Integer(2)
            return power(self._argument(), 1 / degree)
        if name == "pi":
            return sympy.pi
        if name == "infty":
            return sympy.oo
        if name in ("floor", "ceil"):
            return (sympy.floor if name == "floor" else sympy.ceiling)(self._group())
        if name in FUNCTIONS:
            return self._function(name)
        if name in SEVERAL:
            return self._several(name)
        if name in ("sum", "prod"):
            return self._iterated(name)
        if name in ("int", "lim"):
            return self._integral() if name == "int" else self._limit()
        if token in GREEK:
            return Symbol(name + self._subscript())
        raise UnknownCommandError(f"unknown {token}")

    def _letter(self, letter: str) -> Expr:
        if letter in UNDEFINED and self.peek() == "(":
            return sympy.Function(letter)(*self._list())
        if self._index_is_bound():
            self._next()
            return sympy.Function(letter)(self._argument(digits=True))
        subscript = self._subscript()
        if letter == "C" and subscript[1:].isdigit() and self.peek() == "^":
            self._next()
            return self._binomial(Integer(subscript[1:]), self._argument(digits=True))
        name = letter + subscript
        if name in self._bound or name not in ("e", "i"):
            return Symbol(name)
        return sympy.E if name == "e" else sympy.I

    def _index_is_bound(self) -> bool:
        """Whether a subscript follows that holds an index of a sum around it: a member of a sequence, then."""
        if self.peek() != "_":
            return False
        rest = self._tokens[self._position + 1 :]
        end = rest.index("}") if rest[:1] == ["{"] and "}" in rest else 1
        return any(token in self._bound for token in rest[:end])

    def _subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self._next()
        if self.peek() != "{":
            return "_" + _name_of([self._next()])
        start, depth = self._position, 0
        while True:
            token = self._next()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return "_" + _name_of(self._tokens[start + 1 : self._position - 1])
            if not token:
                raise UnreadableError("subscript without end")

    def _argument(self, digits: bool = False) -> Expr:
        """An argument of a command: a group, a command, a single letter or digit (`digits`: a whole number)."""
        token = self.peek()
        if _is_number(token) and not digits:
            self._next()
            if token[1:]:
                self._position -= 1
                self._tokens[self._position] = token[1:]
            return Rational(token[0])
        return self._base()

    def _binomial(self, upper: Expr, lower: Expr) -> Expr:
        if any(
            value.is_number and not (value.is_comparable and abs(value) <= MAX_BINOMIAL) for value in (upper, lower)
        ):
            raise OutOfBoundsError("binomial out of bounds")
        return sympy.binomial(upper, lower)

    def _list(self) -> list[Expr]:
        opening = self._next()
        if opening not in CLOSING:
            raise UnreadableError("arguments missing")
        found = [self.expression()]
        while self.peek() == ",":
            self._next()
            found.append(self.expression())
        self._expect(CLOSING[opening])
        return found

    def _several(self, name: str) -> Expr:
        values = self._list()
        if name in ("gcd", "lcm") and not all(value.is_Integer for value in values):
            raise UnreadableError(f"{name} of what are no integers")
        return SEVERAL[name](*values)

    def _function(self, name: str) -> Expr:
        base: Expr | None = None
        exponent: Expr | None = None
        for _ in range(2):
            if self.peek() == "_":
                self._next()
                base = self._argument(digits=True)
            elif self.peek() == "^":
                self._next()
                exponent = self._exponent()
        inverse = exponent == -1 and name in INVERSES
        self._in_angle += name in TRIGONOMETRIC and not inverse
        argument = self._function_argument()
        self._in_angle -= name in TRIGONOMETRIC and not inverse
        if inverse:
            return INVERSES[name](argument)
        if name in ("log", "lg", "lb"):
            base = base or {"log": self._log_base, "lg": Integer(10), "lb": Integer(2)}[name]
            value = sympy.log(argument) / sympy.log(base)
        else:
            value = FUNCTIONS[name](argument)
        return value if exponent is None else power(value, exponent)

    def _function_argument(self) -> Expr:
        r"""A group, else a product up to the next sign or function: `\sin 2x \cos x` is sin(2x) cos(x)."""
        if self.peek() in ("(", "[", "{"):
            return self._factor() if self.peek() == "{" else self._group()
        minus = self.peek() == "-"
        if minus:
            self._next()
        value = self._factor()
        while not self._at_end() and not self._ends_argument():
            token = self.peek()
            if token == "/":
                self._next()
                value = value / self._factor()
            elif _is_number(token):
                raise UnreadableError("ambiguous product")
            else:
                value = value * self._factor()
        return -value if minus else value

    def _ends_argument(self) -> bool:
        token = self.peek()
        return token in ("*", "(", "[") or (token[:1] == "\\" and token[1:] in (*FUNCTIONS, "sum", "prod", "int"))

    def _at_end(self) -> bool:
        token = self.peek()
        return token in ENDS or (token == "|" and bool(self._fences) and self._fences[-1] == "|")

    def _iterated(self, name: str) -> Expr:
        self._expect("_")
        self._expect("{")
        index = self._next()
        if not index.isalpha():
            raise UnreadableError("index of a sum")
        self._expect("=")
        lower = self.expression()
        self._expect("}")
        self._expect("^")
        upper = self._argument(digits=True)
        self._bound.append(index)
        body = self._term()
        self._bound.pop()
        made = sympy.Sum if name == "sum" else sympy.Product
        return made(body, (Symbol(index), lower, upper))

    def _integral(self) -> Expr:
        bounds: dict[str, Expr] = {}
        while self.peek() in ("_", "^"):
            mark = self._next()
            bounds[mark] = self._argument(digits=True)
        end = next((at for at in range(self._position, len(self._tokens) - 1) if self._tokens[at] == "d"), None)
        if end is None or not self._tokens[end + 1].isalpha():
            raise UnreadableError("integral without a variable")
        inner = _Reader(self._tokens[self._position : end], self._log_base)
        body = inner.expression() if inner.peek() else Integer(1)
        if inner.peek():
            raise UnreadableError(f"unexpected {inner.peek()}")
        variable = Symbol(self._tokens[end + 1])
        self._position = end + 2
        if len(bounds) == 2:
            return sympy.Integral(body, (variable, bounds["_"], bounds["^"]))
        return sympy.Integral(body, variable)

    def _limit(self) -> Expr:
        self._expect("_")
        self._expect("{")
        name = self._next()
        if not name.isalpha() or self._next() not in ("\\to", "\\rightarrow"):
            raise UnreadableError("limit without a variable")
        target = self.expression()
        self._expect("}")
        return sympy.Limit(self._term(), Symbol(name), target)
