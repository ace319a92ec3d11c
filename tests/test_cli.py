"""The command as a user types it: exit codes, messages that name what and where, contracts of files."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thinkscale.cli import repeated
from thinkscale.sources.files import read_rows, write_rows
from thinkscale.store.run import RunDirectory

RECIPE = """\
name: small
student: {{model: lab}}
collect:
  sources:
    - {{type: file, path: {pool}}}
generate:
  engine: {{type: scripted, script: lab-teacher}}
"""


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-m", "thinkscale", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,  # type: ignore[call-overload]
    )
    return done


def refused(*arguments: str, code: int = 2, **options: object) -> str:
    """The message of a command that must fail with `code`, in one piece and without a traceback."""
    done = command(*arguments, **options)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe over pool.jsonl in the same folder; the pool is the test's to write."""
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE.format(pool="pool.jsonl"))
    return path


def pool_of(recipe: Path, *rows: str) -> Path:
    path = recipe.with_name("pool.jsonl")
    path.write_text("\n".join(rows) + "\n")
    return path


GOOD = json.dumps({"id": "q1", "question": "Compute 7 a+5 b*3 modulo 10.", "answer": "6"})


def test_help_names_every_command() -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("run", "plan", "status", "report", "why", "doctor", "list", "grade", "decontaminate", "evaluate"):
        assert f"  {name} " in done.stdout


def test_a_missing_file_is_named(recipe: Path) -> None:
    message = refused("run", str(recipe), "--out", str(recipe.parent / "run"))
    assert "pool.jsonl" in message
    assert "relative paths start at the recipe's folder" in message


def test_a_broken_json_line_is_named(recipe: Path) -> None:
    pool_of(recipe, GOOD, '{"id": "q2", "question": ')
    message = refused("run", str(recipe), "--out", str(recipe.parent / "run"), "--until", "collect")
    assert "pool.jsonl:2: broken JSON" in message


def test_a_row_without_a_question_is_refused_and_can_be_dropped(recipe: Path) -> None:
    pool_of(recipe, GOOD, '{"id": "q2", "answer": "3"}')
    out = str(recipe.parent / "run")
    message = refused("run", str(recipe), "--out", out, "--until", "collect")
    assert "pool.jsonl:2: missing_question" in message
    assert "collect.malformed=drop" in message
    again = command(
        "run", str(recipe), "--out", out, "--until", "collect", "--set", "collect.malformed=drop", "--fresh"
    )
    assert again.returncode == 0, again.stderr
    story = json.loads(command("why", out, "q2", "--json").stdout)
    assert story["fate"][0]["reason"] == "missing_question"


def test_an_unknown_key_names_file_line_and_nearest_right_key(recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + "train:\n  epoch: 3\n")
    message = refused("run", str(recipe), "--out", str(recipe.parent / "run"))
    assert "small.yaml:9" in message
    assert "train.epoch" in message
    assert "train.epochs" in message


@pytest.mark.parametrize(
    ("override", "part"),
    [("train.epochs=three", "train.epochs"), ("train.epochz=3", "train.epochs"), ("selct.count=3", "select")],
)
def test_a_wrong_override_is_refused(override: str, part: str) -> None:
    message = refused("plan", "lab", "--set", override)
    assert "--set" in message
    assert part in message


def test_a_model_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    arguments = ("evaluate", "--model", str(tmp_path / "model"), "--benchmark", "lab_numeric:1")
    message = refused(*arguments, "--out", str(tmp_path / "run"))
    assert "tokenizer_config.json is missing" in message


def test_an_unknown_recipe_lists_those_there_are() -> None:
    assert "lab" in refused("run", "labb")


def test_a_second_run_on_a_directory_in_use_is_refused(recipe: Path) -> None:
    pool_of(recipe, GOOD)
    out = recipe.parent / "run"
    with RunDirectory.create_or_open(out, "name: small\n"):
        message = refused("run", str(recipe), "--out", str(out), "--until", "collect")
    assert f"process {os.getpid()}" in message
    assert "--out" in message


def test_a_folder_that_is_no_run_is_refused(recipe: Path) -> None:
    pool_of(recipe, GOOD)
    message = refused("run", str(recipe), "--out", str(recipe.parent), "--until", "collect")
    assert "not a run directory" in message


def test_a_full_disk_is_an_error_that_loses_nothing(recipe: Path) -> None:
    pool_of(recipe, *(json.dumps({"id": f"q{number}", "question": os.urandom(400).hex()}) for number in range(2000)))
    out = str(recipe.parent / "run")

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    message = refused("run", str(recipe), "--out", out, "--until", "collect", code=1, preexec_fn=little_room)
    assert "full" in message
    assert "run the same command again" in message
    again = command("run", str(recipe), "--out", out, "--until", "collect")
    assert again.returncode == 0, again.stderr
    rows = [row.values["id"] for row in read_rows(Path(out) / "problems.parquet")]
    assert rows == [f"q{number}" for number in range(2000)]


def test_a_changed_setting_is_refused_with_its_name(recipe: Path) -> None:
    pool_of(recipe, GOOD)
    out = str(recipe.parent / "run")
    assert command("run", str(recipe), "--out", out, "--until", "collect").returncode == 0
    message = refused("run", str(recipe), "--out", out, "--until", "collect", "--set", "seed=7")
    assert "seed" in message
    assert "--fresh" in message
    pool_of(recipe, GOOD, GOOD.replace("q1", "q2"))
    message = refused("run", str(recipe), "--out", out, "--until", "collect")
    assert "files" in message
    assert "pool.jsonl" in message


def test_sigterm_stops_cleanly_and_the_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-m", "thinkscale", "run", "lab", "--out", str(out), "--until", "collect"]
    arguments += ["--set", "collect.sources.0.size=60000"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 30
        while not (out / "journal.db").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        child.send_signal(signal.SIGTERM)
        _, message = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "the same command goes on" in message
    assert not (out / "manifest.json").exists()


def test_plan_prints_every_setting_and_where_it_came_from() -> None:
    done = command("plan", "lab", "--settings", "--json", "--set", "train.epochs=3")
    origins = {row["path"]: row["origin"] for row in json.loads(done.stdout)}
    assert origins["train.epochs"] == "--set train.epochs=3"
    assert origins["train.weight_decay"] == "default of TrainSettings"
    assert origins["select.count"].startswith("lab.yaml:")


def test_plan_states_the_work_and_runs_nothing(tmp_path: Path) -> None:
    done = command("plan", "lab", "--out", str(tmp_path / "run"), "--json")
    plan = json.loads(done.stdout)
    assert [row["stage"] for row in plan["stages"]][:2] == ["collect", "generate"]
    assert not (tmp_path / "run").exists()


def test_grade_keeps_order_and_reads_thinking_by_format(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "reference": "1/2", "response": "<think>x</think> \\boxed{0.5}"},
        {"reference": "3", "response": "<think>3 is it, \\boxed{3}"},
        {"id": "c", "reference": "B", "kind": "choice", "choices": ["1", "2"], "response": "The answer is (B)."},
        {"id": "d", "reference": "3", "response": "no idea"},
        {"id": "e", "reference": "3", "response": "\\boxed{4}"},
    ]
    write_rows(tmp_path / "in.jsonl", rows)  # type: ignore[arg-type]
    done = command("grade", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    graded = [row.values for row in read_rows(tmp_path / "out.jsonl")]
    assert [(row["id"], row["verdict"]) for row in graded] == [
        ("a", "correct"), ("1", "cut_off"), ("c", "correct"), ("d", "no_answer"), ("e", "wrong"),
    ]  # fmt: skip
    assert list(graded[0]) == ["id", "verdict", "extracted", "tier", "seconds"]


def test_grade_names_the_row_that_is_wrong(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [{"reference": "1", "response": "1"}, {"reference": "1"}])
    message = refused("grade", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"))
    assert "in.jsonl:2" in message
    assert "`response`" in message
    assert not (tmp_path / "out.jsonl").exists()


def test_decontaminate_keeps_rows_unchanged_and_reports_each_hit(tmp_path: Path) -> None:
    test_question = "How many positive integers below one hundred are divisible by seven or eleven?"
    pool = [
        {"id": "1", "question": "Find the sum of the first ten odd numbers that exceed twenty two.", "odd": [1]},
        {"id": "2", "question": test_question.upper().replace(" ", "  ")},
        {"id": "3", "question": f"Hint first. {test_question} Explain."},
    ]
    write_rows(tmp_path / "pool.jsonl", pool)  # type: ignore[arg-type]
    write_rows(tmp_path / "test.jsonl", [{"id": "t", "question": test_question, "answer": "20"}])
    done = command(
        "decontaminate", str(tmp_path / "pool.jsonl"), "--against", str(tmp_path / "test.jsonl"),
        "--out", str(tmp_path / "kept.jsonl"), "--report", str(tmp_path / "hits.jsonl"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [dict(row.values) for row in read_rows(tmp_path / "kept.jsonl")] == pool[:1]
    hits = [dict(row.values) for row in read_rows(tmp_path / "hits.jsonl")]
    assert [(hit["id"], hit["against_id"]) for hit in hits] == [("2", "t"), ("3", "t")]
    assert all(list(hit) == ["id", "against", "against_id", "reason", "span", "share"] for hit in hits)
    assert "divisible by seven or eleven" in str(hits[1]["span"])


def test_why_names_an_id_that_no_stage_knows(recipe: Path) -> None:
    pool_of(recipe, GOOD)
    out = str(recipe.parent / "run")
    command("run", str(recipe), "--out", out, "--until", "collect")
    assert "no stage knows" in refused("why", out, "q99")


def test_status_of_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "not a run directory" in refused("status", str(tmp_path))


@pytest.mark.parametrize(
    "kind", ["recipes", "benchmarks", "formats", "methods", "graders", "engines", "models", "domains"]
)
def test_lists_are_not_empty(kind: str) -> None:
    assert len(json.loads(command("list", kind, "--json").stdout)) >= 1


def test_doctor_never_prints_a_key() -> None:
    done = command("doctor", env={**os.environ, "OPENAI_API_KEY": "sk-secret-value"})
    assert "OPENAI_API_KEY" in done.stdout
    assert "sk-secret-value" not in done.stdout + done.stderr


def test_a_list_option_takes_several_values_at_once() -> None:
    arguments = ["evaluate", "--budget", "8", "16", "none", "--waits", "0", "--out", "x"]
    assert repeated(arguments) == [
        "evaluate", "--budget", "8", "--budget", "16", "--budget", "none", "--waits", "0", "--out", "x",
    ]  # fmt: skip


def test_a_sweep_beyond_the_context_is_refused_with_both_numbers(tmp_path: Path) -> None:
    message = refused("evaluate", "--model", "lab", "--benchmark", "lab_numeric:1", "--out", str(tmp_path / "run"))
    assert "1,024" in message
    assert "evaluate.max_answer_tokens" in message


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("evaluate.budgets=[-5]", "evaluate.budgets"),
        ("evaluate.waits=[-1]", "evaluate.waits"),
        ("evaluate.benchmarks=[nope.jsonl]", "nope.jsonl"),
        ("evaluate.max_thinking_tokens=100", "max_thinking_tokens"),
        ("seed=99999999999", "seed"),
        ("train.learning_rate=.inf", "train.learning_rate"),
        ("student.model=./nowhere", "./nowhere"),
    ],
)
def test_what_can_be_known_to_be_wrong_is_refused_before_anything_is_written(
    tmp_path: Path, override: str, part: str
) -> None:
    message = refused("run", "lab", "--out", str(tmp_path / "run"), "--set", override)
    assert part in message
    assert not (tmp_path / "run").exists()


def test_two_sources_may_count_their_ids_from_the_same_number(recipe: Path) -> None:
    rows = [json.dumps({"id": number, "question": f"{number} + 1?", "answer": number + 1}) for number in range(3)]
    pool_of(recipe, *rows)
    recipe.with_name("other.jsonl").write_text("\n".join(rows))
    text = recipe.read_text().replace("generate:", "    - {type: file, path: other.jsonl}\ngenerate:")
    recipe.write_text(text)
    out = recipe.parent / "run"
    assert command("run", str(recipe), "--out", str(out), "--until", "collect").returncode == 0
    ids = [row.values["id"] for row in read_rows(out / "problems.parquet")]
    assert ids == ["0", "1", "2", "other-0", "other-1", "other-2"]
    assert not (out / "manifest.json").exists(), "a run that stopped at --until is not done"


def test_an_id_that_repeats_within_a_source_is_refused(recipe: Path) -> None:
    pool_of(recipe, GOOD, GOOD)
    message = refused("run", str(recipe), "--out", str(recipe.parent / "run"), "--until", "collect")
    assert "pool.jsonl:2" in message
    assert "'q1'" in message
