"""The samplers beside s1's own: quotas, power laws, the paper's ablations, the last phase; all in whole numbers."""

import random
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from scipy import stats

from thinkscale.curation.sampling import (
    SAMPLERS,
    Candidate,
    LastPhase,
    against_uniform,
    jaccard,
    named_sampler,
    quotas,
    select,
)
from thinkscale.curation.sampling.chance import below, power_sums, weighted
from thinkscale.errors import ConfigError, StageError


def rows(source: str = "", **domains: list[int]) -> list[Candidate]:
    """Candidates `name0`, `name1`, ... of each domain with the given trace lengths."""
    return [
        Candidate(problem_id=f"{source}{name}{i}", domain=name, trace_tokens=tokens, source=source)
        for name, lengths in domains.items()
        for i, tokens in enumerate(lengths)
    ]


def ids(candidates: list[Candidate], count: int, seed: int, sampler: str, keep: set[str] | None = None) -> list[str]:
    return [pick.problem_id for pick in select(candidates, count, seed, keep or set(), SAMPLERS[sampler]).picks]


def test_quotas_fill_every_domain_to_one_level_or_to_its_end() -> None:
    # Level 4 gives 4 + 2 + 4 = 10; one more row goes to a or c.
    shares = quotas({"a": 10, "b": 2, "c": 10}, {}, 11, random.Random(1))
    assert shares["b"] == 2
    assert sorted([shares["a"], shares["c"]]) == [4, 5]


def test_quotas_count_rows_that_are_kept_already() -> None:
    # With 3 kept rows of a, level 4 takes 1 + 2 + 4 = 7; the eighth is a's or c's.
    shares = quotas({"a": 10, "b": 2, "c": 10}, {"a": 3}, 8, random.Random(1))
    assert shares["b"] == 2
    assert (shares["a"], shares["c"]) in {(2, 4), (1, 5)}
    assert quotas({"a": 5, "b": 5}, {"a": 4}, 4, random.Random(0)) == {"a": 0, "b": 4}


def test_the_odd_rows_of_quotas_are_drawn_evenly() -> None:
    odd = Counter(
        name
        for seed in range(3_000)
        for name, share in quotas({"a": 9, "b": 9, "c": 9}, {}, 4, random.Random(seed)).items()
        if share == 2
    )
    assert stats.chisquare([odd[name] for name in "abc"]).pvalue > 0.001


def test_quotas_of_more_rows_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="4 rows of 3"):
        quotas({"a": 3}, {}, 4, random.Random(0))


def test_the_balanced_sampler_gives_domains_equal_totals_whatever_their_size() -> None:
    candidates = rows(a=list(range(100)), b=list(range(40)), c=list(range(7)), d=[1, 2])
    picks = select(candidates, 35, 5, {"a0", "a1", "a2"}, SAMPLERS["balanced"]).picks
    # Level 13 takes 13 + 13 + 7 + 2 = 35, kept rows included.
    assert Counter(pick.domain for pick in picks) == {"a": 13, "b": 13, "c": 7, "d": 2}
    assert len({pick.problem_id for pick in picks}) == 35


@pytest.mark.parametrize("exponent", ["0.25", "0.5", "1", "1.75", "8"])
def test_power_weights_are_rank_to_the_minus_exponent_rounded_down(exponent: str) -> None:
    sums = power_sums(Fraction(exponent), 200)
    with localcontext() as context:
        context.prec = 80
        for rank in (1, 2, 3, 7, 100, 200):
            exact = Decimal(2) ** 64 / Decimal(rank) ** Decimal(exponent)
            assert sums[rank] - sums[rank - 1] == int(exact), rank


def test_exponent_zero_weighs_all_ranks_alike() -> None:
    assert list(power_sums(Fraction(0), 3)) == [0, 2**64, 2 * 2**64, 3 * 2**64]


def test_an_exponent_that_is_no_quarter_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 1/4"):
        power_sums(Fraction(1, 3), 5)


def test_numbers_below_a_bound_come_from_the_generators_bits_alone() -> None:
    """The bits of Mersenne Twister for a seed are what Python promises; the numbers follow from them by hand."""
    generator, bits = random.Random(42), random.Random(42)
    for _ in range(50):
        expected = bits.getrandbits(3)
        while expected >= 5:
            expected = bits.getrandbits(3)
        assert below(generator, 5) == expected


def test_places_are_drawn_with_their_weights() -> None:
    generator = random.Random(0)
    drawn = Counter(weighted(generator, [0, 1, 3, 6, 99], 3) for _ in range(6_000))
    assert stats.chisquare([drawn[1], drawn[2], drawn[3]], [1_000, 2_000, 3_000]).pvalue > 0.001


def test_a_power_law_within_domains_draws_ranks_with_its_weights() -> None:
    sampler = named_sampler("s1", Fraction(1))
    candidates = rows(a=[50, 40, 30, 20])
    drawn = Counter(select(candidates, 1, seed, sampler=sampler).picks[0].problem_id for seed in range(5_000))
    weights = [1, 1 / 2, 1 / 3, 1 / 4]
    expected = [5_000 * weight / sum(weights) for weight in weights]
    assert stats.chisquare([drawn[f"a{i}"] for i in range(4)], expected).pvalue > 0.001


def test_the_longest_are_taken_in_order_whatever_their_domain() -> None:
    candidates = rows(a=[5, 90, 30], b=[80, 30])
    assert ids(candidates, 4, 1, "longest") == ["a1", "b0", "a2", "b1"]


def test_diverse_draws_domains_and_rows_alike() -> None:
    candidates = rows(a=[9, 8, 7, 6], b=[5])
    drawn = Counter(ids(candidates, 1, seed, "diverse")[0] for seed in range(4_000))
    expected = {"a0": 500, "a1": 500, "a2": 500, "a3": 500, "b0": 2_000}
    assert stats.chisquare([drawn[name] for name in expected], list(expected.values())).pvalue > 0.001


def test_random_draws_rows_alike_whatever_their_domain() -> None:
    candidates = rows(a=[9, 8, 7, 6], b=[5])
    drawn = Counter(ids(candidates, 1, seed, "random")[0] for seed in range(4_000))
    assert stats.chisquare([drawn[f"a{i}"] for i in range(4)] + [drawn["b0"]]).pvalue > 0.001


def test_all_takes_every_row_however_many_are_asked_for() -> None:
    selection = select(rows(a=[1, 2], b=[3]), 1, 0, {"b0"}, SAMPLERS["all"])
    assert [(pick.problem_id, pick.reason) for pick in selection.picks] == [
        ("b0", "keep_all"), ("a0", "all"), ("a1", "all"),
    ]  # fmt: skip


GOLDEN = {
    "s1": ["c0", "b2", "a3", "a2", "b0"],
    "balanced": ["c0", "b2", "a3", "a2", "b0"],
    "diverse": ["c0", "a0", "a3", "a2", "a1"],
    "random": ["a3", "b2", "b0", "a2", "a1"],
    "longest": ["a3", "a2", "b2", "a1", "b1"],
}
"""Worked out once; a change means that every recorded run would choose other rows."""


@pytest.mark.parametrize("sampler", GOLDEN)
def test_a_seed_gives_the_same_rows_for_ever(sampler: str) -> None:
    candidates = rows(a=[10, 20, 30, 40], b=[5, 15, 25], c=[7])
    assert ids(candidates, 5, 42, sampler) == GOLDEN[sampler]


def test_the_last_phase_draws_domains_as_its_sources_have_them() -> None:
    """All of the source's rows are in a and b, three to one, and no other domain is drawn."""
    sampler = named_sampler("s1", last_phase=LastPhase(count=1, shares={"aime*": Fraction(1)}))
    candidates = [*rows("aime24", a=[1, 2, 3], b=[4]), *rows("other", a=[9], b=[9], c=[9] * 5)]
    drawn = Counter(select(candidates, 1, seed, sampler=sampler).picks[0].domain for seed in range(4_000))
    assert set(drawn) == {"a", "b"}
    assert stats.chisquare([drawn["a"], drawn["b"]], [3_000, 1_000]).pvalue > 0.001


def test_shares_of_a_last_phase_weigh_sources_whatever_their_size() -> None:
    """aime: all in a, share 1; gpqa: half in b, half in c, share 1/2. So a : b : c is 4 : 1 : 1."""
    phase = LastPhase(count=1, shares={"aime": Fraction(1), "gpqa": Fraction(1, 2)})
    candidates = [*rows("aime", a=[1, 2, 3]), *rows("gpqa", b=[1] * 10, c=[1] * 10)]
    sampler = named_sampler("s1", last_phase=phase)
    drawn = Counter(select(candidates, 1, seed, sampler=sampler).picks[0].domain for seed in range(6_000))
    assert stats.chisquare([drawn[name] for name in "abc"], [4_000, 1_000, 1_000]).pvalue > 0.001


def test_before_the_last_phase_all_domains_are_alike() -> None:
    sampler = named_sampler("s1", last_phase=LastPhase(count=1, shares={"aime": Fraction(1)}))
    candidates = [*rows("aime", a=[1] * 9), *rows("other", b=[1] * 9)]
    first = Counter(select(candidates, 2, seed, sampler=sampler).picks[0].domain for seed in range(2_000))
    last = Counter(select(candidates, 2, seed, sampler=sampler).picks[1].domain for seed in range(200))
    assert stats.chisquare([first["a"], first["b"]]).pvalue > 0.001
    assert last == {"a": 200}


def test_a_last_phase_of_a_source_that_is_not_there_names_those_that_are() -> None:
    sampler = named_sampler("s1", last_phase=LastPhase(count=1, shares={"amie": Fraction(1)}))
    with pytest.raises(StageError, match="of the source 'amie'; there are aime, math"):
        select([*rows("aime", a=[1]), *rows("math", a=[2])], 1, 0, sampler=sampler)


@pytest.mark.parametrize(
    ("name", "exponent", "phase", "message"),
    [
        ("longest", Fraction(1), None, "the sampler longest draws nothing by weight"),
        ("balanced", None, LastPhase(count=1, shares={"a": Fraction(1)}), "the sampler balanced does not draw domains"),
    ],
)
def test_dials_that_a_sampler_does_not_have_are_refused(
    name: str, exponent: Fraction | None, phase: LastPhase | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        named_sampler(name, exponent, phase)


def test_jaccard_is_the_share_of_ids_in_both() -> None:
    assert jaccard({"a", "b", "c"}, {"b", "c", "d"}) == 0.5
    assert jaccard(set(), set()) == 1.0


def test_chi_square_against_equal_shares_is_pearsons() -> None:
    """Counts 10, 20, 30 against 20 each: (100 + 0 + 100) / 20 = 10, and exp(-10 / 2) for two degrees of freedom."""
    found = against_uniform([10, 20, 30])
    assert found is not None
    assert (found.statistic, found.degrees_of_freedom) == (10.0, 2)
    assert found.p_value == pytest.approx(0.006737947, rel=1e-6)
    assert against_uniform([5]) is None
