"""thinkscale serve: the command on standard output, its reasons on standard error, and a start that says what lacks."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thinkscale.cli import app, repeated
from thinkscale.commands import serve as module
from thinkscale.commands.catalogue import catalogue
from thinkscale.engines.catalogue import model_path
from thinkscale.errors import ConfigError, MissingExtraError

TEACHER = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"
EIGHT = ["--gpus", "8", "--gpu-memory-gib", "80"]


def options(model: str = TEACHER, **changed: object) -> module.ServeOptions:
    given = {"model": model, "gpus": 8, "gpu_memory_gib": 80.0, **changed}
    return module.ServeOptions(**given)  # type: ignore[arg-type]


def test_output_is_the_command_alone_and_reasons_go_elsewhere() -> None:
    found = CliRunner().invoke(app, ["serve", TEACHER, *EIGHT, "--", "--max-num-seqs", "64"])
    assert found.exit_code == 0, found.output
    (line,) = found.stdout.splitlines()
    words = shlex.split(line)
    assert words[:3] == ["vllm", "serve", TEACHER]
    assert words[-2:] == ["--max-num-seqs", "64"]
    assert "copies: 4, each over 2 GPUs" in found.stderr
    assert f"--model {TEACHER} --endpoint http://127.0.0.1:8000/v1 --temperature 0.6 --top-p 0.95" in found.stderr
    assert f"--max-tokens 32768 --tokenizer {TEACHER} --thinking-format think_tags" in found.stderr


def test_words_for_vllm_survive_the_command_lines_lists() -> None:
    assert repeated(["serve", "lab", "--", "--a", "1", "2"]) == ["serve", "lab", "--", "--a", "1", "2"]


def test_json_is_for_a_program() -> None:
    found = CliRunner().invoke(app, ["serve", TEACHER, *EIGHT, "--json"])
    row = json.loads(found.stdout)
    assert (row["tensor_parallel"], row["data_parallel"], row["max_model_len"]) == (2, 4, 36864)
    assert row["kv_bytes_per_token"] == 131_072


def test_the_client_leaves_room_for_the_question() -> None:
    plain = module.serve(options("Qwen2.5-7B-Instruct")).notes[-1]
    assert "--temperature 0.05 --top-p 1 --max-tokens 28672" in plain, "32,768 less 4,096 for the question"


def test_without_a_gpu_the_machine_must_be_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_memories", list)
    with pytest.raises(ConfigError, match="give --gpus N and --gpu-memory-gib X"):
        module.serve(options(gpus=None, gpu_memory_gib=None))


def test_the_gpus_that_are_here_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_memories", lambda: [80.0, 79.6])
    found = module.serve(options(gpus=None, gpu_memory_gib=None)).plan.machine
    assert (found.num_gpus, found.gpu_memory_gib) == (2, 79.6)
    with pytest.raises(ConfigError, match="--gpus 3, but there are 2 here"):
        module.serve(options(gpus=3, gpu_memory_gib=None))


def test_a_model_of_unknown_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="somebody/model is neither in the catalogue"):
        module.serve(options("somebody/model"))


def test_eight_bits_are_planned_and_passed_on() -> None:
    found = module.serve(options(gpus=1, quantization="fp8"))
    assert found.plan.footprint.weight_bytes == 39_360_000_000
    assert "--quantization fp8" in module.serve_text(found)
    with pytest.raises(ConfigError, match="only fp8"):
        module.serve(options(quantization="awq"))


def test_an_open_port_without_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert any("anyone may use this server" in note for note in module.serve(options(host="0.0.0.0")).notes)
    monkeypatch.setenv("VLLM_API_KEY", "tell-nobody")
    found = module.serve(options(host="0.0.0.0"))
    assert not any("anyone" in note for note in found.notes)
    assert "tell-nobody" not in json.dumps(module.serve_row(found)), "vLLM reads the key from the environment"


def test_a_folder_is_sized_by_its_files() -> None:
    found = module.serve(options(model_path("lab")))
    assert found.server.served_name == "model"
    assert found.plan.footprint.dtype == "float32"


def test_a_start_without_vllm_says_where_it_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"there is no program 'vllm'.*--python PATH"):
        module.start(module.serve(options()))
    with pytest.raises(MissingExtraError, match="there is no program 'nowhere/python'"):
        module.start(module.serve(options(python="nowhere/python")))


def test_a_start_becomes_vllm(tmp_path: Path) -> None:
    """A program that is called vllm gets the words and keeps the process."""
    fake = tmp_path / "vllm"
    fake.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.getpid(), *sys.argv[1:])\nsys.exit(7)\n")
    fake.chmod(0o755)
    command = [sys.executable, "-m", "thinkscale", "serve", TEACHER, *EIGHT, "--run"]
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        printed, _ = process.communicate(timeout=60)
    planned, told = printed.splitlines()
    assert process.returncode == 7
    assert told.split()[0] == str(process.pid)
    assert f"vllm {told.partition(' ')[2]}" == planned


def test_models_are_listed_with_the_gpus_that_they_need() -> None:
    listed = catalogue("models")
    assert (
        listed["DeepSeek-R1-Distill-Qwen-32B"] == "reasoning, 32.8 B, thinks in think_tags, needs 4 x 24 or 1 x 80 GiB"
    )
    assert {"lab", "FOLDER", "OWNER/NAME", "Qwen2.5-7B-Instruct"} <= set(listed)
