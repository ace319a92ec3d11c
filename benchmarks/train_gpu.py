"""A full training of Qwen2.5-3B on one 80 GB GPU, beside `plan`'s estimate and beside TRL's defaults on the same card.

    python -m benchmarks.train_gpu --out benchmarks/train_gpu.json       on a machine with one GPU
    python -m benchmarks.train_gpu --tiny                                anywhere: the script itself, on a small model

Nothing is fetched: weights are drawn at random from Qwen2.5-3B's shape, ids are random, and rows are as long as the
reasoning traces in THINKSCALE_DATA (without it, as s1K's are assumed to be). Each way runs in a process of its own, so
that the memory of one is not in the other's way:

    ours            train_sft with activation checkpointing, weights in float32 (what the recipe s1-3b does), 32,768
    ours-bfloat16   the same with weights and optimizer in bfloat16, rounded at random
    trl             SFTTrainer as TRL sets it up, on the same rows, the same effective batch
    trl-one-row     the same with per_device_train_batch_size 1, which is what a user changes after running out

`peak` is torch's count of what tensors held (max_memory_allocated) and of what the allocator took (reserved); tokens a
second are the rows' own, padding not counted, over the steps after the first two.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thinkscale.training.fit import Training
from thinkscale.training.flops import peak_flops, token_weighted_length, training_flops_per_token, utilization
from thinkscale.training.log import TrainingLog, read_log
from thinkscale.training.settings import SftSettings
from thinkscale.training.shapes import find_shape
from thinkscale.training.tokens import TrainingRow, build_row

PROJECT = Path(__file__).resolve().parent.parent
CONTEXT = 32_768
PROMPT_TOKENS = 150
BATCH = 16
WARM_UP_STEPS = 2
CHARACTERS_PER_TOKEN = 3.0
WAYS = ("ours", "ours-bfloat16", "trl", "trl-one-row")
LARGE = {
    **{"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36},
    **{"num_attention_heads": 16, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT},
}
TINY = {
    **{"vocab_size": 1000, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT},
}


def trace_lengths() -> tuple[list[int], str]:
    """Tokens of every reasoning trace at hand, and where they are from."""
    folder = Path(os.environ.get("THINKSCALE_DATA", PROJECT.parent / "shared" / "data")) / "traces"
    limo = folder / "limo_r1_distill_qwen32b.jsonl.gz"
    if not limo.is_file():
        return [round(5200 * share) for share in (0.4, 0.6, 0.8, 1.0, 1.2, 2.0)], "s1K's, assumed"
    with gzip.open(limo, "rt", encoding="utf-8") as lines:
        counted = [round(len(json.loads(line)["solution"]) / CHARACTERS_PER_TOKEN) for line in lines]
    return counted, f"{limo.name}, {CHARACTERS_PER_TOKEN:g} characters taken to be a token"


def rows_of(count: int, vocabulary: int, scale: float) -> list[TrainingRow]:
    """Random ids in rows of real lengths, times `scale`, none over the context."""
    generator = random.Random(42)
    lengths, _ = trace_lengths()
    made = []
    for index in range(count):
        tokens = max(8, min(CONTEXT, PROMPT_TOKENS + round(generator.choice(lengths) * scale)))
        ids = [generator.randrange(10, vocabulary) for _ in range(tokens)]
        prompt = min(PROMPT_TOKENS, tokens // 4)
        made.append(build_row(f"row{index}", ids[:prompt], ids[prompt:]))
    return made


def write_model(folder: Path, sizes: dict[str, Any]) -> None:
    """A model of random weights, and a tokenizer of as many words, which no row is made with."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(**sizes, tie_word_embeddings=True, eos_token_id=2, pad_token_id=1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{index}": index for index in range(100)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    build: Any = PreTrainedTokenizerFast
    build(tokenizer_object=words, unk_token="w0", pad_token="w1", eos_token="w2").save_pretrained(folder)


def settings_of(way: str, model: Path, *, tiny: bool) -> SftSettings:
    """Ours, in two precisions."""
    return SftSettings(
        model=str(model),
        epochs=1,
        effective_batch_size=BATCH,
        max_length=CONTEXT,
        dtype="float32" if tiny else "bfloat16",
        weights="bfloat16" if way == "ours-bfloat16" and not tiny else "float32",
        activation_checkpointing=True,
    )


def train_ours(way: str, model: Path, rows: Sequence[TrainingRow], *, tiny: bool) -> dict[str, Any]:
    """`train_sft` as it is, and what its log says."""
    from thinkscale.training.sft import train_sft

    settings = settings_of(way, model, tiny=tiny)
    lengths = tuple(len(row) for row in rows)
    estimate = Training(shape=find_shape(str(model)), settings=settings, lengths=lengths).estimate
    log = TrainingLog(model.parent / f"{way}.jsonl")
    train_sft(rows, settings, model.parent / way, lambda _step: None, log=log)
    entries = [entry for entry in read_log(log.path) if entry.readings is not None]
    steady = entries[WARM_UP_STEPS:]
    seconds = sum(entry.readings.seconds for entry in steady if entry.readings)
    return {
        "settings": {"weights": settings.weights, "dtype": settings.dtype, "activation_checkpointing": True},
        "tokens_per_second": sum(getattr(entry.record, "num_tokens", 0) or 0 for entry in steady) / seconds,
        "estimated_tensor_bytes": estimate.peak.total,
        "estimated_total_bytes": estimate.total,
        "estimated_parts": dict(estimate.peak.parts),
    }


def train_trl(way: str, model: Path, rows: Sequence[TrainingRow], *, tiny: bool) -> dict[str, Any]:
    """TRL's trainer on the same rows, with what it sets up by itself."""
    import datasets
    import transformers
    from trl import SFTConfig, SFTTrainer

    micro = 1 if way == "trl-one-row" else 8
    stamps: list[float] = []

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - transformers' signature
            stamps.append(time.perf_counter())

    arguments = SFTConfig(
        output_dir=str(model.parent / way),
        num_train_epochs=1,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=BATCH // micro,
        max_length=CONTEXT,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **({"use_cpu": True, "bf16": False} if tiny else {}),
    )
    columns = {
        "input_ids": [list(row.input_ids) for row in rows],
        "completion_mask": [[int(trained) for trained in row.trained] for row in rows],
    }
    data = datasets.Dataset.from_dict(columns)
    trainer = SFTTrainer(model=str(model), args=arguments, train_dataset=data, callbacks=[Clock()])
    trainer.train()
    steps = len(stamps) - WARM_UP_STEPS
    mean = sum(len(row) for row in rows) / (len(rows) / BATCH)
    return {
        "settings": {"per_device_train_batch_size": micro, "others": "TRL's defaults"},
        "tokens_per_second": mean * steps / (stamps[-1] - stamps[WARM_UP_STEPS - 1]),
    }


def one_way(way: str, folder: Path, steps: int, *, tiny: bool) -> dict[str, Any]:
    """One training, in this process: its speed, utilization and peak, or that it ran out of memory."""
    import torch

    sizes = TINY if tiny else LARGE
    rows = rows_of(steps * BATCH, sizes["vocab_size"], 0.01 if tiny else 1.0)
    lengths = [len(row) for row in rows]
    train = train_ours if way.startswith("ours") else train_trl
    on_gpu = torch.cuda.is_available() and not tiny
    try:
        found = train(way, folder / "model", rows, tiny=tiny)
    except Exception as error:
        if "out of memory" not in str(error) and "memory did not suffice" not in str(error):
            raise
        return {"way": way, "outcome": "out of memory", "said": str(error)[:300]}
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    peak, shape = peak_flops(name), find_shape(str(folder / "model"))
    flops = training_flops_per_token(shape, token_weighted_length(lengths))
    found |= {"way": way, "outcome": "trained", "device": name, "rows": len(rows), "tokens": sum(lengths)}
    found["mfu"] = utilization(found["tokens_per_second"], flops, peak) if peak else None
    if on_gpu:
        found["allocated_bytes"] = torch.cuda.max_memory_allocated()
        found["reserved_bytes"] = torch.cuda.max_memory_reserved()
    return found


def main() -> None:
    """Makes the model, runs each way in a process of its own, and prints and writes what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument(
        "--tiny", action="store_true", help="a small model on the CPU: proves the script, not the speed"
    )
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        found = one_way(options.way, options.folder, options.steps, tiny=options.tiny)
        (options.folder / f"{options.way}.json").write_text(json.dumps(found), encoding="utf-8")
        return
    import torch

    if not (options.tiny or torch.cuda.is_available()):
        sys.exit("there is no GPU here; --tiny runs the same script on a small model and the CPU")
    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch) / "model", TINY if options.tiny else LARGE)
        ways = [_run(way, Path(scratch), options) for way in WAYS]
    _, source = trace_lengths()
    report = {"kind": "TINY, ON THE CPU: no measurement" if options.tiny else "measured", "lengths": source}
    text = json.dumps({**report, "torch": torch.__version__, "ways": ways}, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _run(way: str, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    words = ["--way", way, "--folder", str(scratch), "--steps", str(options.steps)]
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.train_gpu", *words, *(["--tiny"] if options.tiny else [])],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    result = scratch / f"{way}.json"
    if result.is_file():
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
    return {"way": way, "outcome": f"ended with {made.returncode}", "said": made.stderr[-2000:]}


if __name__ == "__main__":
    main()
