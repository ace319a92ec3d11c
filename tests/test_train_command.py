"""`thinkscale train sft`, as a user types it, with the lab's model."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from thinkscale.records import Example, Message
from thinkscale.store.tables import write_table

pytest.importorskip("trl", reason="needs the extra `train`")

FAST = (
    "--model",
    "lab",
    "--dtype",
    "float32",
    "--epochs",
    "2",
    "--effective-batch-size",
    "4",
    "--learning-rate",
    "1e-3",
)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(typed: Command) -> Command:
    """Runs `thinkscale train WORDS`."""
    return partial(typed, "train")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    def example(number: int) -> Example:
        asked = Message(role="user", content=f"What is {number} + 1?")
        reply = Message(
            role="assistant", content=str(number + 1), thinking=f"{number} + 1 = {number + 1}", trained=True
        )
        return Example(problem_id=f"p{number}", response_key=f"k{number}", messages=(asked, reply))

    write_table(tmp_path / "examples.parquet", Example, [example(number) for number in range(8)])
    return tmp_path / "examples.parquet"


def steps(out: Path) -> list[dict[str, float]]:
    log = out.with_name(out.name + ".steps.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_a_table_becomes_a_model_and_a_log_with_a_line_a_step(command: Command, examples: Path, tmp_path: Path) -> None:
    out = tmp_path / "student"
    code, said, _ = command("sft", examples, "--out", out, *FAST)
    assert code == 0
    assert "4 steps on 8 rows" in said
    assert [step["step"] for step in steps(out)] == [1, 2, 3, 4]
    assert steps(out)[-1]["loss"] < steps(out)[0]["loss"]
    assert {"model.safetensors", "tokenizer.json", "training.json"} <= {path.name for path in out.iterdir()}
    assert not any((tmp_path / "student.checkpoints").iterdir())


def test_the_shown_rows_mark_what_is_trained(command: Command, examples: Path, tmp_path: Path) -> None:
    code, said, _ = command("sft", examples, "--show", "1", *FAST)
    assert code == 0
    assert said.startswith("p0: ")
    assert "<|im_start|>think\n0 + 1 = 1\n<|im_start|>answer\n1<|im_end|>" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples.parquet"]


def test_rows_that_are_too_long_are_refused_with_their_number(command: Command, examples: Path, tmp_path: Path) -> None:
    code, _, said = command("sft", examples, "--out", tmp_path / "student", *FAST, "--max-length", "16")
    assert code == 2
    assert "8 of 8 training rows are longer than max_length 16" in said
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sft", "EXAMPLES", "--out", "OUT"), "name it with --model"),
        (("sft", "EXAMPLES", *FAST), "--out is missing"),
        (("sft", "EXAMPLES", "--out", "OUT", "--model", "lab", "--epochs", "0"), "--epochs"),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--over-length", "cut"), "--over-length"),
        (("sft", "nowhere.jsonl", "--out", "OUT", *FAST), "neither a run nor a table of examples"),
        (("guess", "EXAMPLES", "--out", "OUT", *FAST), "there is no training method 'guess'; there is sft"),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--set", "train.epoch=3"), "did you mean train.epochs"),
    ],
)
def test_what_does_not_fit_is_refused(
    command: Command, examples: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    places = {"EXAMPLES": str(examples), "OUT": str(tmp_path / "student")}
    code, _, said = command(*(places.get(word, word) for word in words))
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "student").exists()
