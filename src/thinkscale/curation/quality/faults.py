"""What a fault is: a reason, and the text or number that shows it."""

from typing import NamedTuple

MAX_EVIDENCE_CHARACTERS = 120


class Fault(NamedTuple):
    """A reason in snake_case, and the text or number that shows it."""

    reason: str
    evidence: str


def shown(text: str) -> str:
    """`text` as evidence: at most 120 characters of it, with what cannot be printed written as an escape."""
    kept = text if len(text) <= MAX_EVIDENCE_CHARACTERS else text[:MAX_EVIDENCE_CHARACTERS] + "..."
    return kept if kept.isprintable() else kept.translate(_PRINTED)


class _Printed(dict[int, str]):
    """What each character is written as, worked out when it is first asked for."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = printed = char if char.isprintable() else ascii(char)[1:-1]
        return printed


_PRINTED = _Printed()
