r"""Repair of what needs no guess: the letter of a LaTeX command that an escape took.

Where `\frac` was read with `\f` as a form feed the text holds that character and `rac`; which letter is gone is known.
DAPO has some 600 such rows, nearly all in the sentence that it appends to a question, and DeepScaleR some 40.
"""

import re
from collections.abc import Mapping

LETTERS: Mapping[str, str] = {"\a": "a", "\b": "b", "\f": "f", "\v": "v", "\t": "t", "\n": "n"}
COMMANDS: Mapping[str, str] = {
    "\a": r"lpha|ngle|pprox|st\b",
    "\b": r"egin|eta|inom|oxed|ullet|ar\{|ig",
    "\f": r"rac|orall|box",
    "\v": r"ec|arphi|dots|ert",
    "\t": r"imes\b|ext\{|heta\b|riangle\b|frac\b",
    "\n": r"abla\b|eq\b",
}
"""What of a command follows each of these characters; rules.yaml counts the same as `eaten_escape`."""
EATEN = re.compile("|".join(f"{re.escape(char)}(?={rest})" for char, rest in COMMANDS.items()))


def repaired(text: str) -> str:
    """`text` with backslashes and letters put back. Other control characters stay: what they stood for is not known."""
    return EATEN.sub(lambda match: "\\" + LETTERS[match[0]], text) if EATEN.search(text) else text
