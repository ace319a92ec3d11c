"""What is known of every collected problem before anything is decided: the measures, six long tables.

Measuring is heavy (it reads texts); deciding is light. Measures hold narrow facts only, no text of a question or trace,
and nothing that depends on a threshold, so that another threshold, sampler or seed is a matter of seconds:

- `rows`: one row a problem, in order of collection; `row` is its place from 0, and what all other tables refer to.
- `faults`: what is wrong with a question (`trace` is -1) or with one of its traces (`trace` is its number from 0), by
  the rules of curation/quality. Bounds on length are no faults: they are decided, from `traces.tokens`.
- `traces`: the teacher's responses to a problem in their order. `verdict` is empty where none was graded.
- `attempts`: of each weak model at each problem, how many could be graded, and how many were correct.
- `overlaps`: what a question (`response_key` empty) or a trace shares with a benchmark's item. `share` is the share of
  n-grams of the smaller text.
- `edges`: pairs of rows (a < b) of which one may repeat the other.

Frames are polars', sorted by `row` (`edges` by a, b), so that equal input gives equal bytes.

Rejected: lists of structs in one wide table (every filter begins by unfolding them), and one verdict for each row and
filter (it would have to be made again for each threshold).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

COLUMNS: dict[str, dict[str, type]] = {
    "rows": {"row": int, "problem_id": str, "source": str, "kind": str, "domain": str, "subject": str, "rating": float},
    "faults": {"row": int, "trace": int, "reason": str, "evidence": str},
    "traces": {"row": int, "trace": int, "response_key": str, "tokens": int, "verdict": str},
    "attempts": {"row": int, "model": str, "correct": int, "graded": int},
    "overlaps": {
        "row": int, "response_key": str, "against": str, "against_id": str, "reason": str, "share": float, "span": str,
    },
    "edges": {"a": int, "b": int, "share": float, "reason": str, "span": str},
}  # fmt: skip
"""The columns of each table. `domain` and `subject` are empty and `rating` is null where nobody labelled them."""

ASKED: dict[str, type] = {
    "id": str, "source": str, "kind": str, "question": str, "reference": str, "tests": str, "domain": str,
    "subject": str, "rating": float,
}  # fmt: skip
"""The columns of problems that are measured; `domain`, `subject` and `rating` are what the source says, as in `rows`.
`reference` and `tests` are null where there is none."""

QUESTION = -1
"""In `faults.trace`: the fault is the question's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The six tables. Their columns are COLUMNS."""

    rows: "pl.DataFrame"
    faults: "pl.DataFrame"
    traces: "pl.DataFrame"
    attempts: "pl.DataFrame"
    overlaps: "pl.DataFrame"
    edges: "pl.DataFrame"

    def tables(self) -> dict[str, "pl.DataFrame"]:
        """The tables by name, in the order of COLUMNS."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def schema(columns: Mapping[str, type]) -> "dict[str, pl.DataType]":
    """Columns with polars' types."""
    import polars as pl

    kinds = {int: pl.Int64, float: pl.Float64, str: pl.String}
    return {column: kinds[kind]() for column, kind in columns.items()}


def table(name: str, columns: Mapping[str, Sequence[object]]) -> "pl.DataFrame":
    """The table `name` of its columns; all of them, or none for an empty table. ValueError where they are others."""
    import polars as pl

    wanted = schema(COLUMNS[name])
    if columns and set(columns) != set(wanted):
        raise ValueError(f"the columns of {name} are {', '.join(wanted)}; given were {', '.join(columns)}")
    made = pl.DataFrame({column: columns.get(column, ()) for column in wanted}, schema=wanted)
    return made.sort(["a", "b"] if name == "edges" else "row", maintain_order=True)


def of_rows(measures: Measures, numbers: Sequence[int]) -> Measures:
    """What is known of some rows alone, their numbers as they were; edges where either end is one of them."""
    import polars as pl

    wanted = {
        name: frame.filter(pl.col("row").is_in(numbers)) for name, frame in measures.tables().items() if name != "edges"
    }
    edges = measures.edges.filter(pl.col("a").is_in(numbers) | pl.col("b").is_in(numbers))
    return Measures(**wanted, edges=edges)
