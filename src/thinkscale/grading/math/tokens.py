r"""The tokens of an expression: numbers, commands, letters and signs.

A command that is no known name but begins with one is that name and letters: `\pik` is what `\pi k` becomes where a
source drops spaces, `\omegat` the same.
"""

import re

from thinkscale.grading.math.monomials import Unreadable

TOKEN = re.compile(
    r"\s*(?:([0-9]+\.?[0-9]*|\.[0-9]+)|(\\[A-Za-z]+)|([A-Za-z]+)|(_\{\\?[A-Za-z0-9]+\})|([-+*/^_!(){}\[\]|,']))"
)
GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau"
    " odot upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar infty"
)
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh ln log lg exp".split()  # noqa: SIM905
)  # fmt: skip
ACCENTS = frozenset(
    ("\\vec", "\\dot", "\\ddot", "\\hat", "\\bar", "\\tilde", "\\mathbb", "\\mathcal", "\\overrightarrow")
)
STRUCTURE = "frac binom sqrt degree overline lfloor rfloor lceil rceil"
KNOWN = frozenset(f"\\{name}" for name in f"{GREEK} {STRUCTURE} {' '.join(FUNCTIONS)}".split()) | ACCENTS
PREFIXES = sorted(KNOWN - {"\\eta", "\\xi"}, key=len, reverse=True)
MAX_RUN = 3
PLAIN_NAMES = frozenset(("sqrt", "pi", "theta", "alpha", "beta", *FUNCTIONS))
SYNONYMS = {"tg": "tan", "ctg": "cot", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "cosec": "csc"}
SHORT_WORDS = (
    "max min gcd lcm mod det arg lim sup inf deg dim ker"
    " and or nor not if no yes am pm th st nd rd is to of in by at on as it an the per all"
)
"""They are not products of variables."""
WORDS = frozenset(SHORT_WORDS.split())
PRODUCTS = frozenset(("it", "in", "is", "at", "as", "an", "by", "am", "if", "on"))


def tokens_of(text: str) -> list[str]:
    """The tokens of `text`. Raises Unreadable at a character or word outside the language."""
    tokens: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"unexpected {text[position : position + 10]}")
        token = match.group().strip()
        if token[0] == "\\":
            tokens.extend(_command(token))
        elif token.isalpha():
            tokens.extend(_letters(token, text[match.start(3) - 1 : match.start(3)]))
        else:
            tokens.append(token)
        position = match.end()
    return tokens


def is_number(token: str) -> bool:
    return token[:1].isdecimal() or token[:1] == "."


def _command(token: str) -> list[str]:
    if token in KNOWN:
        return [token]
    if token[1:] in SYNONYMS:
        return [SYNONYMS[token[1:]]]
    for prefix in PREFIXES:
        if token.startswith(prefix) and len(token) - len(prefix) <= MAX_RUN:
            return [prefix, *token[len(prefix) :]]
    raise Unreadable(f"command {token[:20]}")


def _letters(run: str, before: str) -> list[str]:
    """A run of up to three letters as a product of variables; names of functions and other words stay apart.

    A short word right behind a digit, bracket or sign is a product all the same: `e^{it}`, `2it`, `\\sinh(at)`.
    """
    run = SYNONYMS.get(run, run)
    if run in PLAIN_NAMES:
        return [run if run == "sqrt" or run in FUNCTIONS else f"\\{run}"]
    if len(run) > MAX_RUN or (
        (run in WORDS or (run.istitle() and run.lower() in WORDS))
        and not (run in PRODUCTS and before and before in "0123456789{(+-*/^=)}[")
    ):
        raise Unreadable(f"word {run[:20]}")
    return list(run)
