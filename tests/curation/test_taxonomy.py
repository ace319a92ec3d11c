"""Domains and subjects as sources give them."""

import pytest

from thinkscale.curation.taxonomy import DOMAINS, SUBJECTS, domain_code, domain_of, given_domain, given_subject
from thinkscale.keys import JSON
from thinkscale.records import Problem


def problem(**extra: JSON) -> Problem:
    return Problem(id="p", source="s", question="?", extra=extra)


def test_there_are_61_domains_with_two_digit_codes() -> None:
    assert len(DOMAINS) == 61
    assert list(DOMAINS) == sorted(DOMAINS)
    assert all(len(code) == 2 and code.isdigit() for code in DOMAINS)
    assert (DOMAINS["05"], DOMAINS["11"], DOMAINS["97"]) == ("Combinatorics", "Number theory", "Mathematics education")
    assert not {"00", "01"} & set(DOMAINS)


@pytest.mark.parametrize(
    ("given", "code"),
    [("11", "11"), ("Number theory", "11"), (" number THEORY ", "11"), ("Algebra", "Algebra"), ("00", "00"), ("", "")],
)
def test_a_class_is_known_by_code_and_by_title(given: str, code: str) -> None:
    assert domain_code(given) == code


@pytest.mark.parametrize(
    ("given", "value"),
    [("11", "11"), (" Algebra ", "Algebra"), ("Statistics", "62"), (None, "unknown"), ("", "unknown")],
)
def test_a_domain_is_what_the_source_says(given: JSON, value: str) -> None:
    label = domain_of(problem(domain=given))
    assert (label.name, label.value, label.by) == ("domain", value, "source")


def test_a_source_without_domains_gives_none() -> None:
    assert domain_of(problem()).value == "unknown"
    assert given_domain(problem()) is None


@pytest.mark.parametrize(
    ("given", "value"), [("Physics", "physics"), ("computer_science", "computer science"), ("Algebra", None), (3, None)]
)
def test_a_subject_counts_where_it_is_one_of_ours(given: JSON, value: str | None) -> None:
    label = given_subject(problem(subject=given))
    assert (label.value if label else None) == value
    assert value is None or value in SUBJECTS
