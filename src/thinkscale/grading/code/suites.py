"""The tests of a problem as nouns; shapes.py makes them of what data sets write."""

from dataclasses import dataclass

from thinkscale.grading.code.programs import Wanted
from thinkscale.keys import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTest:
    """A whole program is given `stdin` and must write `expected`."""

    stdin: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTest:
    """The entry is called and must return one of `expected`."""

    arguments: tuple[object, ...]
    """Plain data; only the keys of objects may be integers, unlike in JSON."""
    expected: tuple[JSON, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTest:
    """Test code that uses the program's `candidates`, then calls `entry` with the first unless `entry` is empty."""

    code: str
    entry: str
    candidates: tuple[str, ...]


Test = StreamTest | CallTest | CheckTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """All tests of a problem, and what surrounds a program that they judge."""

    tests: tuple[Test, ...]
    entry: str = ""
    """The function or method that the program must define; empty for whole programs."""
    opening: str = ""
    """The question's code up to where the body of the entry follows."""
    preamble: str = ""
    """Source that the program may rely on."""
    context: str = ""
    """Source that the test's code may rely on."""

    @property
    def wanted(self) -> Wanted:
        """What the program must have."""
        return Wanted(entry=self.entry, opening=self.opening)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why tests cannot be used."""

    reason: str


class UnknownShapeError(ValueError):
    """The tests are in no shape that is known; raised and caught while reading them."""


def as_text(value: JSON) -> str:
    """`value` as a text. Raises UnknownShapeError where it is none."""
    if not isinstance(value, str):
        raise UnknownShapeError(f"{value!r:.60} should be a text")
    return value


def as_texts(value: JSON) -> list[str]:
    """`value` as a list of texts. Raises UnknownShapeError where it is none."""
    if not isinstance(value, list):
        raise UnknownShapeError(f"{value!r:.60} should be a list of texts")
    return [as_text(item) for item in value]
