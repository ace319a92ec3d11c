"""What the list of responses shows, and where forced tokens stand."""

import shutil
from pathlib import Path

from tests.reporting.traces.small_run import WAITED, Characters
from thinkscale.reporting.traces.details import details
from thinkscale.reporting.traces.forced import pieces
from thinkscale.reporting.traces.index import facets, list_row, read_index


def test_a_response_stands_once_with_all_settings_that_read_it(tables: Path) -> None:
    index = read_index(tables)
    rows = {row["key"]: list_row(row) for row in index.rows.iter_rows(named=True)}
    assert list(rows) == ["t1", "e1", "e2", "e3", "e4", "e5"]
    labels = [(item["method"], item["budget"], item["waits"], item["label"]) for item in index.setting_rows()]  # type: ignore[index, call-overload]
    assert labels == [
        ("truncation", 5, 0, "5 tokens"),
        ("budget_forcing", 100, 1, "100 tokens, 1 × Wait"),
        ("budget_forcing", None, 1, "1 × Wait"),
        ("truncation", None, 0, "no budget"),
        ("rejection", None, 0, "no budget"),
    ]
    assert [rows[key]["settings"] for key in rows] == [[], [1, 2], [0], [3, 4], [0], []]
    assert rows["e1"]["benchmark"] == "sums"
    assert rows["t1"]["benchmark"] == ""
    assert rows["t1"]["verdict"] == "not_graded"
    assert rows["e1"]["extracted"] == "4"


def test_verdicts_of_scores_are_kept_only_where_they_differ_from_the_grade(tables: Path) -> None:
    rows = {row["key"]: list_row(row) for row in read_index(tables).rows.iter_rows(named=True)}
    assert rows["e3"]["verdicts"] == ["correct", "wrong"]
    assert "verdicts" not in rows["e1"]


def test_filters_offer_what_there_is_in_order(tables: Path) -> None:
    assert facets(read_index(tables)) == {
        "role": ["teacher", "evaluation"],
        "benchmark": ["sums", "picks"],
        "model": ["teacher", "student"],
        "method": ["truncation", "budget_forcing", "rejection"],
        "budget": [5, 100, "none"],
        "waits": [0, 1],
        "variant": ["Wait"],
        "verdict": ["correct", "wrong", "cut_off", "ungradable", "not_graded"],
    }


def test_a_run_without_evaluation_or_other_tables_has_its_responses_all_the_same(tables: Path, tmp_path: Path) -> None:
    shutil.copy(tables / "responses.parquet", tmp_path)
    index = read_index(tmp_path)
    assert index.rows.height == 6
    assert index.settings == ()
    assert set(index.rows["verdict"]) == {"not_graded"}
    assert index.problems.row(0, named=True)["id"] == "sum-1"
    assert [item["grades"] for item in details(tmp_path, index, [0, 1], None)] == [[], []]
    assert facets(index)["method"] == []


def test_details_come_in_the_order_that_was_asked_for(tables: Path) -> None:
    index = read_index(tables)
    third, second = details(tables, index, [2, 1], Characters())
    assert third["thinking"] == ["First"]
    assert second["thinking"] == ["First 3.\n", "Wait", "\nThen 4."]
    assert second["forced"] == [[9, 13]]
    grades = second["grades"]
    assert isinstance(grades, list)
    assert [(item["verdict"], item["extracted"], item["tier"]) for item in grades] == [("correct", "4", "exact")]  # type: ignore[index, call-overload]
    (failed,) = details(tables, index, [5], None)
    assert failed["error"] == "the server was gone"


def test_thinking_is_cut_at_forced_tokens_and_every_second_piece_is_ours() -> None:
    assert pieces("aXbYY", 5, [(1, 2), (3, 5)], Characters()) == ("a", "X", "b", "YY", "")
    assert pieces(WAITED, 21, [], None) == (WAITED,)


def test_thinking_is_not_cut_where_the_place_is_not_certain() -> None:
    assert pieces("aXb", 3, [(1, 2)], None) is None
    assert pieces("aXb", 4, [(1, 2)], Characters()) is None


class Lossy(Characters):
    """Loses the case of what it reads, so that its tokens do not give the text again."""

    def encode(self, text: str) -> tuple[int, ...]:
        return super().encode(text.lower())


def test_thinking_is_not_changed_by_a_tokenizer_that_does_not_give_the_text_again() -> None:
    assert pieces("aXb", 3, [(1, 2)], Lossy()) is None
