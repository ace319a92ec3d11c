"""The section `select` of a recipe becomes the rules that decide."""

from fractions import Fraction

import pytest

from thinkscale.config import Recipe, SelectSettings
from thinkscale.curation.quality import DEFAULT_RULES, DEFAULT_TRACE_RULES, S1_RULES
from thinkscale.curation.rules import KeepRule, Need, Preference, Rules, Solved
from thinkscale.curation.sampling import SAMPLERS, Domains, LastPhase, Within
from thinkscale.errors import ConfigError
from thinkscale.settings import load_settings
from thinkscale.stages.selection_rules import rules_of


def rules(*settings: str) -> Rules:
    recipe = load_settings(Recipe, "name: a\nselect: {}\n", tuple(f"select.{item}" for item in settings)).value
    assert recipe.select is not None
    return rules_of(recipe.select)


def test_the_defaults_of_a_recipe_are_those_of_the_rules() -> None:
    assert rules_of(SelectSettings()) == Rules()
    assert Rules().question_rules == DEFAULT_RULES
    assert Rules().trace_rules == DEFAULT_TRACE_RULES


def test_every_dial_reaches_its_rule() -> None:
    found = rules(
        "count=10",
        "sampler=diverse",
        "exponent=1.5",
        "last_phase={count: 300, shares: {aime: 1, gpqa: 0.1}}",
        "keep_all=[{source: aime, correct: true}, {source: math*, min_trace_tokens: 5601}]",
        "need=[grade, domain]",
        "need_correct=false",
        "question_rules=s1",
        "trace_rules=[cut_off]",
        "tolerated_faults={aime: [asymptote_figure]}",
        "min_trace_tokens=1",
        "max_trace_tokens=9",
        "overlap_share=0.6",
        "duplicate_containment=null",
        "duplicate_same_answer=0.7",
        "prefer=[source]",
        "difficulty={math: [4, 9.5]}",
        "drop_solved=all",
        "solved_above=0.1",
    )
    assert found == Rules(
        count=10,
        sampler=found.sampler,
        keep_all=(KeepRule(source="aime", correct=True), KeepRule(source="math*", min_trace_tokens=5_601)),
        need=frozenset({Need.GRADE, Need.DOMAIN}),
        need_correct=False,
        question_rules=frozenset(S1_RULES),
        trace_rules=frozenset({"cut_off"}),
        tolerated_faults={"aime": ("asymptote_figure",)},
        min_trace_tokens=1,
        max_trace_tokens=9,
        overlap_share=0.6,
        duplicate_share=None,
        same_answer_share=0.7,
        prefer=(Preference.SOURCE,),
        ratings={"math": (4, 9.5)},
        solved=Solved.ALL,
        solved_above=Fraction(1, 10),
    )
    assert (found.sampler.domains, found.sampler.within) == (Domains.UNIFORM, Within.POWER)
    assert found.sampler.exponent == Fraction(3, 2)
    assert found.sampler.last_phase == LastPhase(count=300, shares={"aime": Fraction(1), "gpqa": Fraction(1, 10)})


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_can_be_named(name: str) -> None:
    assert rules(f"sampler={name}").sampler == SAMPLERS[name]


@pytest.mark.parametrize(
    "setting",
    [
        "exponent=0.1", "exponent=9", "duplicate_containment=0.2", "solved_above=1", "prefer=[size]",
        "difficulty={math: 4}", "keep_all=[{source: ''}]", "last_phase={count: 1, shares: {}}",
        "question_rules=[nothing]", "drop_solved=true",
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError):
        rules(setting)
