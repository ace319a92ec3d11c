"""Where problems come from."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.sources.catalogue import FIELDS


def _known_fields(columns: dict[str, str]) -> dict[str, str]:
    """A mapping of fields that a problem has."""
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown:
        raise ValueError(f"there is no field {', '.join(unknown)}; there are {', '.join(FIELDS)}")
    return columns


Columns: TypeAlias = Annotated[dict[str, str], AfterValidator(_known_fields)]
"""Field of a problem to the column that carries it."""


class LabSourceSettings(Settings):
    """Problems of the lab's world, with planted faults."""

    type: Literal["lab"]
    size: int = Field(default=3000, ge=1, description="rows, faulty ones included")


class FileSourceSettings(Settings):
    """Problems of one file: JSONL, Parquet, a JSON array or CSV."""

    type: Literal["file"]
    path: str = Field(description="the file; relative to the recipe's folder")
    name: str | None = Field(default=None, description="the source's name in records; the file's stem if not given")
    columns: Columns = Field(
        default_factory=dict, description="which column carries which field, where names differ: question: problem"
    )


class CatalogueSourceSettings(Settings):
    """A set of the catalogue: `thinkscale list sources`."""

    type: Literal["catalogue"]
    name: str = Field(description="its name in the catalogue, and in records")
    local: str | None = Field(
        default=None,
        description="a folder or file that stands in for its repository; relative to the recipe's folder",
        json_schema_extra=PLACEMENT,
    )
    revision: str | None = Field(default=None, description="a commit instead of the catalogue's")
    limit: int | None = Field(default=None, ge=1, description="the first so many problems")
    years: tuple[int, int] | None = Field(default=None, description="first and last year, where the set states years")
    all_rows: bool = Field(default=False, description="without the catalogue's filters, years and quota")
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column carries which field, where a copy of the set has other names"
    )


class HubSourceSettings(Settings):
    """Any data set of the Hugging Face Hub."""

    type: Literal["hub"]
    repository: str = Field(pattern=r"^[^/\s]+/[^/\s]+$", description="owner/name")
    name: str | None = Field(default=None, description="the source's name in records; the repository's if not given")
    revision: str | None = Field(
        default=None, description="a commit; a branch, or none, is looked up once and kept in sources.lock.json"
    )
    config: str | None = Field(default=None, description="the configuration, where there are several")
    split: str = Field(default="train")
    files: tuple[str, ...] = Field(default=(), description="patterns of its files, instead of configuration and split")
    limit: int | None = Field(default=None, ge=1, description="the first so many problems")
    columns: Columns = Field(
        default_factory=dict, description="which column carries which field, where names differ: question: problem"
    )


SourceSettings: TypeAlias = Annotated[
    LabSourceSettings | FileSourceSettings | CatalogueSourceSettings | HubSourceSettings, Field(discriminator="type")
]


class CollectSettings(Settings):
    """Where problems come from."""

    sources: tuple[SourceSettings, ...] = Field(min_length=1, description="read in this order")
    malformed: Literal["refuse", "drop"] = Field(
        default="refuse", description="a row that is no problem: stop and name it, or drop it with its reason"
    )
