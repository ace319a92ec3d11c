"""Where problems come from."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from thinkscale.config.base import Settings


class LabSourceSettings(Settings):
    """Problems of the lab's world, with planted faults."""

    type: Literal["lab"]
    size: int = Field(default=3000, ge=1, description="rows, faulty ones included")


class FileSourceSettings(Settings):
    """Problems of one JSONL or Parquet file."""

    type: Literal["file"]
    path: str = Field(description="the file; relative to the recipe's folder")
    name: str | None = Field(default=None, description="the source's name in records; the file's stem if not given")
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column carries which field, where names differ: question: problem"
    )


SourceSettings: TypeAlias = Annotated[LabSourceSettings | FileSourceSettings, Field(discriminator="type")]


class CollectSettings(Settings):
    """Where problems come from."""

    sources: tuple[SourceSettings, ...] = Field(min_length=1, description="read in this order")
    malformed: Literal["refuse", "drop"] = Field(
        default="refuse", description="a row that is no problem: stop and name it, or drop it with its reason"
    )
