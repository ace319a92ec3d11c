"""`thinkscale train dpo` and `train simpo`, as a user types them, with the lab's model."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from thinkscale.records import Message, Pair
from thinkscale.store.tables import write_table

pytest.importorskip("trl", reason="needs the extra `train`")

FAST = (
    *("--model", "lab", "--dtype", "float32", "--epochs", "4", "--effective-batch-size", "4"),
    *("--learning-rate", "1e-3", "--set", "prefer.device=cpu"),
)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(typed: Command) -> Command:
    """Runs `thinkscale train WORDS`."""
    return partial(typed, "train")


def pair(number: int) -> Pair:
    """The shorter of two correct replies is the better one."""
    work = f"{number} + 1 = {number + 1}"
    return Pair(
        problem_id=f"p{number}",
        prompt=(Message(role="user", content=f"What is {number} + 1?"),),
        chosen=Message(role="assistant", content=str(number + 1), thinking=work),
        rejected=Message(role="assistant", content=str(number + 1), thinking=f"{work}\nWait\n{work}"),
        why="shorter",
    )


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    write_table(tmp_path / "pairs.parquet", Pair, [pair(number) for number in range(8)])
    return tmp_path / "pairs.parquet"


@pytest.mark.parametrize("method", ["dpo", "simpo"])
def test_a_table_of_pairs_becomes_a_model_whose_margin_has_risen(
    method: str, command: Command, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    code, said, failed = command(method, pairs, "--out", out, *FAST, "--held-out-rows", "2")
    assert code == 0, failed
    assert f"8 steps of {method} on 6 pairs" in said
    assert "2 held-out pairs: loss" in said
    lines = [json.loads(line) for line in (tmp_path / "student.steps.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    margins = [step["chosen_reward"] - step["rejected_reward"] for step in steps]
    assert margins[-1] > margins[0]
    account = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert (account["method"], account["beta"]) == (method, {"dpo": 0.1, "simpo": 2.0}[method])
    assert account.get("gamma") == {"dpo": None, "simpo": 0.3}[method]
    fates = [json.loads(line) for line in (tmp_path / "student.fates.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(fate["stage"], fate["reason"]) for fate in fates] == [("prefer", "held_out")] * 2


def test_the_shown_pairs_are_what_the_model_will_see(command: Command, pairs: Path, tmp_path: Path) -> None:
    code, said, _ = command("simpo", pairs, "--show", "1", *FAST)
    assert code == 0
    assert said.startswith("p0: ")
    assert "(shorter)" in said
    chosen, rejected = said.split("-- chosen --\n")[1].split("\n-- rejected --\n")
    assert chosen == "<|im_start|>think\n0 + 1 = 1\n<|im_start|>answer\n1<|im_end|>"
    assert rejected.strip() == "<|im_start|>think\n0 + 1 = 1\nWait\n0 + 1 = 1\n<|im_start|>answer\n1<|im_end|>"
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.parquet"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("simpo", "PAIRS", "--out", "OUT"), "name it with --model"),
        (("dpo", "PAIRS", "--out", "OUT", *FAST, "--gamma", "0.3"), "the target margin is SimPO's"),
        (("simpo", "PAIRS", "--out", "OUT", *FAST, "--beta", "0"), "--beta"),
        (("simpo", "PAIRS", "--out", "OUT", *FAST, "--over-length", "cut"), "--over-length"),
        (("simpo", "PAIRS", "--out", "OUT", *FAST, "--max-length", "16"), "8 of 8 pairs are longer than max_length 16"),
        (("dpo", "PAIRS", "--out", "OUT", *FAST, "--set", "prefer.loss_type=simpo"), "there is no DPO loss 'simpo'"),
        (("dpo", "PAIRS", "--out", "OUT", *FAST, "--set", "prefer.los_type=ipo"), "did you mean prefer.loss_type"),
        (("dpo", "PAIRS", "--out", "OUT", *FAST, "--set", "prefer.method=simpo"), "train dpo is asked for, and --set"),
        (("simpo", "nowhere.jsonl", "--out", "OUT", *FAST), "neither a run nor a table of pairs"),
    ],
)
def test_what_does_not_fit_is_refused(
    command: Command, pairs: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    places = {"PAIRS": str(pairs), "OUT": str(tmp_path / "student")}
    code, _, said = command(*(places.get(word, word) for word in words))
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "student").exists()


def test_pairs_that_teach_nothing_are_refused_or_dropped_with_a_reason(command: Command, tmp_path: Path) -> None:
    rows = [{"prompt": f"{number}?", "chosen": "yes", "rejected": "no"} for number in range(4)]
    rows += [{"prompt": "same?", "chosen": "a", "rejected": "a"}, {"prompt": "empty?", "chosen": "a", "rejected": " "}]
    table = tmp_path / "pairs.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "student"
    code, _, said = command("simpo", table, "--out", out, *FAST)
    assert (code, "2 of 6 pairs cannot be trained on: empty_rejected 1, identical 1" in said) == (2, True), said
    code, said, failed = command("simpo", table, "--out", out, *FAST, "--set", "prefer.unusable=drop")
    assert code == 0, failed
    assert "4 steps of simpo on 4 pairs" in said
    assert "empty_rejected 1, identical 1: see" in said
