"""Useful tokens a second of a fine-tuning on the CPU, beside TRL's SFTTrainer on the same rows in the same run.

python benchmarks/training.py --out benchmarks/training.json [--repeats 5] [--threads 1]

The model is the lab's. Lengths are those of 291 reasoning traces of R1-Distill-Qwen-32B, in characters
(../shared/data/traces/limo_r1_distill_qwen32b.jsonl.gz), scaled so that the longest has 1,000 tokens; the tokens are
those of the lab's teacher. Hyperparameters are TRL's defaults but for the learning rate (the loss is to fall) and the
same for all: 8 rows a step, AdamW, linear decay, clipping at 1. TRL gets the rows in the order in which ours draws
them, so step n trains on the same rows everywhere and losses can be compared step by step. Packing alone divides the
data set into other steps, of 1,024 tokens.

Useful tokens are those of rows, padding left out. The clock runs from the end of the first step to the end of the last,
and so does the processor's time, which other work on a shared machine disturbs less. Runs of all variants alternate;
medians over the repeats, and ratios are of runs of the same repeat.
"""

import argparse
import gzip
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from thinkscale.engines.catalogue import model_path
from thinkscale.lab.pool import pool_rows
from thinkscale.lab.teacher import reply
from thinkscale.training.arguments import training_arguments
from thinkscale.training.batches import epoch_batches, plan_batches
from thinkscale.training.loading import load_student
from thinkscale.training.settings import Batching, Schedule, SftSettings
from thinkscale.training.tokens import TrainingRow, build_row
from thinkscale.training.trainer import IGNORED, CompletionTrainer

HERE = Path(__file__).resolve().parent
TRACES = Path("traces") / "limo_r1_distill_qwen32b.jsonl.gz"
LONGEST_TOKENS = 1000
ROWS_OF_A_STEP = 8
LEARNING_RATE = 1e-3
WARM_UP_STEPS = 1
MODEL = str(model_path("lab"))

OURS = SftSettings(
    model=MODEL, epochs=1, effective_batch_size=ROWS_OF_A_STEP, learning_rate=LEARNING_RATE, warmup_ratio=0.0,
    lr_scheduler=Schedule.LINEAR, weight_decay=0.0, betas=(0.9, 0.999), max_length=1024, device="cpu",
)  # fmt: skip
VARIANTS: Mapping[str, SftSettings | Mapping[str, Any]] = {
    "trl, its defaults": {"bf16": True},
    "trl, its defaults in float32": {},
    "trl, activations kept": {"gradient_checkpointing": False},
    "trl, activations kept, padding_free": {"gradient_checkpointing": False, "padding_free": True, "max_length": None},
    "trl, activations kept, packing bfd": {
        "gradient_checkpointing": False,
        "packing": True,
        "per_device_train_batch_size": 1,
    },
    "ours, padded as rows come": replace(OURS, batching=Batching.SHUFFLED, loss="full"),
    "ours, the chunked loss": replace(OURS, batching=Batching.SHUFFLED),
    "ours, padded by length": replace(OURS, batching=Batching.BY_LENGTH),
    "ours": OURS,
}
"""Settings of ours, or what is changed in SFTConfig."""
BASELINE = "trl, its defaults in float32"
OTHER_STEPS = "trl, activations kept, packing bfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training."""

    tokens_per_second: float
    tokens_per_cpu_second: float
    losses: tuple[float, ...]


class Clock(transformers.TrainerCallback):
    """When each step ended, by the wall and by the processor."""

    def __init__(self) -> None:
        self.walls: list[float] = []
        self.cpus: list[float] = []

    def on_step_end(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        self.walls.append(time.perf_counter())
        self.cpus.append(time.process_time())


def trace_lengths(data: Path) -> list[int]:
    """Lengths of the traces, scaled to LONGEST_TOKENS."""
    with gzip.open(data / TRACES, "rt", encoding="utf-8") as lines:
        characters = [len(json.loads(line)["solution"]) for line in lines]
    return [max(16, round(count * LONGEST_TOKENS / max(characters))) for count in characters]


def lab_rows(lengths: Sequence[int]) -> list[TrainingRow]:
    """A row of each length: a lab problem, and what the teacher writes on it and the problems after it."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(MODEL)
    problems = iter(pool_rows(4000, seed=1))
    made = []
    for number, length in enumerate(lengths):
        question = str(next(problems)["question"])
        prompt = tokenizer(question)["input_ids"][: length // 2]
        written: list[int] = []
        while len(written) < length - len(prompt):
            written += tokenizer(reply(question, number).thinking + "\n")["input_ids"]
            question = str(next(problems)["question"])
        made.append(build_row(f"row {number}", prompt, written[: length - len(prompt)]))
    return made


def run_ours(rows: Sequence[TrainingRow], settings: SftSettings, folder: Path) -> tuple[Any, Clock]:
    plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, 1)
    student = load_student(settings)
    arguments = training_arguments(settings, plan, folder, None, SFTConfig)
    trainer = CompletionTrainer(
        rows, settings, plan, model=student.model, args=arguments, processing_class=student.tokenizer
    )
    return train(trainer)


def run_trl(rows: Sequence[TrainingRow], changes: Mapping[str, Any], folder: Path) -> tuple[Any, Clock]:
    """TRL on rows in our order; its own defaults but for what is said here."""
    (order,) = ([row for batch in epoch_batches(len(rows), ROWS_OF_A_STEP, OURS.seed, 0) for row in batch] for _ in "1")
    labels = [
        [token if trained else IGNORED for token, trained in zip(rows[row].input_ids, rows[row].trained, strict=True)]
        for row in order
    ]
    data = Dataset.from_dict({"input_ids": [list(rows[row].input_ids) for row in order], "labels": labels})
    config = {
        "output_dir": str(folder), "use_cpu": True, "bf16": False, "learning_rate": LEARNING_RATE,
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential", "logging_steps": 1, "report_to": [], "save_strategy": "no",
        "disable_tqdm": True, "dataset_kwargs": {}, **changes,
    }  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(MODEL)
    return train(SFTTrainer(model=model, args=SFTConfig(**config), train_dataset=data, processing_class=tokenizer))


def train(trainer: Any) -> tuple[Any, Clock]:  # noqa: ANN401 - TRL's trainers type their parts as optional
    clock = Clock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    return trainer, clock


def measured(rows: Sequence[TrainingRow], variant: SftSettings | Mapping[str, Any]) -> Run:
    """One training, timed."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(variant, SftSettings):
            trainer, clock = run_ours(rows, variant, Path(folder))
        else:
            trainer, clock = run_trl(rows, variant, Path(folder))
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    first, last = WARM_UP_STEPS - 1, len(logs) - 1
    if isinstance(variant, SftSettings):
        tokens = sum(entry["num_step_tokens"] for entry in logs[WARM_UP_STEPS:])
    else:
        tokens = logs[last]["num_tokens"] - logs[first]["num_tokens"]  # TRL counts what its mask leaves
    return Run(
        tokens_per_second=tokens / (clock.walls[last] - clock.walls[first]),
        tokens_per_cpu_second=tokens / (clock.cpus[last] - clock.cpus[first]),
        losses=tuple(entry["loss"] for entry in logs),
    )


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 3), "lowest": round(min(values), 3), "highest": round(max(values), 3)}


def summary(runs: Mapping[str, list[Run]]) -> dict[str, Any]:
    """Of each variant: speeds, ratios to the baseline of the same repeat, and how its losses part from it."""
    base = runs[BASELINE]
    found = {}
    for name, several in runs.items():
        wall = [run.tokens_per_second / other.tokens_per_second for run, other in zip(several, base, strict=True)]
        cpu = [
            run.tokens_per_cpu_second / other.tokens_per_cpu_second for run, other in zip(several, base, strict=True)
        ]
        apart = max(abs(mine - theirs) for mine, theirs in zip(several[0].losses, base[0].losses, strict=False))
        found[name] = {
            "tokens_per_second": spread([run.tokens_per_second for run in several]),
            "tokens_per_cpu_second": spread([run.tokens_per_cpu_second for run in several]),
            "ratio_by_clock": spread(wall),
            "ratio_by_cpu_time": spread(cpu),
            "steps": len(several[0].losses),
            "first_loss": round(several[0].losses[0], 5),
            "last_loss": round(several[0].losses[-1], 5),
            "largest_difference_of_a_steps_loss": None if name == OTHER_STEPS else round(apart, 6),
        }
    return found


def settings_of(rows: Sequence[TrainingRow], options: argparse.Namespace) -> dict[str, Any]:
    lengths = sorted(len(row) for row in rows)
    return {
        "threads": options.threads,
        "cores": os.cpu_count(),
        "repeats": options.repeats,
        "rows": len(rows),
        "tokens": sum(lengths),
        "trained_tokens": sum(row.num_trained for row in rows),
        "lengths": {"shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1]},
        "rows_of_a_step": ROWS_OF_A_STEP,
        "learning_rate": LEARNING_RATE,
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
            "trl": trl.__version__,
        },
        "machine": f"{platform.machine()}, load {os.getloadavg()[0]:.1f} at the start",
        "variants": {
            name: "SftSettings" if isinstance(variant, SftSettings) else dict(variant)
            for name, variant in VARIANTS.items()
        },
    }  # fmt: skip


def repeated(rows: Sequence[TrainingRow], repeats: int, tell: Callable[[str], object]) -> dict[str, list[Run]]:
    """Every variant once in each repeat, in an order drawn for it."""
    runs: dict[str, list[Run]] = {name: [] for name in VARIANTS}
    for repeat in range(repeats):
        names = list(VARIANTS)
        random.Random(repeat).shuffle(names)
        for name in names:
            runs[name].append(measured(rows, VARIANTS[name]))
            tell(f"{repeat + 1}/{repeats} {name}: {runs[name][-1].tokens_per_second:,.0f} tokens/s\n")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    data = Path(os.environ.get("THINKSCALE_DATA", HERE.parent.parent / "shared" / "data"))
    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    lengths = trace_lengths(data)
    random.Random(0).shuffle(lengths)
    rows = lab_rows(lengths[: options.rows])
    settings = settings_of(rows, options)
    result = {"settings": settings, "variants": summary(repeated(rows, options.repeats, sys.stderr.write))}
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
