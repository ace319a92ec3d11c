"""Settings: strict YAML into typed pydantic models, with the origin of every value and errors that name the mistake.

Scalars follow YAML 1.2 (`1e-5` is a number; `on`, `off`, `yes` and `no` are words). Models are meant to be frozen,
strict and closed (`extra="forbid"`), without aliases. Dotted paths count list items from 0.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from thinkscale.errors import DataError
from thinkscale.settings.mistakes import explain
from thinkscale.settings.overrides import apply_override
from thinkscale.settings.printing import Row, rows
from thinkscale.settings.source import Source
from thinkscale.settings.text import parse_yaml

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[M]):
    """A checked model. `origins` maps each dotted path to `default of X`, `file:line` or `--set path=value`."""

    value: M
    rows: tuple[Row, ...]

    @property
    def origins(self) -> dict[str, str]:
        return {row.path: row.origin for row in self.rows}


def load_settings(
    model_type: type[M], text_or_path: str | Path, overrides: Sequence[str] = (), name: str = "settings"
) -> Loaded[M]:
    """The model that YAML text (a string, called `name` in messages) or a file (a Path) describes.

    Overrides are `a.b=value`, or `a.0.b=value` for an item of a list; the value is YAML, the last one wins, and what
    they do not name stays as it was, defaults included. Raises ConfigError, a line for each mistake, and DataError
    where the file cannot be read.
    """
    text, name = (_read(text_or_path), str(text_or_path)) if isinstance(text_or_path, Path) else (text_or_path, name)
    source = Source(name)
    source.data = parse_yaml(text, source)
    source.raise_errors()
    for number, override in enumerate(overrides if isinstance(source.data, dict) else ()):
        apply_override(model_type, source, override, number)
    try:
        value = model_type.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        explain(model_type, source, error.errors(include_url=False))
        source.raise_errors()
        raise
    source.raise_errors()
    return Loaded(value=value, rows=tuple(rows(value, source)))


def settings_table(loaded: Loaded[M]) -> list[Row]:
    """Every setting in the order of declaration, with where its value came from."""
    return list(loaded.rows)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DataError(f"{path}: {reason}") from error
