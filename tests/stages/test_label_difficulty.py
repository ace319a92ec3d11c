"""Weak models: pass rates with their counts, who is asked, and what others say of them."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stages.labelling import Labelling, Stages, engine, grade, problem, response
from thinkscale.engines.scripted.asking import RefusedError
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.server import running_server
from thinkscale.errors import DataError
from thinkscale.keys import JSON, seed_from
from thinkscale.records import Label, Response, Role, Verdict
from thinkscale.store.run import RunDirectory


def small(prompt: str, seed: int) -> ScriptedReply:
    """7 where the seed is even, 8 where it is odd; `easy` is always right, `blank` says nothing."""
    if prompt.startswith("blank"):
        return ScriptedReply(thinking="", answer_text="I do not know.")
    right = seed % 2 == 0 or prompt.startswith("easy")
    return ScriptedReply(thinking="", answer_text="\\boxed{7}" if right else "\\boxed{8}")


def big(prompt: str, _seed: int) -> ScriptedReply:
    if prompt.startswith("refused"):
        raise RefusedError("not here")
    return ScriptedReply(thinking="", answer_text="\\boxed{8}")


def seeds(model: str, name: str, samples: int) -> list[int]:
    return [seed_from(42, "weak", model, name, sample) for sample in range(samples)]


def found(labels: list[Label], problem_id: str) -> dict[str, str]:
    """Pass rates by model, and the difficulty with its evidence."""
    mine = [item for item in labels if item.problem_id == problem_id]
    rates = {item.evidence or item.by: item.value for item in mine if item.name == "pass_rate"}
    (difficulty,) = [item for item in mine if item.name == "difficulty"]
    return {**rates, "": f"{difficulty.value}: {difficulty.evidence}"}


def weak_section(stack: ExitStack, **more: JSON) -> dict[str, JSON]:
    servers = {
        name: stack.enter_context(running_server(ScriptedBackend(script, name=name)))
        for name, script in (("small", small), ("big", big))
    }
    engines: list[JSON] = [{**engine(server), "model": name} for name, server in servers.items()]
    return {"weak_models": engines, "weak_samples": 4, "weak_max_tokens": 64, **more}


def test_pass_rates_count_each_models_attempts(tmp_path: Path) -> None:
    problems = [problem("easy", "easy one"), problem("mixed", "a mixed one"), problem("blank", "blank one")]
    right = sum(seed % 2 == 0 for seed in seeds("small", "mixed", 4))
    assert 0 < right < 4, "the draw of the seeds is a mixed one"
    with ExitStack() as stack:
        done = Labelling(tmp_path, Stages(collect=problems), weak_section(stack))
        labels = done()
    assert found(labels, "easy") == {"small": "4/4", "big": "0/4", "": "too_easy: big 0/4; small 4/4"}
    assert found(labels, "mixed") == {
        "small": f"{right}/4",
        "big": "0/4",
        "": f"too_easy: big 0/4; small {right}/4",
    }
    assert found(labels, "blank") == {"small": "0/4", "big": "0/4", "": "hard: big 0/4; small 0/4"}
    with RunDirectory.read(tmp_path / "run") as run:
        attempts = list(run.rows(Response, "label"))
    assert len(attempts) == 3 * 4 * 2
    assert {item.role for item in attempts} == {Role.WEAK}
    assert {item.sampling.temperature for item in attempts} == {0.05}
    assert [item.problem_id for item in attempts[:8]] == ["easy"] * 8


def test_an_attempt_that_failed_counts_for_nobody_and_leaves_the_difficulty_open(tmp_path: Path) -> None:
    with ExitStack() as stack:
        section = weak_section(stack, weak_samples=1)
        labels = Labelling(tmp_path, Stages(collect=[problem("refused", "refused one, 7")]), section)()
    rates = found(labels, "refused")
    assert rates["big"] == "0/0"
    assert rates[""].startswith("too_easy" if rates["small"] == "1/1" else "unknown")


def test_only_problems_with_a_correct_trace_are_attempted_by_default(tmp_path: Path) -> None:
    stages = Stages(
        collect=[problem(name, "easy") for name in ("right", "wrong", "none")],
        generate=[response("right"), response("wrong")],
        grade=[grade("right", Verdict.CORRECT), grade("wrong", Verdict.WRONG)],
    )
    with ExitStack() as stack:
        section = weak_section(stack, weak_samples=1)
        by_default = Labelling(tmp_path / "default", stages, section)()
        of_all = Labelling(tmp_path / "all", stages, {**section, "problems": "all"})()
    assert {item.problem_id for item in by_default} == {"right"}
    assert {item.problem_id for item in of_all if item.name == "difficulty"} == {"right", "wrong", "none"}


def test_a_weak_model_that_a_source_speaks_of_is_not_asked_again(tmp_path: Path) -> None:
    brought = Label(problem_id="b", name="pass_rate", value="1/1", by="lab/big", evidence="as a judge said")
    stages = Stages(
        collect=[
            problem("a", "easy", weak_correct={"org/small": False, "other": [True, None, False]}),
            problem("b", "easy"),
            problem("c", "easy"),
            brought,
        ]
    )
    (tmp_path / "labels.jsonl").write_text(
        '{"id": "c", "name": "pass_rate", "value": "0/2", "by": "small"}\n'
        '{"id": "c", "name": "pass_rate", "value": "0/3", "evidence": "big"}\n'
    )
    with ExitStack() as stack:
        labels = Labelling(tmp_path, stages, weak_section(stack, weak_samples=1, labels=["labels.jsonl"]))()
    assert found(labels, "a") == {
        "big": "0/1",
        "org/small": "0/1",
        "other": "1/2",
        "": "too_easy: big 0/1; org/small 0/1; other 1/2",
    }
    assert found(labels, "b") == {"small": "1/1", "": "too_easy: lab/big 1/1; small 1/1"}, "what was brought is a row"
    assert found(labels, "c") == {"small": "0/2", "big": "0/3", "": "hard: big 0/3; small 0/2"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            '{"id": "a", "name": "pass_rate", "value": "yes", "by": "m"}',
            "is `correct/graded`, such as 1/4; this is yes",
        ),
        ('{"id": "a", "name": "pass_rate", "value": "3/2", "by": "m"}', "is `correct/graded`"),
        ('{"id": "a", "name": "pass_rate", "value": "1/2"}', "needs the model"),
        ('{"name": "domain", "value": "11"}', "names no problem"),
        ('{"id": "a", "value": "11"}', "a label needs `name`"),
        ('{"id": "a", "name": "domain", "value": null}', "a label needs `value`"),
        ('{"id": "a", "name": "domain", "value": ""}', "a label needs `value`"),
    ],
)
def test_a_row_that_is_no_label_is_named(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "name": "domain", "value": "11"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"labels\.jsonl:2: ") as caught:
        Labelling(tmp_path, Stages(collect=[problem("a", "?")]), {"labels": ["labels.jsonl"]})()
    assert message in str(caught.value)


def test_a_stated_difficulty_stands_in_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "name": "difficulty", "value": "hard", "by": "me"}\n')
    with ExitStack() as stack:
        section = weak_section(stack, weak_samples=1, labels=["labels.jsonl"])
        labels = Labelling(tmp_path, Stages(collect=[problem("a", "easy")]), section)()
    assert [(item.value, item.by) for item in labels if item.name == "difficulty"] == [("hard", "me")]
