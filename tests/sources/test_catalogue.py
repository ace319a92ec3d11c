"""The catalogue is complete, consistent, and adds up to the paper's pool."""

import re

import pytest

from thinkscale.errors import ConfigError
from thinkscale.sources.benchmark_catalogue import shipped_benchmarks
from thinkscale.sources.catalogue import describe_sources, entries, find_entry
from thinkscale.sources.hub import is_commit
from thinkscale.sources.readers import READERS

S1_POOL = {
    "numina_math": 30660, "math": 11999, "olympic_arena": 4250, "omni_math": 4238, "agieval": 2385, "xword": 999,
    "olympiad_bench": 896, "aime": 890, "theoremqa": 747, "usaco": 519, "jeebench": 515, "gpqa": 348, "scieval": 227,
    "s1_prob": 182, "livecodebench": 151, "s1_teasers": 23,
}  # fmt: skip
"""Paper, Table 7: 59,029 questions of 16 sources."""


def test_the_pool_of_s1_is_whole() -> None:
    stated = {name: entry.paper_rows for name, entry in entries().items() if entry.paper_rows is not None}
    assert stated == S1_POOL
    assert sum(S1_POOL.values()) == 59_029


def test_the_other_sets_are_there() -> None:
    others = {"s1_59k", "s1_59k_traces", "deepscaler", "dapo", "gsm8k", "apps", "taco"}
    assert others == set(entries()) - set(S1_POOL)


@pytest.mark.parametrize("name", list(entries()))
def test_an_entry_is_pinned_or_says_why_not_and_its_reader_exists(name: str) -> None:
    entry = entries()[name]
    assert is_commit(entry.revision) if entry.revision else entry.note
    assert entry.reader is None or entry.reader in READERS
    assert entry.reader or "question" in entry.columns
    assert re.fullmatch(r"(github:)?[\w.-]+/[\w.-]+", entry.repository)


def test_every_reader_is_used() -> None:
    every = [*entries().values(), *shipped_benchmarks().values()]
    assert {entry.reader for entry in every} - {None} == set(READERS)


def test_the_list_says_what_is_gated_and_what_is_not_pinned() -> None:
    lines = describe_sources()
    assert lines["gpqa"].endswith("Idavidrein/gpqa at 633f5ee; cc-by-4.0, gated")
    assert "newest, then locked" in lines["math"]


def test_an_unknown_source_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no source 'mat'; there are numina_math, math,"):
        find_entry("mat")


def test_a_column_of_the_users_replaces_the_entrys() -> None:
    entry = find_entry("s1_59k").with_columns({"question": "q", "thinking": "trace"})
    assert entry.columns["question"] == ("q",)
    assert entry.brings
    assert (entry.brings.thinking, entry.brings.answer[0]) == (("trace",), "answer_attempt")
    assert find_entry("deepscaler").with_columns({"reference": "gold"}).needs == ()


def test_a_column_for_no_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="no field thinking; there are id, question"):
        find_entry("math").with_columns({"thinking": "trace"})


def test_an_identity_is_of_what_decides_rows_and_of_nothing_else() -> None:
    entry = find_entry("aime")
    assert entry.identity() == entry.model_copy(update={"title": "other", "rows": 5}).identity()
    assert entry.identity() != entry.model_copy(update={"years": (1983, 2022)}).identity()
    assert entry.identity() != entry.with_columns({"reference": "gold"}).identity()
