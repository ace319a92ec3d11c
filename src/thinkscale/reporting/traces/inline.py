"""The responses inside the report: packed as gzip in base64, which a page unpacks by itself.

As plain JSON the same rows take three to ten times the room. What does not fit into the limit is left to `view`; then
rows of every benchmark, model, verdict and setting are taken in turn, so that each of them is represented.
"""

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.keys import JSON
from thinkscale.reporting.traces.details import details, problem_row
from thinkscale.reporting.traces.forced import Tokens
from thinkscale.reporting.traces.index import TraceIndex, facets, list_row, read_index

if TYPE_CHECKING:
    import polars as pl

MOST_BYTES = 8_000_000
"""Of the packed rows in the page."""
MOST_BYTES_UNPACKED = 12 * MOST_BYTES
"""Text that is worth an attempt: more has never packed into the limit, and a browser has to hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineTraces:
    """Rows of the browser, packed, and how many of all they are."""

    packed: str
    num_rows: int
    num_all: int
    most_bytes: int = MOST_BYTES

    @property
    def is_complete(self) -> bool:
        """Whether every response of the run is there."""
        return self.num_rows == self.num_all


def inline_traces(folder: Path, tokens: Tokens | None, most_bytes: int = MOST_BYTES) -> InlineTraces | None:
    """The responses of the tables in `folder`, as many as fit; None where there is none."""
    if not (folder / "responses.parquet").is_file():
        return None
    index = read_index(folder)
    num_all = index.rows.height
    if not num_all:
        return None
    order = _worth_an_attempt(index, folder, tokens, most_bytes)
    while True:
        packed = _packed(index, folder, sorted(order), tokens)
        if len(packed) <= most_bytes or not order:
            return InlineTraces(packed=packed, num_rows=len(order), num_all=num_all, most_bytes=most_bytes)
        order = order[: int(len(order) * 0.95 * most_bytes / len(packed))]


def _worth_an_attempt(index: TraceIndex, folder: Path, tokens: Tokens | None, most_bytes: int) -> list[int]:
    """Rows in turn that may fit. Where there is much more text than room, a small part shows how well it packs."""
    import polars as pl

    ordered = _in_turn(index, folder).filter(pl.col("text") <= most_bytes * MOST_BYTES_UNPACKED // MOST_BYTES)
    trial = ordered.filter(pl.col("text") <= most_bytes)
    if trial.height and trial.height < ordered.height:
        packed = len(_packed(index, folder, sorted(trial["row"].to_list()), tokens))
        ordered = ordered.filter(pl.col("text") <= 0.97 * most_bytes * trial["text"][-1] / packed)
    return [int(row) for row in ordered["row"]]


def _in_turn(index: TraceIndex, folder: Path) -> "pl.DataFrame":
    """Rows by their place within their group (the first of each, the second of each, ...), and their text so far."""
    import polars as pl

    size = (pl.col("thinking").str.len_bytes() + pl.col("answer_text").str.len_bytes() + 300).alias("size")
    sizes = pl.scan_parquet(folder / "responses.parquet").select(size).collect()
    group = ("role", "benchmark", "model", "verdict", "setting")
    rows = index.rows.with_columns(pl.col("settings").list.first().alias("setting")).with_row_index("row")
    ranked = rows.with_columns(sizes["size"], pl.int_range(pl.len()).over(group).alias("rank")).sort("rank", "row")
    return ranked.select("row", pl.col("size").cum_sum().alias("text"))


def _packed(index: TraceIndex, folder: Path, positions: list[int], tokens: Tokens | None) -> str:
    import polars as pl

    rows = index.rows[positions]
    places = rows["problem"].unique().sort()
    again = pl.DataFrame({"problem": places}).with_row_index("place")
    renumbered = rows.join(again, on="problem", how="left", maintain_order="left").with_columns(problem=pl.col("place"))
    whole: dict[str, JSON] = {
        "rows": [list_row(row) for row in renumbered.drop("place").iter_rows(named=True)],
        "details": list(details(folder, index, positions, tokens)),
        "problems": [problem_row(index, place) for place in places],
        "settings": index.setting_rows(),
        "facets": facets(index),
    }
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Without a time in its header, so that the same rows give the same bytes.
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)).decode()
