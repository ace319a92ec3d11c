"""Training examples of a run or of a table, for the commands that take either."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from thinkscale.config import Recipe
from thinkscale.errors import DataError, EncodingError
from thinkscale.keys import JSON
from thinkscale.records import Example, from_row
from thinkscale.settings import load_settings
from thinkscale.sources.files import is_table, read_rows
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.run import RunDirectory


def recipe_of_run(source: Path) -> Recipe | None:
    """The recipe of a run; None where the examples are a plain table."""
    if not (source / JOURNAL_NAME).is_file():
        return None
    with RunDirectory.read(source) as run:
        return load_settings(Recipe, run.recipe_yaml, name=str(source / "recipe.yaml")).value


def read_examples(source: Path) -> Iterator[Example]:
    """The examples of a run directory, of a folder with examples.parquet, or of a JSONL or Parquet table.

    A row of a table has `messages`: turns with `role`, `content` and, where the assistant thought, `thinking`. Where no
    turn is marked as `trained`, the last is. Raises DataError with the row's place where one cannot be read.
    """
    if (source / JOURNAL_NAME).is_file():
        with RunDirectory.read(source) as run:
            yield from run.rows(Example)
        return
    path = source / "examples.parquet" if source.is_dir() else source
    if not path.is_file() or not is_table(path.name):
        raise DataError(f"{source} is neither a run nor a table of examples (JSONL or Parquet)")
    for row in read_rows(path):
        yield _example(row.values, row.place)


def _example(values: Mapping[str, JSON], place: str) -> Example:
    turns = values.get("messages")
    if turns is None:
        raise DataError(f"{place}: no `messages`; a training example has turns with `role` and `content` there")
    turns = json.loads(turns) if isinstance(turns, str) else turns
    if isinstance(turns, list) and not any(isinstance(turn, dict) and turn.get("trained") for turn in turns):
        turns = [*turns[:-1], {**turns[-1], "trained": True}] if turns and isinstance(turns[-1], dict) else turns
    named = {
        "problem_id": str(values.get("problem_id") or place),
        "response_key": str(values.get("response_key") or ""),
    }
    try:
        return from_row(Example, {**named, "messages": turns})
    except (EncodingError, AssertionError, TypeError, AttributeError) as error:
        raise DataError(f"{place}: `messages` is no list of turns with `role` and `content`: {error}") from error
