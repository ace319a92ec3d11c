"""Plain data before it is checked, with the origin of every value and what is wrong with it."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from thinkscale.errors import ConfigError

DEFAULT = 0
OVERRIDE = 10**9
"""Line numbers of values that come from no line of the file: they sort before and behind all that do."""


Keys: TypeAlias = tuple[str | int, ...]
Hint: TypeAlias = Any
"""A type annotation, which Python has no type for."""
Data: TypeAlias = Any
"""A value of unknown shape: what YAML gave, or a part of a model."""


@dataclass(slots=True)
class Source:
    """Plain data before it is checked: where each value came from, as text and line to sort by, and what is wrong."""

    name: str
    data: Data = field(default_factory=dict)
    origins: dict[Keys, tuple[int, str]] = field(default_factory=dict)
    errors: list[tuple[int, str]] = field(default_factory=list)

    def origin(self, keys: Keys) -> tuple[int, str]:
        while keys and keys not in self.origins:
            keys = keys[:-1]
        return self.origins.get(keys, (1, f"{self.name}:1"))

    def put(self, keys: Keys, origin: tuple[int, str]) -> None:
        """Notes a new origin for `keys` and all that is below."""
        for old in [old for old in self.origins if old[: len(keys)] == keys]:
            del self.origins[old]
        self.origins[keys] = origin

    def complain(self, keys: Keys, message: str) -> None:
        line, origin = self.origin(keys)
        self.errors.append((line, f"{origin}: {message}"))

    def raise_errors(self) -> None:
        if self.errors:
            raise ConfigError("\n".join(text for _, text in sorted(self.errors, key=lambda error: error[0])))


def dotted(keys: Keys) -> str:
    return ".".join(map(str, keys))
