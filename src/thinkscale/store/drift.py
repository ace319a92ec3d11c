"""What changed between the identity that a stored stage was made under and the one that is asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thinkscale.errors import DriftError
from thinkscale.keys import JSON, canonical_json

_SHORT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One changed field: dotted path, and its value then and now as short text (`absent` where there was none)."""

    field: str
    before: str
    after: str


def changes(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> tuple[Change, ...]:
    """The fields in which two identities differ, by name; empty where they are the same."""
    then, now = dict(_leaves(before)), dict(_leaves(after))
    return tuple(
        Change(field=field, before=_short(then.get(field)), after=_short(now.get(field)))
        for field in sorted(then.keys() | now.keys())
        if then.get(field) != now.get(field)
    )


def drift_error(folder: Path, stage: str, found: tuple[Change, ...]) -> DriftError:
    """The refusal to go on with a stage whose identity changed."""
    lines = [f"{folder}: stage {stage} was made with other settings or inputs:"]
    lines += [f"  {change.field}: {change.before} -> {change.after}" for change in found]
    lines.append("Use --fresh to discard what it stored and make it again, or another --out to keep both.")
    return DriftError("\n".join(lines), tuple(change.field for change in found))


def _leaves(value: "JSON | Mapping[str, JSON]", path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted path and canonical text of each leaf; an empty object or list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}" if path else str(index))
    elif path:
        yield path, canonical_json(value)


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
