import random
from functools import cache

import pytest

from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.lab.chain import FAMILIES, answer_of, parse_question, results
from thinkscale.lab.pool import FAULT_SHARES, planted_faults, pool_rows
from thinkscale.lab.world import BENCHMARKS, benchmark_rows, draw_choices, draw_question, eight_grams

SIZE, SEED = 1000, 42
FIRST = {
    "id": "lab_numeric-0000",
    "source": "lab_numeric",
    "question": "Compute 5 a+8 b-6 c-3 modulo 10.",
    "answer": "4",
    "kind": "math",
    "choices": None,
    "level": 3,
    "domain": "sums (numeric)",
}


@cache
def pool() -> list[dict[str, JSON]]:
    return pool_rows(SIZE, SEED)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_depends_on_its_seed_alone_and_grows_at_its_end(name: str) -> None:
    rows = benchmark_rows(name, 60, SEED)
    assert rows == benchmark_rows(name, 60, SEED)
    assert rows[:20] == benchmark_rows(name, 20, SEED)
    assert rows != benchmark_rows(name, 60, SEED + 1)
    assert len({row["question"] for row in rows}) == 60


@pytest.mark.parametrize("name", BENCHMARKS)
def test_references_are_what_the_question_gives(name: str) -> None:
    for row in benchmark_rows(name, 100, SEED):
        question = parse_question(str(row["question"]))
        assert question is not None
        assert question.family == BENCHMARKS[name]
        assert len(question.steps) == row["level"]
        answer = answer_of(question, results(question)[-1])
        choices = row["choices"]
        assert row["answer"] == (answer if not isinstance(choices, list) else "ABCD"[choices.index(answer)])


def test_the_first_problem_is_the_stated_one() -> None:
    (row,) = benchmark_rows("lab_numeric", 1, SEED)
    assert row == FIRST


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="lab_poetry"):
        benchmark_rows("lab_poetry", 1, SEED)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", [1, 8])
def test_a_question_of_any_family_and_level_can_be_drawn(family: str, level: int) -> None:
    assert len(draw_question(random.Random(0), family, level).steps) == level


def test_four_different_options_hold_the_value() -> None:
    choices = draw_choices(random.Random(0), 7)
    assert "7" in choices
    assert len(set(choices)) == 4


def test_the_pool_is_the_same_for_the_same_seed() -> None:
    assert pool_rows(SIZE, SEED) == pool()
    assert planted_faults(SIZE, SEED) == planted_faults(SIZE, SEED)


def test_every_fault_is_planted_in_its_share() -> None:
    faults = list(planted_faults(SIZE, SEED).values())
    assert {name: faults.count(name) for name in FAULT_SHARES} == {
        name: round(share * SIZE) for name, share in FAULT_SHARES.items()
    }
    assert len(faults) == 120


def test_rows_do_not_give_their_fault_away() -> None:
    rows = pool()
    expected = {"id", "source", "question", "answer", "kind", "choices", "level", "domain"}
    assert all(set(row) | {"question"} == expected for row in rows)
    assert len({row["id"] for row in rows}) == SIZE


def _fault_seen(row: dict[str, object], words_before: set[str], questions_before: set[str]) -> str | None:
    """The kind of fault a filter of plain rules finds in `row`."""
    question = row.get("question")
    if not isinstance(question, str) or not question.strip() or not isinstance(row["answer"], str):
        return "malformed"
    if "![" in question or "[asy]" in question:
        return "figure"
    if question in questions_before or not words_before.isdisjoint(eight_grams(question)):
        return "overlap"
    return None


def test_plain_filters_find_every_planted_row_and_no_other() -> None:
    leaked = [str(row["question"]) for name in BENCHMARKS for row in benchmark_rows(name, 100, SEED)]
    words = {gram for question in leaked for gram in eight_grams(question)}
    questions: set[str] = set()
    found = set()
    for row in pool():
        if _fault_seen(dict(row), words, questions) is not None:
            found.add(row["id"])
            continue
        questions.add(str(row["question"]))
        words |= eight_grams(str(row["question"]))
    assert found == set(planted_faults(SIZE, SEED))


def test_domains_are_many_and_unequal() -> None:
    domains = [row["domain"] for row in pool()]
    counts = sorted(domains.count(domain) for domain in set(domains))
    assert len(counts) == 9
    assert counts[-1] > 2 * counts[0]
