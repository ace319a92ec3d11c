"""One response in full, as the page shows it: read from the tables when it is opened."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.keys import JSON
from thinkscale.reporting.traces.forced import Tokens, pieces
from thinkscale.reporting.traces.index import TraceIndex

if TYPE_CHECKING:
    import polars as pl

TEXTS = ("key", "thinking", "answer_text", "thinking_tokens", "forced", "error", "sampling", "usage", "attempts")
GRADE = ("grader", "verdict", "extracted", "tier", "evidence")


def details(
    folder: Path, index: TraceIndex, positions: Sequence[int], tokens: Tokens | None
) -> Iterator[dict[str, JSON]]:
    """What stands behind each of the rows at `positions`, in their order.

    The thinking is a list of pieces as `forced.pieces` cuts it, or one text where it cannot be cut.
    """
    keys = index.rows["key"].gather(list(positions))
    grades = _grades(folder, keys)
    for response in _texts(folder, list(positions)).iter_rows(named=True):
        made: dict[str, JSON] = {"grades": grades.get(response["key"], [])}
        made.update(_detail(response, tokens))
        yield made


def problem_row(index: TraceIndex, place: int) -> dict[str, JSON]:
    """A problem in full."""
    return dict(index.problems.row(place, named=True))


def _texts(folder: Path, positions: list[int]) -> "pl.DataFrame":
    import polars as pl

    scan = pl.scan_parquet(folder / "responses.parquet")
    if len(positions) == 1:
        return scan.slice(positions[0], 1).select(TEXTS).collect()
    wanted = pl.DataFrame({"row": positions}, schema={"row": pl.get_index_type()})
    found = (
        scan.select(TEXTS).with_row_index("row").join(wanted.lazy(), on="row", how="semi").collect(engine="streaming")
    )
    return wanted.join(found, on="row", how="left", maintain_order="left")


def _grades(folder: Path, keys: "pl.Series") -> dict[str, list[JSON]]:
    import polars as pl

    path = folder / "grades.parquet"
    if not path.is_file():
        return {}
    wanted = keys.to_frame().lazy()
    found = pl.scan_parquet(path).join(wanted, left_on="response_key", right_on="key", how="semi").collect()
    made: dict[str, list[JSON]] = {}
    for row in found.iter_rows(named=True):
        made.setdefault(row["response_key"], []).append({name: row[name] for name in GRADE})
    return made


def _detail(response: Mapping[str, object], tokens: Tokens | None) -> dict[str, JSON]:
    thinking, forced = response["thinking"], response["forced"]
    num_tokens = response["thinking_tokens"]
    assert isinstance(thinking, str)
    assert isinstance(forced, list)
    assert isinstance(num_tokens, int)
    cut = pieces(thinking, num_tokens, forced, tokens)
    made: dict[str, JSON] = {
        "thinking": thinking if cut is None else list(cut),
        "answer": str(response["answer_text"]),
        "sampling": json.loads(str(response["sampling"])),
        "usage": json.loads(str(response["usage"])),
    }
    if forced:
        made["forced"] = forced
    if response["error"] is not None:
        made["error"] = str(response["error"])
    if response["attempts"] != 1:
        made["attempts"] = response["attempts"]  # type: ignore[assignment]  # the column holds numbers
    return made
