"""The commands that read and write files of rows, and what they say of this machine and of the package."""

import json
import subprocess
from pathlib import Path

import pytest

from thinkscale.commands import doctor as doctor_module
from thinkscale.commands.catalogue import catalogue
from thinkscale.commands.decontaminate import decontaminate
from thinkscale.commands.doctor import doctor
from thinkscale.commands.grade import grade
from thinkscale.errors import ConfigError, DataError, SandboxError, ThinkscaleError
from thinkscale.keys import JSON
from thinkscale.sandbox.isolation import Isolation, Kind
from thinkscale.sources.files import read_rows, write_rows
from thinkscale.store import provenance

HITS = ["id", "against", "against_id", "reason", "span", "share"]
VERDICTS = ["id", "verdict", "extracted", "tier", "seconds"]
QUESTION = "How many positive integers below one hundred are divisible by seven or eleven?"


def columns_of(path: Path) -> list[str]:
    import pyarrow.parquet

    names: list[str] = pyarrow.parquet.read_schema(path).names
    return names


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": None}, ("0", "correct")),
        ({}, ("0", "correct")),
        ({"id": 7}, (7, "correct")),
        ({"id": 7.5}, (7.5, "correct")),
        ({"question": None}, ("0", "correct")),
        ({"score": float("nan")}, ("0", "correct")),
        ({"id": "\ud800", "response": "\\boxed{\ud800}"}, ("\ud800", None)),
        ({"kind": "choice", "reference": "A", "choices": ["x"] * 703}, ("0", "ungradable")),
        ({"kind": "choice", "reference": "A", "choices": ["x"] * 702, "response": "A"}, ("0", "correct")),
    ],
)
def test_grade_takes_the_row(tmp_path: Path, row: dict[str, JSON], expected: tuple[JSON, str | None]) -> None:
    values: dict[str, JSON] = {"reference": "3", "response": "\\boxed{3}", **row}
    (tmp_path / "in.jsonl").write_text(json.dumps(values) + "\n")
    grade(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    (found,) = (row.values for row in read_rows(tmp_path / "out.jsonl"))
    assert found["id"] == expected[0]
    assert expected[1] in (found["verdict"], None)


def test_grade_names_the_row_of_an_unknown_format(tmp_path: Path) -> None:
    row: dict[str, JSON] = {"reference": "3", "response": "3"}
    write_rows(tmp_path / "in.jsonl", [row, {**row, "thinking_format": "s2"}])
    with pytest.raises(DataError, match=r"in\.jsonl:2: `thinking_format`: .*s2.*think_tags"):
        grade(tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_no_rows_still_make_columns(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    write_rows(tmp_path / "pool.jsonl", [{"question": "Something else entirely."}])
    grade(tmp_path / "none.jsonl", tmp_path / "verdicts.parquet")
    kept, hits = tmp_path / "kept.jsonl", tmp_path / "hits.parquet"
    decontaminate(tmp_path / "pool.jsonl", ("lab_numeric:5",), kept, hits, 8)
    assert columns_of(tmp_path / "verdicts.parquet") == VERDICTS
    assert columns_of(hits) == HITS


@pytest.mark.parametrize(
    ("out", "report", "error", "message"),
    [
        ("kept.jsonl", "kept.jsonl", ConfigError, "--out and --report"),
        ("kept.jsonl", "a/../kept.jsonl", ConfigError, "--out and --report"),
        ("kept.csv", "hits.jsonl", DataError, r"kept\.csv.*ending"),
        ("kept.jsonl", "hits.csv", DataError, r"hits\.csv.*ending"),
    ],
)
def test_decontaminate_refuses_before_it_writes(
    tmp_path: Path, out: str, report: str, error: type[ThinkscaleError], message: str
) -> None:
    (tmp_path / "a").mkdir()
    write_rows(tmp_path / "pool.jsonl", [{"question": QUESTION}])
    with pytest.raises(error, match=message):
        decontaminate(tmp_path / "pool.jsonl", ("lab_numeric:5",), tmp_path / out, tmp_path / report, 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "pool.jsonl"]


@pytest.mark.parametrize(
    ("rows", "size", "num_hits"),
    [
        ([{"question": QUESTION}, {"question": QUESTION}], "", 2),
        ([{"id": "t", "question": QUESTION}, {"id": "t", "question": "Another one."}], "", 1),
        ([{"question": "Another one."}, {"question": QUESTION}], ":1", 0),
        ([{"question": QUESTION, "level": float("nan")}], ":1", 1),
    ],
)
def test_a_reference_file_needs_no_ids(tmp_path: Path, rows: list[dict[str, JSON]], size: str, num_hits: int) -> None:
    write_rows(tmp_path / "pool.jsonl", [{"question": QUESTION}])
    write_rows(tmp_path / "test.jsonl", rows)
    hits = tmp_path / "hits.jsonl"
    decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl{size}",), tmp_path / "kept.jsonl", hits, 8)
    assert len(list(read_rows(hits))) == num_hits


@pytest.mark.parametrize(("size", "message"), [(":2", "asked for 2"), (":0", "at least 1")])
def test_a_size_that_a_reference_file_lacks_is_refused(tmp_path: Path, size: str, message: str) -> None:
    write_rows(tmp_path / "pool.jsonl", [{"question": QUESTION}])
    with pytest.raises(ThinkscaleError, match=message):
        decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/pool.jsonl{size}",), tmp_path / "kept.jsonl", None, 8)
    assert not (tmp_path / "kept.jsonl").exists()


@pytest.mark.parametrize("tracked", [True, False])
def test_the_commit_is_that_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracked: bool) -> None:
    package, other = tmp_path / "package", tmp_path / "other"
    for folder in (package, other):
        folder.mkdir()
        (folder / "__init__.py").write_text("1")
        (folder / "f").write_text("1")
        names = ["f", "__init__.py"] if tracked or folder == other else ["f"]
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        for command in (["init", "-q"], ["add", *names], [*author, "commit", "-q", "-m", folder.name]):
            subprocess.run(["git", *command], cwd=folder, check=True)
    monkeypatch.chdir(other)
    monkeypatch.setattr(provenance, "SOURCE", package)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, check=True).stdout
    (package / "f").write_text("2")
    expected = {"commit": head.strip(), "changed": True} if tracked else {"commit": "", "changed": False}
    assert provenance.collect_provenance([], 0, {})["git"] == expected


def test_decontaminate_says_what_overlaps_where_and_how_much(tmp_path: Path) -> None:
    near = QUESTION.replace("one hundred", "100")
    pool: list[dict[str, JSON]] = [
        {"id": "a", "problem": near, "answer": "22"},
        {"id": "b", "problem": "Another one."},
        {"id": "a", "problem": QUESTION.upper(), "level": 3},
    ]
    write_rows(tmp_path / "pool.jsonl", pool)
    write_rows(tmp_path / "test.jsonl", [{"id": "t1", "question": QUESTION, "answer": 22.0}])
    line = decontaminate(
        tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), tmp_path / "kept.jsonl", tmp_path / "hits.jsonl", 3
    )
    assert line == "3 rows: 1 kept, 2 dropped, 2 hits"
    assert [row.values for row in read_rows(tmp_path / "kept.jsonl")] == [pool[1]]
    words = "how many positive integers below one hundred are divisible by seven or eleven"
    common: dict[str, JSON] = {"id": "a", "against": f"{tmp_path}/test.jsonl", "against_id": "t1"}
    span = words.removeprefix("how many positive integers below one hundred ")
    assert [row.values for row in read_rows(tmp_path / "hits.jsonl")] == [
        {**common, "reason": "contained", "span": span, "share": 0.7},
        {**common, "reason": "whole_question", "span": words, "share": 1.0},
    ]


def test_decontaminate_by_s1_drops_for_one_shared_run(tmp_path: Path) -> None:
    frame = "How many positive integers below one hundred are"
    write_rows(tmp_path / "test.jsonl", [{"question": QUESTION}])
    write_rows(tmp_path / "pool.jsonl", [{"question": f"{frame} squares of {' '.join('abcdefghijklm')}?"}])
    for rule, num_hits in (("s1", 1), ("default", 0)):
        hits = tmp_path / f"{rule}.jsonl"
        out = tmp_path / "kept.jsonl"
        decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), out, hits, 8, rule)
        assert [row.values["reason"] for row in read_rows(hits)] == ["ngram_overlap"] * num_hits
    with pytest.raises(ConfigError, match=r"--rule s2.*default, s1"):
        decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), out, None, 8, "s2")


@pytest.mark.parametrize("column", ["solution", "response", "thinking"])
def test_decontaminate_finds_what_a_trace_quotes(tmp_path: Path, column: str) -> None:
    row: dict[str, JSON] = {"id": "r", "question": "Another one.", column: f"I remember this: {QUESTION} It was 22."}
    write_rows(tmp_path / "pool.jsonl", [row])
    write_rows(tmp_path / "test.jsonl", [{"question": QUESTION}])
    for traces, reasons in ((True, ["quoted_in_trace"]), (False, [])):
        hits = tmp_path / "hits.jsonl"
        arguments = (tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), tmp_path / "kept.jsonl", hits, 8, "default")
        decontaminate(*arguments, traces)
        assert [hit.values["reason"] for hit in read_rows(hits)] == reasons


@pytest.mark.parametrize(("answer", "num_hits"), [("B", 1), ("A", 0)])
def test_the_answer_to_a_choice_is_the_option_s_text(tmp_path: Path, answer: str, num_hits: int) -> None:
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    shared, item, other = (" ".join(part) for part in (words[:18], words[18:37], words[37:56]))
    choices: JSON = ["five", "seven"]
    rows: list[dict[str, JSON]] = [{"question": f"{shared} {other}", "choices": choices, "answer": answer}]
    write_rows(tmp_path / "pool.jsonl", rows)
    write_rows(tmp_path / "test.jsonl", [{"question": f"{shared} {item}", "answer": "Seven."}])
    hits = tmp_path / "hits.jsonl"
    decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), tmp_path / "kept.jsonl", hits, 8)
    assert [hit.values["reason"] for hit in read_rows(hits)] == ["answer_aware"] * num_hits


def test_the_parts_in_which_a_pool_is_read_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [QUESTION, "Another one.", QUESTION.lower(), "What is $2+3$?", f"So: {QUESTION}"] * 3
    write_rows(tmp_path / "pool.jsonl", [{"id": str(place), "question": text} for place, text in enumerate(texts)])
    write_rows(tmp_path / "test.jsonl", [{"question": QUESTION}, {"question": "What is 2 + 3?"}])
    found = []
    for size in (1, 4, 20_000):
        monkeypatch.setattr("thinkscale.commands.decontaminate.ROWS_AT_ONCE", size)
        hits = tmp_path / "hits.jsonl"
        decontaminate(tmp_path / "pool.jsonl", (f"{tmp_path}/test.jsonl",), tmp_path / "kept.jsonl", hits, 8)
        found.append(((tmp_path / "kept.jsonl").read_bytes(), hits.read_bytes()))
    assert found[0] == found[1] == found[2]
    assert len(list(read_rows(tmp_path / "kept.jsonl"))) == 3


def test_models_are_listed() -> None:
    assert {"lab", "FOLDER", "OWNER/NAME"} <= set(catalogue("models"))


def test_doctor_knows_engines() -> None:
    rows = {row["what"]: row for row in doctor()}
    assert str(rows["engines"]["found"]).startswith("scripted")


@pytest.mark.parametrize("kind", [Kind.BUBBLEWRAP, Kind.NAMESPACES])
def test_doctor_says_which_isolation_is_in_use(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.setattr(doctor_module, "find_isolation", lambda: Isolation(kind=kind))
    (row,) = [row for row in doctor() if row["what"] == "sandbox"]
    assert row["ok"]
    assert str(row["found"]).startswith(kind)
    assert ("apt install bubblewrap" in str(row["found"])) is (kind is Kind.NAMESPACES)


def test_doctor_says_why_no_model_program_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Isolation:
        raise SandboxError("user namespaces are forbidden")

    monkeypatch.setattr(doctor_module, "find_isolation", none)
    (row,) = [row for row in doctor() if row["what"] == "sandbox"]
    assert not row["ok"]
    assert "user namespaces are forbidden" in str(row["do"])
