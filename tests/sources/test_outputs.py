"""Result files of others: told by content, streamed, with reference and recorded verdict by rule."""

import json
import random
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.sources.files import SourceRow, write_rows
from thinkscale.sources.outputs import Shape, read_outputs, recognise
from thinkscale.sources.outputs.entries import entries
from thinkscale.sources.outputs.questions import stated_problem
from thinkscale.store.tables import write_table


def write(path: Path, value: object, indent: int | None = 4) -> Path:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False), encoding="utf-8")
    return path


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def values(path: Path, problems: Path | None = None) -> list[dict[str, JSON]]:
    return [dict(row.values) for row in read_outputs(path, problems)]


MATH_ENTRY = {
    "problem": "What is 1+1?",
    "answer": "2",
    "unique_id": "test/1",
    "_index": "0",
    "prompt": "Return your final response within \\boxed{}. What is 1+1?",
    "input_conversation": [{"role": "system", "content": "s"}, {"role": "user", "content": "asked"}],
    "responses": [
        {"content": "It is \\boxed{2}.", "correctness": True, "reason": ""},
        {"content": "It is \\boxed{3}.", "correctness": False, "reason": "Solution is incorrect."},
        {"content": "unchecked", "correctness": None, "reason": None},
    ],
    "token_usages": [{"completion_tokens": 5, "prompt_tokens": 9}] * 3,
}


def test_skythought_results_become_a_row_for_each_response(tmp_path: Path) -> None:
    path = write(
        tmp_path / "any name.json", {"0": MATH_ENTRY, "1": {**MATH_ENTRY, "responses": MATH_ENTRY["responses"][:1]}}
    )
    assert recognise(path) is Shape.SKYTHOUGHT
    first, second, third, single = read_outputs(path)
    assert first.values == {
        "id": "0/0",
        "question": "What is 1+1?",
        "kind": "math",
        "reference": "2",
        "choices": [],
        "tests": None,
        "response": "It is \\boxed{2}.",
        "recorded": "correct",
        "recorded_by": {"skythought": "correct"},
    }
    assert (second.values["id"], second.values["recorded"]) == ("0/1", "wrong")
    assert (third.values["recorded"], third.values["recorded_by"]) == (None, {})
    assert (single.values["id"], single.place) == ("1", f"{path}, entry 2")


def test_the_older_shape_is_keyed_by_problem_and_temperature(tmp_path: Path) -> None:
    question = "A long question? " * 20
    entry = {
        "problem": question,
        "solution": "Thus \\boxed{\\frac{1}{2}}.",
        "messages": "",
        "responses": {
            "0.7": {"content": "raw", "processed_content": "converted", "correctness": True, "reason": ""},
            "1.0": [{"content": "a", "correctness": None, "reason": None}, {"content": "b"}],
        },
    }
    rows = values(write(tmp_path / "old.json", {question: entry}, indent=None))
    assert [(row["id"], row["response"], row["recorded"]) for row in rows] == [
        ("0/0.7", "converted", "correct"),
        ("0/1.0/0", "a", None),
        ("0/1.0/1", "b", None),
    ]
    assert {row["reference"] for row in rows} == {"\\frac{1}{2}"}
    assert {row["question"] for row in rows} == {question}


GPQA = {
    "Question": "Which?",
    "Correct Answer": "10^-4 eV",
    "Incorrect Answer 1": "10^-9 eV",
    "Incorrect Answer 2": "10^-8 eV",
    "Incorrect Answer 3": "10^-11 eV",
}
SHOWN = "Return the letter. Which?\nA) 10^-9 eV, B) 10^-11 eV, C) 10^-4 eV, D) 10^-8 eV"


@pytest.mark.parametrize(
    ("columns", "prompt", "kind", "reference", "choices"),
    [
        ({"question": "q", "answer": "5 + 5 = <<5+5=10>>10\n#### 1,010"}, "", "math", "1,010", []),
        ({"question": "q", "final_answer": ["2", "-2"]}, "", "math", "2, -2", []),
        ({"question": "q", "final_answer": ["$x$"]}, "", "math", "$x$", []),
        ({"problem": "q", "answer": 27.0}, "", "math", "27.0", []),
        ({"Problem": "q", "Answer": 3}, "", "math", "3", []),
        ({"problem": "q", "expected_answer": "7", "solution": "\\boxed{8}"}, "", "math", "7", []),
        ({"problem": "q", "solution": "This follows from the lemma, as was to be shown."}, "", "math", None, []),
        ({"problem": "q", "answer": ""}, "", "math", None, []),
        ({"question": "q", "choices": ["(A) x", "(B) y"], "answer": 1}, "", "choice", "B", ["x", "y"]),
        ({"question": "q", "choices": ["(A) x", "y"], "answer": 0}, "", "choice", "A", ["(A) x", "y"]),
        ({"question": "q", "options": ["x", "y", "z"], "answer": "C"}, "", "choice", "C", ["x", "y", "z"]),
        ({"question": "q", "options": ["x", "y", "z"], "answer_index": 2}, "", "choice", "C", ["x", "y", "z"]),
        ({"question": "q", "options": ["x", "y", "z"], "answer": "y"}, "", "choice", "B", ["x", "y", "z"]),
        ({"question": "q", "choices": ["x", "y"], "answer": 2}, "", "choice", None, ["x", "y"]),
        (
            {"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
            "", "choice", "B", ["x", "y"],
        ),
        ({**GPQA, "Answer": "C"}, SHOWN, "choice", "C", ["10^-9 eV", "10^-11 eV", "10^-4 eV", "10^-8 eV"]),
        (GPQA, SHOWN, "choice", "C", ["10^-9 eV", "10^-11 eV", "10^-4 eV", "10^-8 eV"]),
        (GPQA, "a prompt that shows no options", "choice", None, []),
        ({**GPQA, "choice1": "x", "choice2": "y", "answer": "(B)", "target": "(B)"}, "", "choice", "B", ["x", "y"]),
        ({"Question": "q", "choice1": "x", "choice2": "y", "answer": "(B)"}, "", "choice", "B", ["x", "y"]),
        ({"Question": "q", "choice1": "x", "choice2": "y", "target": "(B)"}, "", "choice", "B", ["x", "y"]),
        ({"kind": "code", "tests": '{"inputs": ["1"], "outputs": ["1"]}', "answer": "5"}, "", "code", None, []),
    ],
)  # fmt: skip
def test_reference_and_options_follow_from_the_columns(
    columns: dict[str, JSON], prompt: str, kind: str, reference: str | None, choices: list[str]
) -> None:
    found = stated_problem(columns, prompt)
    assert (found["kind"], found["reference"], found["choices"]) == (kind, reference, choices)


def test_an_entry_without_responses_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", {"0": MATH_ENTRY, "1": {"problem": "q"}})
    with pytest.raises(DataError, match=r"r\.json, entry 2 \('1'\): there are no `responses`"):
        values(path)


def test_a_response_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", {"0": {"problem": "q", "responses": [{"content": None}]}})
    with pytest.raises(DataError, match=r"entry 1, response 0: `content` must be the whole response"):
        values(path)


def test_code_problems_bring_their_tests(tmp_path: Path) -> None:
    replies = [{"content": "```python\nprint(2)\n```", "correctness": True}]
    case = {"input": "1\n", "output": "2\n", "testtype": "stdin"}
    live: dict[str, object] = {
        "test": [case, case],
        "entry_point": "",
        "canonical_solution": "",
        "task_id": "1873_A",
        "is_stdin": True,
        "public_test_cases": json.dumps([case]),
        "prompt": "Generate an executable ...",
    }
    rows: dict[str, dict[str, object]] = {
        "0": {"question": "q", "input_output": '{"inputs": ["1"], "outputs": ["2"]}', "starter_code": ""},
        "1": live,
        "2": {"question": "q", "public_test_cases": "[]", "private_test_cases": "neither JSON nor packed"},
    }
    apps, stdin, broken = values(
        write(tmp_path / "r.json", {key: {**row, "responses": replies} for key, row in rows.items()})
    )
    assert {row["kind"] for row in (apps, stdin, broken)} == {"code"}
    assert {row["reference"] for row in (apps, stdin, broken)} == {None}
    assert json.loads(str(apps["tests"])) == {"inputs": ["1"], "outputs": ["2"]}
    found = json.loads(str(stdin["tests"]))
    assert (found["public_test_cases"], found["private_test_cases"]) == ([case], [case, case])
    assert broken["tests"] is None


def sample(doc_id: int, filter_name: str, score: float, **others: Any) -> dict[str, Any]:  # noqa: ANN401 (raw JSON)
    return {
        "doc_id": doc_id,
        "doc": {"question": f"q{doc_id}", "answer": f"so\n#### {doc_id}"},
        "target": f"so\n#### {doc_id}",
        "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {"until": ["Q:"]}}},
        "resps": [[f"thus #### {doc_id}"]],
        "filtered_resps": [str(doc_id)],
        "filter": filter_name,
        "metrics": ["exact_match"],
        "exact_match": score,
        "doc_hash": "x",
        **others,
    }


def test_lm_eval_samples_of_one_filter(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [sample(number, "none", number % 2) for number in range(3)])
    assert recognise(path) is Shape.LM_EVAL
    rows = values(path)
    assert [row["recorded"] for row in rows] == ["wrong", "correct", "wrong"]
    assert rows[1] == {
        "id": "1",
        "question": "q1",
        "kind": "math",
        "reference": "1",
        "choices": [],
        "tests": None,
        "response": "thus #### 1",
        "recorded": "correct",
        "recorded_by": {"exact_match,none": "correct"},
    }


def test_several_filters_are_one_response_with_several_recorded_verdicts(tmp_path: Path) -> None:
    strict = [sample(number, "strict-match", 0.0) for number in range(3)]
    flexible = [sample(number, "flexible-extract", 1.0) for number in range(3)]
    for name, rows in (
        ("after.jsonl", strict + flexible),
        ("mixed.jsonl", [row for pair in zip(strict, flexible, strict=True) for row in pair]),
    ):
        found = values(write_lines(tmp_path / name, rows))
        assert [row["id"] for row in found] == ["0", "1", "2"]
        assert {row["recorded"] for row in found} == {"wrong"}
        assert found[0]["recorded_by"] == {
            "exact_match,strict-match": "wrong",
            "exact_match,flexible-extract": "correct",
        }


def test_filters_that_cannot_be_laid_together_are_an_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [sample(0, "a", 0), sample(1, "a", 0), sample(0, "b", 0)])
    with pytest.raises(DataError, match="the filters a, b do not list the same documents"):
        values(path)


def test_code_samples_bring_their_tests(tmp_path: Path) -> None:
    doc = {"task_id": "HumanEval/0", "prompt": "def f():\n", "entry_point": "f", "test": "def check(f): pass"}
    path = write_lines(tmp_path / "s.jsonl", [sample(0, "none", 1.0, doc=doc, target="def check(f): pass\ncheck(f)")])
    (row,) = values(path)
    assert (row["kind"], row["reference"], row["question"]) == ("code", None, "prompt")
    assert json.loads(str(row["tests"])) == {key: doc[key] for key in ("prompt", "entry_point", "test")}


def test_repeats_are_rows_without_a_recorded_verdict(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [sample(5, "none", 1.0, resps=[["a", "b", "c"]])])
    assert [(row["id"], row["response"], row["recorded"]) for row in values(path)] == [
        ("5/0", "a", None),
        ("5/1", "b", None),
        ("5/2", "c", None),
    ]


def test_an_array_of_samples_and_metrics_beside_them_are_read(tmp_path: Path) -> None:
    row = sample(0, "none", 1.0)
    del row["metrics"], row["filter"]
    path = write(tmp_path / "s.jsonl", [{**row, "bleu": 0.4}, sample(1, "", 0.0)], indent=2)
    assert recognise(path) is Shape.LM_EVAL
    first, second = values(path)
    assert first["recorded_by"] == {"exact_match,none": "correct"}
    assert second["recorded"] == "wrong"


def test_log_likelihoods_and_filtered_answers_alone_are_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [sample(0, "none", 1, resps=[[["-1.5", "False"]], [["-2.0", "False"]]])])
    with pytest.raises(DataError, match=r"s\.jsonl:1: `resps` holds log-likelihoods"):
        values(path)
    row = sample(0, "none", 1)
    del row["resps"]
    with pytest.raises(DataError, match="filtered answers alone"):
        values(write_lines(tmp_path / "s.jsonl", [row]))


PROBLEMS = [
    Problem(id="p1", source="s", question="1+1?", reference="2", extra={"a": 1}),
    Problem(id="p2", source="s", question="Which?", reference="B", kind=Kind.CHOICE, choices=("x", "y")),
]


def response(key: str, problem_id: str, thinking: str, answer: str, finish: Finish = Finish.END) -> Response:
    return Response(
        key=key,
        role=Role.EVALUATION,
        problem_id=problem_id,
        model="m",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=1,
        answer_tokens=1,
        finish=finish,
        sampling=Sampling(max_tokens=9),
    )


def run_folder(folder: Path) -> Path:
    write_table(folder / "problems.parquet", Problem, PROBLEMS)
    responses = [
        response("k1", "p2", "hm", "B"),
        response("k2", "p1", "so", "2"),
        response("k3", "p1", "on and on", "", Finish.LENGTH),
        response("k4", "p1", "", "two"),
    ]
    write_table(folder / "responses.parquet", Response, responses)
    return folder


def test_a_run_directory_is_joined_by_problem(tmp_path: Path) -> None:
    assert recognise(run_folder(tmp_path)) is Shape.RUN
    rows = values(tmp_path)
    assert [(row["id"], row["question"], row["reference"]) for row in rows] == [
        ("k1", "Which?", "B"),
        ("k2", "1+1?", "2"),
        ("k3", "1+1?", "2"),
        ("k4", "1+1?", "2"),
    ]
    assert (rows[0]["kind"], rows[0]["choices"]) == ("choice", ["x", "y"])
    assert [row["response"] for row in rows] == [
        "<think>\nhm\n</think>\n\nB",
        "<think>\nso\n</think>\n\n2",
        "<think>\non and on",
        "two",
    ]
    assert {row["thinking_format"] for row in rows} == {"think_tags"}
    assert [row["finish"] for row in rows] == ["end", "end", "length", "end"]
    assert {row["recorded"] for row in rows} == {None}


def test_the_grades_of_a_run_are_its_recorded_verdicts(tmp_path: Path) -> None:
    run_folder(tmp_path)
    grades = [
        Grade(response_key="k1", problem_id="p2", grader="rules", verdict=Verdict.CORRECT),
        Grade(response_key="k1", problem_id="p2", grader="judge", verdict=Verdict.WRONG),
        Grade(response_key="k3", problem_id="p1", grader="rules", verdict=Verdict.CUT_OFF),
    ]
    write_table(tmp_path / "grades.parquet", Grade, grades)
    rows = values(tmp_path)
    assert [row["recorded"] for row in rows] == ["correct", None, "cut_off", None]
    assert rows[0]["recorded_by"] == {"rules": "correct", "judge": "wrong"}


def test_a_table_of_responses_finds_its_problems_beside_it_or_where_told(tmp_path: Path) -> None:
    run_folder(tmp_path)
    path = tmp_path / "responses.parquet"
    assert recognise(path) is Shape.RESPONSES
    assert [row["reference"] for row in values(path)] == ["B", "2", "2", "2"]
    elsewhere = tmp_path / "moved.parquet"
    (tmp_path / "problems.parquet").rename(elsewhere)
    with pytest.raises(DataError, match="say with --problems"):
        values(path)
    assert [row["reference"] for row in values(path, elsewhere)] == ["B", "2", "2", "2"]


def test_foreign_responses_are_joined_with_foreign_problems(tmp_path: Path) -> None:
    problems = write_lines(tmp_path / "mine.jsonl", [{"id": 7, "problem": "q", "answer": "4"}])
    rows: list[dict[str, JSON]] = [
        {"problem_id": "7", "response": "4", "sample": 3},
        {"problem_id": "mine/7", "id": "x", "response": "5"},
    ]
    path = write_lines(tmp_path / "r.jsonl", rows)
    assert recognise(path) is Shape.RESPONSES
    found = values(path, problems)
    assert [(row["id"], row["response"], row["reference"], row["question"]) for row in found] == [
        ("7", "4", "4", "q"),
        ("x", "5", "4", "q"),
    ]


def test_an_unknown_problem_and_a_doubled_id_are_errors(tmp_path: Path) -> None:
    problems = write_lines(tmp_path / "p.jsonl", [{"id": "7", "problem": "q", "answer": "4"}])
    path = write_lines(tmp_path / "r.jsonl", [{"problem_id": "8", "response": "4"}])
    with pytest.raises(DataError, match=r"r\.jsonl:1: its problem '8' is not in .*p\.jsonl"):
        values(path, problems)
    write_lines(problems, [{"id": "7", "problem": "q"}, {"id": "7", "problem": "r"}])
    with pytest.raises(DataError, match=r"p\.jsonl:2: there are two problems with the id '7'"):
        values(path, problems)


def test_our_own_rows_come_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"reference": "3", "response": "3", "kind": "math", "more": {"responses": []}},
        {"response": "x"},
    ]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    assert recognise(path) is Shape.ROWS
    assert list(read_outputs(path)) == [SourceRow(f"{path}:1", rows[0]), SourceRow(f"{path}:2", rows[1])]
    parquet = tmp_path / "rows.parquet"
    write_rows(parquet, [{"reference": "3", "response": "3"}])
    assert recognise(parquet) is Shape.ROWS
    assert recognise(write_lines(tmp_path / "empty.jsonl", [])) is Shape.ROWS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.jsonl",
            '{"question": "q", "gold": "5"}\n',
            "there is no `response`, and no known shape: it has question, gold",
        ),
        ("a.json", '{\n "config": {"model": "m"},\n "results": {}\n}', "no known shape"),
        ("a.json", "[1, 2]", "no samples of lm-eval"),
        ("a.jsonl", "not JSON", "broken JSON"),
        ("a.txt", "x", "the ending '.txt'"),
    ],
)
def test_what_is_not_recognised_says_what_would_be(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=name) as caught:
        values(path)
    assert message in str(caught.value)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        recognise(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="a folder without the tables of a run"):
        recognise(tmp_path)


def random_value(source: random.Random, depth: int) -> Any:  # noqa: ANN401 (any JSON)
    texts = ["", "plain", 'with "quotes" and \\ and \n', "é世界😀", "{[,:]}", "\ud800"]
    leaves: list[Any] = [*texts, 0, -12, 3.25, 1e300, True, False, None, 12345678901234567890]
    kind = source.randrange(4) if depth else 3
    if kind == 0:
        return [random_value(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 1:
        return {
            f"{source.choice(texts)}{number}": random_value(source, depth - 1) for number in range(source.randrange(4))
        }
    return source.choice(leaves)


@pytest.mark.parametrize("piece", [1, 3, 7, 64, 1 << 18])
def test_entries_are_those_of_the_whole_json_at_any_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("thinkscale.sources.outputs.entries.READ_CHARACTERS", piece)
    source = random.Random(piece)
    path = tmp_path / "x.json"
    for trial in range(60):
        value = {f"k{number}": random_value(source, 3) for number in range(source.randrange(5))}
        text = json.dumps(value, indent=source.choice([None, 1]), ensure_ascii=True)
        path.write_text(f" \n{text}\n ", encoding="utf-8")
        assert dict(entries(path)) == value, trial
        listed = list(value.values())
        path.write_text(json.dumps(listed), encoding="utf-8")
        assert [item for _, item in entries(path)] == listed, trial


@pytest.mark.parametrize(
    "text",
    ["", "5", '{"a": 1', '{"a": 1 "b": 2}', '{"a" 1}', '{"a": }', "{1: 2}", '{"a": "open', '{"a": tru}', '{"a": 1}}',
     '{"a": 1},', '["a" "b"]', "[1, 2", "[" * 100_000, '{"a": ' + "1" * 5000 + "}", '{"a": "\\x"}'],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 1 << 18])
def test_broken_json_is_a_data_error_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, piece: int
) -> None:
    monkeypatch.setattr("thinkscale.sources.outputs.entries.READ_CHARACTERS", max(piece, len(text) // 100))
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.json: broken JSON at character [\d,]+: "):
        list(entries(path))


def test_a_large_file_is_read_in_the_memory_of_an_entry(tmp_path: Path) -> None:
    long = "x" * (1 << 18)
    path = tmp_path / "large.json"
    with path.open("w", encoding="utf-8") as file:
        file.write("{")
        for number in range(100):
            entry = {"problem": "q", "answer": "2", "responses": [{"content": long, "correctness": True}]}
            file.write(("," if number else "") + f'\n"{number}": ' + json.dumps(entry))
        file.write("}")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_outputs(path)) == 100
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
