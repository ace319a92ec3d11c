"""Files of a source: a local folder stands in for a repository, a commit is pinned once, any set's split is found."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sources.fake_hub import FIRST, SECOND, FakeHub
from thinkscale.errors import DataError
from thinkscale.records import Problem
from thinkscale.sources.catalogue import find_entry
from thinkscale.sources.origins import Origin, catalogue_origin
from thinkscale.sources.places import LOCK, data_files, hub_place, local_place, matching, pinned, split_place
from thinkscale.sources.reading import Tally, Wanted


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["train.jsonl", "test.jsonl"], ["train.jsonl"]),
        (["math.parquet", "train.jsonl"], ["math.parquet"]),
        (["math_train.jsonl.gz"], ["math_train.jsonl.gz"]),
        (["math/train.jsonl", "train.jsonl"], ["train.jsonl"]),
        (["simplescaling/openaimath/train.jsonl"], ["train.jsonl"]),
    ],
)
def test_a_local_folder_stands_in_for_a_repository(tmp_path: Path, there: list[str], found: list[str]) -> None:
    place = local_place(find_entry("math"), "math", touch(tmp_path, *there))
    assert list(place.files) == found
    assert all(path.is_file() for path in place.files.values())
    if "math/train.jsonl" in there:
        assert place.files["train.jsonl"].parent.name == "math"


def test_files_come_in_the_entrys_order_and_with_those_whose_rows_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "a", "gpqa_diamond.csv", "gpqa_extended.csv", "gpqa_main.csv")
    assert list(local_place(find_entry("gpqa"), "gpqa", tmp_path / "a").files) == [
        "gpqa_extended.csv",
        "gpqa_diamond.csv",
    ]
    touch(tmp_path / "b", "test3.jsonl", "test.jsonl", "test2.jsonl", "test4.jsonl")
    files = local_place(find_entry("livecodebench"), "livecodebench", tmp_path / "b").files
    assert list(files) == ["test.jsonl", "test2.jsonl", "test3.jsonl"]


def test_a_folder_without_the_files_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, "other.jsonl")
    with pytest.raises(DataError, match=r"neither a file named math or math_train .*; it holds other\.jsonl"):
        local_place(find_entry("math"), "math", tmp_path)
    with pytest.raises(DataError, match="no folder or file"):
        local_place(find_entry("math"), "math", tmp_path / "absent")


NAMES = [
    "README.md", "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000.parquet",
    "main/train-00000-of-00001.parquet", "socratic/train-00000-of-00001.parquet", "validation.jsonl", "train.csv",
    "en/train/0000.parquet", "images/train.png", "pretrain.jsonl",
]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "split", "found"),
    [
        ("data", "train", ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]),
        ("main", "train", ["main/train-00000-of-00001.parquet"]),
        ("en", "train", ["en/train/0000.parquet"]),
        (None, "validation", ["validation.jsonl"]),
        (None, "test", ["data/test-00000.parquet"]),
        ("socratic", "test", []),
    ],
)
def test_the_files_of_a_split_are_found_by_the_hubs_layouts(config: str | None, split: str, found: list[str]) -> None:
    assert data_files(NAMES, config, split) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/train-*.parquet", ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]),
        ("*.csv", ["train.csv"]),
        ("*/train-*.parquet", [name for name in sorted(NAMES) if "/train-" in name]),
        ("**/*.png", ["images/train.png"]),
    ],
)
def test_a_star_stands_for_a_part_of_one_name(pattern: str, found: list[str]) -> None:
    assert matching(NAMES, [pattern]) == found


def rows(*questions: str) -> bytes:
    return b"".join(json.dumps({"problem": item, "answer": "1"}).encode() + b"\n" for item in questions)


def read(origin: Origin) -> list[str]:
    found = (item.problem for item in origin.read(Tally()))
    return [item.question for item in found if isinstance(item, Problem)]


def test_an_unpinned_set_is_looked_up_once_and_read_at_that_commit_ever_after(
    tmp_path: Path, fake_hub: FakeHub
) -> None:
    fake_hub.add("simplescaling/openaimath", {"train.jsonl": rows("old")})
    origin = catalogue_origin("math", Wanted(seed=1), tmp_path)
    before = origin.fingerprints()
    assert before["math"] == FIRST
    assert json.loads((tmp_path / LOCK).read_text()) == {"simplescaling/openaimath": FIRST}
    fake_hub.add("simplescaling/openaimath", {"train.jsonl": rows("new")}, SECOND)
    assert read(origin) == ["old"]
    assert origin.fingerprints() == before
    assert [item for item in fake_hub.asked if item.startswith("info")] == ["info simplescaling/openaimath None"]
    (tmp_path / LOCK).unlink()
    assert read(catalogue_origin("math", Wanted(seed=1), tmp_path)) == ["new"]


def test_a_pinned_set_is_never_looked_up(tmp_path: Path, fake_hub: FakeHub) -> None:
    commit = find_entry("deepscaler").revision
    assert commit
    fake_hub.add(
        "agentica-org/DeepScaleR-Preview-Dataset", {"deepscaler.json": b'[{"problem": "a", "answer": "1"}]'}, commit
    )
    assert read(catalogue_origin("deepscaler", Wanted(seed=1), tmp_path)) == ["a"]
    assert fake_hub.asked == [f"fetch agentica-org/DeepScaleR-Preview-Dataset {commit}"]
    assert not (tmp_path / LOCK).exists()


def test_a_branch_is_pinned_by_its_name(tmp_path: Path, fake_hub: FakeHub) -> None:
    fake_hub.add("o/n", {}, SECOND)
    assert pinned("o/n", "v2", tmp_path) == SECOND
    assert json.loads((tmp_path / LOCK).read_text()) == {"o/n@v2": SECOND}
    assert pinned("o/n", FIRST, tmp_path) == FIRST


@pytest.mark.parametrize("content", ["{", "[]", '{"o/n": "main"}'])
def test_a_broken_lock_file_is_refused(tmp_path: Path, fake_hub: FakeHub, content: str) -> None:
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(DataError, match=r"sources\.lock\.json .*; delete it"):
        pinned("o/n", None, tmp_path)


def test_a_local_folder_needs_no_hub_and_its_content_is_the_identity(tmp_path: Path, fake_hub: FakeHub) -> None:
    def at(content: bytes, change: Callable[[Origin], Origin] = lambda origin: origin) -> dict[str, object]:
        (tmp_path / "train.jsonl").write_bytes(content)
        return dict(change(catalogue_origin("math", Wanted(seed=1), tmp_path, local=tmp_path)).fingerprints())

    first = at(rows("a"))
    assert set(first) == {"math (rules)", "math: train.jsonl"}
    assert at(rows("b")) != first
    assert at(rows("a")) == first
    assert fake_hub.asked == []


def test_any_set_of_the_hub_is_read_by_split_and_columns(tmp_path: Path, fake_hub: FakeHub) -> None:
    files = {"main/train.jsonl": rows("a", "b"), "main/test.jsonl": rows("t"), "other/train.jsonl": rows("o")}
    fake_hub.add("o/n", files)
    origin = Origin(
        name="n", key="o/n", wanted=Wanted(seed=1, limit=1), lock_folder=tmp_path, repository="o/n", config="main"
    )
    assert read(origin) == ["a"]
    with pytest.raises(DataError, match=r"holds no file of main, split dev; it holds main/test\.jsonl, main/train"):
        split_place("o/n", FIRST, "main", "dev", ())
    with pytest.raises(DataError, match=r"o/n has split train in main, other; say which with `config`"):
        split_place("o/n", FIRST, None, "train", ())
    assert list(split_place("o/n", FIRST, None, "", ("other/*.jsonl",)).files) == ["other/train.jsonl"]


def test_a_repository_of_another_form_is_refused(fake_hub: FakeHub) -> None:
    fake_hub.add("simplescaling/openaimath", {"data/train.parquet": b""})
    with pytest.raises(DataError, match=r"holds no file train\.jsonl; it holds data/train\.parquet\. Fetch those"):
        hub_place(find_entry("math"), FIRST)


def test_years_of_a_set_without_years_are_refused(tmp_path: Path) -> None:
    from thinkscale.errors import ConfigError

    with pytest.raises(ConfigError, match="math: its rows state no year"):
        catalogue_origin("math", Wanted(seed=1, years=(1983, 2021)), tmp_path)
