"""Makes the lab's base model: `python -m thinkscale.lab.pretrain --out DIR [--seed 42]`.

Order matters at this size. Facts come first and alone, with the loss on the result; then copying the next
step by its label, from short questions; then long questions, options and chat. A chain can only be learned
on top of both. The same seed gives the same weights on the same machine and versions.
"""

import argparse
import json
import math
import platform
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers

from thinkscale.keys import seed_from
from thinkscale.lab import curriculum
from thinkscale.lab.curriculum import Row
from thinkscale.lab.tokenizer import VOCABULARY_SIZE, build_tokenizer

ARCHITECTURE: dict[str, Any] = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
    "initializer_range": 0.08,
}
"""An initial range near 1/sqrt(hidden size) learns the facts in 300 steps; the usual 0.02 takes twice that."""
PEAK_LEARNING_RATE = 2e-3
BATCH_SIZE = 16
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.01
SKILL_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps on one mixture of row makers."""

    name: str
    steps: int
    mixture: dict[Callable[[random.Random], Row], float]


STAGES = (
    Stage(name="facts", steps=350, mixture={curriculum.fact_row: 1.0}),
    Stage(name="short questions", steps=1100, mixture={curriculum.fact_row: 0.1, curriculum.short_snippet_row: 0.9}),
    Stage(
        name="all",
        steps=1700,
        mixture={
            curriculum.fact_row: 0.05,
            curriculum.snippet_row: 0.4,
            curriculum.opening_row: 0.15,
            curriculum.option_row: 0.1,
            curriculum.instant_row: 0.1,
            curriculum.notes_row: 0.2,
        },
    ),
)
SKILLS: dict[str, Callable[[random.Random], Row]] = {
    "facts": curriculum.fact_row,
    "copied operands": curriculum.operand_row,
    "option search": curriculum.option_row,
    "answers at once, one step": curriculum.instant_fact_row,
}


class Trainee:
    """A model with its tokenizer: rows of text in, losses and accuracies out."""

    def __init__(self, seed: int) -> None:
        self.tokenizer: Any = build_tokenizer()
        torch.manual_seed(seed)
        config = transformers.Qwen2Config(
            **ARCHITECTURE,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            bos_token_id=None,
        )
        self.model: Any = transformers.Qwen2ForCausalLM(config)
        self._encode = lru_cache(maxsize=100_000)(lambda text: tuple(self.tokenizer(text)["input_ids"]))

    def batch(self, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids, padded on the right, and which of them carry the loss; both (rows, tokens)."""
        encoded = [[(token, trained) for text, trained in row for token in self._encode(text)] for row in rows]
        shape = (len(rows), max(map(len, encoded)))
        ids = torch.full(shape, self.tokenizer.pad_token_id)
        trained = torch.zeros(shape, dtype=torch.bool)
        for index, row in enumerate(encoded):
            ids[index, : len(row)] = torch.tensor([token for token, _ in row])
            trained[index, : len(row)] = torch.tensor([flag for _, flag in row])
        return ids, trained

    def loss(self, rows: list[Row]) -> tuple[torch.Tensor, float]:
        """Mean cross-entropy on the trained tokens of `rows`, and the share of them predicted right."""
        ids, trained = self.batch(rows)
        hidden = self.model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        logits = self.model.lm_head(hidden[trained[:, 1:]])
        targets = ids[:, 1:][trained[:, 1:]]
        accuracy = (logits.argmax(-1) == targets).float().mean().item()
        return torch.nn.functional.cross_entropy(logits, targets), accuracy


def learning_rate(step: int, total: int) -> float:
    """Warm-up, flat for the first half, then a cosine to a twentieth of the peak."""
    progress = max(0.0, 2 * step / total - 1)
    decay = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * decay


def train(trainee: Trainee, seed: int) -> list[dict[str, object]]:
    """Trains through STAGES; a record of each: name, steps, the mean loss and accuracy of its last 50 steps."""
    optimizer = torch.optim.AdamW(
        trainee.model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
    )
    total, done = sum(stage.steps for stage in STAGES), 0
    records: list[dict[str, object]] = []
    for stage in STAGES:
        rng = random.Random(seed_from("lab-pretrain", stage.name, seed))
        makers, weights = list(stage.mixture), list(stage.mixture.values())
        recent: list[tuple[float, float]] = []
        for _ in range(stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(done, total)
            loss, accuracy = trainee.loss([maker(rng) for maker in rng.choices(makers, weights, k=BATCH_SIZE)])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trainee.model.parameters(), 1.0)
            optimizer.step()
            recent = [*recent[-49:], (loss.item(), accuracy)]
            done += 1
            if done % 100 == 0:
                mean_loss, mean_accuracy = (sum(column) / len(recent) for column in zip(*recent, strict=True))
                print(
                    f"{stage.name}: step {done} of {total}, loss {mean_loss:.3f}, right {mean_accuracy:.3f}", flush=True
                )
        mean_loss, mean_accuracy = (sum(column) / len(recent) for column in zip(*recent, strict=True))
        records.append(
            {"name": stage.name, "steps": stage.steps, "loss": round(mean_loss, 4), "accuracy": round(mean_accuracy, 4)}
        )
    return records


@torch.no_grad()
def measured_skills(trainee: Trainee) -> dict[str, float]:
    """Share of trained tokens predicted right on fresh rows of each skill."""
    skills = {}
    for name, maker in SKILLS.items():
        rng = random.Random(seed_from("lab-skill", name))
        skills[name] = round(trainee.loss([maker(rng) for _ in range(SKILL_ROWS)])[1], 4)
    return skills


def main() -> None:
    """Trains, then writes weights, tokenizer and record.json."""
    parser = argparse.ArgumentParser(description="Make the lab's base model.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    trainee = Trainee(options.seed)
    stages = train(trainee, options.seed)
    end_ids = [trainee.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    trainee.model.generation_config.update(eos_token_id=end_ids, pad_token_id=trainee.tokenizer.pad_token_id)
    trainee.model.save_pretrained(options.out)
    trainee.tokenizer.save_pretrained(options.out)
    record = {
        "architecture": ARCHITECTURE,
        "parameters": sum(parameter.numel() for parameter in trainee.model.parameters()),
        "seed": options.seed,
        "stages": stages,
        "skills": measured_skills(trainee),
        "seconds": round(time.monotonic() - started),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (options.out / "record.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
