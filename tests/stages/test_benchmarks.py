"""The benchmarks of a recipe: where they are looked for, how they are asked, how many problems a plan expects."""

from pathlib import Path

import pytest

from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.errors import ConfigError
from thinkscale.settings import load_settings
from thinkscale.sources.benchmark_catalogue import shipped_benchmarks
from thinkscale.sources.files import write_rows
from thinkscale.sources.specimens import specimens
from thinkscale.stages.benchmarks import benchmarks_of, expected_problems, references_of, templates_of


def settings(text: str) -> EvaluateSettings:
    return load_settings(EvaluateSettings, text, name="test").value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe's folder with local copies of two sets and a catalogue of its own."""
    (tmp_path / "sets").mkdir()
    for name in ("math500", "gpqa_diamond"):
        write_rows(tmp_path / "sets" / f"{name}.jsonl", specimens(name, shipped_benchmarks()[name], 5))
    write_rows(tmp_path / "own.jsonl", [{"question": f"How much is {n} + 1?", "answer": n + 1} for n in range(7)])
    (tmp_path / "mine.yaml").write_text("exam: {title: Ours, path: own.jsonl, template: boxed, size: 7}\n")
    return tmp_path


def test_paths_start_at_the_recipes_folder(folder: Path) -> None:
    found = benchmarks_of(
        settings(
            "{benchmarks: ['math500:2', 'gpqa_diamond~2', exam, 'own.jsonl:3'], catalogue: mine.yaml, "
            "local: {math500: sets, gpqa_diamond: sets}}"
        ),
        42,
        folder,
    )
    assert [(item.name, len(item.problems), item.template.name) for item in found] == [
        ("math500", 2, "plain"), ("gpqa_diamond", 2, "plain"), ("exam", 7, "boxed"), ("own", 3, "plain"),
    ]  # fmt: skip


def test_a_template_for_every_one_and_for_one(folder: Path) -> None:
    text = (
        "{benchmarks: [math500, own.jsonl], local: {'*': sets}, template: {'*': boxed, own: mine}, "
        "templates: {mine: {text: '{question}!', answer: ''}}}"
    )
    found = benchmarks_of(settings(text), 42, folder)
    assert [item.template.name for item in found] == ["boxed", "mine"]
    assert templates_of(settings(text), folder) == {item.name: item.template for item in found}
    assert found[1].template.render(found[1].problems[0]) == "How much is 0 + 1?!"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{benchmarks: [math500], local: {math50: sets}}", r"evaluate\.local: there is no benchmark 'math50'"),
        ("{benchmarks: [math500], template: {aim24: boxed}}", r"evaluate\.template: there is no benchmark 'aim24'"),
        ("{benchmarks: [math500], catalogue: none.yaml}", "the catalogue of benchmarks cannot be read"),
        ("{benchmarks: ['math500:2', 'math500~3'], local: {'*': sets}}", "names one twice: math500, math500"),
    ],
)
def test_mistakes_are_named(text: str, message: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        benchmarks_of(settings(text), 42, folder)


def test_a_plan_knows_sizes_without_a_network_and_counts_files(folder: Path) -> None:
    text = "{benchmarks: [aime24, 'mmlu:500', 'livecodebench~9', own.jsonl, exam], catalogue: mine.yaml}"
    assert expected_problems(settings(text), folder) == {
        "aime24": 30, "mmlu:500": 500, "livecodebench~9": 9, "own.jsonl": 7, "exam": 7,
    }  # fmt: skip


def test_training_rows_are_compared_with_all_that_is_evaluated_and_more(folder: Path) -> None:
    text = (
        "{name: x, select: {against: [own.jsonl, lab_numeric]}, evaluate: {benchmarks: [math500], local: {'*': sets}}}"
    )
    recipe = load_settings(Recipe, text, name="test").value
    assert [item.name for item in references_of(recipe, folder)] == ["math500", "own", "lab_numeric"]
