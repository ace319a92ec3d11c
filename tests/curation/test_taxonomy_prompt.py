"""The domain classifier: its rubric, and how its answers are read."""

import re
from importlib.resources import files

import pytest
import yaml

from thinkscale.curation.questionnaire import Unreadable
from thinkscale.curation.taxonomy import DOMAINS, SUBJECTS
from thinkscale.curation.taxonomy_prompt import Classified, domain_system, read_domain
from thinkscale.engines.remote.turns import prompt_estimate
from thinkscale.records import Message

LEAST_CACHED_TOKENS = 4096
"""Shorter prompts are not cached for Claude Opus 4.5 and Haiku 4.5; other models cache from 1,024."""
MOST_CHARACTERS_PER_TOKEN = 4.5


def test_every_class_has_a_rubric_and_no_rubric_is_of_another() -> None:
    rubrics = yaml.safe_load(files("thinkscale.curation").joinpath("msc.yaml").read_text(encoding="utf-8"))
    assert list(rubrics) == list(DOMAINS)
    for code, rubric in rubrics.items():
        assert set(rubric) - {"not"} == {"about", "topics"}, code
        assert len(rubric["topics"].split(",")) >= 5, code
        assert set(re.findall(r"\b\d\d\b", rubric.get("not", ""))) <= set(DOMAINS) - {code}, code


def test_the_prompt_names_every_class_and_is_long_enough_for_the_caches_of_all_providers() -> None:
    system = domain_system()
    assert all(f"\n{code} {title}. " in system for code, title in DOMAINS.items())
    assert all(subject in system for subject in SUBJECTS)
    assert len(system) / MOST_CHARACTERS_PER_TOKEN > LEAST_CACHED_TOKENS
    assert prompt_estimate([Message(role="system", content=system)]) < 7_100


@pytest.mark.parametrize(
    ("text", "domain", "subject"),
    [
        ("Domain: 11\nSubject: mathematics", "11", "mathematics"),
        ("domain:05\nsubject:Mathematics", "05", "mathematics"),
        ("**Domain:** 81\n**Subject:** physics.", "81", "physics"),
        ("Domain: 68 (Computer science)\nSubject: computer science", "68", "computer science"),
        ("- Domain: `92` Biology and other natural sciences\n- Subject: chemistry\n", "92", "chemistry"),
        ("I weigh two classes.\n\nDomain: 51\nSubject: mathematics\nDomain: 51", "51", "mathematics"),
    ],
)
def test_an_answer_in_the_form_asked_for_is_read(text: str, domain: str, subject: str) -> None:
    assert read_domain(text) == Classified(domain, subject)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "there is no line `Domain: ...`"),
        ("I cannot help with that.", "there is no line `Domain: ...`"),
        ("The class is 11.\nSubject: mathematics", "there is no line `Domain: ...`"),
        ("Domain: number theory\nSubject: mathematics", "`Domain: number theory` is not one code of two digits"),
        ("Domain: 11 or 05\nSubject: mathematics", "`Domain: 11 or 05` is not one code of two digits"),
        ("Domain: 112\nSubject: mathematics", "`Domain: 112` is not one code of two digits"),
        ("Domain: 11\nDomain: 05\nSubject: mathematics", "there are 2 different lines `Domain: ...`"),
        ("Domain: 00\nSubject: mathematics", "`Domain: 00` is none of the 61 classes of the list"),
        ("Domain: 99\nSubject: mathematics", "`Domain: 99` is none of the 61 classes of the list"),
        ("Domain: 11", "there is no line `Subject: ...`"),
        ("Domain: 11\nSubject: alchemy", "`Subject: alchemy` is none of mathematics, physics"),
        ("Domain: ١١\nSubject: mathematics", "is none of the 61 classes"),
    ],
)
def test_any_other_answer_says_what_is_wrong_with_it(text: str, error: str) -> None:
    found = read_domain(text)
    assert isinstance(found, Unreadable)
    assert error in found.error


def test_a_hostile_answer_is_read_in_no_time() -> None:
    assert isinstance(read_domain("Domain: " + "*" * 200_000 + " _" * 200_000), Unreadable)
    assert isinstance(read_domain("*_# " * 200_000), Unreadable)
