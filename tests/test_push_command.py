"""`thinkscale push`: what would be uploaded can be read and loaded first, and the card states what is known."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sources.fake_hub import FIRST, FakeHub, fake_hub
from thinkscale.commands.push import push
from thinkscale.commands.push_options import PushOptions
from thinkscale.errors import ConfigError, DataError
from thinkscale.pipeline import load_recipe, run_recipe
from thinkscale.records import Decision, Example, Fate, Kind, Message, Problem, Record, to_row
from thinkscale.store.tables import TABLE_OF, write_table

__all__ = ["fake_hub"]

TOKEN = "hf_" + "Zy9X" * 8
RECIPE = """\
name: small
seed: 42
collect:
  sources:
  - {type: catalogue, name: math, local: /home/somebody/math}
select: {count: 1}
evaluate: {benchmarks: [math500, /home/somebody/own.jsonl]}
"""


def problem(number: int, source: str) -> Problem:
    return Problem(
        id=f"p{number}", source=source, question=f"{number}+1?", reference="2", kind=Kind.CHOICE, choices=("1", "2"),
        extra={"subject": "Algebra", "rating": 3.5},
    )  # fmt: skip


def example(number: int) -> Example:
    turns = (Message(role="user", content="1+1?"), Message(role="assistant", content="2", thinking="Hm.", trained=True))
    return Example(problem_id=f"p{number}", response_key="k", messages=turns)


def fate(number: int, decision: Decision, reason: str) -> Fate:
    return Fate(problem_id=f"p{number}", stage="select", decision=decision, reason=reason)


PROBLEMS = [problem(0, "math"), problem(1, "aime"), problem(2, "math"), problem(3, "mine")]
TABLES: dict[type[Record], list[Record]] = {
    Problem: [*PROBLEMS],
    Example: [example(0), example(1)],
    Fate: [
        fate(0, Decision.KEPT, "selected"), fate(1, Decision.KEPT, "selected"),
        fate(2, Decision.DROPPED, "contaminated"), fate(3, Decision.DROPPED, "duplicate"),
    ],
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run's folder, as far as `push` reads it."""
    folder = tmp_path / "run"
    folder.mkdir()
    for kind, rows in TABLES.items():
        write_table(folder / f"{TABLE_OF[kind]}.parquet", kind, rows)
    (folder / "recipe.yaml").write_text(RECIPE)
    facts = {"thinkscale": "0.1.0", "seed": 42, "libraries": {"polars": "2.0"}, "git": {"commit": "abc123"}}
    (folder / "provenance.json").write_text(json.dumps({**facts, "argv": ["--key", TOKEN]}))
    return folder


def dry(folder: Path, out: Path, *tables: str) -> str:
    return push(folder, "owner/name", PushOptions(tables=tables, dry_run=True, out=out))


def front_matter(out: Path) -> dict[str, Any]:
    _, head, _ = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_a_dry_run_writes_what_would_be_uploaded_and_sends_nothing(
    run: Path, tmp_path: Path, fake_hub: FakeHub
) -> None:
    out = tmp_path / "out"
    said = dry(run, out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "README.md",
        "data/examples.parquet",
    ]
    assert said == (
        f"{out} holds what would be uploaded to https://huggingface.co/datasets/owner/name: 2 examples and a card. "
        "Nothing was sent"
    )
    assert fake_hub.asked == []


def test_the_folder_loads_with_datasets_offline(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    out = tmp_path / "out"
    dry(run, out, "examples", "problems")
    cache = str(tmp_path / "cache")
    examples = datasets.load_dataset(str(out), split="train", cache_dir=cache)
    assert examples[1]["messages"] == [
        {"role": "user", "content": "1+1?", "thinking": None, "trained": False},
        {"role": "assistant", "content": "2", "thinking": "Hm.", "trained": True},
    ]
    problems = datasets.load_dataset(str(out), "problems", split="train", cache_dir=cache)
    assert problems["id"][:] == ["p0", "p1", "p2", "p3"]
    assert problems[0]["choices"] == ["1", "2"]
    assert json.loads(problems[0]["extra"]) == {"subject": "Algebra", "rating": 3.5}


def test_the_card_states_licences_funnel_contamination_and_how_it_was_made(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dry(run, out, "problems", "examples")
    head, text = front_matter(out), (out / "README.md").read_text(encoding="utf-8")
    assert head["license"] == "other"
    assert head["size_categories"] == ["n<1K"]
    assert head["configs"] == [
        {
            "config_name": "problems",
            "default": True,
            "data_files": [{"split": "train", "path": "data/problems.parquet"}],
        },
        {"config_name": "examples", "data_files": [{"split": "train", "path": "data/examples.parquet"}]},
    ]
    aime = "qq8933/AIME_1983_2024 at 53ed0870b96dfe2117d5eb58c261a8812606a45a"
    for line in (
        "| math | 2 | apache-2.0 | simplescaling/openaimath |",
        f"| aime | 1 | mit | {aime} |",
        "| mine | 1 | not stated | not in the catalogue |",
        "| select | dropped | contaminated | 1 |",
        "| select | kept | selected | 2 |",
        "Questions were checked against math500, own.jsonl; 1 were dropped for an overlap.",
        "- seed 42",
        "- its source at abc123",
        'problems = load_dataset("owner/name", "problems", split="train")',
    ):
        assert line in text.splitlines(), line
    assert "59,029 -> 54,116 -> 51,581 -> 24,496 -> 1,000" in text
    assert "local: math" in text


def test_nothing_of_the_machine_and_no_key_is_in_the_card(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (run / "recipe.yaml").write_text(RECIPE + f"report: {{title: 'token {TOKEN}'}}\n")
    dry(run, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert TOKEN not in text
    assert "somebody" not in text
    assert str(tmp_path) not in text


def test_one_licence_is_the_sets_licence(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    rows = [to_row(problem(0, "aime")), to_row(problem(1, "gsm8k"))]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dry(folder, tmp_path / "out")
    assert front_matter(tmp_path / "out")["license"] == "mit"
    text = (tmp_path / "out" / "README.md").read_text()
    assert "were checked against no benchmark" in text


def test_the_card_of_a_run_names_the_commit_that_was_read(tmp_path: Path, fake_hub: FakeHub) -> None:
    fake_hub.add("simplescaling/openaimath", {"train.jsonl": b'{"problem": "1+1?", "answer": "2"}\n'})
    (tmp_path / "small.yaml").write_text("name: small\ncollect: {sources: [{type: catalogue, name: math}]}\n")
    folder = run_recipe(load_recipe(str(tmp_path / "small.yaml")), tmp_path / "run", until="collect", quiet=True)
    dry(folder, tmp_path / "out", "problems")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"| math | 1 | apache-2.0 | simplescaling/openaimath at {FIRST} |" in text.splitlines()
    assert "- seed 42" in text.splitlines()
    assert front_matter(tmp_path / "out")["license"] == "apache-2.0"


def test_an_upload_makes_the_set_and_gives_the_address(run: Path, fake_hub: FakeHub) -> None:
    said = push(run, "owner/name", PushOptions(tables=("problems",), private=True, revision="v1"))
    assert fake_hub.asked == ["make owner/name", "branch owner/name v1", "upload owner/name"]
    assert fake_hub.made == [{"repository": "owner/name", "private": True, "exist_ok": True, "type": "dataset"}]
    (uploaded,) = fake_hub.uploads
    assert (uploaded["revision"], uploaded["message"]) == ("v1", "problems by thinkscale")
    files = uploaded["files"]
    assert isinstance(files, dict)
    assert set(files) == {"README.md", "data/problems.parquet"}
    assert said.startswith("4 problems and a card are at https://huggingface.co/datasets/owner/name (https://hub.test/")


def test_a_failed_upload_shows_no_token(run: Path, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fake_hub.error = OSError(f"401 for {TOKEN}")
    with pytest.raises(DataError, match="HF_TOKEN, which must be allowed to write") as found:
        push(run, "owner/name", PushOptions())
    assert TOKEN not in str(found.value)


@pytest.mark.parametrize(
    ("to", "options", "error", "message"),
    [
        ("name", PushOptions(dry_run=True), ConfigError, "write owner/name"),
        ("o/n", PushOptions(tables=("pairs",), dry_run=True), DataError, "holds no table pairs; it holds problems"),
        ("o/n", PushOptions(out=Path("x")), ConfigError, "--out is for --dry-run"),
    ],
)
def test_what_cannot_be_pushed_is_refused(
    run: Path, to: str, options: PushOptions, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        push(run, to, options)


def test_a_folder_that_is_there_is_not_written_into(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        dry(run, run)
    with pytest.raises(DataError, match="there is no folder"):
        dry(tmp_path / "absent", tmp_path / "out")


def test_a_table_of_something_else_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text('{"id": "a", "source": "s", "question": "q", "colour": 1}\n')
    with pytest.raises(DataError, match=r"problems\.jsonl:1 is no Problem: Problem has no field colour"):
        dry(tmp_path, tmp_path / "out")
