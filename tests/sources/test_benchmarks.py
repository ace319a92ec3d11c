"""Benchmarks by reference: subsets, local copies, the Hub, and catalogues of one's own."""

import json
from pathlib import Path

import pytest

from tests.sources.fake_hub import FIRST, FakeHub
from thinkscale.errors import ConfigError, DataError
from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import Suite
from thinkscale.grading.verdicts import judge_by_rules
from thinkscale.keys import JSON
from thinkscale.records import Finish, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.sources.benchmark_catalogue import (
    GRADED_BY,
    check_entries,
    describe_benchmarks,
    read_catalogue,
    shipped_benchmarks,
)
from thinkscale.sources.benchmarks import (
    EVERY,
    Shelf,
    asked_json,
    benchmark_json,
    expected_size,
    load_benchmark,
    parse_reference,
)
from thinkscale.sources.files import write_rows
from thinkscale.sources.hub import is_commit
from thinkscale.sources.specimens import specimens
from thinkscale.thinking.prompts import PLAIN, PromptTemplate

NAMED = (
    "math500", "aime24", "aime25", "gpqa_diamond", "amc23", "olympiadbench", "minerva", "gsm8k", "mmlu", "mmlu_pro",
    "apps", "taco", "livecodebench", "humaneval", "mbpp",
)  # fmt: skip


def write_set(folder: Path, name: str, count: int = 6) -> Path:
    """A local copy of a set: its specimens."""
    path = folder / f"{name}.jsonl"
    write_rows(path, specimens(name, shipped_benchmarks()[name], count))
    return path


def local(folder: Path) -> Shelf:
    return Shelf(local={EVERY: folder})


def test_the_catalogue_has_the_sets_of_the_field_at_pinned_commits() -> None:
    found = shipped_benchmarks()
    assert set(NAMED) == {name for name, entry in found.items() if not entry.lab}
    for name in NAMED:
        assert found[name].revision is not None
        assert is_commit(str(found[name].revision)), name
        assert found[name].size, name
        assert GRADED_BY[found[name].kind]
    check_entries(found)
    assert [found[name].size for name in ("math500", "aime24", "gpqa_diamond", "gsm8k", "humaneval")] == [
        500, 30, 198, 1319, 164,
    ]  # fmt: skip


def test_the_list_says_size_kind_grader_template_and_place() -> None:
    lines = describe_benchmarks()
    assert "198 choice, judged by the letter" in lines["gpqa_diamond"]
    assert f"asked plain {PLAIN.key[:8]}; Idavidrein/gpqa at 633f5ee; cc-by-4.0, gated" in lines["gpqa_diamond"]
    assert "tests in the sandbox" in lines["livecodebench"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("math500", ("math500", False, None, False, None)),
        ("math500:100", ("math500", False, 100, False, None)),
        ("math500~100", ("math500", False, 100, True, None)),
        ("math500~100@7", ("math500", False, 100, True, 7)),
        ("mmlu+shuffled~5", ("mmlu", True, 5, True, None)),
        ("~/sets/mine.jsonl:3", ("~/sets/mine.jsonl", False, 3, False, None)),
        ("a:b.jsonl", ("a:b.jsonl", False, None, False, None)),
    ],
)
def test_a_reference_says_what_is_wanted(reference: str, expected: tuple[object, ...]) -> None:
    name, is_shuffled, subset = parse_reference(reference)
    assert (name, is_shuffled, subset.size, subset.is_drawn, subset.seed) == expected


@pytest.mark.parametrize("reference", ["", "math500:0", "math500~0"])
def test_a_reference_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError):
        parse_reference(reference)


def test_first_problems_and_drawn_ones(tmp_path: Path) -> None:
    write_set(tmp_path, "math500", 40)
    whole = load_benchmark("math500", 42, Path(), local(tmp_path)).problems
    assert load_benchmark("math500:7", 42, Path(), local(tmp_path)).problems == whole[:7]
    twenty = load_benchmark("math500~20", 42, Path(), local(tmp_path)).problems
    ten = load_benchmark("math500~10", 42, Path(), local(tmp_path)).problems
    assert [item for item in twenty if item in ten] == list(ten)  # nested, and both in the set's order
    assert [item for item in whole if item in twenty] == list(twenty)
    assert twenty != whole[:20]
    assert load_benchmark("math500~10@42", 1, Path(), local(tmp_path)).problems == ten
    assert load_benchmark("math500~10", 43, Path(), local(tmp_path)).problems != ten


def test_a_stated_seed_pins_the_options_and_the_labs_items_too(tmp_path: Path) -> None:
    options: dict[str, JSON] = {"Correct Answer": 0, **{f"Incorrect Answer {number}": number for number in (1, 2, 3)}}
    write_rows(tmp_path / "own.jsonl", [{"Question": f"Which of {number}?", **options} for number in range(8)])
    for reference in (f"{tmp_path}/own.jsonl~8", "lab_choice~8"):
        assert load_benchmark(f"{reference}@7", 1).problems == load_benchmark(f"{reference}@7", 2).problems
        assert load_benchmark(reference, 1).problems != load_benchmark(reference, 2).problems


def test_a_draw_is_the_same_on_every_platform_and_in_every_order(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"id": str(number), "question": f"How much is {number} + 1?", "answer": number + 1} for number in range(9)
    ]
    write_rows(tmp_path / "own.jsonl", rows)
    write_rows(tmp_path / "back.jsonl", [{**row, "id": f"x{row['id']}"} for row in reversed(rows)])
    drawn = load_benchmark(f"{tmp_path}/own.jsonl~4", 42).problems
    assert [item.id for item in drawn] == ["own/0", "own/4", "own/5", "own/6"]
    again = load_benchmark(f"{tmp_path}/back.jsonl~4", 42).problems
    assert {item.question for item in again} == {item.question for item in drawn}


def test_more_than_there_are_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, "aime24", 4)
    for reference in ("aime24:5", "aime24~5"):
        with pytest.raises(ConfigError, match=f"{reference}: asked for 5 problems, aime24 has 4"):
            load_benchmark(reference, 42, Path(), local(tmp_path))


def test_a_folder_without_the_set_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    write_set(tmp_path, "aime24")
    with pytest.raises(DataError, match=r"neither a file named math500 .*it holds aime24\.jsonl"):
        load_benchmark("math500", 42, Path(), local(tmp_path))


def test_the_hub_is_asked_at_the_pinned_commit(fake_hub: FakeHub) -> None:
    entry = shipped_benchmarks()["gpqa_diamond"]
    rows = specimens("gpqa_diamond", entry, 5)
    text = "\n".join([",".join(rows[0]), *(",".join(f'"{value}"' for value in row.values()) for row in rows)])
    fake_hub.add("Idavidrein/gpqa", {"gpqa_diamond.csv": text.encode()}, str(entry.revision))
    found = load_benchmark("gpqa_diamond:3", 42)
    assert [item.kind for item in found.problems] == [Kind.CHOICE] * 3
    assert all("option_shuffle" in item.extra for item in found.problems)
    assert fake_hub.asked[0] == f"fetch Idavidrein/gpqa {entry.revision}"


def test_a_set_without_a_commit_is_locked_at_first_use(fake_hub: FakeHub, tmp_path: Path) -> None:
    text = b'{"question": "How much is 1 + 1?", "answer": "2"}\n'
    fake_hub.add("me/exam", {"test.jsonl": text}, FIRST)
    (tmp_path / "mine.yaml").write_text(
        "exam: {title: Exam, hub: me/exam, files: test.jsonl, columns: {question: question, reference: answer}}\n"
    )
    shelf = Shelf(own=read_catalogue(tmp_path / "mine.yaml"), lock_folder=tmp_path)
    (problem,) = load_benchmark("exam", 42, tmp_path, shelf).problems
    assert (problem.question, problem.reference) == ("How much is 1 + 1?", "2")
    assert json.loads((tmp_path / "sources.lock.json").read_text()) == {"me/exam": FIRST}


def test_a_benchmark_of_ones_own_is_a_few_lines(tmp_path: Path) -> None:
    write_rows(tmp_path / "exam.jsonl", [{"ask": "How much is 2 + 2?", "right": 4, "id": 1}])
    write_rows(tmp_path / "plain.jsonl", [{"question": "Which?", "choices": ["x", "y"], "answer": "B"}])
    (tmp_path / "mine.yaml").write_text(
        "exam: {title: Our exam, path: exam.jsonl, columns: {question: ask, reference: right}, template: boxed}\n"
        "plain: {title: In our words, path: plain.jsonl}\n"
    )
    shelf = Shelf(own=read_catalogue(tmp_path / "mine.yaml"))
    exam = load_benchmark("exam", 42, Path(), shelf)
    assert (exam.name, exam.problems[0].reference, exam.template.name) == ("exam", "4", "boxed")
    (choice,) = load_benchmark("plain", 42, Path(), shelf).problems
    assert (choice.kind, choice.reference, choice.choices) == (Kind.CHOICE, "B", ("x", "y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exam: {title: x, path: a.jsonl, colums: {}}", r"exam\.colums: Extra inputs"),
        ("exam: {title: x}", "one of `lab`, `path`, `hub` and `github`"),
        ("exam: {title: x, hub: a/b}", "`files` says which files"),
        ("exam: {title: x, path: a.jsonl, reader: nobody}", "no reader 'nobody'"),
        ("- exam", "a catalogue maps names to entries"),
        ("exam: [", "no YAML"),
    ],
)
def test_a_mistake_in_a_catalogue_names_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_catalogue(path)


def test_what_is_compared_leaves_a_code_skeleton_out(tmp_path: Path) -> None:
    (row,) = specimens("livecodebench", shipped_benchmarks()["livecodebench"], 1)
    write_rows(tmp_path / "livecodebench.jsonl", [{**row, "starter_code": "class Solution:\n    def f(self): ..."}])
    found = load_benchmark("livecodebench", 42, Path(), local(tmp_path))
    assert "class Solution" in found.problems[0].question
    assert found.compared == (row["question_content"],)


def test_templates_are_part_of_what_is_asked_and_not_of_the_problems(tmp_path: Path) -> None:
    write_set(tmp_path, "aime24")
    own = {"mine": PromptTemplate(name="mine", text="{question} Go!", answer="\\boxed{{answer}}")}
    plain = load_benchmark("aime24", 42, Path(), local(tmp_path))
    mine = load_benchmark("aime24", 42, Path(), Shelf(local={EVERY: tmp_path}, templates=own, asked={EVERY: "mine"}))
    assert mine.template.render(mine.problems[0]) == f"{plain.problems[0].question} Go!"
    assert benchmark_json(mine) == benchmark_json(plain)
    assert asked_json(mine) != asked_json(plain)


def test_a_template_that_does_not_fit_the_kind_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, "aime24")
    with pytest.raises(ConfigError, match="'letter' is for problems of kind choice, not for math"):
        load_benchmark("aime24", 42, Path(), Shelf(local={EVERY: tmp_path}, asked={"aime24": "letter"}))


def test_the_expected_size_is_known_without_reading() -> None:
    assert [expected_size(name) for name in ("math500", "math500:100", "gpqa_diamond~50", "own.jsonl")] == [
        500, 100, 50, None,
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no benchmark 'mat'"):
        expected_size("mat")


def reference_of(problem: Problem) -> Response:
    """The reference as an answer."""
    text = f"Answer: {problem.reference}" if problem.kind is Kind.CHOICE else f"\\boxed{{{problem.reference}}}"
    return Response(
        key="k", role=Role.EVALUATION, problem_id=problem.id, model="m", sample=0, thinking="", answer_text=text,
        thinking_tokens=0, answer_tokens=1, finish=Finish.END, sampling=Sampling(max_tokens=1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("math500", 500, Kind.MATH),
        ("aime24", 30, Kind.MATH),
        ("amc23", 40, Kind.MATH),
        ("gsm8k", 1319, Kind.MATH),
        ("olympiadbench", 675, Kind.MATH),
        ("mmlu", 1531, Kind.CHOICE),
        ("apps", 5, Kind.CODE),
        ("humaneval", 164, Kind.CODE),
        ("mbpp", 500, Kind.CODE),
    ],
)
def test_real_sets_are_read_whole_and_their_references_are_understood(
    name: str, size: int, kind: Kind, data_folder: Path
) -> None:
    problems = load_benchmark(name, 42, Path(), local(data_folder / "benchmarks")).problems
    assert len(problems) == size
    assert {problem.kind for problem in problems} == {kind}
    assert all(problem.id.startswith(f"{name}/") for problem in problems)
    if kind is Kind.CODE:
        assert all(isinstance(read_suite(problem.tests), Suite) for problem in problems)
        return
    verdicts = [judge_by_rules(problem, reference_of(problem)).verdict for problem in problems]
    assert Verdict.WRONG not in verdicts
    assert verdicts.count(Verdict.CORRECT) == size


def test_a_right_option_may_be_a_place_a_letter_or_a_text(tmp_path: Path) -> None:
    stated: list[tuple[JSON, str]] = [(2, "C"), ("B", "B"), ("green", "D")]
    for number, (right, letter) in enumerate(stated):
        row: dict[str, JSON] = {"subject": "s", "question": "Which?", "choices": ["red", "blue", "grey", "green"]}
        (tmp_path / str(number)).mkdir()
        write_rows(tmp_path / str(number) / "mmlu.jsonl", [{**row, "answer": right}])
        (problem,) = load_benchmark("mmlu", 42, Path(), local(tmp_path / str(number))).problems
        assert (problem.reference, problem.choices[2], problem.extra["subject"]) == (letter, "grey", "s")
    options: list[JSON] = [*"stuvwxyz12"]
    pro: dict[str, JSON] = {"question_id": 7, "question": "Which?", "options": options, "category": "law"}
    write_rows(tmp_path / "mmlu_pro.jsonl", [{**pro, "answer": "J", "answer_index": 9}])
    (problem,) = load_benchmark("mmlu_pro", 42, Path(), local(tmp_path)).problems
    assert (problem.id, problem.reference, len(problem.choices)) == ("mmlu_pro/7", "J", 10)


def test_the_tests_of_humaneval_go_on_from_its_prompt(tmp_path: Path) -> None:
    write_set(tmp_path, "humaneval", 1)
    (problem,) = load_benchmark("humaneval", 42, Path(), local(tmp_path)).problems
    suite = read_suite(problem.tests)
    assert isinstance(suite, Suite)
    assert suite.opening == problem.question
    assert (suite.entry, problem.solution) == ("add_1", "    return number + 1\n")


def test_a_range_of_numbers_leaves_other_rows_out(tmp_path: Path) -> None:
    (row,) = specimens("mbpp", shipped_benchmarks()["mbpp"], 1)
    write_rows(tmp_path / "mbpp.jsonl", [{**row, "task_id": number} for number in (10, 11, 510, 511)])
    problems = load_benchmark("mbpp", 42, Path(), local(tmp_path)).problems
    assert [problem.id for problem in problems] == ["mbpp/11", "mbpp/510"]
