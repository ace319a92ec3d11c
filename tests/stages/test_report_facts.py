"""What the report stage works out of recipe and journal: samples by rule, checks of references, deviations."""

from dataclasses import replace

import pytest

from thinkscale.config import Recipe, recipe_source, shipped_recipes
from thinkscale.keys import JSON
from thinkscale.records import Kind, Problem, Score, Verdict
from thinkscale.settings import load_settings
from thinkscale.stages.evaluate_jobs import BASE, STUDENT
from thinkscale.stages.report_facts import check_references, published_points
from thinkscale.stages.report_samples import choices, named_templates
from thinkscale.stages.report_setup import approach_of, deviations_of, paper_recipe


def score(problem: int, verdict: Verdict, method: str = "truncation", waits: int = 0, model: str = STUDENT) -> Score:
    return Score(
        benchmark="b",
        model=model,
        method=method,
        budget_tokens=None,
        waits=waits,
        variant="Wait" if waits else "",
        problem_id=f"p{problem}",
        sample=0,
        response_key=f"{model}-{problem}-{waits}",
        verdict=verdict,
        thinking_tokens=10,
    )


def recipe_of(name: str, *overrides: str) -> Recipe:
    text, label = recipe_source(name)
    return load_settings(Recipe, text, overrides, name=label).value


def test_samples_are_drawn_by_rule_from_all_that_fit() -> None:
    scores = [score(problem, Verdict.CORRECT if problem % 2 else Verdict.WRONG) for problem in range(40)]
    scores += [score(4, Verdict.CORRECT, "budget_forcing", 1), score(7, Verdict.WRONG, "budget_forcing", 1)]
    scores += [score(3, Verdict.CORRECT, model=BASE)]
    chosen = choices(scores, seed=1)
    assert [choice.why for choice in chosen] == [
        "an answer that waiting turned from wrong to right",
        "an answer that waiting turned from right to wrong",
        "a response that is right, truncation",
        "a response that is not right, truncation",
    ]  # both forced responses are shown already
    assert [choice.score.problem_id for choice in chosen[:2]] == ["p4", "p7"]
    assert chosen[2].score.verdict is Verdict.CORRECT
    assert all(choice.score.model == STUDENT for choice in chosen)


def test_the_draw_hangs_on_the_seed_and_not_on_the_order_of_scores() -> None:
    scores = [score(problem, Verdict.CORRECT) for problem in range(40)]
    drawn = {seed: choices(scores, seed)[0].score.problem_id for seed in range(8)}
    assert len(set(drawn.values())) > 1
    assert all(choices(scores[::-1], seed)[0].score.problem_id == name for seed, name in drawn.items())


def problem(name: str, reference: str, kind: Kind = Kind.MATH) -> Problem:
    return Problem(id=name, source="s", question="?", reference=reference, kind=kind)


def test_references_are_held_against_their_own_grader() -> None:
    check = check_references("b", [problem("a", "42"), problem("b", r"\frac{1}{2}"), problem("c", "0.5")])
    assert (check.problems, check.accepted, check.undecided) == (3, 3, 0)
    # 42 / one half, one half / 0.5, 0.5 / 42: the middle one is one value in two spellings.
    assert (check.tried_others, check.accepted_others) == (3, 1)
    assert check.examples == (r"b: '0.5' counts as '\\frac{1}{2}'",)


def test_a_reference_that_the_grader_cannot_read_is_told() -> None:
    check = check_references("b", [problem("a", "C", Kind.CHOICE), problem("b", "neither", Kind.CHOICE)])
    assert (check.problems, check.accepted) == (2, 1)
    assert check.examples == ("b: its own reference 'neither' is ungradable",)


def test_equal_references_are_not_tried_on_each_other() -> None:
    assert check_references("b", [problem("a", "42"), problem("b", " 42 ")]).tried_others == 0


def test_the_papers_recipe_does_not_deviate_from_itself() -> None:
    deviations, agreeing = deviations_of(paper_recipe(), paper_recipe())
    assert deviations == []
    assert agreeing > 40


def test_each_setting_that_differs_is_named_with_both_values() -> None:
    recipe = recipe_of("s1-32b", "train.learning_rate=2e-5", "evaluate.waits=[0, 1]", "select=null")
    deviations, _ = deviations_of(recipe, paper_recipe())
    assert [(item.setting, item.here, item.there) for item in deviations] == [
        ("select", "not run", "run"),
        ("train.learning_rate", "2e-05", "1e-05"),
        ("evaluate.waits", "[0,1]", "[0,1,2,4,6]"),
    ]


def test_no_folder_of_this_machine_is_shown() -> None:
    recipe = recipe_of("s1-32b", "student.model=/home/me/base", "evaluate.benchmarks=[/data/own.jsonl]")
    shown = {item.setting: item.here for item in deviations_of(recipe, paper_recipe())[0]}
    assert shown == {"student.model": "base", "evaluate.benchmarks": '["own.jsonl"]'}
    assert "/home" not in "".join(text for _, text in approach_of(recipe))


def test_where_a_model_runs_is_no_deviation() -> None:
    recipe = recipe_of("s1-32b", "evaluate.engine.endpoints=[http://else:1/v1]", "evaluate.batch_size=7")
    assert deviations_of(recipe, paper_recipe())[0] == []


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_tells_its_approach(name: str) -> None:
    recipe = recipe_of(name)
    told = dict(approach_of(recipe))
    for stage in ("collect", "generate", "label", "select", "train", "evaluate"):
        assert (stage in told) == (getattr(recipe, stage) is not None)
    assert all(text for text in told.values())


def test_the_approach_names_what_the_recipe_says() -> None:
    told = dict(approach_of(paper_recipe()))
    assert told["train"].startswith("full fine-tuning of Qwen/Qwen2.5-32B-Instruct in the thinking format s1: 5 epochs")
    assert "aime24, math500, gpqa_diamond; truncation, budget forcing, class-conditional" in told["evaluate"]
    assert "waits 0, 1, 2, 4, 6 (Wait, Hmm, Alternatively, none)" in told["grid"]


def test_published_points_are_matched_to_a_part_of_their_benchmark() -> None:
    recipe = recipe_of("s1-32b", "report.published=[s1]")
    points = published_points(recipe, ("math500:100", "lab_numeric"))
    assert {point.benchmark for point in points} == {"math500:100"}
    assert max(point.accuracy for point in points if point.model == "s1-32B") == pytest.approx(0.932)
    assert published_points(replace_published(recipe), ("math500",)) == ()


def replace_published(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"report": recipe.report.model_copy(update={"published": ()})})


def test_templates_are_read_from_the_identity_of_the_stage() -> None:
    listed: JSON = [{"name": "aime24", "problems": "k", "template": {"name": "boxed", "key": "h"}}, {"name": "old"}]
    assert list(named_templates(listed)) == [("aime24", "boxed", "h")]
    assert list(named_templates(None)) == []


def test_a_response_is_shown_once() -> None:
    one = score(1, Verdict.CORRECT)
    twin = replace(one, method="class_conditional", variant="long")
    assert len(choices([one, twin], seed=3)) == 1
