"""The catalogue of sources: what s1's pool was made of, and the sets that others train on, as data (catalogue.yaml).

An entry says where a set lies and at which revision, which of its rows count, and which column carries which field.
sources/readers.py holds a function for each set whose rows say it in another way. Adding a set whose columns carry
fields is adding lines to catalogue.yaml.

Rejected: a loader in Python for each set, as s1 has. What is a choice (which rows, which level) hides among what is
mechanism there, and can neither be listed nor changed from a recipe.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Annotated, Literal, TypeAlias

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from thinkscale.errors import ConfigError
from thinkscale.keys import content_key
from thinkscale.records import Kind
from thinkscale.sources.problems import COLUMNS

FIELDS = (*COLUMNS, "tests")
"""The fields of a Problem that a column may carry."""
TRACE_FIELDS = ("thinking", "answer", "tokens", "correct", "domain")
"""Those of what a set brings beside it."""


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""Names of columns, the first that a row has counts; `a.b` is the key b of an object in column a."""


class Record(BaseModel):
    """Base of what catalogue.yaml holds: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Exclusion(Record):
    """Rows that another file of the set holds too are left out: GPQA's extended questions without the diamond ones."""

    files: Names
    column: str


class Quota(Record):
    """So many rows only, drawn by the seed and equally from the groups that `by` makes."""

    count: int = Field(ge=1)
    by: Names = ()


class Brought(Record):
    """What a set brings beside its questions: a teacher's traces, their grades, weak models' results, a domain."""

    thinking: Names
    answer: Names
    teacher: str
    tokens: Names = ()
    tokenizer: str = ""
    """What counted `tokens`."""
    correct: Names = ()
    domain: Names = ()
    judge: str = ""
    """Who graded and classified."""
    weak: Mapping[str, Names] = {}
    """Model to the column that says whether it was right."""

    @property
    def fields(self) -> Mapping[str, Names]:
        """What is brought, by field and by weak model, to its columns."""
        return {**{name: getattr(self, name) for name in TRACE_FIELDS}, **self.weak}

    @property
    def names(self) -> set[str]:
        """Every column that is used."""
        return set(chain(*self.fields.values()))


class Entry(Record):
    """One set. Everything but where it lies decides what is read, and so is part of a run's identity."""

    title: str
    hub: str | None = None
    """A data set on the Hugging Face Hub, `owner/name`."""
    github: str | None = None
    """A repository on GitHub, where the Hub has only a script that downloads from it."""
    revision: str | None = None
    """A commit, 40 hexadecimal digits. None: the newest at first use, kept in sources.lock.json."""
    files: Names
    """Patterns of the files that hold the rows, in the order in which they are read."""
    also: Names = ()
    """Other names that a local file of this set may have, without its ending."""
    licence: str
    is_gated: bool = False
    columns: Mapping[str, Names] = {}
    """Field of a Problem to column."""
    facts: Mapping[str, Names] = {}
    """Name in Problem.extra to column: subject, rating, year."""
    needs: Names = ()
    """Columns without which the rows cannot be read, beside that of the question."""
    reader: str | None = None
    reference: Literal["column", "boxed", "hashes", "said"] = "column"
    """Where the final answer stands: in its column; in the last box of the solution; behind `####`; see readers."""
    kind: Kind = Kind.MATH
    levels: Mapping[str, int] = {}
    """Names of levels, from 1 for the easiest."""
    keep: Mapping[str, tuple[str | int | None, ...]] = {}
    """Column to the values of the rows that count."""
    between: Mapping[str, tuple[int, int]] = {}
    """Column to the lowest and the highest whole number of the rows that count."""
    years: tuple[int, int] | None = None
    """First and last year that count."""
    without: Exclusion | None = None
    quota: Quota | None = None
    drop: Names = ()
    """Columns that are not read: large, and of no use here."""
    repeats: Literal["number", "skip"] = "number"
    """An id that comes again: the row is another row, or the set holds the row several times over."""
    families: Mapping[str, str] = {}
    """Beginning of `family` to the name of a source: a set made of several."""
    family: str = ""
    brings: Brought | None = None
    rows: int | None = None
    """Rows in the set, all splits that `files` names."""
    paper_rows: int | None = None
    """Rows that s1's pool held of it (paper, Table 7), after decontamination."""
    schema_from: Literal["source", "memory"]
    """Whether the columns were read in the set, its card or code that reads it."""
    note: str = ""
    faults: tuple[str, ...] = ()
    """What s1's loader did otherwise, and is not repeated."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Entry":
        if (self.hub is None) == (self.github is None):
            raise ValueError("an entry has either `hub` or `github`")
        if self.revision is None and not self.note:
            raise ValueError("an entry without a revision says why in `note`")
        return self

    @property
    def repository(self) -> str:
        """Where it lies: `owner/name`, or `github:owner/name`."""
        return self.hub or f"github:{self.github}"

    def with_columns(self, columns: Mapping[str, str]) -> "Entry":
        """The entry for rows that carry some fields in other columns. Raises ConfigError on an unknown field."""
        if not columns:
            return self
        of_traces = (*TRACE_FIELDS, *self.brings.weak) if self.brings else ()
        unknown = set(columns) - {*FIELDS, *self.facts, *of_traces}
        if unknown:
            raise ConfigError(
                f"columns: there is no field {', '.join(sorted(unknown))}; there are "
                f"{', '.join(dict.fromkeys((*FIELDS, *self.facts, *of_traces)))}"
            )
        given = {field: (name,) for field, name in columns.items()}
        replaced = {name for field in given for name in (*self.columns.get(field, ()), *self.facts.get(field, ()))}
        changes: dict[str, object] = {
            "columns": {**self.columns, **{field: names for field, names in given.items() if field in FIELDS}},
            "facts": {**self.facts, **{field: names for field, names in given.items() if field in self.facts}},
            "needs": tuple(name for name in self.needs if name not in replaced),
        }
        if self.brings:
            traces: dict[str, object] = {field: names for field, names in given.items() if field in TRACE_FIELDS}
            traces["weak"] = {model: given.get(model, names) for model, names in self.brings.weak.items()}
            changes["brings"] = self.brings.model_copy(update=traces)
        return self.model_copy(update=changes)

    def identity(self) -> str:
        """A key of all that decides what is read: an entry that is changed gives other rows."""
        described = {"title", "licence", "also", "rows", "paper_rows", "schema_from", "note", "faults", "revision"}
        return content_key(self.model_dump(mode="json", exclude=described))


@cache
def entries() -> Mapping[str, Entry]:
    """Name to entry, in the order of catalogue.yaml."""
    text = files("thinkscale.sources").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return {name: Entry.model_validate(values) for name, values in yaml.safe_load(text).items()}


def find_entry(name: str) -> Entry:
    """The entry of this name. Raises ConfigError."""
    if name not in entries():
        raise ConfigError(
            f"there is no source {name!r}; there are {', '.join(entries())} (`thinkscale list sources` says what each "
            "is), or give a file, or a data set of the Hub as owner/name"
        )
    return entries()[name]


def describe_sources() -> dict[str, str]:
    """Name to a line: what it is, its size, its licence, and whether it is pinned."""
    return {name: _line(entry) for name, entry in entries().items()}


def _line(entry: Entry) -> str:
    size = f", {entry.rows:,} rows" if entry.rows else ""
    pin = f"at {entry.revision[:7]}" if entry.revision else "newest, then locked"
    gate = ", gated" if entry.is_gated else ""
    return f"{entry.title}{size}; {entry.repository} {pin}; {entry.licence}{gate}"
