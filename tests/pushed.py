"""A model folder and the tables of its run, as far as `push` reads them."""

import json
from pathlib import Path

from thinkscale.records import Cell, Decision, Example, Fate, HeldOut, Kind, Message, Problem, Record, Step
from thinkscale.training.log import Readings

TOKEN = "hf_" + "Zy9X" * 8
RECIPE = """\
name: small
seed: 42
student: {model: Qwen/Qwen2.5-3B-Instruct, thinking_format: s1}
collect:
  sources:
  - {type: catalogue, name: aime, local: /home/somebody/aime}
select: {count: 2}
train: {epochs: 2}
evaluate: {benchmarks: [math500]}
report: {notice: [A rehearsal with a small model.]}
"""
ACCOUNT = {
    "base_model": "/home/somebody/models/base",
    "hyperparameters": {"effective_batch_size": 2, "learning_rate": 1e-5, "max_grad_norm": 1.0, "lora": {"rank": 4}},
    "num_rows": 2,
    "num_tokens": 40,
    "num_trained_tokens": 30,
    "remarks": ["the other weights lie in /home/somebody/run/student.best"],
}
STEPS = [
    Step(step=1, epoch=1.0, loss=2.0, learning_rate=1e-5, gradient_norm=3.0, num_tokens=20, padding=0.0),
    Step(step=2, epoch=2.0, loss=1.5, learning_rate=0.0, gradient_norm=0.5, num_tokens=20, padding=0.0),
]
HELD_OUT = HeldOut(step=2, epoch=2.0, num_rows=4, loss=1.75, token_accuracy=0.5)
READINGS = Readings(time="2026-11-21T12:00:00+00:00", seconds=2.0, tokens_per_second=10.0, peak_bytes=2 * 1024**3)


def cell(model: str, method: str, budget_tokens: int | None, correct: int, waits: int = 0) -> Cell:
    return Cell(
        benchmark="math500",
        model=model,
        method=method,
        budget_tokens=budget_tokens,
        waits=waits,
        variant="Wait" if waits else "",
        num_problems=500,
        num_scores=500,
        accuracy=correct / 500,
        accuracy_low=correct / 500 - 0.04,
        accuracy_high=correct / 500 + 0.04,
        accuracy_of_finished=correct / 500,
        mean_thinking_tokens=1234.4,
        over_budget=0,
        correct=correct,
        wrong=495 - correct,
        no_answer=0,
        cut_off=5,
        ungradable=0,
    )


CELLS: list[Record] = [
    cell("base", "truncation", None, 100),
    cell("student", "truncation", 500, 150),
    cell("student", "truncation", None, 300),
    cell("student", "budget_forcing", 4000, 310, waits=2),
]
PROBLEM = Problem(id="p0", source="aime", question="1+1?", reference="2", kind=Kind.MATH)
TURNS = (Message(role="user", content="1+1?"), Message(role="assistant", content="2", thinking="Hm.", trained=True))
TABLES: dict[type[Record], list[Record]] = {
    Problem: [PROBLEM],
    Example: [Example(problem_id="p0", response_key=key, messages=TURNS) for key in ("k", "l")],
    Step: [*STEPS],
    HeldOut: [HELD_OUT],
    Cell: CELLS,
    Fate: [
        Fate(problem_id="p0", stage="select", decision=Decision.KEPT, reason="selected"),
        Fate(problem_id="p9", stage="train", decision=Decision.DROPPED, reason="over_long", evidence="9 tokens"),
    ],
}


def write_model(folder: Path) -> None:
    """A folder as a training leaves it, with a state of the optimizer that nobody needs."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"max_position_embeddings": 4096}')
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 8)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "training.json").write_text(json.dumps(ACCOUNT))
    (folder / "optimizer.pt").write_bytes(b"state")
    (folder / ".hidden").write_text("")
