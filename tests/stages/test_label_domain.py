"""Domains by a model: right answers, faulty ones, several in a request, given ones, failures, and what it costs."""

import json
from pathlib import Path

import pytest

from tests.stages.labelling import (
    MODEL,
    Labelling,
    Stages,
    classifier,
    classifying,
    engine,
    grade,
    problem,
    response,
)
from thinkscale.curation.taxonomy_prompt import domain_system
from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.errors import SpendCapError, StageError
from thinkscale.keys import JSON
from thinkscale.records import Label, Problem, Verdict
from thinkscale.stages.label import forget_failed
from thinkscale.store.run import RunDirectory


def labelling(tmp_path: Path, problems: list[Problem], server: ReplayServer, **domain: JSON) -> Labelling:
    section: dict[str, JSON] = {"domain": {"engine": engine(server), **domain}}
    return Labelling(tmp_path, Stages(collect=problems), section)


def by_problem(labels: list[Label], name: str) -> dict[str, tuple[str, str, str]]:
    return {item.problem_id: (item.value, item.by, item.evidence) for item in labels if item.name == name}


def test_each_way_of_answering_ends_in_a_label_that_says_why(tmp_path: Path) -> None:
    problems = [
        problem("a", "right 11"),
        problem("b", "once 05"),
        problem("c", "always"),
        problem("d", "outside"),
        problem("e", "refuses"),
        problem("f", "right 00"),
    ]
    with classifying() as (server, _):
        labels = labelling(tmp_path, problems, server)()
        assert len(server.settled().attempts) == 6 + 5
    domains = by_problem(labels, "domain")
    assert domains["a"] == ("11", MODEL, "Number theory")
    assert domains["b"] == ("05", MODEL, "Combinatorics (second try)")
    assert {name: found[:2] for name, found in domains.items() if name > "b"} == dict.fromkeys(
        "cdef", ("unknown", MODEL)
    )
    assert domains["c"][2] == ("twice no answer: there is no line `Domain: ...`; it said: It is hard to say.")
    assert "`Domain: 99` is none of the 61 classes" in domains["d"][2]
    assert domains["e"][2].endswith("it said: I cannot help with that.")
    assert "`Domain: 00` is none of the 61 classes" in domains["f"][2]
    subjects = by_problem(labels, "subject")
    assert {name: found[0] for name, found in subjects.items()} == {
        "a": "mathematics", "b": "mathematics", "c": "unknown", "d": "unknown", "e": "unknown", "f": "unknown",
    }  # fmt: skip


def test_the_second_try_shows_the_first_with_its_error(tmp_path: Path) -> None:
    with classifying() as (server, backend):
        labelling(tmp_path, [problem("a", "once 05")], server)()
        (_, first), (_, second) = backend.heard
    assert first.content == '<question id="1">\nonce 05\n</question>'
    assert second.content.startswith(first.content)
    assert "<answer>\nIt is class 05, I think.\n</answer>" in second.content
    assert "there is no line `Domain: ...`" in second.content


def test_every_request_begins_with_the_same_bytes_and_ends_with_its_question(tmp_path: Path) -> None:
    problems = [problem(f"p{number}", f"right {number}") for number in range(10, 30)]
    with classifying() as (server, backend):
        labelling(tmp_path, problems, server, questions_per_request=3)()
        assert len(backend.heard) == len({user.content for _, user in backend.heard}) > 7
        assert {(system.role, system.content) for system, _ in backend.heard} == {("system", domain_system())}
        first = server.settled().attempts[0]
        assert first.prompt_tokens > len(domain_system()) // 4
        assert (
            sum(item.cached_tokens for item in server.log.attempts)
            > (len(backend.heard) - 1) * first.prompt_tokens * 0.9
        )


def test_a_server_of_token_ids_reuses_the_rubric(tmp_path: Path) -> None:
    tokenizer = open_tokenizer("lab")
    num_rubric = len(tokenizer.encode(domain_system(), add_special_tokens=False))
    problems = [problem(f"p{number}", f"right {number}") for number in (11, 12, 13)]
    with running_server(ScriptedBackend(classifier, name=MODEL, tokenizer=tokenizer)) as server:
        section: dict[str, JSON] = {
            "domain": {"engine": engine(server, tokenizer="lab", max_in_flight=1)},
            "cache": "none",
        }
        done = Labelling(tmp_path, Stages(collect=problems), section)
        done()
        cached = [item.cached_tokens for item in server.settled().attempts]
    assert done.values("domain") == {"p11": "11", "p12": "12", "p13": "13"}
    assert cached[0] == 0
    assert min(cached[1:]) > num_rubric - 16, "all whole blocks of the system turn"


def test_anthropics_protocol_takes_the_rubric_as_its_system(tmp_path: Path) -> None:
    with classifying() as (server, backend):
        asked: dict[str, JSON] = {
            "type": "anthropic",
            "model": MODEL,
            "endpoints": [server.url.removesuffix("/v1")],
            "retries": 0,
        }
        done = Labelling(tmp_path, Stages(collect=[problem("a", "once 11")]), {"domain": {"engine": asked}})
        done()
        assert [system.content for system, _ in backend.heard] == [domain_system()] * 2
    assert done.values("domain") == {"a": "11"}


def test_questions_that_share_a_request_are_told_apart_and_the_missing_ones_asked_alone(tmp_path: Path) -> None:
    problems = [
        problem("a", "right 11"),
        problem("b", "left 26"),
        problem("c", "once 05"),
        problem("d", "right 51"),
        problem("e", "always"),
    ]
    with classifying() as (server, backend):
        done = labelling(tmp_path, problems, server, questions_per_request=3)
        done()
        sizes = [user.content.count("<question") for _, user in backend.heard]
        alone = [user.content for _, user in backend.heard[2:]]
    assert sorted(sizes[:2], reverse=True) == [3, 2]
    assert sizes[2:] == [1, 1, 1]
    assert [("could not be read" in text) for text in sorted(alone)] == [True, False, True]
    assert done.values("domain") == {"a": "11", "b": "26", "c": "05", "d": "51", "e": "unknown"}


def test_what_somebody_else_says_of_the_domain_goes_first(tmp_path: Path) -> None:
    brought = Label(problem_id="c", name="domain", value="62", by="claude", evidence="Statistics")
    problems = [problem("a", "right 11", domain="Combinatorics"), problem("b", "right 11"), problem("c", "right 11")]
    (tmp_path / "labels.jsonl").write_text(
        json.dumps({"id": "a", "name": "domain", "value": "51"})
        + "\n"
        + json.dumps({"problem_id": "a", "name": "beauty", "value": 0.5, "by": "me", "evidence": "taste"})
        + "\n"
        + json.dumps({"problem_id": "z", "name": "domain", "value": "51"})
    )
    with classifying() as (server, _):
        section: dict[str, JSON] = {"domain": {"engine": engine(server)}, "labels": ["labels.jsonl"]}
        done = Labelling(tmp_path, Stages(collect=[*problems, brought]), section)
        labels = done()
        assert len(server.settled().attempts) == 1
        again = Labelling(
            tmp_path / "again", Stages(collect=problems), {"domain": {"engine": engine(server), "relabel": True}}
        )
        again()
        assert again.values("domain") == {"a": "11", "b": "11", "c": "11"}
    assert by_problem(labels, "domain") == {"a": ("51", "source", ""), "b": ("11", MODEL, "Number theory")}
    assert by_problem(labels, "beauty") == {"a": ("0.5", "me", "taste")}
    assert "1 problems of label.labels are not among those that are labelled" in done.said


def test_without_a_model_the_sources_domain_stands_and_its_lack_is_unknown(tmp_path: Path) -> None:
    done = Labelling(tmp_path, Stages(collect=[problem("a", "?", domain="Statistics"), problem("b", "?")]), {})
    assert [(item.problem_id, item.name, item.value, item.by) for item in done()] == [
        ("a", "domain", "62", "source"),
        ("b", "domain", "unknown", "source"),
    ]


@pytest.mark.parametrize("wanted", ["correct_trace", "all"])
def test_only_problems_with_a_correct_trace_are_asked_about_unless_all_are_wanted(tmp_path: Path, wanted: str) -> None:
    stages = Stages(
        collect=[problem(name, "right 11") for name in "abc"],
        generate=[response("a"), response("b"), response("b", sample=1)],
        grade=[grade("a", Verdict.WRONG), grade("b", Verdict.WRONG), grade("b", Verdict.CORRECT, sample=1)],
    )
    with classifying() as (server, _):
        done = Labelling(tmp_path, stages, {"domain": {"engine": engine(server)}, "problems": wanted})
        done()
        asked = {"correct_trace": {"b"}, "all": {"a", "b", "c"}}[wanted]
        assert set(done.values("domain")) == asked
        assert len(server.settled().attempts) == len(asked)


def test_an_interrupted_run_asks_nothing_twice_and_ends_in_the_same_labels(tmp_path: Path) -> None:
    problems = [problem(f"p{number}", f"{('right', 'once', 'left')[number % 3]} 11") for number in range(30)]
    with classifying() as (server, _):
        whole = labelling(tmp_path / "whole", problems, server, questions_per_request=4)()
        num_requests = len(server.settled().attempts)
    assert num_requests == 8 + 20
    stops = (0, 3, 4, 9)
    with classifying() as (server, _):
        cut = Labelling(
            tmp_path / "cut",
            Stages(collect=problems),
            {"domain": {"engine": engine(server, max_in_flight=1), "questions_per_request": 4}},
        )
        for cut.most_commits in stops:
            with pytest.raises(KeyboardInterrupt):
                cut()
        cut.most_commits = None
        resumed = cut()
        asked = len(server.settled().attempts)
        # A stop costs the one request that was in flight; what was answered and not stored yet is in the cache.
        assert num_requests <= asked <= num_requests + len(stops)
        assert cut() == resumed
        assert len(server.settled().attempts) == asked
    assert resumed == whole


def test_a_failed_request_is_recorded_and_asked_again_only_when_told_to(tmp_path: Path) -> None:
    problems = [problem("a", "right 11"), problem("b", "fails 12")]
    with classifying() as (server, _):
        done = labelling(tmp_path, problems, server)
        (value, _, evidence) = by_problem(done(), "domain")["b"]
        assert (value, done.values("domain")["a"]) == ("unknown", "11")
        assert evidence.startswith("the request failed: bad_request")
        done()
        assert len(server.settled().attempts) == 2
        with RunDirectory.open_existing(tmp_path / "run") as run:
            assert [item.kind for item in run.journal.events("label")] == ["failure"]
            assert forget_failed(run) == 1
            assert forget_failed(run) == 0
        done()
        assert len(server.settled().attempts) == 3
    assert len(done.values("domain")) == 2


def test_too_many_failures_stop_the_stage_and_what_was_stored_is_not_asked_again(tmp_path: Path) -> None:
    problems = [
        problem(f"p{number}", ("fails 11 " if number % 2 else "right 11 ") + "x" * number) for number in range(60)
    ]
    questions = {item.id: item.question for item in problems}
    with classifying() as (server, backend):
        done = labelling(tmp_path, problems, server)
        with pytest.raises(StageError, match=r"label: \d+ of \d+ requests failed \(\d+ bad_request\).*max_failures"):
            done()
        stored = set(done.values("domain"))
        assert len(stored) >= 20
        server.settled()
        backend.heard.clear()
        done.section = {**done.section, "max_failures": 1.0}
        done()
        again = "".join(user.content for _, user in backend.heard)
        assert not [name for name in stored if f"\n{questions[name]}\n" in again]
    assert list(done.values("domain").values()) == ["11", "unknown"] * 30


def test_every_dollar_is_booked_also_that_of_an_answer_nobody_could_read(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(f"models:\n  {MODEL}: {{input: 1, output: 1000}}\n")
    problems = [problem("a", "right 11"), problem("b", "once 05"), problem("c", "left 12"), problem("d", "always")]
    with classifying() as (server, _):
        done = labelling(tmp_path, problems, server, questions_per_request=2)
        done.section = {**done.section, "prices": "prices.yaml", "max_spend": 10.0, "cache": "none"}
        done()
        log = server.settled()
        billed = sum(item.prompt_tokens + 1000 * item.sent_tokens for item in log.attempts) / 1e6
        assert len(log.attempts) == 2 + 3
    with RunDirectory.read(tmp_path / "run") as run:
        stage = run.journal.stage("label")
        assert stage is not None
        assert stage.usd == pytest.approx(billed, rel=1e-9)


def test_the_spend_cap_stops_the_stage_before_it_is_crossed(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(f"models:\n  {MODEL}: {{input: 0, output: 1000}}\n")
    problems = [problem(f"p{number}", "right 11") for number in range(20)]
    with classifying() as (server, _):
        done = labelling(tmp_path, problems, server, max_tokens=100)
        done.section = {**done.section, "prices": "prices.yaml", "max_spend": 0.15}
        with pytest.raises(SpendCapError):
            done()
        done.section = {**done.section, "max_spend": 10.0}
        done()
        assert len(server.settled().attempts) == 20
    assert len(done.values("domain")) == 20
