"""A worker that reads LaTeX as math-verify does, with its own `parse_number`, which compiles text."""

from latex2sympy2_extended.latex2sympy2 import latex2sympy

from thinkscale.keys import JSON
from thinkscale.sandbox.serving import Handler, serve


def load() -> Handler:
    """Reads once, so that only the number itself is left to compile."""
    latex2sympy("x+1")

    def handle(body: JSON) -> JSON:
        assert isinstance(body, list)
        return str(latex2sympy(str(body[0])))

    return handle


if __name__ == "__main__":
    serve(load)
