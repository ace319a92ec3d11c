"""How `push` is asked, and where a dry run of it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thinkscale.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """How a folder is pushed."""

    what: Literal["data", "model"] = "data"
    tables: tuple[str, ...] = ()
    """Of a data set."""
    licence: str | None = None
    """Of a model, by its Hub name; it is never guessed."""
    thinking_format: str | None = None
    """Of a model without a run, which would say it."""
    private: bool = False
    revision: str | None = None
    dry_run: bool = False
    out: Path | None = None
    """Where a dry run writes what would be uploaded."""


def dry_folder(to: str, options: PushOptions) -> Path:
    """Where a dry run writes. Raises ConfigError where something is there already."""
    out = options.out or Path(f"push-{to.replace('/', '-')}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already; give an empty folder with --out")
    return out
