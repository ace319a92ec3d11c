"""The benchmark catalogue: which sets there are, as data (benchmarks.yaml), and sets of one's own in the same words.

An entry is one of the catalogue of sources (sources/catalogue.py: where it lies, at which commit, which column carries
which field, which reader), with what an evaluation adds: the prompt template, the text that training rows are compared
with, and the number of problems. So a benchmark is read by the very code that reads a source.

Rejected: a class for each benchmark, as harnesses have. What differs between them is where columns are and how one
asks, and that is a few lines of YAML.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from thinkscale.errors import ConfigError
from thinkscale.records import Kind
from thinkscale.sources.catalogue import Entry, Names
from thinkscale.sources.readers import READERS
from thinkscale.thinking.prompts import check_template, find_template

GRADED_BY: Mapping[Kind, str] = {
    Kind.MATH: "rules, then symbols",
    Kind.CHOICE: "the letter",
    Kind.CODE: "tests in the sandbox",
    Kind.OPEN: "a judge",
}
"""Kind to what decides; `kind` in an entry so chooses the grader."""


class BenchmarkEntry(Entry):
    """One benchmark. A set of one's own needs `title`, a place (`path`, `hub` or `github`), and little else."""

    lab: str | None = None
    """A benchmark of the lab's world, made from the seed."""
    path: str | None = None
    """A file or folder of one's own; relative to the folder of the catalogue that names it."""
    files: Names = ()
    licence: str = "unknown"
    schema_from: Literal["source", "memory"] = "source"
    template: str = "plain"
    """How it is asked, by a name of thinking/prompts.py."""
    compare: Names = ()
    """Columns whose text is compared with training rows; the question as it is asked if not given. A code skeleton
    that a hundred questions share is left out so."""
    size: int | None = Field(default=None, ge=1)
    """Problems."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "BenchmarkEntry":
        if sum(place is not None for place in (self.lab, self.path, self.hub, self.github)) != 1:
            raise ValueError("an entry has one of `lab`, `path`, `hub` and `github`")
        if (self.hub or self.github) and not self.files:
            raise ValueError("`files` says which files of the repository hold the rows")
        if self.reader is not None and self.reader not in READERS:
            raise ValueError(f"there is no reader {self.reader!r}; there are {', '.join(READERS)}")
        return self

    @property
    def place(self) -> str:
        """Where it lies, and at which commit."""
        if self.lab is not None:
            return "made from the seed"
        if self.path is not None:
            return self.path
        return f"{self.repository} {f'at {self.revision[:7]}' if self.revision else 'newest, then locked'}"


@cache
def shipped_benchmarks() -> Mapping[str, BenchmarkEntry]:
    """Name to entry, in the order of benchmarks.yaml."""
    text = files("thinkscale.sources").joinpath("benchmarks.yaml").read_text(encoding="utf-8")
    return {name: BenchmarkEntry.model_validate(values) for name, values in yaml.safe_load(text).items()}


def read_catalogue(path: Path) -> Mapping[str, BenchmarkEntry]:
    """The entries of a catalogue of one's own; a `path` in it starts at its folder. Raises ConfigError."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the catalogue of benchmarks cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML in UTF-8: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(values, dict) for values in read.values()):
        raise ConfigError(f"{path}: a catalogue maps names to entries; docs/benchmarks.md shows one")
    found = {}
    for name, values in read.items():
        try:
            entry = BenchmarkEntry.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in (name, *first["loc"]))
            raise ConfigError(f"{path}: {where}: {first['msg']}") from error
        found[str(name)] = entry.model_copy(update={"path": str(path.parent / entry.path)}) if entry.path else entry
    return found


def describe_benchmarks() -> dict[str, str]:
    """Name to a line: what it is, how many problems of which kind, how it is asked and judged, and where it lies."""
    return {name: _line(entry) for name, entry in shipped_benchmarks().items()}


def _line(entry: BenchmarkEntry) -> str:
    template = find_template(entry.template)
    gate = ", gated" if entry.is_gated else ""
    return (
        f"{entry.title}; {f'{entry.size:,} ' if entry.size else ''}{entry.kind}, judged by {GRADED_BY[entry.kind]}; "
        f"asked {template.name} {template.key[:8]}; {entry.place}; {entry.licence}{gate}"
    )


def check_entries(found: Mapping[str, BenchmarkEntry]) -> None:
    """Raises ConfigError where an entry's template is not for its kind."""
    for entry in found.values():
        check_template(find_template(entry.template), entry.kind)
