"""A recipe's rehearsal keeps every stage and setting but what needs a cluster, reads no network, and finds mistakes."""

from pathlib import Path

import pytest
import yaml

from thinkscale.cli import runs
from thinkscale.commands.run import locals_of, rehearse_run, replaced_text
from thinkscale.config import Recipe, shipped_recipes
from thinkscale.config.rehearsal import (
    CONTEXT_TOKENS,
    NOTICE,
    ROW_TOKENS,
    THINKING_TOKENS,
    Rehearsal,
    rehearsed,
)
from thinkscale.errors import ConfigError, DataError
from thinkscale.pipeline import LoadedRecipe, load_recipe, preflight, stages_of
from thinkscale.settings import dump_settings, load_settings
from thinkscale.sources.files import read_rows, write_rows
from thinkscale.stages.benchmarks import benchmarks_of, references_of
from thinkscale.stages.evaluate_cells import sweep_settings
from thinkscale.stages.rehearsal_rows import Locals, write_rehearsal_rows

WHOLE = """\
name: whole
student: {model: Qwen/Qwen2.5-7B-Instruct, thinking_format: think_tags}
collect:
  sources:
    - {type: catalogue, name: aime, years: [2000, 2010]}
    - {type: hub, repository: me/mine, columns: {question: instruction, reference: gold}}
    - {type: file, path: pool.jsonl, columns: {question: ask}}
generate:
  engine: {type: openai, model: r1, endpoints: ["http://one:8000/v1"]}
grade: {}
label:
  domain: {engine: {type: anthropic, model: claude}}
  weak_models:
    - {type: openai, model: small, endpoints: ["http://two:8000/v1"]}
    - {type: openai, model: large, endpoints: ["http://two:8000/v1"]}
select: {count: 1000, against: [livecodebench, "mmlu:500"]}
train: {max_length: 32768, learning_rate: 3e-5}
evaluate:
  benchmarks: [math500~100@3, "gpqa_diamond:100", own.jsonl]
  template: {math500: mine}
  templates: {mine: {text: "{question} Box it.", answer: "\\\\boxed{{answer}}"}}
  budgets: [1000, 2000, 4000]
  max_thinking_tokens: 32000
  wait_strings: [Hmm, rotate]
report: {title: Everything}
"""


def of_text(text: str, folder: Path) -> LoadedRecipe:
    return LoadedRecipe(load_settings(Recipe, text, name="whole"), folder)


@pytest.fixture
def whole(tmp_path: Path) -> LoadedRecipe:
    """A recipe that uses what there is, in a folder with the files that it names."""
    write_rows(tmp_path / "pool.jsonl", [{"ask": f"How much is {n} + {n}?", "answer": 2 * n} for n in range(5)])
    write_rows(tmp_path / "own.jsonl", [{"question": f"How much is {n} * {n}?", "answer": n * n} for n in range(5)])
    return of_text(WHOLE, tmp_path)


def settings_of(rehearsal: Rehearsal) -> dict[str, tuple[str, str]]:
    return {item.setting: (item.planned, item.rehearsed) for item in rehearsal.replacements}


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_has_a_rehearsal_that_can_start_without_a_network(name: str, tmp_path: Path) -> None:
    loaded = load_recipe(name)
    write_rehearsal_rows(loaded.recipe, loaded.folder, tmp_path, Locals())
    rehearsal = rehearsed(loaded.recipe, str(tmp_path))
    text = dump_settings(rehearsal.recipe)
    again = LoadedRecipe(load_settings(Recipe, text, name=name), tmp_path)
    assert again.recipe == rehearsal.recipe
    assert stages_of(again.recipe) == stages_of(loaded.recipe)
    preflight(again, stages_of(again.recipe))
    assert "http" not in text
    assert "Qwen" not in yaml.safe_dump(yaml.safe_load(text)["student"] if rehearsal.recipe.student else "")


def test_what_is_replaced_is_listed_and_all_else_is_the_recipes_own(whole: LoadedRecipe) -> None:
    rehearsal = rehearsed(whole.recipe, "/here/rows")
    made, planned = rehearsal.recipe, whole.recipe
    found = settings_of(rehearsal)
    assert found["student.model"] == ("Qwen/Qwen2.5-7B-Instruct", "lab")
    assert found["collect.sources.1"] == ("me/mine of the Hub", "rows/sources/1/mine.jsonl")
    assert found["generate.engine"] == ("openai r1", "scripted lab-teacher")
    assert found["label.weak_models"] == ("openai small, openai large", "local lab")
    assert found["evaluate.budgets"] == ("1000, 2000, 4000", "4, 8, 16")  # 128 of 32,000
    assert made.evaluate
    assert made.train
    assert made.evaluate.wait_strings == ("Hmm", "rotate")
    assert made.evaluate.templates == planned.evaluate.templates  # type: ignore[union-attr]
    assert made.train.learning_rate == 3e-5
    assert made.seed == planned.seed
    listed = {setting.split(".")[0] for setting in found}
    assert listed <= {"name", "student", "collect", "generate", "label", "select", "train", "evaluate"}
    assert made.grade == planned.grade


def test_the_report_says_rehearsal_on_its_face(whole: LoadedRecipe) -> None:
    report = rehearsed(whole.recipe, "/here/rows").recipe.report
    assert report.title == "REHEARSAL: Everything"
    assert report.notice[0] == NOTICE
    assert "student.model: lab in place of Qwen/Qwen2.5-7B-Instruct" in report.notice
    assert not any("/here" in line for line in report.notice)


def test_a_rehearsals_notice_names_no_folder_of_the_recipe_either() -> None:
    text = WHOLE.replace("Qwen/Qwen2.5-7B-Instruct", "/data/models/mine").replace("own.jsonl", "/data/sets/own.jsonl")
    recipe = load_settings(Recipe, text, name="whole").value
    notice = rehearsed(recipe, "/here/rows").recipe.report.notice
    assert "student.model: lab in place of mine" in notice
    assert not any("/data" in line for line in notice)


def test_lengths_fit_the_labs_model_and_keep_their_proportion(whole: LoadedRecipe) -> None:
    made = rehearsed(whole.recipe, "/here/rows").recipe
    assert made.evaluate
    assert made.train
    assert made.evaluate.max_thinking_tokens == THINKING_TOKENS
    assert max(made.evaluate.budgets) <= THINKING_TOKENS
    assert made.train.max_length == ROW_TOKENS < CONTEXT_TOKENS
    sweep_settings(made.evaluate)


def test_a_short_recipe_is_not_made_longer() -> None:
    lab = load_recipe("lab").recipe
    made = rehearsed(lab, "/here/rows").recipe
    assert made.evaluate
    assert made.train
    assert made.train.max_length == 512
    assert made.evaluate.benchmarks == ("lab_numeric:3", "lab_closed:3", "lab_choice:3")
    assert made.evaluate.local == {}


def test_the_rows_of_a_rehearsal_are_problems_that_do_not_contaminate_each_other(
    whole: LoadedRecipe, tmp_path: Path
) -> None:
    rows = tmp_path / "rows"
    origins = write_rehearsal_rows(whole.recipe, whole.folder, rows, Locals())
    assert set(origins) == {"aime", "mine", "pool", "math500", "gpqa_diamond", "own", "livecodebench", "mmlu"}
    recipe = rehearsed(whole.recipe, str(rows)).recipe
    assert recipe.evaluate
    loaded = benchmarks_of(recipe.evaluate, recipe.seed, tmp_path)
    assert [(item.name, len(item.problems)) for item in loaded] == [("math500", 3), ("gpqa_diamond", 3), ("own", 3)]
    assert loaded[0].template.name == "mine"
    everything = [text for item in references_of(recipe, tmp_path) for text in item.compared]
    pool = [row.values for path in (rows / "sources").rglob("*.jsonl") for row in read_rows(path)]
    asked = {row.get("Question") or row.get("instruction") or row.get("ask") for row in pool}
    assert len(asked) == len(pool)
    assert asked.isdisjoint(everything)


def test_local_copies_are_read_where_they_are(tmp_path: Path) -> None:
    recipe = load_recipe("s1-3b").recipe
    sets = tmp_path / "sets" / "benchmarks"
    sets.mkdir(parents=True)
    lengths = [400, 30, 20, 300, 10]
    write_rows(
        sets / "math500.jsonl",
        [{"unique_id": str(n), "problem": "x" * n, "answer": "1", "solution": "", "level": 1} for n in lengths],
    )
    found = write_rehearsal_rows(recipe, tmp_path, tmp_path / "rows", locals_of([str(tmp_path / "sets")], {}))
    assert found["math500"] == f"3 rows of {sets}"
    assert found["aime24"] == "rows made in its shape"
    rows = read_rows(tmp_path / "rows" / "benchmarks" / "math500.jsonl")
    assert [row.values["unique_id"] for row in rows] == ["30", "20", "10"]  # the shortest, in their order
    by_variable = locals_of([], {"THINKSCALE_DATA": str(tmp_path / "sets")})
    assert by_variable.folders == (tmp_path / "sets", sets)


def test_a_local_copy_that_is_named_must_hold_the_set(tmp_path: Path) -> None:
    recipe = load_recipe("s1-3b").recipe
    with pytest.raises(ConfigError, match=r"--local math500=.*: there is no folder or file"):
        locals_of([f"math500={tmp_path}/none"], {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither a file named math500"):
        write_rehearsal_rows(recipe, tmp_path, tmp_path / "rows", locals_of([f"math500={tmp_path}/empty"], {}))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (("benchmarks: [math500~100@3", "benchmarks: [math50~100@3"), "no benchmark 'math50'"),
        (("{math500: mine}", "{math500: mime}"), "no prompt template 'mime'"),
        (("\\\\boxed{{answer}}", "I say {answer}!"), "cannot read an answer"),
        (("name: aime,", "name: amie,"), "no source 'amie'"),
        (("question: ask", "question: asks"), "none of its first 300 rows is a problem"),
        (("budgets: [1000, 2000, 4000]", "budgets: [40000]"), "40000 is more than evaluate.max_thinking_tokens"),
        (("reference: gold", "refrence: gold"), "refrence"),
    ],
)
def test_a_typo_costs_a_minute(mistake: tuple[str, str], message: str, whole: LoadedRecipe) -> None:
    assert mistake[0] in WHOLE
    path = whole.folder / "whole.yaml"
    path.write_text(WHOLE.replace(*mistake), encoding="utf-8")
    with pytest.raises((ConfigError, DataError), match=message):
        rehearse_run(str(path), whole.folder / "out", until="collect", quiet=True)


def test_a_rehearsal_runs_anew_each_time_and_says_what_it_replaced(
    whole: LoadedRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = whole.folder / "whole.yaml", whole.folder / "out"
    path.write_text(WHOLE, encoding="utf-8")
    said = rehearse_run(str(path), out, until="generate", quiet=True)
    assert said == f"{out}: not done; the same command without --until goes on to the report"
    assert "generate.engine: scripted lab-teacher in place of openai r1" in capsys.readouterr().err
    again = rehearse_run(str(path), out, ("seed=7",), until="collect", quiet=True)  # another recipe, and no drift
    assert "not done" in again


def test_a_run_is_never_discarded_for_a_rehearsal(whole: LoadedRecipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(dump_settings(whole.recipe), encoding="utf-8")
    with pytest.raises(ConfigError, match="holds a run of whole, which a rehearsal would discard"):
        rehearse_run("s1-3b", run, quiet=True)
    assert [path.name for path in run.iterdir()] == ["recipe.yaml"]


def test_a_pool_of_several_sources_is_made_whole(tmp_path: Path) -> None:
    recipe = load_recipe("s1-3b").recipe
    row = {
        "prompt": "How much is 1 + 1?",
        "reasoning": "2",
        "attempt": "2",
        "source_type": "AI-MO/x",
        "cot_type": "math",
    }
    write_rows(tmp_path / "s1_59k.jsonl", [row] * 50)
    found = write_rehearsal_rows(recipe, tmp_path, tmp_path / "rows", locals_of([f"s1_59k={tmp_path}"], {}))
    assert found["s1_59k"] == "rows made in its shape"
    kinds = {row.values["source_type"] for row in read_rows(tmp_path / "rows" / "sources" / "0" / "s1_59k.jsonl")}
    assert "qq8933/AIME" in kinds
    write_rows(tmp_path / "s1_59k.jsonl", [{**row, "prompt": ""}])
    with pytest.raises(DataError, match="none of the first 300 rows of s1_59k is a problem"):
        write_rehearsal_rows(recipe, tmp_path, tmp_path / "rows", locals_of([f"s1_59k={tmp_path}"], {}))


def test_the_list_of_replacements_is_readable(whole: LoadedRecipe) -> None:
    text = replaced_text(rehearsed(whole.recipe, "/here/rows"), {"math500": "rows made in its shape"})
    assert text.startswith("REHEARSAL: every stage of the recipe, with\n  name: whole-rehearsal in place of whole\n")
    assert text.endswith("  rows of math500: rows made in its shape\n")


def test_options_that_do_not_go_with_a_rehearsal_are_refused() -> None:
    with pytest.raises(ConfigError, match="--rehearse goes with --out, --set, --until, --local and --quiet only"):
        runs.run("s1-3b", rehearse=True, fresh=True)
    with pytest.raises(ConfigError, match="--rehearse goes with"):
        runs.run("s1-3b", rehearse=True, pilot=3)
    with pytest.raises(ConfigError, match="--local goes with --rehearse"):
        runs.run("s1-3b", local=["math500=x"])
