"""`thinkscale label` as a user types it: every label, every mistake, kill and resume, retry, and a recipe's drift."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generating import Terminal, end_children, started, terminal
from tests.stages.labelling import MODEL, classifier, classifying, rater
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.keys import JSON
from thinkscale.sources.files import read_rows

__all__ = ["terminal"]

COLUMNS = ["problem_id", "name", "value", "by", "evidence"]


@pytest.fixture(autouse=True)
def children() -> Iterator[None]:
    yield
    end_children()


def write(name: str, rows: list[dict[str, JSON]]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def write_problems(number: int, question: str = "right 11") -> str:
    rows: list[dict[str, JSON]] = [{"id": f"q{index}", "question": question, "answer": "7"} for index in range(number)]
    return write("problems.jsonl", rows)


def table(name: str) -> list[tuple[str, str, str, str]]:
    """Problem, name, value, by."""
    return [
        (str(row.values["problem_id"]), str(row.values["name"]), str(row.values["value"]), str(row.values["by"]))
        for row in read_rows(Path(name))
    ]


def at(server: ReplayServer) -> tuple[str, str]:
    return ("--endpoint", server.url)


def weak(prompt: str, seed: int) -> ScriptedReply:
    return ScriptedReply(thinking="", answer_text="\\boxed{7}" if "easy" in prompt else "\\boxed{8}")


def by_prompt(prompt: str, seed: int) -> ScriptedReply:
    """A model that classifies, rates and answers."""
    if "<question" not in prompt:
        return weak(prompt, seed)
    return classifier(prompt, seed)


def test_plain_files_become_a_table_of_labels(terminal: Terminal) -> None:
    problems = write(
        "problems.jsonl",
        [
            {"id": "a", "question": "right 11 easy", "answer": "7"},
            {"id": "b", "question": "right 12", "answer": "7", "domain": "Combinatorics"},
            {"id": "c", "question": "right 13", "answer": "7"},
        ],
    )
    write("responses.jsonl", [{"id": name, "thinking": "3 + 4 = 7.", "thinking_tokens": 4} for name in "abc"])
    write(
        "grades.jsonl",
        [
            {"id": name, "verdict": verdict}
            for name, verdict in zip("abc", ("correct", "correct", "wrong"), strict=True)
        ],
    )
    with running_server(ScriptedBackend(by_prompt, name=MODEL)) as server:
        with running_server(ScriptedBackend(weak, name="small")) as other:
            said = terminal.done(
                "label", problems, "--out", "labels.jsonl",
                "--responses", "responses.jsonl", "--grades", "grades.jsonl",
                "--domain-model", MODEL, *at(server), "--weak-model", MODEL, "--weak-model", f"small={other.url}",
                "--tokenizer", "lab", "--max-in-flight", "4",
            )  # fmt: skip
            assert len(other.settled().attempts) == 2
        assert len(server.settled().attempts) == 1 + 2
    assert said == "labels.jsonl: 11 labels\n"
    assert list(next(iter(read_rows(Path("labels.jsonl")))).values) == COLUMNS
    assert sorted(table("labels.jsonl")) == sorted(
        [
            ("a", "domain", "11", MODEL),
            ("a", "subject", "mathematics", MODEL),
            ("a", "trace_tokens", "10", "lab"),
            ("b", "trace_tokens", "10", "lab"),
            ("a", "pass_rate", "1/1", MODEL),
            ("a", "pass_rate", "1/1", "small"),
            ("a", "difficulty", "too_easy", "weak_models"),
            ("b", "domain", "05", "source"),
            ("b", "pass_rate", "0/1", MODEL),
            ("b", "pass_rate", "0/1", "small"),
            ("b", "difficulty", "hard", "weak_models"),
        ]
    )


def test_ratings_and_a_run_directory(terminal: Terminal) -> None:
    problems = write_problems(3, "right 4.5")
    with running_server(ScriptedBackend(rater, name=MODEL)) as server:
        options = ("--rating-model", MODEL, "--rating-samples", "2", "--rating-temperature", "0.7", *at(server))
        said = terminal.done("label", problems, "--out", "run", *options, "--questions-per-request", "2")
        assert len(server.settled().attempts) == 2 * 2
    assert said == "run/labels.parquet\n"
    rows = table("run/labels.parquet")
    assert [row for row in rows if row[1] == "rating"] == [(f"q{n}", "rating", "4.5", MODEL) for n in range(3)]


def test_labels_of_files_alone_need_no_model(terminal: Terminal) -> None:
    problems = write_problems(2)
    write(
        "given.jsonl", [{"id": "q1", "name": "domain", "value": "Geometry"}, {"id": "q0", "name": "mood", "value": "x"}]
    )
    terminal.done("label", problems, "--out", "labels.parquet", "--labels", "given.jsonl")
    assert table("labels.parquet") == [
        ("q0", "domain", "unknown", "source"),
        ("q0", "mood", "x", "source"),
        ("q1", "domain", "51", "source"),
    ]


def test_a_second_start_asks_nothing_and_other_settings_are_refused(terminal: Terminal) -> None:
    problems = write_problems(4)
    with classifying() as (server, _):
        arguments = ("label", problems, "--out", "labels.jsonl", "--domain-model", MODEL, *at(server))
        terminal.done(*arguments)
        before = Path("labels.jsonl").read_bytes()
        terminal.done(*arguments, "--max-failures", "0.5", "--max-in-flight", "3")
        assert len(server.settled().attempts) == 4
        message = terminal.refused(*arguments, "--questions-per-request", "2")
        assert "label.domain.questions_per_request: 1 -> 2" in message
        assert Path("labels.jsonl").read_bytes() == before
        write("given.jsonl", [{"id": "q0", "name": "domain", "value": "51"}])
        assert "label.labels" in terminal.refused(*arguments, "--labels", "given.jsonl")
        terminal.done(*arguments, "--labels", "given.jsonl", "--fresh")
        assert len(server.settled().attempts) == 4, "replies that were paid for are in the cache"
    assert table("labels.jsonl")[-2:] == [("q3", "subject", "mathematics", MODEL), ("q0", "domain", "51", "source")]


def test_a_changed_file_of_labels_is_seen(terminal: Terminal) -> None:
    problems = write_problems(1)
    write("given.jsonl", [{"id": "q0", "name": "domain", "value": "51"}])
    terminal.done("label", problems, "--out", "run", "--labels", "given.jsonl")
    write("given.jsonl", [{"id": "q0", "name": "domain", "value": "52"}])
    assert "files" in terminal.refused("label", problems, "--out", "run", "--labels", "given.jsonl")


def test_retry_failed_asks_for_the_failed_alone(terminal: Terminal) -> None:
    problems = write("problems.jsonl", [{"id": "a", "question": "right 11"}, {"id": "b", "question": "fails 12"}])
    with classifying() as (server, backend):
        arguments = ("label", problems, "--out", "labels.jsonl", "--domain-model", MODEL, *at(server))
        terminal.done(*arguments)
        assert ("b", "domain", "unknown", MODEL) in table("labels.jsonl")
        terminal.done(*arguments)
        backend.heard.clear()
        terminal.done(*arguments, "--retry-failed")
        assert ["fails 12" in user.content for _, user in backend.heard] == [True]
    assert len(table("labels.jsonl")) == 4


def test_a_kill_in_the_middle_costs_what_was_in_flight(terminal: Terminal, tmp_path: Path) -> None:
    problems = write_problems(24, "once 11")
    slow = ServerOptions(tokens_per_second=40, capacity=4, queue=True)
    with classifying(slow) as (server, _):
        arguments = (
            "label", problems, "--out", str(tmp_path / "run"), "--domain-model", MODEL, *at(server),
            "--max-in-flight", "4", "--cache", "none", "--quiet",
        )  # fmt: skip
        for target in (8, 30):
            child = started(*arguments)
            ends = time.monotonic() + 60
            while sum(item.status == 200 for item in list(server.log.attempts)) < target:
                assert child.poll() is None, child.communicate()
                assert time.monotonic() < ends
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.communicate()
        terminal.done(*arguments)
        assert 48 <= len(server.settled().attempts) <= 48 + 2 * 8
    with classifying() as (server, _):
        whole = ("label", problems, "--out", "whole", "--domain-model", MODEL, *at(server), "--cache", "none")
        terminal.done(*whole)
        assert len(server.settled().attempts) == 48
    assert Path("run/labels.parquet").read_bytes() == Path("whole/labels.parquet").read_bytes()
    assert {row[2] for row in table("run/labels.parquet") if row[1] == "domain"} == {"11"}


def test_batches_of_the_provider_bring_both_tries(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    # A batch whose creation was torn is looked for this long; a crowded machine can tear one.
    monkeypatch.setattr("thinkscale.engines.batches.engine.SETTLE_SECONDS", 1.0)
    problems = write("problems.jsonl", [{"id": "a", "question": "right 11"}, {"id": "b", "question": "once 12"}])
    with classifying(ServerOptions(batch_polls=1)) as (server, _):
        terminal.done(
            "label", problems, "--out", "labels.jsonl", "--domain-model", MODEL, *at(server), "--batch",
            "--set", "label.batch_poll_seconds=0.02",
        )  # fmt: skip
    assert [row[2] for row in table("labels.jsonl") if row[1] == "domain"] == ["11", "12"]


MISTAKES = [
    ("--engine nope --domain-model m", ("--engine nope", "local, openai, anthropic")),
    ("--domain-model m --endpoint ftp://x", ("'ftp://x' is no endpoint",)),
    ("--domain-model gpt-4o", ("OPENAI_API_KEY is not set",)),
    ("--engine anthropic --rating-model claude-haiku-4-5", ("ANTHROPIC_API_KEY is not set",)),
    ("--engine local --domain-model lab --endpoint http://h/v1", ("--engine local has no --endpoint",)),
    ("--rating-model m --endpoint http://h/v1 --rating-samples 3", ("--rating-samples", "temperature 0")),
    ("--weak-model m= --endpoint http://h/v1", ("--weak-model m=", "NAME=URL")),
    ("--weak-model m --weak-model m --endpoint http://h/v1", ("names a model twice: m, m",)),
    ("--responses nowhere.jsonl", ("there is no file", "nowhere.jsonl", "label.responses")),
    ("--grades problems.jsonl", ("label.grades", "label.responses names no file")),
    ("--labels nowhere.jsonl", ("there is no file", "label.labels")),
    ("--tokenizer ./nowhere", ("there is no model folder ./nowhere",)),
    ("--domain-model m --endpoint http://h/v1 --max-spend 1", ("the price of m is not known",)),
    ("--domain-model m --endpoint http://h/v1 --max-failures 3", ("--max-failures",)),
    ("--domain-model m --endpoint http://h/v1 --set label.domain.relable=true", ("did you mean label.domain.relabel",)),
    ("--engine local --domain-model lab --batch", ("--batch", "`local` has no batch API")),
]


@pytest.mark.parametrize(("options", "parts"), MISTAKES, ids=[options for options, _ in MISTAKES])
def test_a_mistake_is_named_by_its_option(terminal: Terminal, options: str, parts: tuple[str, ...]) -> None:
    message = terminal.refused("label", write_problems(1), *options.split(), "--out", "labels.jsonl")
    for part in parts:
        assert part in message
    assert not Path("labels.jsonl").exists()


def test_nothing_of_the_users_is_written_over(terminal: Terminal) -> None:
    problems = write_problems(1)
    before = Path(problems).read_bytes()
    assert "is there already" in terminal.refused("label", problems, "--out", problems)
    assert "there is no file nowhere.jsonl" in terminal.refused("label", "nowhere.jsonl", "--out", "labels.jsonl")
    assert Path(problems).read_bytes() == before
