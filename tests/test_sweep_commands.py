"""`evaluate`'s options as a recipe, and what `plan` says of a sweep before it runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from thinkscale.commands.evaluate import SweepOptions, evaluate, recipe_of
from thinkscale.commands.plan_sweep import sweep_json, sweep_line, sweep_plan, sweep_text
from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.settings import load_settings
from thinkscale.thinking.budgets import budget_forcing, minimum, rejection, truncation
from thinkscale.thinking.sweep import plan_trajectories


def settings_of(**changes: object) -> EvaluateSettings:
    made = {"benchmarks": ("b",), "max_thinking_tokens": 100, "max_answer_tokens": 5, **changes}
    return EvaluateSettings.model_validate(made)


def test_the_expectation_is_what_arithmetic_says() -> None:
    settings = settings_of(methods=("budget_forcing",), budgets=(10,), waits=(0, 1))
    plan = sweep_plan(settings, 3, [20] * 7, base=False)
    # T_0 = 20, a wait of one token and a tenth of T_0: T_1 = 23. Prefixes: 10 (two cells), 20 and 23.
    total = plan.total
    assert (total.cells, total.trajectories) == (4, 3)
    assert total.expected_tokens == 3 * (20 + 2 + 3 * 5)
    assert total.separate_expected_tokens == 3 * (10 + 20 + 10 + 23 + 4 * 5)
    assert total.greatest_tokens == 3 * (100 + 4 * 5)
    assert total.separate_greatest_tokens == 3 * (10 + 100 + 10 + 100 + 4 * 5)
    assert total.saving == pytest.approx(83 / 37)
    assert plan.methods == (replace(total, method="budget_forcing"),)


def test_methods_share_what_they_have_in_common_and_the_base_model_comes_on_top() -> None:
    settings = settings_of(methods=("truncation", "budget_forcing"), budgets=(10,), waits=(0,))
    both = sweep_plan(settings, 1, [20], base=False)
    alone = sweep_plan(settings_of(methods=("truncation",), budgets=(10,)), 1, [20], base=False)
    assert both.total.expected_tokens == alone.total.expected_tokens == 20 + 2 * 5
    assert [item.method for item in both.methods] == ["truncation", "budget_forcing"]
    with_base = sweep_plan(settings, 1, [20], base=True)
    assert with_base.total.expected_tokens == both.total.expected_tokens + 20 + 5 + 5


def test_the_bound_holds_for_every_branch() -> None:
    def greatest(*settings: object, is_greedy: bool = False) -> int:
        (plan,) = plan_trajectories(settings, 100, is_greedy=is_greedy)  # type: ignore[arg-type]
        return plan.greatest_tokens

    assert greatest(*truncation((10, 40))) == 40
    assert greatest(*truncation((None,)), *budget_forcing((None,), (0, 2), ("Wait",))) == 100
    assert greatest(*budget_forcing((None,), (1, 2), ("Wait", "Hmm"))) == 200
    assert greatest(*budget_forcing((30,), (1,), ("Wait", "rotate"))) == 30, "both begin with Wait"
    assert greatest(*truncation((None,)), *rejection((10, 20), 3)) == 100 + 20 + 20
    assert greatest(*minimum((10, 20)), *truncation((None,))) == 300
    assert greatest(*minimum((10, 20)), *truncation((None,)), is_greedy=True) == 100


def test_the_plan_says_where_its_lengths_are_from_and_of_how_many_problems() -> None:
    settings = settings_of(methods=("truncation",), budgets=(10,))
    known, unknown = (sweep_plan(settings, number, [], base=False) for number in (40, None))
    assert "nothing that is stored says more" in known.assumption
    assert "1 to 91 tokens" in known.assumption
    assert sweep_json(known)["problems"] == 40
    assert sweep_json(unknown)["problems"] is None
    assert sweep_json(unknown)["numbers_are"] == "of one problem"
    assert known.total.greatest_tokens == 40 * unknown.total.greatest_tokens
    assert sweep_line(known).startswith("40 problems, 2 cells from 40 trajectories")
    assert list(sweep_text(known))[1].split()[0] == "truncation"


def test_options_become_the_recipe_and_what_is_left_out_stays_at_its_default() -> None:
    asked = SweepOptions(
        model="lab",
        benchmarks=("lab_numeric:2", "lab_choice"),
        budgets=("8", "none"),
        scorers=("logprob",),
        local=("/data", "aime24=/aime"),
        templates=("boxed",),
        settings={
            "methods": ["budget_forcing"],
            "wait_strings": ["none", "rotate"],
            "temperature": 0.0,
            "grace_tokens": None,
            "waits": [],
        },
    )
    section = recipe_of(asked)["evaluate"]
    assert section == {
        "benchmarks": ["lab_numeric:2", "lab_choice"],
        "methods": ["budget_forcing"],
        "wait_strings": ["none", "rotate"],
        "temperature": 0.0,
        "budgets": [8],
        "untruncated": True,
        "scorers": ["logprob"],
        "local": {"*": "/data", "aime24": "/aime"},
        "template": {"*": "boxed"},
    }
    recipe = load_settings(Recipe, yaml.safe_dump(recipe_of(asked)), (), name="the test").value
    assert recipe.evaluate is not None
    assert recipe.evaluate.waits == (0, 1, 2, 4)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (SweepOptions(model="m", benchmarks=("b",), budgets=("0",), settings={}), "--budget 0"),
        (SweepOptions(model="m", benchmarks=("b",), budgets=("many",), settings={}), "--budget many"),
        (SweepOptions(model="m", benchmarks=("b",), engine="anthropic", settings={}), "--engine anthropic"),
        (SweepOptions(model="m", benchmarks=("b",), engine="openai", settings={}), "--endpoint"),
        (SweepOptions(model="m", benchmarks=("b",), endpoints=("http://x",), settings={}), "--engine openai"),
        (SweepOptions(model="m", benchmarks=("b",), scorers=("liked",), settings={}), "--scorer"),
    ],
)
def test_an_option_that_does_not_fit_is_named(asked: SweepOptions, part: str) -> None:
    with pytest.raises(ConfigError) as refused:
        recipe_of(asked)
    assert part in str(refused.value)


@pytest.mark.parametrize("methods", [["class_conditional"], ["token_conditional", "minimum"]])
def test_accuracies_that_no_method_would_give_are_refused_before_the_sweep(methods: list[str], tmp_path: Path) -> None:
    asked = SweepOptions(model="lab", benchmarks=("lab_numeric:1",), as_json=True, settings={"methods": [*methods]})
    with pytest.raises(ConfigError, match="--json: the accuracy of a benchmark is that of truncation"):
        evaluate(asked, (), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_votes_sample_thinking_without_a_budget_which_gives_the_accuracy(tmp_path: Path) -> None:
    voted: dict[str, JSON] = {"methods": ["majority"], "samples": 2, "temperature": 0.7}
    asked = SweepOptions(model="lab", benchmarks=("no_such_set",), as_json=True, settings=voted)
    with pytest.raises(ConfigError, match="no_such_set"):
        evaluate(asked, (), tmp_path / "run")
