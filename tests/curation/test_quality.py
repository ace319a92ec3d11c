"""Rules on questions: their examples in both engines, their order, and what drops by default."""

import re

import polars as pl
import pytest

from thinkscale.curation.quality import (
    DEFAULT_RULES,
    RULE_SETS,
    S1_RULES,
    Fault,
    QuestionLimits,
    question_faults,
    question_rules,
    repaired,
    rule_names,
)
from thinkscale.curation.quality.columns import question_fault_table, question_faults_of
from thinkscale.curation.quality.questions import MAX_READ_CHARACTERS
from thinkscale.curation.quality.rules import POLICY_RULES, Measured, QuestionRule, for_python, for_rust
from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Kind, Problem

RULES = question_rules()
POSITIVES = [(name, text) for name, rule in RULES.items() for text in rule.positives]
NEGATIVES = [(name, text) for name, rule in RULES.items() for text in rule.negatives]


def problem(
    question: str = "What is 1+1, in words?", reference: str | None = "2", kind: Kind = Kind.MATH, source: str = "test"
) -> Problem:
    return Problem(id="p", source=source, question=question, reference=reference, kind=kind)


def example(name: str, text: str) -> Problem:
    """The text of an example where its rule reads it."""
    return problem(reference=text) if RULES[name].field == "reference" else problem(text)


def by_column(row: Problem, names: list[str]) -> list[Fault]:
    frame = pl.DataFrame({"question": [row.question], "reference": [row.reference], "source": [row.source]})
    return [Fault(**fault) for fault in question_faults_of(frame, names).to_list()[0]]


@pytest.mark.parametrize(("name", "text"), POSITIVES)
def test_each_rule_finds_its_positive_examples_in_both_engines(name: str, text: str) -> None:
    row = example(name, text)
    (fault,) = question_faults(row, [name])
    assert fault.reason == name
    assert fault.evidence
    assert by_column(row, [name]) == [fault]


@pytest.mark.parametrize(("name", "text"), NEGATIVES)
def test_no_rule_finds_its_negative_examples_in_either_engine(name: str, text: str) -> None:
    row = example(name, text)
    assert question_faults(row, [name]) == []
    assert by_column(row, [name]) == []


def test_every_rule_has_examples_on_both_sides_or_is_tested_here_by_hand() -> None:
    without = {name for name, rule in RULES.items() if not rule.positives or not rule.negatives}
    assert without == {"question_too_long", "no_reference"}


@pytest.mark.parametrize("pattern", [text for rule in RULES.values() for text in (*rule.parts, rule.unless) if text])
def test_every_pattern_is_one_that_both_engines_read(pattern: str) -> None:
    assert not re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]", pattern)
    for_python(pattern)
    assert pl.Series(["x"]).str.contains(for_rust(pattern), strict=True).len() == 1


def test_classes_know_ascii_only_in_both_engines() -> None:
    texts = ["a b", "aéb", "\u0663", "3", "\u00a0", " "]
    for pattern in (r"a\b", r"\w\W", r"\d", r"\s", r"\S"):
        expected = [bool(for_python(pattern).search(text)) for text in texts]
        assert pl.Series(texts).str.contains(for_rust(pattern)).to_list() == expected


def test_parts_of_a_pattern_follow_each_other() -> None:
    (fault,) = question_faults(problem("Let x = 1. (a) Find y.\n(b) Compute z."), ["multi_part"])
    assert fault.evidence == r" (a) Find y.\n(b) Compute"
    assert question_faults(problem("Compute z. (b) Find y. (a) Find x."), ["multi_part"]) == []
    assert question_faults(problem("(1) Find (2) x."), ["multi_part"]) == []


@pytest.mark.parametrize("name", [name for name in RULES if name != "question_too_long"])
@pytest.mark.parametrize(
    "unit", ["(1) find ", "**", "**1", "![", "draw((", "\\[", "| ", "p1. ", "{", "de la que ", "/"]
)
def test_hostile_texts_are_read_in_bounded_time(name: str, unit: str) -> None:
    for length in (MAX_READ_CHARACTERS, 10 * MAX_READ_CHARACTERS):
        row = example(name, (unit * length)[:length])
        assert len(question_faults(row, [name])) <= 1


def test_faults_are_listed_in_the_order_of_the_catalogue() -> None:
    row = problem("p1. Find x in ![](a.png)\np2. Find y. [asy] draw(); [/asy]", reference=" ")
    reasons = ["image_reference", "asymptote_figure", "inconsistent_numbering", "no_reference"]
    assert [fault.reason for fault in question_faults(row)] == reasons
    assert [fault.reason for fault in by_column(row, list(DEFAULT_RULES))] == reasons


def test_a_column_may_lack_what_it_can_do_without_and_hold_nulls() -> None:
    questions = ["Find the sum of 1 and 2.", None, "Write a program that adds."]
    alone = pl.DataFrame({"question": questions})
    assert question_fault_table(alone).rows() == [
        (0, "no_reference", "kind math without a reference"),
        (1, "missing_question", "the question is empty"),
        (1, "no_reference", "kind math without a reference"),
        (2, "no_reference", "kind math without a reference"),
    ]
    whole = alone.with_columns(
        reference=pl.Series(["3", None, None]),
        kind=pl.Series([None, "open", "code"]),
        tests=pl.Series([None, None, "assert add(1, 2) == 3"]),
    )
    assert question_faults_of(whole).to_list() == [
        [],
        [{"reason": "missing_question", "evidence": "the question is empty"}],
        [],
    ]
    none = question_faults_of(whole.clear())
    assert (none.len(), none.dtype, none.name) == (0, question_faults_of(whole).dtype, "question_faults")
    with pytest.raises(DataError, match="no column `question` to find faults in; there are text"):
        question_fault_table(pl.DataFrame({"text": ["x"]}))


def test_only_the_rules_that_are_asked_for_speak() -> None:
    row = problem("Find x. [asy] draw((0,0)--(1,1)); [/asy]")
    assert [fault.reason for fault in question_faults(row)] == ["asymptote_figure"]
    assert question_faults(row, ["image_reference"]) == []
    assert question_faults(row, RULE_SETS["none"]) == []
    with pytest.raises(ConfigError, match="no question rule is called asy_figure"):
        question_faults(row, ["asy_figure"])


def test_a_missing_reference_is_a_fault_where_one_is_needed() -> None:
    assert [fault.reason for fault in question_faults(problem(reference=" "))] == ["no_reference"]
    assert [fault.reason for fault in question_faults(problem(reference=None, kind=Kind.CODE))] == ["no_reference"]
    assert question_faults(problem(reference=None, kind=Kind.OPEN)) == []


def test_a_choice_problem_holds_its_options_apart_from_the_question() -> None:
    for name, question in (
        ("choices_missing", "Which of the following must be even?"),
        ("truncated_question", "The radius of the circle is the length of the"),
        ("proof_request", "To show that f is continuous it is enough that f is"),
    ):
        assert [fault.reason for fault in question_faults(problem(question), [name])] == [name]
        assert question_faults(problem(question, "B", Kind.CHOICE), [name]) == []


def test_the_length_of_a_question_is_bounded_on_both_sides() -> None:
    limits = QuestionLimits(min_characters=5, max_characters=8)
    names = ["question_too_short", "question_too_long"]
    found = {
        text: question_faults(problem(text), names, limits) for text in (" 1+1?", "1 + 1?", "What is 1?", "12345678")
    }
    assert {text: [fault.evidence for fault in faults] for text, faults in found.items()} == {
        " 1+1?": ["4 < 5 characters"],
        "1 + 1?": [],
        "What is 1?": ["10 > 8 characters"],
        "12345678": [],
    }


def test_languages_are_a_dial() -> None:
    chinese, english = problem("已知函数 $f(x)=x^2$, 求 $f(2)$."), problem("Let f be a function. Find the value of f.")
    both = QuestionLimits(languages=("en", "zh"))
    only_chinese = QuestionLimits(languages=("zh",))
    names = ["other_language"]
    assert [len(question_faults(chinese, names, limits)) for limits in (None, both, only_chinese)] == [1, 0, 0]
    assert [len(question_faults(english, names, limits)) for limits in (None, both, only_chinese)] == [0, 0, 1]
    frame = pl.DataFrame({"question": [chinese.question, english.question]})
    assert question_fault_table(frame, names, only_chinese).get_column("row").to_list() == [1]


def test_evidence_shows_what_cannot_be_printed_and_is_short() -> None:
    (fault,) = question_faults(problem("Given the fi\x0crst number, find the next."), ["control_characters"])
    assert fault.evidence == r"\x0crs"
    (fault,) = question_faults(problem("Find it. **p1.** " + "a" * 200 + "**p2.** b"), ["inconsistent_numbering"])
    assert fault.evidence == "**p1.** " + "a" * 112 + "..."


def test_letters_that_an_escape_took_are_put_back() -> None:
    assert repaired("the form \x0crac{m}{n}") == r"the form \frac{m}{n}"
    assert repaired("\x08egin{cases} \x07lpha \x0bec{a} \x0corall") == r"\begin{cases} \alpha \vec{a} \forall"
    assert repaired("2 \times 3 \neq 5 \text{ or } 6") == r"2 \times 3 \neq 5 \text{ or } 6"
    assert repaired("the \x0cfirst fi\x0cve\n") == "the \x0cfirst fi\x0cve\n"
    assert repaired("Name\tTime\nequal\ttimes") == "Name\tTime\nequal\ttimes"
    assert question_faults(problem(repaired("in the form \x0crac{m}{n}")), ["eaten_escape", "control_characters"]) == []


def test_s1_drops_what_s1_drops_with_its_faults() -> None:
    reasons = {
        text: [fault.reason for fault in question_faults(problem(text, source=source), S1_RULES)]
        for text, source in (
            ("[asy] draw(); [/asy]", "qq8933/AIME_1983_2024"),
            ("[asy] draw(); [/asy] Find y.", "aime"),
            ("[asy] draw(); [/asy] Find x.", "math"),
            ("In step1. we add.", "math"),
            ("**Hint:** use n=5", "math"),
            ("**Hint:** use n", "math"),
            ("![](a.png) Find x.", "math"),
            ("![Image](a.png) Find x.", "math"),
        )
    }
    assert list(reasons.values()) == [
        [],
        [],
        ["s1_asymptote"],
        ["s1_numbering"],
        ["s1_bold_number"],
        [],
        [],
        ["s1_image"],
    ]


def test_rules_drop_by_default_only_where_few_hits_are_wrong() -> None:
    assert set(rule_names()) >= DEFAULT_RULES | S1_RULES
    assert not DEFAULT_RULES & S1_RULES
    for name in DEFAULT_RULES:
        measured = RULES[name].measured
        assert measured is not None
        assert measured.false_positives <= 0.1 * measured.read
        assert measured.sound <= 0.1 * measured.read or name in POLICY_RULES
        assert measured.read > 0 or measured.hits == 0


def test_a_rule_is_a_pattern_or_a_check_and_its_counts_agree() -> None:
    with pytest.raises(ValueError, match="a pattern, or a check"):
        QuestionRule(claim="x", positives=(), negatives=())
    with pytest.raises(ValueError, match="5 false positives among 4 read of 9 hits"):
        Measured(hits=9, read=4, false_positives=5, sound=5, date="2026-11-21")
