"""select by shares: one selection whatever the processes and their memory; a crowd of near copies leaves one row."""

import json
import random
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from tests.cluster.test_near_duplicates import limits
from tests.generating import Terminal, terminal
from tests.selecting import run
from thinkscale.cluster import Backend, backend
from thinkscale.commands.replay import replay
from thinkscale.config import SelectSettings
from thinkscale.curation.edges import NEAR_COPY
from thinkscale.curation.likeness import Against, Comparing
from thinkscale.curation.measures import Measures
from thinkscale.curation.measuring import measure
from thinkscale.records import Problem
from thinkscale.sources.columns import columns_of
from thinkscale.sources.files import read_rows
from thinkscale.stages import measuring
from thinkscale.stages.measuring import measured
from thinkscale.stages.near_duplicates import Limits
from thinkscale.stages.stored_measures import stored_measures
from thinkscale.store.run import RunDirectory

__all__ = ["terminal"]

FENCE = (
    "A farmer has a rectangular field whose length is three times its width. He builds a fence around the whole field "
    "and along one of the diagonals, and he needs exactly 640 metres of wire for it. How many square metres does the "
    "field have, rounded to the nearest whole number of square metres?"
)
ITEM = "A train leaves at noon and travels 240 miles at 60 miles an hour. At which hour of the day does it arrive?"
COPIES = 1_000


def copy(number: int, chance: random.Random) -> str:
    """FENCE with one word exchanged, added, or taken out."""
    words = FENCE.split()
    place = chance.randrange(len(words))
    words[place : place + number % 2 + number % 3 // 2] = [f"word{number}"] if number % 5 else []
    return " ".join(words)


def pool(copies: int = 150) -> list[Problem]:
    """Questions of their own, whole copies, near copies, faulty ones, some with a benchmark's item, and a crowd."""
    chance = random.Random(42)
    texts = [copy(number, chance) for number in range(copies)]
    for number in range(120):
        words = [f"{chance.choice('bcdfgh')}{chance.choice('aeiou')}{chance.randrange(900)}" for _ in range(30)]
        text = f"Find {' '.join(words)} of {number}?"
        texts += [text, text.upper(), " ".join([*text.split()[:25], "and", str(number)])][: 1 + number % 3]
    texts += [f"{ITEM} Say {number}." for number in range(5)]
    texts += [f"What is shown in ![Image](a{number}.png), and how many corners does it have?" for number in range(5)]
    chance.shuffle(texts)
    return [
        Problem(id=f"p{number}", source="abc"[number % 3], question=text, reference="5461" if of_crowd(text) else "7")
        for number, text in enumerate(texts)
    ]


def of_crowd(text: str) -> bool:
    """Whether it is a near copy of FENCE: one edit leaves one of these two words."""
    return "farmer" in text or "diagonals" in text


AGAINST = Against(name="bench", ids=("item",), questions=(ITEM,), answers=("16:00",))


def assert_equal(one: Measures, other: Measures) -> None:
    for item in fields(Measures):
        assert getattr(one, item.name).equals(getattr(other, item.name)), item.name


@pytest.mark.parametrize("workers", ["local:1", "local:2"])
@pytest.mark.parametrize("share", [2_000, 1 << 30])
def test_measures_by_shares_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str, share: int
) -> None:
    sizes = limits(share_bytes=share, range_size=share, pairs=share)
    monkeypatch.setattr(Limits, "within", classmethod(lambda _kind, _memory_mib: sizes))
    problems = pool()
    whole = measure(problems, (), (), (AGAINST,), Comparing())
    assert set(whole.edges["reason"].to_list()) > {NEAR_COPY, "whole_question"}
    assert len(whole.overlaps) == 5
    found = measured(columns_of(problems), (), (), (AGAINST,), SelectSettings(workers=workers), tmp_path)
    assert_equal(found, whole)
    assert list(tmp_path.iterdir()) == [], "what was spilled is gone"


def write_pool(path: Path, copies: int = 150) -> Path:
    rows = [{"id": item.id, "question": item.question, "answer": item.reference} for item in pool(copies)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_command_selects_the_same_rows_with_any_workers_and_memory(terminal: Terminal, tmp_path: Path) -> None:
    write_pool(tmp_path / "pool.jsonl")
    made = []
    for name, options in {
        "one": (),
        "two": ("--workers", "2"),
        "little": ("--workers", "local:2", "--memory-mib", "256"),
    }.items():
        out, report = tmp_path / name / "out.jsonl", tmp_path / name / "fates.jsonl"
        terminal.done(
            "select", "pool.jsonl", "--out", str(out), "--report", str(report), "--count", "40", "--seed", "7", *options
        )
        made.append((out.read_bytes(), report.read_bytes()))
    assert made[0] == made[1] == made[2]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["fates.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "nobody"), "--workers: 'nobody': there is local .*, local:2 .*, ray:auto"),
        (("--workers", "0"), "--workers: 'local:0': there is"),
        (("--workers", "ray:"), "--workers: .*an address is missing"),
        (("--set", "select.memory_mib=100"), "select.memory_mib must be greater than or equal to 256"),
        (("--sampler", "best"), "--sampler must be 's1', 'balanced'"),
    ],
)
def test_workers_and_memory_that_cannot_be_are_refused(
    terminal: Terminal, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    write_pool(tmp_path / "pool.jsonl", 0)
    said = terminal.refused("select", "pool.jsonl", "--out", "out.jsonl", *options)
    assert re.search(message, said), said
    assert not (tmp_path / "out.jsonl").exists()


def test_a_thousand_near_copies_leave_one_row(terminal: Terminal, tmp_path: Path) -> None:
    write_pool(tmp_path / "pool.jsonl", COPIES)
    terminal.done("select", "pool.jsonl", "--out", "out.jsonl", "--report", "fates.jsonl", "--count", "100")
    fates = {str(row.values["problem_id"]): row.values for row in read_rows(tmp_path / "fates.jsonl")}
    copies = [fates[item.id] for item in pool(COPIES) if of_crowd(item.question)]
    assert len(copies) == COPIES
    steps = Counter(fate["step"] for fate in copies)
    assert (steps["duplicate"], steps["draw"]) == (COPIES - 1, 1)
    (kept,) = [fate["problem_id"] for fate in copies if fate["step"] == "draw"]
    assert all(str(fate["evidence"]).startswith(f"{kept} (") for fate in copies if fate["step"] == "duplicate")
    assert sum(f"({NEAR_COPY}, " in str(fate["evidence"]) for fate in copies) > 900


def test_a_run_is_the_same_with_any_workers_and_they_are_no_drift(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder, workers in zip(folders, ("local:1", "local:2"), strict=True):
        folder.mkdir()
        run("s1-1k", folder, "select.count=200", f"select.workers={workers}", "select.memory_mib=300")
    one, two = (folder / "s1-1k" for folder in folders)
    for name in ("fates.parquet", "examples.parquet", "measures/edges.parquet", "measures/rows.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    run("s1-1k", tmp_path / "one", "select.count=200", "select.workers=local:2")


def test_a_replay_measures_again_with_the_workers_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run("s1-1k", tmp_path, "select.count=200")
    first = replay(folder)
    (folder / "measures" / "rows.parquet").unlink()
    asked: list[str] = []

    def noted(setting: str) -> Backend:
        asked.append(setting)
        return backend(setting)

    monkeypatch.setattr(measuring, "backend", noted)
    again = replay(folder, ("select.workers=2",))
    assert asked == ["local:2"]
    assert again.overlap == first.overlap == 1.0
    with RunDirectory.read(folder) as opened:
        assert stored_measures(opened) is None, "a replay leaves the run as it is"
