"""`thinkscale export`, as a user types it, and as the other tool reads what came out."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from thinkscale.commands.pair_rows import read_pairs
from thinkscale.engines.catalogue import model_path
from thinkscale.records import Example, Message, Pair
from thinkscale.store.tables import write_table

EXAMPLES = [
    Example(
        problem_id=f"p{number}",
        response_key=f"k{number}",
        messages=(
            Message(role="user", content=f"{number} + 1?"),
            Message(role="assistant", content=str(number + 1), thinking="count on", trained=True),
        ),
    )
    for number in range(3)
]
THOUGHT = "<|im_start|>think\ncount on\n<|im_start|>answer\n1"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    write_table(tmp_path / "examples.parquet", Example, EXAMPLES)
    return tmp_path / "examples.parquet"


Exported = Callable[..., tuple[int, str, str]]


@pytest.fixture
def exported(typed: Exported) -> Exported:
    """Runs `thinkscale export WORDS`."""
    return partial(typed, "export")


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()]


def test_axolotl_gets_messages_and_the_papers_settings(examples: Path, tmp_path: Path, exported: Exported) -> None:
    out = tmp_path / "out"
    code, said, _ = exported(examples, "--to", "axolotl", "--out", out, "--model", "org/model", "--gpus", "8")
    assert code == 0
    assert f"cd {out} && axolotl train axolotl.yaml --num-processes 8" in said
    assert rows(out)[0] == {
        "messages": [{"role": "user", "content": "0 + 1?"}, {"role": "assistant", "content": THOUGHT}]
    }
    config = yaml.safe_load((out / "axolotl.yaml").read_text())
    assert config["micro_batch_size"] * config["gradient_accumulation_steps"] * 8 == 16
    wanted = {"base_model": "org/model", "num_epochs": 5, "learning_rate": 1e-5, "sequence_len": 32768, "seed": 42}
    assert {name: config[name] for name in wanted} == wanted
    assert config["excess_length_strategy"] == "raise"


def test_llama_factory_finds_its_rows_by_dataset_info(examples: Path, tmp_path: Path, exported: Exported) -> None:
    out = tmp_path / "out"
    assert exported(examples, "--to", "llama-factory", "--out", out, "--model", "Qwen/Qwen2.5-3B-Instruct")[0] == 0
    config = yaml.safe_load((out / "llama_factory.yaml").read_text())
    entry = json.loads((out / "dataset_info.json").read_text())[config["dataset"]]
    row = rows(out)[0]
    turns = row[entry["columns"]["messages"]]
    assert isinstance(turns, list)
    tags = entry["tags"]
    assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
    assert (config["template"], entry["file_name"]) == ("qwen", "train.jsonl")


def test_an_unknown_template_is_asked_for(examples: Path, tmp_path: Path, exported: Exported) -> None:
    words = (examples, "--to", "llama-factory", "--out", tmp_path / "out", "--model", "org/unheard-of")
    code, _, said = exported(*words)
    assert (code, "name it with --template" in said) == (2, True)
    assert not (tmp_path / "out").exists()
    assert exported(*words, "--template", "default")[0] == 0


@pytest.mark.parametrize(("target", "field"), [("messages", "messages"), ("sharegpt", "conversations")])
def test_formats_without_a_tool_need_no_model(
    examples: Path, tmp_path: Path, exported: Exported, target: str, field: str
) -> None:
    assert exported(examples, "--to", target, "--out", tmp_path / "out")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.jsonl"]
    assert [len(row[field]) for row in rows(tmp_path / "out")] == [2, 2, 2]  # type: ignore[arg-type]


def test_a_plain_table_of_messages_will_do(tmp_path: Path, exported: Exported) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "thinking": "t"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    words = (tmp_path / "rows.jsonl", "--to", "alpaca", "--out", tmp_path / "out", "--thinking-format", "think_tags")
    assert exported(*words)[0] == 0
    assert rows(tmp_path / "out")[0]["output"] == "<think>\nt\n</think>\n\na"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "word"), "there is no such target; there are messages, sharegpt"),
        (("--to", "trl"), "which model is to be trained is not known; name it with --model"),
        (("--to", "trl", "--model", "m", "--gpus", "3"), "an effective batch of 16 rows cannot be made of 3 GPUs"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    examples: Path, tmp_path: Path, exported: Exported, words: tuple[str, ...], message: str
) -> None:
    code, _, said = exported(examples, *words, "--out", tmp_path / "out")
    assert (code, message in said) == (2, True), said
    assert [path.name for path in tmp_path.iterdir()] == ["examples.parquet"]


@pytest.mark.parametrize("line", ['{"messages": 3}', '{"messages": []}', '{"question": "q"}', '{"messages": ["a"]}'])
def test_a_bad_row_is_named_and_nothing_stays(tmp_path: Path, exported: Exported, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    code, _, said = exported(path, "--to", "messages", "--out", tmp_path / "out")
    assert (code, "rows.jsonl:1" in said) == (2, True), said
    assert [item.name for item in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_folder_with_something_in_it_is_left_alone(examples: Path, tmp_path: Path, exported: Exported) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    code, _, said = exported(examples, "--to", "messages", "--out", tmp_path / "out")
    assert (code, "is there already" in said) == (2, True)
    assert (tmp_path / "out" / "mine").read_text() == "x"


@pytest.mark.slow
def test_trl_trains_on_its_files_as_they_are(examples: Path, tmp_path: Path, exported: Exported) -> None:
    """`trl sft --config sft.yaml` with the lab's model: the loss is on the completion, and a model comes out."""
    out = tmp_path / "out"
    assert exported(examples, "--to", "trl", "--out", out, "--model", model_path("lab"))[0] == 0
    config = yaml.safe_load((out / "sft.yaml").read_text()) | {"bf16": False, "dtype": "float32", "use_cpu": True}
    (out / "sft.yaml").write_text(yaml.safe_dump(config | {"num_train_epochs": 1, "max_length": 256}))
    command = [str(Path(sys.executable).with_name("trl")), "sft", "--config", "sft.yaml"]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (out / "student" / "model.safetensors").is_file()


PAIRS = [
    Pair(
        problem_id=f"p{number}",
        prompt=(Message(role="system", content="Be brief."), Message(role="user", content=f"{number} + 1?")),
        chosen=Message(role="assistant", content=str(number + 1), thinking="count on"),
        rejected=Message(role="assistant", content="7"),
        why="correct",
    )
    for number in range(3)
]
BEFORE = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "0 + 1?"}]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    write_table(tmp_path / "pairs.parquet", Pair, PAIRS)
    return tmp_path / "pairs.parquet"


@pytest.mark.parametrize(
    ("target", "first"),
    [
        (
            "trl",
            {
                "prompt": BEFORE,
                "chosen": [{"role": "assistant", "content": THOUGHT}],
                "rejected": [{"role": "assistant", "content": "7"}],
            },
        ),
        (
            "axolotl",
            {
                "messages": BEFORE,
                "chosen": {"role": "assistant", "content": THOUGHT},
                "rejected": {"role": "assistant", "content": "7"},
            },
        ),
        (
            "llama-factory",
            {
                "system": "Be brief.",
                "conversations": [{"from": "human", "value": "0 + 1?"}],
                "chosen": {"from": "gpt", "value": THOUGHT},
                "rejected": {"from": "gpt", "value": "7"},
            },
        ),
        (
            "alpaca",
            {"instruction": "0 + 1?", "input": "", "chosen": THOUGHT, "rejected": "7", "system": "Be brief."},
        ),
    ],
)
def test_pairs_have_the_shape_that_each_tool_reads_and_read_back_as_they_were(
    pairs: Path, tmp_path: Path, exported: Exported, target: str, first: dict[str, object]
) -> None:
    out = tmp_path / "out"
    words = ("--to", target, "--out", out, "--model", "Qwen/Qwen2.5-3B-Instruct")
    assert exported(pairs, *words)[0] == 0
    assert rows(out)[0] == first
    again = list(read_pairs(out / "train.jsonl"))
    assert [(pair.prompt, pair.chosen, pair.rejected) for pair in again] == [
        (pair.prompt, pair.chosen, pair.rejected) for pair in PAIRS
    ]


def test_sky_t1s_simpo_is_what_llama_factory_and_axolotl_are_told(
    pairs: Path, tmp_path: Path, exported: Exported
) -> None:
    words = ("--method", "simpo", "--model", "Qwen/Qwen2.5-3B-Instruct", "--gpus", "8")
    assert exported(pairs, "--to", "llama-factory", "--out", tmp_path / "lf", *words)[0] == 0
    config = yaml.safe_load((tmp_path / "lf" / "llama_factory.yaml").read_text())
    wanted = {"stage": "dpo", "pref_loss": "simpo", "pref_beta": 2.0, "simpo_gamma": 0.3, "learning_rate": 5e-7}
    assert {name: config[name] for name in wanted} == wanted
    assert config["per_device_train_batch_size"] * config["gradient_accumulation_steps"] * 8 == 96
    entry = json.loads((tmp_path / "lf" / "dataset_info.json").read_text())[config["dataset"]]
    assert entry["ranking"] is True
    assert {entry["columns"][name] for name in ("messages", "chosen", "rejected")} <= set(rows(tmp_path / "lf")[0])
    code, said, _ = exported(pairs, "--to", "axolotl", "--out", tmp_path / "ax", *words)
    assert (code, "axolotl train axolotl.yaml --num-processes 8" in said) == (0, True)
    config = yaml.safe_load((tmp_path / "ax" / "axolotl.yaml").read_text())
    wanted = {"rl": "simpo", "rl_beta": 2.0, "simpo_gamma": 0.3, "cpo_alpha": 0.0, "num_epochs": 1}
    assert {name: config[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "trl", "--method", "simpo", "--model", "m"), "trl has no command for SimPO"),
        (("--to", "trl", "--method", "orpo", "--model", "m"), "there is no such method; there are sft, dpo, simpo"),
        (("--to", "trl", "--method", "dpo"), "name it with --model"),
        (("--to", "messages", "--method", "sft"), "no `messages`; a training example has turns"),
    ],
)
def test_what_pairs_cannot_be_handed_over_as_is_refused(
    pairs: Path, tmp_path: Path, exported: Exported, words: tuple[str, ...], message: str
) -> None:
    code, _, said = exported(pairs, *words, "--out", tmp_path / "out")
    assert (code, message in said) == (2, True), said
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.parquet"]


@pytest.mark.slow
def test_trl_trains_dpo_on_its_files_as_they_are(pairs: Path, tmp_path: Path, exported: Exported) -> None:
    """`trl dpo --config dpo.yaml` with the lab's model, on the CPU, ends in a model."""
    out = tmp_path / "out"
    assert exported(pairs, "--to", "trl", "--out", out, "--model", model_path("lab"), "--micro-batch-size", "2")[0] == 0
    config = yaml.safe_load((out / "dpo.yaml").read_text()) | {"bf16": False, "dtype": "float32", "use_cpu": True}
    (out / "dpo.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("trl")), "dpo", "--config", "dpo.yaml"]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (out / "student" / "model.safetensors").is_file()
