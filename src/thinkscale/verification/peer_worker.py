"""The inside of the peers: other tools' graders as they are used at home. Runs only in a killable worker.

Started by peers.py as `python -m thinkscale.verification.peer_worker`.
"""

import re
import time
from collections.abc import Callable, Mapping

import sympy
from latex2sympy2_extended.latex2sympy2 import latex2sympy
from math_verify import parse, verify

from thinkscale.keys import JSON
from thinkscale.sandbox.serving import Handler, serve
from thinkscale.verification.peers import last_box

WARMING = (
    (r"so \boxed{\frac{1}{2}}", "0.5"), (r"the answer is $x^2+2x$", "x(x+2)"), ("it is 12", "12"),
    (r"\boxed{(1,2)}", r"\{1,2\}"), (r"\boxed{\sqrt{2}x}", "y"),
)  # fmt: skip
DELIMITED = re.compile(r"\$|\\boxed|\\\(|\\\[|(?<![\\A-Za-z])[A-Za-z]{3,}[ ,.]+[A-Za-z]{2,}")
"""Formulas with delimiters, or prose around them."""


def math_verify(text: str, reference: str) -> bool:
    """As in math-verify's README, which has delimiters around a bare formula; a reference in prose goes in as it is."""
    bare = not DELIMITED.search(reference)
    gold = (parse(f"${reference}$") if bare else []) or parse(reference)
    return bool(verify(gold, parse(text)))


def plain_sympy(text: str, reference: str) -> bool:
    """The last box against the reference: parse both, simplify the difference. What fails is not equal."""
    box = last_box(text)
    left, right = (_bare(side) for side in ((text if box is None else box), reference))
    if left == right:
        return True
    try:
        return bool(sympy.simplify(latex2sympy(left) - latex2sympy(right)) == 0)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (as such graders do)
        return False


def _bare(side: str) -> str:
    return side.strip().strip("$").strip()


FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {"math_verify": math_verify, "sympy": plain_sympy}


def load() -> Handler:
    """Warms what graders use; the handler of `{"peer": name, "rows": [[text, reference], ...]}`."""
    for text, reference in WARMING:
        for function in FUNCTIONS.values():
            function(text, reference)
    return _handled


def _handled(body: JSON) -> JSON:
    assert isinstance(body, dict)
    assert isinstance(body["rows"], list)
    function = FUNCTIONS[str(body["peer"])]
    found: list[JSON] = []
    for row in body["rows"]:
        assert isinstance(row, list)
        started = time.process_time()
        equal = function(str(row[0]), str(row[1]))
        found.append([equal, time.process_time() - started])
    return found


if __name__ == "__main__":
    serve(load, compiles=True)
