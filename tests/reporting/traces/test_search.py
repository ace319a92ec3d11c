"""Filters and search of `view`, against what a plain loop over the rows finds."""

from pathlib import Path
from typing import Any

import pytest

from tests.reporting.traces.small_run import write_many
from thinkscale.reporting.traces.index import read_index
from thinkscale.reporting.traces.search import Query, TraceSearch, terms


def found(folder: Path, text: str = "", order: str = "stored", **filters: str) -> list[str]:
    search = TraceSearch(folder, read_index(folder))
    page: Any = search.page(Query(filters=filters, text=text, order=order), 60)
    assert page["total"] == len(page["rows"])
    return [row["key"] for row in page["rows"]]


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, ["t1", "e1", "e2", "e3", "e4", "e5"]),
        ({"role": "teacher"}, ["t1"]),
        ({"model": "student", "benchmark": "picks"}, ["e3", "e4"]),
        ({"method": "truncation"}, ["e2", "e3", "e4"]),
        ({"method": "truncation", "budget": "5"}, ["e2", "e4"]),
        ({"method": "truncation", "budget": "none"}, ["e3"]),
        ({"waits": "1", "budget": "100", "variant": "Wait"}, ["e1"]),
        ({"verdict": "correct"}, ["e1", "e3"]),
        ({"verdict": "not_graded"}, ["t1"]),
        # A cell's verdict goes before the grade of the response that it read.
        ({"verdict": "correct", "method": "rejection"}, []),
        ({"verdict": "wrong", "method": "rejection"}, ["e3"]),
        # Budget and method must be of one and the same cell.
        ({"method": "budget_forcing", "budget": "5"}, []),
        ({"model": "nobody"}, []),
        ({"verdict": "no such verdict", "waits": "0"}, []),
    ],
)
def test_filters(tables: Path, filters: dict[str, str], keys: list[str]) -> None:
    assert found(tables, **filters) == keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("wait", ["e1"]),
        ("FINAL", ["e1", "e2"]),
        ("final first", ["e1", "e2"]),
        ('"wait\nthen"', ["e1"]),
        ("1 + 3", ["t1", "e1", "e2", "e5"]),
        ("pick-1", ["e3", "e4"]),
        ("<script> onerror='window", ["e3", "e4"]),
        (".*", []),
        ("nowhere", []),
        ("   ", ["t1", "e1", "e2", "e3", "e4", "e5"]),
    ],
)
def test_every_word_must_stand_somewhere_in_question_thinking_or_answer(
    tables: Path, text: str, keys: list[str]
) -> None:
    assert found(tables, text) == keys


def test_words_and_phrases() -> None:
    assert terms('The "Two Words" the  x"') == ("the", "two words", 'x"')


def test_orders(tables: Path) -> None:
    assert found(tables, order="longest")[:2] == ["e3", "e1"]
    assert found(tables, order="shortest")[:3] == ["e5", "e2", "t1"]


def test_a_search_goes_on_where_the_last_request_left_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.reporting.traces.search.SCANNED_AT_ONCE", 400)
    folder = write_many(tmp_path, 1000)
    search = TraceSearch(folder, read_index(folder))
    seen = []
    for _ in range(4):
        page: Any = search.page(Query(filters={}, text='"99 of"', limit=2), seconds=0)
        seen.append((page["total"], page["scanned"], page["complete"]))
    # 99, 199, 299, 399 stand in the first 400 rows, 499 to 799 in the next, 899 and 999 in the last.
    assert seen == [(4, 400, False), (8, 800, False), (10, 1000, True), (10, 1000, True)]
    assert [row["key"] for row in page["rows"]] == ["t99", "t199"]


def test_pages_and_the_place_of_a_key(tmp_path: Path) -> None:
    folder = write_many(tmp_path, 1000)
    search = TraceSearch(folder, read_index(folder))
    page: Any = search.page(Query(filters={}, offset=990, limit=100, find="t7"), 60)
    assert [row["key"] for row in page["rows"]] == [f"t{number}" for number in range(990, 1000)]
    assert page["problems"][str(page["rows"][0]["problem"])] == {"id": "p990", "question": "question 990"}
    assert page["position"] == 7
    missing: Any = search.page(Query(filters={"role": "evaluation"}, find="t7"), 60)
    assert (missing["total"], missing["position"]) == (0, None)
    assert search.page(Query(filters={}, find="nobody"), 60)["position"] is None


def test_old_searches_are_forgotten(tables: Path) -> None:
    search = TraceSearch(tables, read_index(tables))
    for number in range(40):
        search.page(Query(filters={}, text=f"word{number}"), 60)
    assert len(search._searches) == 16
