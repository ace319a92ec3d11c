"""Ratings by a model: one, several with a mean, and none that can be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stages.labelling import MODEL, Labelling, Stages, engine, problem, rater
from thinkscale.config import LabelSettings
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.keys import JSON, content_key, seed_from
from thinkscale.records import Label


@contextmanager
def rating(script: object = rater) -> Iterator[ReplayServer]:
    with running_server(ScriptedBackend(script, name=MODEL)) as server:  # type: ignore[arg-type]
        yield server


def label_of(labels: list[Label], problem_id: str, name: str = "rating") -> tuple[str, str, str]:
    (found,) = [item for item in labels if (item.problem_id, item.name) == (problem_id, name)]
    return found.value, found.by, found.evidence


def test_one_rating_is_the_label(tmp_path: Path) -> None:
    problems = [problem("a", "right 4.5"), problem("b", "once 7"), problem("c", "right 4.7"), problem("d", "right 10")]
    with rating() as server:
        labels = Labelling(tmp_path, Stages(collect=problems), {"rating": {"engine": engine(server)}})()
    assert label_of(labels, "a") == ("4.5", MODEL, "")
    assert label_of(labels, "b") == ("7", MODEL, "(second try)")
    assert label_of(labels, "d") == ("10", MODEL, "")
    value, _, evidence = label_of(labels, "c")
    assert value == "unknown"
    assert "`Difficulty: 4.7` is not a whole or half step" in evidence


def by_seed(prompt: str, seed: int) -> ScriptedReply:
    """5, 6 or nothing readable, by the seed."""
    said = ("Difficulty: 5", "Difficulty: 6", "I pass.")[seed % 3]
    return ScriptedReply(thinking="", answer_text=said)


def test_several_ratings_have_their_mean_and_all_of_them_as_evidence(tmp_path: Path) -> None:
    settings: dict[str, JSON] = {"samples": 4, "temperature": 0.7}
    problems = [problem(f"p{number}", f"question {number}") for number in range(5)]
    with rating(by_seed) as server:
        done = Labelling(tmp_path, Stages(collect=problems), {"rating": {"engine": engine(server), **settings}})
        labels = done()
        num_first = 5 * 4
        assert len(server.settled().attempts) >= num_first
        again = len(server.log.attempts) - num_first
    votes = [item for item in labels if item.name == "rating_vote"]
    assert len(votes) == num_first
    assert sum("second try" in item.evidence or item.value == "unknown" for item in votes) == again > 0
    for item in problems:
        mine = [vote.value for vote in votes if vote.problem_id == item.id]
        numbers = [float(value) for value in mine if value != "unknown"]
        value, by, evidence = label_of(labels, item.id)
        assert float(value) == round(sum(numbers) / len(numbers), 2)
        assert (by, evidence) == (MODEL, "; ".join(mine))


def test_a_mean_leaves_out_what_could_not_be_read(tmp_path: Path) -> None:
    from thinkscale.stages.label_rating import rating_of

    assert rating_of("p", ["5", "unknown", "6"], "m").value == "5.5"
    assert rating_of("p", ["unknown", "unknown"], "m").value == "unknown"
    assert rating_of("p", ["6", "6", "7"], "m").evidence == "6; 6; 7"


def test_samples_that_would_all_be_the_same_are_refused() -> None:
    section = {"rating": {"engine": {"type": "openai", "model": "m"}, "samples": 3}}
    with pytest.raises(ValueError, match="at temperature 0 they are all the same"):
        LabelSettings.model_validate(section)


def test_a_rating_of_a_file_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "name": "rating", "value": 3.5}\n')
    with rating() as server:
        section: dict[str, JSON] = {"rating": {"engine": engine(server)}, "labels": ["labels.jsonl"]}
        labels = Labelling(tmp_path, Stages(collect=[problem("a", "right 9"), problem("b", "right 9")]), section)()
        assert len(server.settled().attempts) == 1
    assert label_of(labels, "a") == ("3.5", "source", "")
    assert label_of(labels, "b") == ("9", MODEL, "")


def test_seeds_differ_by_sample_and_by_try() -> None:
    units = [f"rating:{content_key(sample)}" for sample in range(3)]
    seeds = {seed_from(42, [unit], second) for unit in units for second in (False, True)}
    assert len(seeds) == 6
