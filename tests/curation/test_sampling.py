"""The sampler: exact counts, determinism, and the two distributions that define it."""

import random
from collections import Counter
from hashlib import blake2b

import pytest
from scipy import stats

from thinkscale.curation.sampling import SAMPLERS, Candidate, Mix, select, select_mixed
from thinkscale.errors import StageError


def rows(**domains: list[int]) -> list[Candidate]:
    """Candidates `name0`, `name1`, ... of each domain with the given trace lengths."""
    return [
        Candidate(problem_id=f"{name}{i}", domain=name, trace_tokens=tokens)
        for name, lengths in domains.items()
        for i, tokens in enumerate(lengths)
    ]


def test_all_rows_are_given_when_all_are_asked_for() -> None:
    selection = select(rows(a=[5, 9], b=[1]), 3, seed=0)
    assert sorted(pick.problem_id for pick in selection.picks) == ["a0", "a1", "b0"]
    assert [pick.order for pick in selection.picks] == [0, 1, 2]


def test_a_tiny_case_follows_the_coin_flips_by_hand() -> None:
    """Replays the generator: domain by randrange, rank by flips until the first head, again where it is too large."""
    lengths = {"a": [("a1", 9), ("a0", 5)], "b": [("b1", 7), ("b2", 7), ("b0", 2)]}
    generator = random.Random(7)
    expected = []
    while any(lengths.values()):
        names = sorted(name for name in lengths if lengths[name])
        ranked = lengths[names[generator.randrange(len(names))]]
        rank = 0
        while not 1 <= rank <= len(ranked):
            rank = 1
            while rank <= len(ranked) and not generator.getrandbits(1):
                rank += 1
        expected.append(ranked.pop(rank - 1)[0])
    candidates = rows(a=[5, 9], b=[2, 7, 7])
    assert [pick.problem_id for pick in select(candidates, 5, seed=7).picks] == expected


def test_a_seed_gives_the_same_rows_for_ever() -> None:
    candidates = rows(a=[10, 20, 30, 40], b=[5, 15, 25], c=[7])
    assert [pick.problem_id for pick in select(candidates, 5, seed=42).picks] == GOLDEN


GOLDEN = ["c0", "b2", "a3", "a2", "b0"]


def test_the_order_of_the_input_does_not_matter() -> None:
    candidates = rows(a=list(range(50)), b=[3] * 40, c=list(range(100, 130)))
    first = select(candidates, 60, seed=3)
    for seed in range(5):
        shuffled = candidates.copy()
        random.Random(seed).shuffle(shuffled)
        assert select(shuffled, 60, seed=3) == first
    assert select(candidates, 60, seed=4) != first


def test_kept_rows_come_first_and_are_not_drawn_again() -> None:
    candidates = rows(a=[10, 20, 30], b=[1, 2])
    selection = select(candidates, 4, seed=1, keep_all={"b0", "a0"})
    assert [pick.problem_id for pick in selection.picks[:2]] == ["a0", "b0"]
    assert [pick.reason for pick in selection.picks] == ["keep_all", "keep_all", "drawn", "drawn"]
    assert len({pick.problem_id for pick in selection.picks}) == 4


def test_each_pick_says_how_it_was_drawn() -> None:
    pick = select(rows(a=[10, 20], b=[5]), 1, seed=0, keep_all=set()).picks[0]
    assert pick.rows_left == {"a": 2, "b": 1}[pick.domain]
    assert pick.domains_left == 2
    assert pick.evidence == f"rank {pick.rank} of {pick.rows_left} by length in {pick.domain}, one of 2 domains"


@pytest.mark.parametrize(
    ("count", "keep_all", "message"),
    [
        (4, set(), "4 rows asked for, 3 candidates"),
        (-1, set(), "-1 rows asked for"),
        (1, {"a0", "a1"}, "1 rows asked for, but 2 are to be kept"),
        (2, {"z"}, "1 rows to keep are not candidates, for instance z"),
    ],
)
def test_what_cannot_be_given_is_an_error_with_the_numbers(count: int, keep_all: set[str], message: str) -> None:
    with pytest.raises(StageError, match=message):
        select(rows(a=[1, 2], b=[3]), count, seed=0, keep_all=keep_all)


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(StageError, match="1 of 4 candidates repeat a problem id"):
        select([*rows(a=[1, 2], b=[3]), Candidate(problem_id="a0", domain="b", trace_tokens=9)], 2, seed=0)


def test_domains_are_drawn_uniformly_whatever_their_size() -> None:
    candidates = rows(a=[1] * 100, b=[2] * 10, c=[3] * 5, d=[4])
    drawn = Counter(select(candidates, 1, seed=seed).picks[0].domain for seed in range(4_000))
    assert stats.chisquare([drawn[name] for name in "abcd"]).pvalue > 0.001


def test_ranks_are_drawn_with_halving_weights() -> None:
    candidates = rows(a=[50, 40, 30, 20, 10])
    drawn = Counter(select(candidates, 1, seed=seed).picks[0].problem_id for seed in range(6_000))
    weights = [2.0**-rank for rank in range(1, 6)]
    expected = [6_000 * weight / sum(weights) for weight in weights]
    assert stats.chisquare([drawn[f"a{i}"] for i in range(5)], expected).pvalue > 0.001


def test_the_selection_is_biased_to_long_traces() -> None:
    candidates = rows(a=list(range(1_000)), b=list(range(1_000)))
    lengths = {row.problem_id: row.trace_tokens for row in candidates}
    picks = select(candidates, 200, seed=5).picks
    assert sum(lengths[pick.problem_id] for pick in picks) / len(picks) > 900


def test_seed_42_draws_the_same_thousand_of_five_thousand_on_every_platform() -> None:
    """A digest of a first run: the draw uses bits and whole numbers alone, so no platform may give another."""
    candidates = [
        Candidate(problem_id=f"row{number}", domain=f"{number * number % 23:02d}", trace_tokens=number * 7919 % 30_011)
        for number in range(5_000)
    ]
    picks = select(candidates, 1_000, seed=42).picks
    assert blake2b("\n".join(pick.problem_id for pick in picks).encode(), digest_size=16).hexdigest() == THOUSAND


THOUSAND = "a5d1a2a4eac93aeae8f17de1d05a92e8"


def test_a_mix_has_its_numbers_of_short_and_long_traces_and_each_side_is_drawn_by_the_sampler() -> None:
    candidates = rows(a=[100 * i for i in range(1, 21)], b=[2000 + i for i in range(20)])
    mix = Mix(short_rows=8, short_tokens=1000)
    picks = select_mixed(candidates, 14, 42, {"a0", "b3"}, SAMPLERS["longest"], mix).picks
    lengths = {row.problem_id: row.trace_tokens for row in candidates}
    assert [pick.order for pick in picks] == list(range(14))
    # kept first, then the longest of a1..a9 (at most 1,000 tokens); then kept b3 and the longest of the other side
    assert [pick.problem_id for pick in picks[:8]] == ["a0", "a9", "a8", "a7", "a6", "a5", "a4", "a3"]
    assert [pick.problem_id for pick in picks[8:]] == ["b3", "b19", "b18", "b17", "b16", "b15"]
    assert sum(lengths[pick.problem_id] <= 1000 for pick in picks) == 8


@pytest.mark.parametrize(("short", "kept", "said"), [(9, "", "only 3"), (1, "a0 a1", "2 kept")])
def test_a_side_without_enough_rows_or_with_too_many_kept_ones_is_an_error(short: int, kept: str, said: str) -> None:
    with pytest.raises(StageError, match=f"asks for {short} rows of at most 50 trace tokens, but there are {said}"):
        select_mixed(
            rows(a=[10, 20, 30], b=[60] * 20),
            10,
            1,
            set(kept.split()),
            SAMPLERS["s1"],
            Mix(short_rows=short, short_tokens=50),
        )
