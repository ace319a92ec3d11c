"""Filters and text search over all responses of a run, for `view`.

Filters work on columns in memory. Text is read from the table as it lies there: a search goes as far as one request may
take, and says how far that is; the page asks again until it is complete. So the first hits show at once at any size,
nothing is built before the first search, and a search that nobody asks for any more stops by itself. Rejected: an
SQLite index of all words (minutes to build, a copy of the whole text, and no search inside words or formulas).
"""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from thinkscale.keys import JSON
from thinkscale.reporting.traces.index import TraceIndex, list_row

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Mask: TypeAlias = NDArray[np.bool_]
    Places: TypeAlias = NDArray[np.int64]

SCANNED_AT_ONCE = 4000
"""Rows of a step of a search: a few tens of megabytes of text."""
SEARCHES_KEPT = 16
ROW_FILTERS = ("role", "benchmark", "model")
SCORE_FILTERS = ("method", "budget", "waits", "variant")
ORDERS = ("stored", "shortest", "longest")
_TERM = re.compile(r'"([^"]+)"|(\S+)')


def terms(text: str) -> tuple[str, ...]:
    """What a row must hold, in any order and any case: the words of `text`, and what stands in quotes as a whole."""
    return tuple(dict.fromkeys((quoted or word).lower() for quoted, word in _TERM.findall(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for. `filters` maps a name of ROW_FILTERS, SCORE_FILTERS or `verdict` to a value as text."""

    filters: Mapping[str, str]
    text: str = ""
    order: str = "stored"
    offset: int = 0
    limit: int = 100
    find: str = ""
    """A key whose place among the rows is wanted too."""


@dataclass(slots=True)
class _Search:
    """One search of texts as far as it has come."""

    wanted: tuple[str, ...]
    hits: "Mask"
    scanned: int = 0


@dataclass(slots=True)
class TraceSearch:
    """Answers queries over one run. Not safe to share between threads: the caller holds a lock."""

    folder: Path
    index: TraceIndex
    _searches: "OrderedDict[tuple[str, ...], _Search]" = field(default_factory=OrderedDict)
    _codes: "dict[str, tuple[list[str], Places]]" = field(default_factory=dict)

    def page(self, query: Query, seconds: float) -> dict[str, JSON]:
        """Rows `offset` to `offset + limit` of what fits, with their problems, and how many fit.

        `complete` is False where the texts could not be searched to the end within `seconds`: `total` then counts what
        was found among the first `scanned` rows.
        """
        mask = self._filtered(query.filters)
        search = self._searched(terms(query.text), seconds)
        places = np.flatnonzero(mask & search.hits)
        if query.order != "stored":
            lengths = self.index.rows["thinking_tokens"].to_numpy()[places]
            places = places[np.argsort(lengths if query.order == "shortest" else -lengths, kind="stable")]
        shown = self.index.rows[places[query.offset : query.offset + query.limit]]
        made: dict[str, JSON] = {
            "total": int(places.size),
            "complete": search.scanned == mask.size,
            "scanned": search.scanned,
            "rows": [list_row(row) for row in shown.iter_rows(named=True)],
            "problems": self._problems(shown),
        }
        if query.find:
            made["position"] = self._position(query.find, places)
        return made

    def row(self, position: int) -> dict[str, JSON]:
        """One row as `page` gives it."""
        return list_row(self.index.rows.row(position, named=True))

    def _problems(self, shown: "pl.DataFrame") -> dict[str, JSON]:
        """Id and the beginning of the question of each problem that is shown."""
        ids, questions = self.index.problems["id"], self.index.problems["question"]
        return {
            str(place): {"id": ids[place], "question": questions[place][:300]} for place in shown["problem"].unique()
        }

    def _position(self, key: str, places: "Places") -> int | None:
        row = self.index.rows["key"].index_of(key)
        found = np.flatnonzero(places == row) if row is not None else places[:0]
        return int(found[0]) if found.size else None

    # Filters

    def _filtered(self, filters: Mapping[str, str]) -> "Mask":
        mask = np.ones(self.index.rows.height, dtype=bool)
        for name in ROW_FILTERS:
            if filters.get(name):
                mask &= self._equals(name, filters[name])
        verdict = filters.get("verdict", "")
        if any(filters.get(name) for name in SCORE_FILTERS):
            mask &= self._scored(filters, verdict)
        elif verdict:
            mask &= self._equals("verdict", verdict)
        return mask

    def _coded(self, name: str, column: "pl.Series") -> "tuple[list[str], Places]":
        """A column of words as numbers, made when it is first asked for."""
        if name not in self._codes:
            words = column.unique(maintain_order=True).to_list()
            numbers = column.replace_strict(words, list(range(len(words)))) if words else column
            self._codes[name] = (words, numbers.to_numpy().astype(np.int64))
        return self._codes[name]

    def _equals(self, name: str, value: str) -> "Mask":
        words, numbers = self._coded(name, self.index.rows[name])
        wanted = words.index(value) if value in words else -1
        return np.asarray(numbers == wanted)

    def _scored(self, filters: Mapping[str, str], verdict: str) -> "Mask":
        """Rows with a score under the settings asked for, and with this verdict where one is asked for."""
        wanted = [place for place, item in enumerate(self.index.setting_rows()) if _fits(item, filters)]
        rows, settings, words, verdicts = self._scores()
        fitting = np.isin(settings, wanted)
        if verdict:
            fitting &= verdicts == (words.index(verdict) if verdict in words else -1)
        mask = np.zeros(self.index.rows.height, dtype=bool)
        mask[rows[fitting]] = True
        return mask

    def _scores(self) -> "tuple[Places, Places, list[str], Places]":
        """Row, setting and verdict of every score."""
        columns = self.index.rows.select("settings", "verdicts")
        if "scores" not in self._codes:
            counts = columns["settings"].list.len().to_numpy()
            self._codes["scores"] = ([], np.repeat(np.arange(counts.size), counts))
            settings = columns["settings"].explode(empty_as_null=False).to_numpy()
            self._codes["settings"] = ([], settings.astype(np.int64))
        words, verdicts = self._coded("verdicts", columns["verdicts"].explode(empty_as_null=False))
        return self._codes["scores"][1], self._codes["settings"][1], words, verdicts

    # Texts

    def _searched(self, wanted: tuple[str, ...], seconds: float) -> _Search:
        """The search for `wanted`, brought forward by at least one step, and by more while `seconds` are left."""
        num_rows = self.index.rows.height
        if not wanted:
            return _Search(wanted, np.ones(num_rows, dtype=bool), num_rows)
        search = self._searches.pop(wanted, None) or _Search(wanted, np.zeros(num_rows, dtype=bool))
        self._searches[wanted] = search
        while len(self._searches) > SEARCHES_KEPT:
            self._searches.popitem(last=False)
        end = time.monotonic() + seconds
        while search.scanned < num_rows:
            self._step(search)
            if time.monotonic() > end:
                break
        return search

    def _step(self, search: _Search) -> None:
        """Searches the next rows: each word may stand in the question (or its id), the thinking or the answer."""
        import polars as pl

        start, many = search.scanned, SCANNED_AT_ONCE
        problems = self.index.rows["problem"][start : start + many]
        asked = self.index.problems.select("id", "question")[problems]
        texts = pl.scan_parquet(self.folder / "responses.parquet").select("thinking", "answer_text").slice(start, many)
        whole = pl.concat([texts.collect(), asked], how="horizontal")
        found = whole.select(
            pl.all_horizontal(
                pl.any_horizontal(pl.all().str.contains(f"(?i){re.escape(word)}")) for word in search.wanted
            ).alias("found")
        )["found"].to_numpy()
        search.hits[start : start + found.size] = found
        search.scanned = start + found.size if found.size else search.hits.size


def _fits(setting: JSON, filters: Mapping[str, str]) -> bool:
    assert isinstance(setting, dict)
    for name in SCORE_FILTERS:
        value = setting[name]
        if filters.get(name) and filters[name] != ("none" if value is None else str(value)):
            return False
    return True
