"""Problems as columns: what parse_problem says row by row, on real files and on every odd row that we can think of."""

import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from thinkscale.curation.measures import ASKED
from thinkscale.errors import DataError
from thinkscale.records import Kind, Problem, problem_id, to_row
from thinkscale.sources import blocks
from thinkscale.sources.columns import columns_of, columns_of_files, derived_id, problem_in
from thinkscale.sources.files import read_rows, write_rows

NUMINA = {"numina_cot_2k": {"question": "instruction", "solution": "response"}}
PLAIN = '{"id": "p%d", "problem": "How many primes are below %d?", "answer": "%d", "solution": "Count."}'


def one_by_one(path: Path, columns: Mapping[str, str]) -> Iterator[Problem]:
    for row in read_rows(path):
        yield problem_in(row.values, row.place, path.name.split(".")[0], columns)


def outcome(frames: Iterator[pl.DataFrame]) -> tuple[list[dict[str, object]], str]:
    """The rows before an error, and its text."""
    found: list[dict[str, object]] = []
    try:
        for frame in frames:
            found += frame.to_dicts()
    except DataError as error:
        return found, str(error)
    return found, ""


def expected(path: Path, columns: Mapping[str, str]) -> str:
    """The text of the first error, row by row."""
    try:
        list(one_by_one(path, columns))
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "name", ["math_train", "deepscaler_difficulty", "dapo_math_17k", "gsm8k_train", "aime_1983_2023", "numina_cot_2k"]
)
def test_real_files_give_what_their_rows_give(data_folder: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.jsonl"
    with gzip.open(data_folder / "pool" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        path.write_text("".join(islice(lines, 6_000)), encoding="utf-8")
    found = pl.concat(columns_of_files([path], NUMINA))
    assert found.equals(pl.concat(columns_of(one_by_one(path, NUMINA.get(name, {})))))
    assert found.height > 900


ODD = {
    "another column for the question": '{"question": "What is 1 + 1?", "problem": null, "answer": 2}',
    "two columns for the id": '{"id": null, "unique_id": "u", "problem": "What is 1 + 1?", "answer": 2}',
    "a number as id": '{"id": 7, "problem": "What is 1 + 1?", "answer": "2"}',
    "an empty id": '{"id": "", "problem": "What is 1 + 1?", "answer": "2"}',
    "no id and signs": '{"problem": "\\"What\\"\\n is \\u2028 1 \\u00e9 \\\\ \\u007f?", "answer": "2"}',
    "an id that is a list": '{"id": ["a", 1], "problem": "What is 1 + 1?", "answer": "2"}',
    "options": '{"id": "o", "problem": "Which?", "choices": ["a", "b"], "answer": "A"}',
    "no options": '{"id": "o", "problem": "Which?", "choices": [], "answer": "A"}',
    "options that are none": '{"id": "o", "problem": "Which?", "choices": null, "answer": "A"}',
    "a kind": '{"id": "k", "problem": "Why?", "kind": "open", "answer": null}',
    "an empty kind": '{"id": "k", "problem": "Why?", "kind": "", "answer": "x"}',
    "tests": '{"id": "t", "problem": "Write it.", "tests": "assert f(1) == 1"}',
    "a number as answer": '{"id": "n", "problem": "What is 1 / 2?", "answer": 0.5}',
    "true as answer": '{"id": "n", "problem": "Is it?", "answer": true}',
    "an empty answer": '{"id": "n", "problem": "What is 1 / 2?", "answer": ""}',
    "a worked answer": '{"id": "g", "problem": "What is 1 / 2?", "answer": "Half.\\n#### 1,234"}',
    "hashes within": '{"id": "g", "problem": "What is 1 / 2?", "answer": "a #### b\\nc"}',
    "a worked answer of another kind": '{"id": "g", "problem": "Why?", "kind": "open", "answer": "So.\\n#### 12"}',
    "a source": '{"id": "s", "problem": "What is 1 / 2?", "source": "elsewhere", "answer": "x"}',
    "an empty source": '{"id": "s", "problem": "What is 1 / 2?", "source": null, "answer": "x"}',
    "what the source says": '{"id": "w", "problem": "Why?", "domain": " Number theory ", "subject": " Physics", '
    '"rating": "4.5"}',
    "what it says otherwise": '{"id": "w", "problem": "Why?", "domain": 11, "subject": 5, "rating": true}',
    "a level": '{"id": "l", "problem": "Why?", "level": "Level 5", "answer": "1"}',
    "an object beside": '{"id": "b", "problem": "Why?", "meta": {"a": [1, 2.5, null]}, "answer": "1"}',
    "a key that is no ASCII": '{"id": "b", "problem": "Why?", "größe": 3, "answer": "1"}',
    "a key twice": '{"id": "b", "problem": "Why?", "problem": "How?", "answer": "1"}',
    "extra of our own": '{"id": "e", "source": "s", "question": "Why?", "extra": {"rating": 3, "subject": "law"}}',
    "spaces around": ' {"id": "x", "problem": "Why?", "answer": "1"} ',
    "a very long number beside": '{"id": "x", "problem": "Why?", "n": 123456789012345678901234567890}',
}
REFUSED = {
    "no question": '{"id": "q", "answer": "2"}',
    "an empty question": '{"id": "q", "problem": " \\t", "answer": "2"}',
    "a question that is a number": '{"id": "q", "problem": 5, "answer": "2"}',
    "an unknown kind": '{"id": "k", "problem": "Why?", "kind": "essay"}',
    "an answer that is a list": '{"id": "a", "problem": "Why?", "answer": ["1"]}',
    "options that are numbers": '{"id": "a", "problem": "Why?", "choices": [1, 2]}',
    "a lone surrogate": '{"id": "u", "problem": "Why \\ud800?", "answer": "1"}',
    "a lone surrogate beside": '{"id": "u", "problem": "Why?", "note": "\\udfff", "answer": "1"}',
    "a lone surrogate deep within": '{"id": "u", "problem": "Why?", "note": {"a": ["\\udfff"]}, "answer": "1"}',
    "not a number": '{"id": "u", "problem": "Why?", "answer": NaN}',
    "infinity beside": '{"id": "u", "problem": "Why?", "weight": 1e999}',
    "too many digits": '{"id": "u", "problem": "Why?", "n": ' + "1" * 5_000 + "}",
    "too deep": '{"id": "u", "problem": "Why?", "n": ' + "[" * 600 + "]" * 600 + "}",
    "two objects": '{"id": "u", "problem": "Why?"} {"id": "v", "problem": "Why?"}',
    "no object": "[1, 2]",
    "no JSON": '{"id": "u", "problem": "Why?",}',
    "cut": '{"id": "u", "problem": "Wh',
}


@pytest.mark.parametrize("line", [*ODD.values(), *REFUSED.values()], ids=[*ODD, *REFUSED])
@pytest.mark.parametrize("alone", [True, False])
def test_an_odd_row_comes_to_what_parse_problem_makes_of_it(tmp_path: Path, line: str, alone: bool) -> None:
    path = tmp_path / "pool.jsonl"
    before, after = ([PLAIN % (number, number, number) for number in some] for some in (range(3), range(3, 5)))
    path.write_text("\n".join([line] if alone else [*before, "", line, *after]) + "\n", encoding="utf-8")
    found, error = outcome(columns_of_files([path]))
    assert error == expected(path, {})
    assert bool(error) == (line in REFUSED.values())
    if not error:
        assert found == pl.concat(columns_of(one_by_one(path, {}))).to_dicts()


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_of_two_bad_rows_the_first_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join([PLAIN % (1, 1, 1), REFUSED["no question"], line]) + "\n", encoding="utf-8")
    _, error = outcome(columns_of_files([path]))
    assert error.startswith(f"{path}:2: `question` must be a text")


OWN = Problem(
    id="a", source="s", question="Why é?", reference="1", kind=Kind.OPEN, choices=("x", "y"), tests="t", level=3,
    extra={"domain": "11", "subject": " law ", "rating": 7},
)  # fmt: skip


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_our_own_tables_are_read_as_they_are(tmp_path: Path, ending: str) -> None:
    bare = Problem(id="b", source="s", question="")
    path = tmp_path / f"problems{ending}"
    rows = [to_row(OWN), to_row(bare)]
    if ending == ".parquet":
        rows = [{**row, "extra": json.dumps(row["extra"])} for row in rows]
    write_rows(path, rows)
    found = pl.concat(columns_of_files([path]))
    assert found.columns == list(ASKED)
    assert found.rows() == [
        ("a", "s", "open", "Why é?", "1", "t", "11", "law", 7.0),
        ("b", "s", "math", "", None, None, "", "", None),
    ]
    assert found.equals(pl.concat(columns_of([OWN, bare])))


def test_a_row_of_ours_with_a_wrong_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_rows(path, [to_row(OWN), {**to_row(OWN), "kind": "essay"}])
    with pytest.raises(DataError, match=r"problems\.jsonl:2: the row is no Problem as a run has them"):
        list(columns_of_files([path]))
    write_rows(path, [{**to_row(OWN), "question": "Why \ud800?"}])
    with pytest.raises(DataError, match=r"problems\.jsonl:1: .* cannot be stored"):
        list(columns_of_files([path]))


@pytest.mark.parametrize("question", ["", "x", 'a "b" \\ \n\t\x00\x7f', "é\u2028\ud7ff\uffff\U0001f600", "/</script>"])
def test_derived_ids_are_those_of_the_records(question: str) -> None:
    assert derived_id("set", question) == problem_id("set", question)


def test_rows_at_are_those_of_a_whole_reading(tmp_path: Path) -> None:
    lines, table, plain = tmp_path / "a.jsonl", tmp_path / "b.parquet", tmp_path / "c.jsonl"
    lines.write_text('{"n": 0}\n\n{"n": 1}\n \t\n{"n": 2}')
    write_rows(table, [{"n": 3}, {"n": 4}])
    plain.write_text('{"n": 5}\nnot read\n{"n": 7}\n')
    found = list(blocks.rows_at([lines, table, plain], {1, 2, 3, 5, 7}))
    assert found == [(number, {"n": number}) for number in (1, 2, 3, 5, 7)]
    with pytest.raises(DataError, match=r"c\.jsonl:2: broken JSON"):
        list(blocks.rows_at([plain], {1}))


def test_blocks_name_the_lines_of_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_CHARACTERS", 20)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(5)) + "\n" + '{"n": 5}\n{"n": 6}\n')
    found = [
        (row["n"], block.place(place)) for block in blocks.read_blocks(path) for place, row in enumerate(block.rows)
    ]
    assert found == [(number, f"{path}:{number + 1 + (number > 4)}") for number in range(7)]
