"""`thinkscale train sft`, as a user types it, with the lab's model."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

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
    before = (out / "model.safetensors").read_bytes()
    code, _, failed = command("sft", examples, "--out", out, *FAST)
    assert code == 2
    assert "holds a model that a training made" in failed
    assert "--fresh trains anew" in failed
    assert (out / "model.safetensors").read_bytes() == before
    assert command("sft", examples, "--out", out, *FAST, "--fresh")[0] == 0


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
        (
            ("guess", "EXAMPLES", "--out", "OUT", *FAST),
            "there is no training method 'guess'; there are sft, dpo, simpo",
        ),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--set", "train.epoch=3"), "did you mean train.epochs"),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--gpus", "0"), "--gpus"),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--nodes", "2"), "--nodes goes with --print-launch"),
        (("sft", "EXAMPLES", "--out", "OUT", *FAST, "--print-launch"), "--print-launch needs --gpus"),
    ],
)
def test_what_does_not_fit_is_refused(
    command: Command, examples: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    places = {"EXAMPLES": str(examples), "OUT": str(tmp_path / "student")}
    code, _, said = command(*(places.get(word, word) for word in words))
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "student").exists()


def test_gpus_that_are_not_there_are_refused_with_the_ways_out(
    command: Command, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, _, said = command("sft", examples, "--out", tmp_path / "student", *FAST, "--gpus", "2")
    assert code == 2
    assert "2 GPUs are wanted (--gpus, train.processes)" in said
    assert "--set train.device=cpu trains in 2 processes on the CPU" in said


def test_processes_that_cannot_divide_a_step_are_refused_with_those_that_can(
    command: Command, examples: Path, tmp_path: Path
) -> None:
    words = ("sft", examples, "--out", tmp_path / "student", *FAST, "--print-launch", "--gpus", "3")
    code, _, said = command(*words)
    assert code == 2
    assert "an effective batch of 4 rows cannot be made of 3 processes" in said
    assert "choose effective_batch_size 3 or 6, or 1, 2 or 4 processes" in said


@pytest.mark.parametrize(("nodes", "gpus", "rows"), [(1, 4, "1 x 1"), (2, 2, "1 x 1"), (2, 1, "1 x 2")])
def test_the_printed_lines_are_such_as_torchrun_and_accelerate_read(
    nodes: int, gpus: int, rows: str, command: Command, examples: Path, tmp_path: Path
) -> None:
    from accelerate.commands.launch import launch_command_parser  # type: ignore[import-untyped]
    from torch.distributed.run import parse_args

    words = ("sft", str(examples), "--out", str(tmp_path / "student"), *FAST, "--set", "train.lora.rank=8")
    code, said, _ = command(*words, "--print-launch", f"--nodes={nodes}", "--gpus", str(gpus))
    assert code == 0
    assert f"{nodes * gpus} processes, each with {rows} rows of a step's 4" in said
    assert f"in {nodes * gpus} shards (FSDP2)" in said
    for variable, value in {"$HEAD": "node-a", "$PORT": "29501", "$NODE": "1"}.items():  # as a shell would
        said = said.replace(variable, value)
    torchrun, accelerate = (
        shlex.split(line) for line in said.splitlines() if line.startswith(("torchrun", "accelerate"))
    )
    mine = ["train", *words]
    parse: Any = parse_args
    started = parse(torchrun[1:])
    assert (started.nproc_per_node, started.module) == (str(gpus), True)
    assert [started.training_script, *started.training_script_args] == ["thinkscale", *mine]
    launched = launch_command_parser().parse_args(accelerate[2:])
    assert (launched.num_processes, launched.module, launched.mixed_precision) == (nodes * gpus, True, "no")
    assert [launched.training_script, *launched.training_script_args] == ["thinkscale", *mine]
    if nodes == 1:
        assert started.standalone
        assert "export HEAD" not in said
    else:
        assert (started.nnodes, started.rdzv_backend, started.rdzv_endpoint) == (str(nodes), "c10d", "node-a:29501")
        assert (launched.num_machines, launched.machine_rank) == (nodes, 1)
        assert (launched.main_process_ip, launched.main_process_port) == ("node-a", 29501)
    assert not (tmp_path / "student").exists()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_started_here_and_by_torchrun_write_the_steps_of_one(
    command: Command, examples: Path, tmp_path: Path
) -> None:
    """8 rows in batches of 3: an epoch ends with a step of 2."""
    words = ("sft", str(examples), *FAST, "--effective-batch-size", "3", "--set", "train.device=cpu")
    assert command(*words, "--out", tmp_path / "one")[0] == 0
    assert command(*words, "--out", tmp_path / "three", "--gpus", "3")[0] == 0
    code, said, _ = command(*words, "--out", tmp_path / "rank", "--print-launch", "--gpus", "3")
    assert code == 0
    (line,) = (line for line in said.splitlines() if line.startswith("torchrun"))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--local-addr", "127.0.0.1", *shlex.split(line)[1:]],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()  # the first process alone speaks
    assert "6 steps on 8 rows in 3 processes of 1 rows a step" in said
    wanted = steps(tmp_path / "one")
    for name in ("three", "rank"):
        found = steps(tmp_path / name)
        assert [step["step"] for step in found] == [1, 2, 3, 4, 5, 6]
        assert [step["num_tokens"] for step in found] == [step["num_tokens"] for step in wanted]
        assert [step["loss"] for step in found] == pytest.approx([step["loss"] for step in wanted], abs=1e-5)
        assert (tmp_path / name / "model.safetensors").is_file()
        assert not any((tmp_path / f"{name}.checkpoints").iterdir())
