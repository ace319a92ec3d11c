"""Which shape a file of responses has: told by its content, never by its name."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.outputs.entries import entries, first_character
from thinkscale.sources.outputs.lm_eval import is_lm_eval, read_lm_eval
from thinkscale.sources.outputs.runs import PROBLEMS, is_response, is_run, read_joined, read_run
from thinkscale.sources.outputs.skythought import is_skythought, read_skythought

SHAPES = (
    "rows with `response` and `reference`; SkyThought's results.json; lm-eval's samples_*.jsonl; a run directory; "
    "a table of our responses with --problems"
)


class Shape(StrEnum):
    """How a file states responses."""

    ROWS = "rows"
    """Our own contract: a row with `response` and `reference`; given on as they are."""
    SKYTHOUGHT = "skythought"
    LM_EVAL = "lm_eval"
    RUN = "run"
    RESPONSES = "responses"
    """Rows that name their problem, which is in another table."""


def recognise(path: Path) -> Shape:
    """The shape of `path`, from its first entry. Raises DataError where it has none that is known."""
    if path.is_dir():
        if is_run(path):
            return Shape.RUN
        raise DataError(f"{path} is a folder without the tables of a run; give the file itself: {SHAPES}")
    if path.suffix != ".parquet" and path.is_file() and (shape := _of_one_value(path)):
        return shape
    first = _first_row(path)
    if first is None or {"response", "reference"} <= first.keys():
        return Shape.ROWS
    if is_response(first) or {"response", "problem_id"} <= first.keys():
        return Shape.RESPONSES
    if "response" in first:  # whoever reads it says what a row lacks
        return Shape.ROWS
    if is_lm_eval(first):
        return Shape.LM_EVAL
    keys = ", ".join(list(first)[:12])
    raise DataError(f"{path}: there is no `response`, and no known shape: it has {keys}. Known are {SHAPES}")


def _first_row(path: Path) -> dict[str, JSON] | None:
    try:
        row = next(read_rows(path), None)
    except DataError as error:
        raise DataError(f"{error}. If it is one JSON value, it is of no known shape. Known are {SHAPES}") from error
    return None if row is None else dict(row.values)


def _of_one_value(path: Path) -> Shape | None:
    """The shape of a file that is one JSON value; None where it is lines, or is to be read as such."""
    opening = first_character(path)
    if opening == "[":
        element = next((value for _, value in entries(path)), None)
        if element is None or is_lm_eval(element):
            return Shape.LM_EVAL
        raise DataError(f"{path}: an array of entries that are no samples of lm-eval. Known are {SHAPES}")
    if opening != "{":
        return None
    try:
        first = next(((key, value) for key, value in entries(path)), None)
    except DataError:  # lines are broken JSON as one value; as lines they get an error that names the line
        return None
    return Shape.SKYTHOUGHT if first is not None and is_skythought(first[1]) else None


def read_outputs(path: Path, problems: Path | None = None) -> Iterator[SourceRow]:
    """The responses in `path` as rows, streamed.

    A row has `id`, `response`, `reference`, and where they are known `question`, `kind`, `choices`, `tests`,
    `thinking_format`, `recorded` (the verdict that the file states, as a word of Verdict) and `recorded_by` (all of
    them by name). Rows of a run have `thinking`, `answer_text`, `finish` and `error` too. `problems` is the table that
    responses name their problems in; beside a file of responses it is found by itself.
    Raises DataError naming file and place.
    """
    shape = recognise(path)
    if problems is not None and shape not in (Shape.RUN, Shape.RESPONSES, Shape.ROWS):
        raise DataError(f"{path} is of the shape {shape}, which states its problems itself; leave --problems out")
    if shape is Shape.RUN:
        return read_joined(path / "responses.parquet", problems) if problems else read_run(path)
    if shape is Shape.RESPONSES or (shape is Shape.ROWS and problems is not None):
        table = problems or path.with_name(PROBLEMS)
        if not table.is_file():
            raise DataError(f"{path} names its problems by id; say with --problems where they are")
        return read_joined(path, table)
    readers = {Shape.SKYTHOUGHT: read_skythought, Shape.LM_EVAL: read_lm_eval, Shape.ROWS: read_rows}
    return readers[shape](path)
