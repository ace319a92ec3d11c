"""`thinkscale collect` on plain files: tables, folders, counts, and errors that say what to do."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sources.fake_hub import FIRST, FakeHub, fake_hub
from thinkscale.cli.collect import _mapping, _years
from thinkscale.commands.collect import CollectOptions, collect
from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Grade, Label, Problem, Response, from_row
from thinkscale.sources.files import read_rows
from thinkscale.store.tables import read_table

__all__ = ["fake_hub"]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def records(path: Path, kind: type) -> list[Any]:
    return [from_row(kind, row.values) for row in read_rows(path)]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    folder.mkdir()
    write(folder / "math.jsonl", [{"problem": "a?", "answer": "1"}, {"problem": "b?", "answer": "2"}])
    write(folder / "aime.jsonl", [{"ID": str(year), "Year": year, "Question": f"{year}?"} for year in (1983, 2022)])
    return folder


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.parquet"])
def test_named_sources_become_one_table(tmp_path: Path, local: Path, name: str) -> None:
    out = tmp_path / name
    said = collect(("math", "aime"), out, None, CollectOptions(local=local))
    found = list(read_table(out, Problem)) if name.endswith("parquet") else records(out, Problem)
    assert [(item.source, item.question) for item in found] == [("math", "a?"), ("math", "b?"), ("aime", "1983?")]
    assert said.splitlines() == [
        "math: 2 rows read, where the catalogue knows 12,000; 2 problems",
        "aime: 2 rows read, where the catalogue knows 933; left out: 1 year is not from 1983 to 2021; 1 problems",
        "3 problems",
    ]


def test_years_are_of_the_sets_that_state_them(tmp_path: Path, local: Path) -> None:
    options = CollectOptions(local=local, years=(2000, 2022))
    collect(("math", "aime"), tmp_path / "out.jsonl", None, options)
    assert [item.question for item in records(tmp_path / "out.jsonl", Problem)] == ["a?", "b?", "2022?"]
    with pytest.raises(ConfigError, match="--years: of math none states years"):
        collect(("math",), tmp_path / "out.jsonl", None, options)


def test_files_of_ones_own_are_sources_too(tmp_path: Path, local: Path) -> None:
    mine = write(tmp_path / "mine.jsonl", [{"text": "c?"}, {"text": ""}, {"text": "c?"}])
    options = CollectOptions(local=local, columns={"question": "text"}, limit=3)
    said = collect((str(mine),), tmp_path / "out.jsonl", tmp_path / "report.jsonl", options)
    found = records(tmp_path / "out.jsonl", Problem)
    assert [(item.source, item.question) for item in found] == [("mine", "c?"), ("mine", "c?")]
    assert found[1].id == f"{found[0].id}#2"
    (fate,) = (row.values for row in read_rows(tmp_path / "report.jsonl"))
    assert (fate["source"], fate["reason"], fate["place"]) == ("mine", "missing_question", f"{mine}:2")
    assert "1 rows are no problems: 1 missing_question" in said


def test_a_folder_takes_all_that_a_set_brings(tmp_path: Path) -> None:
    row = {
        "prompt": "Find $x$.", "reasoning": "Think.", "attempt": "3", "ground_truth": "3", "isgeminicorrect": True,
        "isqwen7bcorrect": False, "domain": "Geometry", "gemini_length": 5, "source_type": "Idavidrein/gpqa",
    }  # fmt: skip
    write(tmp_path / "s1_59k.jsonl", [row, {**row, "prompt": "Find $y$."}])
    out = tmp_path / "pool"
    said = collect(("s1_59k",), out, None, CollectOptions(local=tmp_path))
    assert sorted(path.name for path in out.iterdir()) == [
        "grades.jsonl", "labels.jsonl", "problems.jsonl", "responses.jsonl",
    ]  # fmt: skip
    problems, responses = records(out / "problems.jsonl", Problem), records(out / "responses.jsonl", Response)
    assert [item.problem_id for item in responses] == [item.id for item in problems]
    assert [item.response_key for item in records(out / "grades.jsonl", Grade)] == [item.key for item in responses]
    assert Counter(item.name for item in records(out / "labels.jsonl", Label)) == {
        "trace_tokens": 2, "domain": 2, "pass_rate": 2,
    }  # fmt: skip
    assert said.splitlines()[-1] == "2 problems, 2 responses, 2 grades, 6 labels"
    said = collect(("s1_59k",), tmp_path / "only.jsonl", None, CollectOptions(local=tmp_path))
    assert "its traces, grades and labels are not written; give a folder" in said


def test_a_folder_without_traces_holds_problems_only_and_no_older_table(tmp_path: Path, local: Path) -> None:
    out = tmp_path / "pool"
    out.mkdir()
    (out / "grades.jsonl").write_text("{}\n")
    collect(("math",), out, None, CollectOptions(local=local))
    assert [path.name for path in out.iterdir()] == ["problems.jsonl"]


def test_a_set_that_cannot_be_read_leaves_what_was_there(tmp_path: Path, local: Path) -> None:
    out = tmp_path / "pool"
    collect(("math",), out, None, CollectOptions(local=local))
    before = (out / "problems.jsonl").read_bytes()
    write(local / "math.jsonl", [{"problem": "new?", "answer": "1"}])
    (local / "aime.jsonl").write_text("{broken\n")
    with pytest.raises(DataError, match=r"aime\.jsonl:1: broken JSON"):
        collect(("math", "aime"), out, None, CollectOptions(local=local))
    assert (out / "problems.jsonl").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["problems.jsonl"]


def test_a_set_of_the_hub_is_a_source_with_its_revision(
    tmp_path: Path, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {f"{config}/{split}.jsonl": f'{{"question": "{config} {split}"}}\n'.encode()
            for config in ("a", "b") for split in ("train", "test")}  # fmt: skip
    fake_hub.add("o/n", rows)
    said = collect(("o/n@v2",), tmp_path / "out.jsonl", None, CollectOptions(config="b", split="test"))
    (found,) = records(tmp_path / "out.jsonl", Problem)
    assert (found.source, found.question) == ("n", "b test")
    assert said.startswith(f"n at {FIRST}: 1 rows read; 1 problems")
    assert json.loads((tmp_path / "sources.lock.json").read_text()) == {"o/n@v2": FIRST}


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("mth", ConfigError, "there is no source 'mth': it is neither in the catalogue"),
        ("absent.jsonl", DataError, "there is no file absent.jsonl"),
        ("a/b/c", ConfigError, "nor a data set of the Hub"),
    ],
)
def test_a_source_that_there_is_not_is_refused(
    tmp_path: Path, source: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        collect((source,), tmp_path / "out.jsonl", None, CollectOptions())


def test_a_folder_is_not_made_where_a_table_was_meant(tmp_path: Path, local: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.txt: \.txt is no ending of a table"):
        collect(("math",), tmp_path / "c.txt", None, CollectOptions(local=local))
    collect(("math",), tmp_path / "pool-1.1", None, CollectOptions(local=local))
    assert (tmp_path / "pool-1.1" / "problems.jsonl").is_file()


def test_an_id_that_comes_again_loses_no_other_question(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.jsonl", [{"id": "a", "question": text} for text in ("x?", "y?", "x?")])
    said = collect((str(mine),), tmp_path / "out.jsonl", None, CollectOptions())
    found = records(tmp_path / "out.jsonl", Problem)
    assert [(item.id, item.question) for item in found] == [("a", "x?"), ("a#2", "y?")]
    assert "1 repeated_id" in said


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.jsonl", [{"question": "c?"}])
    with pytest.raises(ConfigError, match="is an input"):
        collect((str(mine),), mine, None, CollectOptions())
    with pytest.raises(ConfigError, match="--out and --report both name"):
        collect((str(mine),), tmp_path / "x.jsonl", tmp_path / "x.jsonl", CollectOptions())


def test_options_that_take_pairs_and_years() -> None:
    assert _mapping(["question=problem", "id=key,level=hard"]) == {"question": "problem", "id": "key", "level": "hard"}
    assert (_years("1983-2021"), _years("1990"), _years(None)) == ((1983, 2021), (1990, 1990), None)
    for wrong in ("question", "=x", "question="):
        with pytest.raises(ConfigError, match="write FIELD=COLUMN"):
            _mapping([wrong])
    for wrong in ("x", "2021-1983", "1983-"[:-1] + "-y"):
        with pytest.raises(ConfigError, match="write FIRST-LAST"):
            _years(wrong)


REAL = {"math": 7500, "deepscaler": 39_808, "dapo": 17_398, "gsm8k": 7473, "aime": 975, "numina_math": 2000}
"""Rows of ../shared/data/pool, as its README states them."""


def test_the_real_pool_is_collected_through_the_catalogue(tmp_path: Path, data_folder: Path) -> None:
    counts: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    ids = set()
    for number, names in enumerate((("math", "deepscaler", "dapo", "gsm8k"), ("aime",), ("numina_math",))):
        options = CollectOptions(
            local=data_folder / "pool",
            years=(1983, 2023) if names == ("aime",) else None,
            all_rows=names == ("numina_math",),
        )
        out = tmp_path / f"{number}.jsonl"
        collect(names, out, None, options)
        for row in read_rows(out):
            counts[str(row.values["source"])] += 1
            missing[str(row.values["source"])] += row.values["reference"] is None
            ids.add(row.values["id"])
    assert counts == REAL
    assert len(ids) == 75_154
    assert +missing == {"math": 2, "numina_math": 74}
