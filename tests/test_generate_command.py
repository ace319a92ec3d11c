"""`thinkscale generate` as a user types it: every engine, every mistake, pilot, retry, batches, status and plan."""

import json
import re
from pathlib import Path

import pytest

from tests.generating import MODEL, Terminal, asking, says, teacher, terminal, write_problems
from thinkscale import pipeline
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.keys import JSON
from thinkscale.sources.files import read_rows
from thinkscale.stages.report import report

__all__ = ["terminal"]

CLAUDE = "claude-sonnet-4-5"


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", 4)


def rows_of(path: Path) -> list[dict[str, JSON]]:
    return [dict(row.values) for row in read_rows(path)]


# What comes out


def test_a_table_has_a_row_for_each_sample_in_the_order_of_the_problems(terminal: Terminal, problems: Path) -> None:
    out = Path("answers.parquet")
    with teacher() as server:
        said = terminal.done(*asking(problems, server, out, "--samples", "2", "--system-prompt", "boxed"))
    assert said == "answers.parquet: 8 responses\n"
    rows = rows_of(out)
    assert [(row["id"], row["sample"]) for row in rows] == [(f"q{i}", n) for i in range(4) for n in range(2)]
    assert len({str(row["response"]) for row in rows}) == 8
    first = rows[0]
    assert first["question"] == "What is 0 + 1?"
    assert first["reference"] == "1"
    assert first["response"] == f"<think>\n{first['thinking']}\n</think>\n\n{first['answer']}"
    assert (first["finish"], first["error"], first["attempts"]) == ("end", None, 1)


def test_a_run_directory_holds_the_tables_and_the_report(
    terminal: Terminal, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "report", report)
    with teacher() as server:
        said = terminal.done(*asking(problems, server, Path("run")))
    assert said == "run/responses.parquet\n"
    assert {"responses.parquet", "problems.parquet", "report.md", "manifest.json"} <= {
        item.name for item in Path("run").iterdir()
    }


def test_responses_of_one_run_are_the_problems_of_the_next(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("a.jsonl.gz")))
        terminal.done(*asking(Path("a.jsonl.gz"), server, Path("b.jsonl")))
    assert [row["id"] for row in rows_of(Path("b.jsonl"))] == ["q0", "q1", "q2", "q3"]


def test_a_teacher_of_token_ids_gives_exact_counts(terminal: Terminal, problems: Path) -> None:
    from thinkscale.engines.catalogue import open_tokenizer

    with running_server(ScriptedBackend(says, name=MODEL, tokenizer=open_tokenizer("lab"))) as server:
        terminal.done(*asking(problems, server, Path("a.jsonl"), "--tokenizer", "lab", "--max-tokens", "400"))
    for row in rows_of(Path("a.jsonl")):
        assert row["finish"] == "end"
        assert str(row["answer"]).startswith("The answer is")
        assert isinstance(row["thinking_tokens"], int)
        assert row["thinking_tokens"] > 20


def test_anthropics_protocol_keeps_thinking_apart(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        url = server.url.removesuffix("/v1")
        arguments = ("generate", str(problems), "--engine", "anthropic", "--endpoint", url, "--model", CLAUDE)
        terminal.done(*arguments, "--thinking-tokens", "2000", "--out", "a.jsonl")
    for row in rows_of(Path("a.jsonl")):
        assert "I think of" in str(row["thinking"])
        assert str(row["answer"]).startswith("The answer is")


def test_recorded_responses_answer_in_process(terminal: Terminal, problems: Path) -> None:
    traces = [{"question": f"What is {i} + 1?", "thinking": "one more", "response": str(i + 1)} for i in range(4)]
    Path("traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in traces))
    terminal.done("generate", str(problems), "--engine", "scripted", "--replay", "traces.jsonl", "--out", "a.jsonl")
    assert [(row["thinking"], row["answer"]) for row in rows_of(Path("a.jsonl"))] == [
        ("one more", str(i + 1)) for i in range(4)
    ]


def test_a_local_model_answers(terminal: Terminal, problems: Path) -> None:
    terminal.done(
        "generate", str(problems), "--engine", "local", "--model", "lab", "--max-tokens", "12", "--out", "a.jsonl"
    )
    rows = rows_of(Path("a.jsonl"))
    assert len(rows) == 4
    assert all(isinstance(tokens := row["completion_tokens"], int) and 0 < tokens <= 12 for row in rows)


# Mistakes


MISTAKES = [
    ("--engine nope --model m", ("--engine nope", "scripted, local, openai, anthropic")),
    ("", ("--engine openai needs --model",)),
    ("--engine local", ("--engine local needs --model",)),
    ("--model m --endpoint ftp://x", ("'ftp://x' is no endpoint",)),
    ("--model m --endpoint http://me:hunter2hunter2@h/v1", ("an endpoint holds no user",)),
    ("--engine scripted --endpoint http://h/v1", ("--engine scripted has no --endpoint", "--replay")),
    ("--engine local --model lab --key-file k", ("--engine local has no --key-file",)),
    ("--engine anthropic --model m --tokenizer lab", ("--engine anthropic has no --tokenizer", "--thinking-tokens")),
    ("--model gpt-4o --effort high", ("--engine openai has no --effort",)),
    ("--model gpt-4o", ("OPENAI_API_KEY is not set",)),
    (f"--engine anthropic --model {CLAUDE}", ("ANTHROPIC_API_KEY is not set",)),
    ("--model m --endpoints-file nowhere", ("nowhere", "cannot be read")),
    ("--model m --endpoint http://h/v1 --key-file nowhere", ("nowhere", "cannot be read")),
    ("--engine scripted --replay nowhere.jsonl", ("there is no file", "nowhere.jsonl")),
    ("--engine scripted --system-prompt loud", ("--system-prompt must be 'none', 'boxed' or 'careful'",)),
    ("--engine scripted --top-p 3", ("--top-p must be less than or equal to 1, not 3.0",)),
    ("--engine scripted --temperature -1", ("--temperature",)),
    (f"--engine anthropic --model {CLAUDE} --thinking-tokens 7", ("--thinking-tokens must be greater than",)),
    ("--engine scripted --set generate.sample=2", ("generate.sample", "generate.samples")),
    ("--engine scripted --batch", ("--batch", "`scripted` has no batch API")),
    ("--engine local --model lab --batch", ("--batch", "`local` has no batch API")),
    ("--model lab --endpoint http://h/v1 --tokenizer lab --batch", ("--batch needs the chat protocol",)),
    ("--model m --endpoint http://h/v1 --endpoint http://i/v1 --batch", ("--batch works with one endpoint",)),
    ("--model m --endpoint http://h/v1 --max-spend 1", ("the price of m is not known", "models:")),
    ("--model m --endpoint http://h/v1 --max-spend 1 --prices nowhere", ("nowhere",)),
]


@pytest.mark.parametrize(("options", "parts"), MISTAKES, ids=[options or "nothing" for options, _ in MISTAKES])
def test_a_mistake_is_named_by_its_option(
    terminal: Terminal, problems: Path, options: str, parts: tuple[str, ...]
) -> None:
    message = terminal.refused("generate", str(problems), *options.split(), "--out", "a.jsonl")
    for part in parts:
        assert part in message
    assert "hunter2" not in message
    assert not Path("a.jsonl").exists()


@pytest.mark.parametrize(
    ("out", "part"),
    [
        ("problems.jsonl", "problems.jsonl is there already"),
        ("other.jsonl", "other.jsonl is there already"),
        ("folder.jsonl", "folder.jsonl is a folder"),
        ("a.csv", "rows are written as .jsonl"),
        ("stuff", "not empty and not a run directory"),
    ],
)
def test_nothing_of_the_users_is_written_over(terminal: Terminal, problems: Path, out: str, part: str) -> None:
    Path("other.jsonl").write_text("{}\n")
    Path("folder.jsonl").mkdir()
    Path("stuff").mkdir()
    Path("stuff/thesis.txt").write_text("years of work")
    before = problems.read_bytes()
    assert part in terminal.refused("generate", str(problems), "--engine", "scripted", "--out", out)
    assert problems.read_bytes() == before
    assert Path("other.jsonl").read_text() == "{}\n"


def test_missing_problems_and_a_broken_row_are_named(terminal: Terminal) -> None:
    assert "there is no file nowhere.jsonl" in terminal.refused(
        "generate", "nowhere.jsonl", "--engine", "scripted", "--out", "a"
    )
    Path("bad.jsonl").write_text('{"question": "What?"}\n{"question": \n')
    assert "bad.jsonl:2: broken JSON" in terminal.refused("generate", "bad.jsonl", "--engine", "scripted", "--out", "a")


def test_a_model_that_is_not_served_is_named_with_those_that_are(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        arguments = ("generate", str(problems), "--endpoint", server.url, "--model", "gpt-9", "--out", "a")
        message = terminal.refused(*arguments)
    assert "does not serve 'gpt-9'; it serves teacher" in message


# Again, with other settings


def test_other_settings_are_refused_and_another_endpoint_is_not(terminal: Terminal, problems: Path) -> None:
    out = Path("a.jsonl")
    with teacher() as server:
        terminal.done(*asking(problems, server, out))
        before = out.read_bytes()
        message = terminal.refused(*asking(problems, server, out, "--samples", "3"))
        assert "generate.samples: 1 -> 3" in message
        assert "--fresh" in message
        assert "in the request cache: either way they are not paid again" in message
        assert out.read_bytes() == before
        with teacher() as other:
            terminal.done(*asking(problems, other, out, "--max-in-flight", "2", "--max-failures", "0.5"))
            assert not other.settled().attempts
        terminal.done(*asking(problems, server, out, "--samples", "3", "--fresh"))
        assert len(rows_of(out)) == 12
        assert server.settled().num_requests == 12
        assert len(server.settled().attempts) == 12


def test_a_reply_is_paid_once_over_all_runs_and_only_without_a_cache_twice(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("a.jsonl")))
        terminal.done(*asking(problems, server, Path("b.jsonl")))
        assert len(server.settled().attempts) == 4
        assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
        terminal.done(*asking(problems, server, Path("c.jsonl"), "--cache", "none"))
        assert len(server.settled().attempts) == 8


def test_a_pilot_is_part_of_the_run_that_follows(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        said = terminal.done(*asking(problems, server, Path("run"), "--pilot", "3", "--cache", "none"))
        assert "projected from 3 of 4 rows" in said
        assert "unknown: the model has no price" in said
        assert not Path("run/responses.parquet").exists()
        assert len(server.settled().attempts) == 3
        terminal.done(*asking(problems, server, Path("run"), "--cache", "none"))
        assert len(server.settled().attempts) == 4
    assert len(rows_of(Path("run/responses.parquet"))) == 4


def test_a_pilot_from_the_cache_says_that_it_tells_nothing(terminal: Terminal, problems: Path) -> None:
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("a.jsonl")))
        said = terminal.done(*asking(problems, server, Path("b.jsonl"), "--pilot", "3"))
    assert "came from the request cache" in said


# Failures


def failing(share: float) -> ServerOptions:
    return ServerOptions(faults=FaultPlan(shares={Fault.BAD_REQUEST: share}, seed=7))


def test_too_many_failures_stop_the_run_and_retry_failed_asks_for_those_alone(
    terminal: Terminal, tmp_path: Path
) -> None:
    problems = write_problems(tmp_path / "many.jsonl", 60)
    out = Path("run")
    with teacher(failing(0.5)) as server:
        message = terminal.refused(*asking(problems, server, out), code=1)
        assert re.search(r"generate: \d+ of \d+ requests failed \(\d+ bad_request\)", message)
        assert "--retry-failed" in message
    with teacher(failing(0.5)) as server:
        terminal.done(*asking(problems, server, out, "--max-failures", "1"))
    failed = [row["key"] for row in rows_of(out / "responses.parquet") if row["finish"] == "error"]
    good = {row["key"]: row for row in rows_of(out / "responses.parquet") if row["finish"] != "error"}
    assert len(failed) > 15
    found = json.loads(terminal.done("status", str(out), "--json"))
    assert found["failures"]["bad_request"]["example"].startswith("bad_request: HTTP 400")
    assert "failed" in terminal.done("status", str(out))
    with teacher() as server:
        terminal.done(*asking(problems, server, out))
        assert not server.settled().attempts
        terminal.done(*asking(problems, server, out, "--retry-failed"))
        assert server.settled().num_requests == len(server.settled().attempts) == len(failed)
    rows = rows_of(out / "responses.parquet")
    assert len(rows) == 60
    assert all(row["finish"] == "end" for row in rows)
    assert all(row == good[row["key"]] for row in rows if row["key"] in good)


def test_the_spend_cap_stops_the_run_and_a_higher_one_goes_on(terminal: Terminal, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "many.jsonl", 30)
    Path("prices.yaml").write_text("models:\n  teacher: {input: 0, output: 1000}\n")
    options = ("--prices", "prices.yaml", "--max-tokens", "100", "--cache", "none")
    with teacher() as server:
        message = terminal.refused(*asking(problems, server, Path("run"), *options, "--max-spend", "1"), code=1)
        assert "the spend cap of 1 USD is reached" in message
        found = json.loads(terminal.done("status", "run", "--json"))
        assert 0.5 < found["stages"][1]["usd"] <= 1
        assert found["stages"][1]["engine"]["max_spend_usd"] == 1
        first = len(server.settled().attempts)
        terminal.done(*asking(problems, server, Path("run"), *options, "--max-spend", "10"))
        assert first < 30
        assert len(server.settled().attempts) == 30


# Plan and status


def test_plan_states_the_price_at_worst_and_what_the_pilot_lets_expect(terminal: Terminal, problems: Path) -> None:
    Path("prices.yaml").write_text("models:\n  teacher: {input: 0, output: 1000}\n")
    options = ("--prices", "prices.yaml", "--max-tokens", "1000", "--cache", "none", "--max-spend", "3")
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("run"), *options, "--pilot", "3"))
        text = terminal.done("plan", "run/recipe.yaml", "--out", "run", "--set", "generate.prices=../prices.yaml")
        found = json.loads(
            terminal.done(
                "plan", "run/recipe.yaml", "--out", "run", "--gpus", "2", "--json",
                "--set", "generate.prices=../prices.yaml",
            )
        )  # fmt: skip
        assert len(server.settled().attempts) == 3
    # 4 problems, 1,000 tokens each, at 1,000 dollars a million: 4 dollars.
    assert "4 problems, so 4 responses, 4,000 tokens, $4.00 at worst, and never over $3.00" in text
    assert "projected from 3 of 4 rows" in text
    row = found["stages"][1]
    assert (row["stage"], row["state"]) == ("generate", "begun")
    assert row["projection"]["gpu_hours"]["value"] > 0
    assert row["projection"]["usd"]["low"] <= row["projection"]["usd"]["value"]


def test_status_shows_what_the_engine_does_and_what_it_costs(terminal: Terminal, problems: Path) -> None:
    Path("prices.yaml").write_text("models:\n  teacher: {input: 0, output: 1000000}\n")
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("run"), "--prices", "prices.yaml", "--pilot", "2"))
        during = terminal.done("status", "run")
        terminal.done(*asking(problems, server, Path("run"), "--prices", "prices.yaml"))
    assert re.search(r"generate +running +2 of 2 responses, [\d,]+ tok/s, 0 in flight, \$\d+\.\d\d", during)
    after = terminal.done("status", "run")
    assert re.search(r"generate +done +4 of 4 responses, in .*, \$\d+\.\d\d", after)


# Batches


def test_batches_of_both_providers_bring_every_row_once(terminal: Terminal, problems: Path) -> None:
    fast = ("--batch", "--set", "generate.batch_poll_seconds=0.02")
    with teacher() as server:
        terminal.done(*asking(problems, server, Path("a.jsonl"), *fast))
        url = server.url.removesuffix("/v1")
        arguments = ("generate", str(problems), "--engine", "anthropic", "--endpoint", url, "--model", CLAUDE)
        terminal.done(*arguments, *fast, "--out", "b.jsonl")
        assert server.settled().num_requests == 8
        assert len(server.settled().attempts) == 8
        terminal.done(*asking(problems, server, Path("again.jsonl"), *fast))
        assert len(server.settled().attempts) == 8, "the cache has what a batch brought"
        assert rows_of(Path("again.jsonl")) == rows_of(Path("a.jsonl"))
    for name in ("a.jsonl", "b.jsonl"):
        assert [row["id"] for row in rows_of(Path(name))] == ["q0", "q1", "q2", "q3"]
        assert all(str(row["answer"]).startswith("The answer is") for row in rows_of(Path(name)))
