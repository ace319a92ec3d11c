"""What a list of responses shows and is filtered by, read from a run's tables: narrow columns, no thinking.

A row is a response, not a score: many cells read one prefix, and its text is stored once. A filter that names a whole
cell still gives that cell's scores, since a cell reads each problem's sample once. Rejected: a row for each score,
which repeats a long trace for every budget that it fits into.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.keys import JSON
from thinkscale.reporting.wording import method_name, setting
from thinkscale.statistics import CellKey

if TYPE_CHECKING:
    import polars as pl

NOT_GRADED = "not_graded"
"""Stands where a response has no grade."""
VERDICTS = ("correct", "wrong", "no_answer", "cut_off", "ungradable", NOT_GRADED)

SETTING = ("method", "budget_tokens", "waits", "variant")
RESPONSE = ("key", "role", "problem_id", "model", "sample", "thinking_tokens", "answer_tokens", "finish")
PROBLEM = ("id", "source", "kind", "question", "reference", "choices")


@dataclass(frozen=True, slots=True)
class TraceIndex:
    """A run's responses in stored order.

    `rows`: key, role, benchmark, model, problem (a row of `problems`), sample, verdict, extracted, finish,
    thinking_tokens, answer_tokens, settings (rows of `settings`) and verdicts (of the scores, one for each setting).
    `problems`: the fields of PROBLEM. `settings`: method, budget_tokens, waits, variant of every setting of a score.
    """

    rows: "pl.DataFrame"
    problems: "pl.DataFrame"
    settings: tuple[CellKey, ...]

    def positions(self) -> dict[str, int]:
        """The row of each key."""
        return {key: row for row, key in enumerate(self.rows["key"])}

    def setting_rows(self) -> list[JSON]:
        """Settings as a page needs them, in order."""
        return [
            {
                "method": item.method,
                "method_name": method_name(item.method),
                "budget": item.budget_tokens,
                "waits": item.waits,
                "variant": item.variant,
                "label": setting(item),
            }
            for item in self.settings
        ]


def read_index(folder: Path) -> TraceIndex:
    """The index of the tables in `folder`; those that are missing count as empty, but for responses.parquet."""
    import polars as pl

    problems = _problems(folder)
    places = problems.select(pl.col("id").alias("problem_id")).with_row_index("problem")
    settings, scored = _settings(folder)
    rows = (
        pl.read_parquet(folder / "responses.parquet", columns=list(RESPONSE))
        .join(places, on="problem_id", how="left", maintain_order="left")
        .join(_first_grades(folder), on="key", how="left", maintain_order="left")
        .join(scored, on="key", how="left", maintain_order="left")
        .with_columns(
            pl.col("verdict").fill_null(NOT_GRADED),
            pl.col("benchmark").fill_null(""),
            pl.col("settings", "verdicts").fill_null([]),
        )
        .drop("problem_id")
    )
    return TraceIndex(rows, problems, settings)


def _problems(folder: Path) -> "pl.DataFrame":
    """Problems that have responses; one without a row of its own (a table that was taken away) is shown empty."""
    import polars as pl

    asked = pl.read_parquet(folder / "responses.parquet", columns=["problem_id"]).unique(maintain_order=True)
    path = folder / "problems.parquet"
    if not path.is_file():
        missing = [pl.lit("").alias(name) for name in ("source", "kind", "question")]
        none = [pl.lit(None, pl.String).alias("reference"), pl.lit([], pl.List(pl.String)).alias("choices")]
        return asked.rename({"problem_id": "id"}).with_columns(*missing, *none).select(PROBLEM)
    stored = pl.scan_parquet(path).select(PROBLEM).join(asked.lazy(), left_on="id", right_on="problem_id", how="semi")
    found = stored.collect().unique("id", keep="first", maintain_order=True)
    return asked.rename({"problem_id": "id"}).join(found, on="id", how="left", maintain_order="left").with_columns(
        pl.col("source", "kind", "question").fill_null(""), pl.col("choices").fill_null([])
    ).select(PROBLEM)  # fmt: skip


def _first_grades(folder: Path) -> "pl.DataFrame":
    import polars as pl

    path = folder / "grades.parquet"
    if not path.is_file():
        return pl.DataFrame(schema={"key": pl.String, "verdict": pl.String, "extracted": pl.String})
    grades = pl.read_parquet(path, columns=["response_key", "verdict", "extracted"]).rename({"response_key": "key"})
    return grades.unique("key", keep="first", maintain_order=True)


def _settings(folder: Path) -> "tuple[tuple[CellKey, ...], pl.DataFrame]":
    """Every setting of a score, and for each response: its benchmark, its settings and their verdicts."""
    import polars as pl

    path = folder / "scores.parquet"
    if not path.is_file():
        lists = {"settings": pl.List(pl.UInt32), "verdicts": pl.List(pl.String)}
        return (), pl.DataFrame(schema={"key": pl.String, "benchmark": pl.String, **lists})
    scores = pl.read_parquet(path, columns=["benchmark", *SETTING, "response_key", "verdict"])
    distinct = scores.select(SETTING).unique(maintain_order=True).with_row_index("setting")
    joined = scores.join(distinct, on=SETTING, how="left", nulls_equal=True, maintain_order="left")
    grouped = joined.group_by("response_key", maintain_order=True).agg(
        pl.col("benchmark").first(), pl.col("setting").alias("settings"), pl.col("verdict").alias("verdicts")
    )
    keys = tuple(
        CellKey(benchmark="", model="", **{name: row[name] for name in SETTING})
        for row in distinct.iter_rows(named=True)
    )
    return keys, grouped.rename({"response_key": "key"})


def facets(index: TraceIndex) -> dict[str, JSON]:
    """What can be chosen in each filter, in the order to show it."""
    rows = index.rows

    def values(name: str) -> list[JSON]:
        return [value for value in rows[name].unique(maintain_order=True).to_list() if value]

    budgets = {item.budget_tokens for item in index.settings}
    known: list[JSON] = [*sorted(item for item in budgets if item is not None)]
    waits: list[JSON] = [*sorted({item.waits for item in index.settings})]
    methods: list[JSON] = [*dict.fromkeys(item.method for item in index.settings)]
    variants: list[JSON] = [*dict.fromkeys(item.variant for item in index.settings if item.variant)]
    found = {*rows["verdict"].unique(), *rows["verdicts"].explode(empty_as_null=False).unique()}
    return {
        "role": values("role"),
        "benchmark": values("benchmark"),
        "model": values("model"),
        "method": methods,
        "budget": [*known, *(["none"] if None in budgets and known else [])],
        "waits": waits if len(waits) > 1 else [],
        "variant": variants,
        "verdict": [name for name in VERDICTS if name in found],
    }


def list_row(row: Mapping[str, object]) -> dict[str, JSON]:
    """A row of the index as the page reads it; `verdicts` only where a score says something else than the grade."""
    made: dict[str, JSON] = {name: value for name, value in row.items() if name != "verdicts"}  # type: ignore[misc]
    verdicts = row["verdicts"]
    assert isinstance(verdicts, list)
    if any(verdict != row["verdict"] for verdict in verdicts):
        made["verdicts"] = verdicts
    return made
