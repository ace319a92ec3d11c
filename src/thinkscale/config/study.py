"""A study: one recipe, and what is changed in it to see what that does.

A variant is written as its difference, so that what differs is what is read, and nothing else can differ unnoticed.
Rejected: a whole recipe for each variant, of which two that should differ in one line soon differ in two.
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from thinkscale.config.base import Settings
from thinkscale.errors import ConfigError

BASE = "base"
"""The name of the recipe as it is among the variants."""
NAME = r"^[a-z0-9][a-z0-9._-]*$"

Changes = dict[str, Any]
"""Dotted path of a setting to its value, as in `--set`."""


class VariantSettings(Settings):
    """One change, and why it is looked at."""

    about: str = Field(min_length=1, description="what it is, in a line")
    change: Changes = Field(default_factory=dict, description="path of a setting to its value: {select.count: 100}")


class Study(Settings):
    """Variants of one recipe, each against the recipe as it is."""

    name: str = Field(pattern=NAME)
    about: str = Field(default="", description="what is asked, in a line")
    recipe: str = Field(description="a shipped recipe or a YAML file: the base that every variant is compared with")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(
        default=(42,), min_length=1, description="each variant is run once a seed; several give intervals over seeds"
    )
    change: Changes = Field(default_factory=dict, description="set in the base and in every variant")
    change_in_variants: Changes = Field(
        default_factory=dict, description="set in every variant, but not in the base: what only the base must do"
    )
    variants: dict[str, VariantSettings] = Field(min_length=1)

    def overrides(self, variant: str, seed: int) -> tuple[str, ...]:
        """What turns the recipe into a variant (or BASE) under a seed, as `--set` takes it."""
        changes = {**self.change, "seed": seed}
        if variant != BASE:
            changes |= {**self.change_in_variants, **self.variants[variant].change}
        return tuple(f"{path}={json.dumps(value)}" for path, value in changes.items())


def shipped_studies() -> dict[str, str]:
    """Name to text of every study in the package."""
    folder = files("thinkscale.recipes") / "studies"
    found = {item.name: item for item in folder.iterdir() if item.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): found[name].read_text(encoding="utf-8") for name in sorted(found)}


def study_source(name: str) -> tuple[str, str, Path]:
    """The text of a shipped study or of a file, what to call it, and the folder that its recipe's path starts at."""
    shipped = shipped_studies()
    if name in shipped:
        return shipped[name], f"{name}.yaml", Path()
    path = Path(name)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), name, path.parent
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name} is not a study in UTF-8: {error}") from error
    raise ConfigError(f"there is no study {name!r}: it is neither shipped ({', '.join(shipped)}) nor a file")
