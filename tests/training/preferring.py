"""Pairs of random tokens, and preference training written out by hand: row by row, no padding, no batches."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinkscale.records import Step
from thinkscale.training.pairs import PairRow
from thinkscale.training.preference_settings import Method, PreferenceSettings

VOCABULARY = 64
END = 2


def random_pairs(count: int, seed: int = 5) -> list[PairRow]:
    """Pairs of 4 to 36 tokens: shared beginnings, replies of one token beside long ones."""
    generator = random.Random(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(generator.randrange(3, VOCABULARY) for _ in range(generator.randint(low, high)))

    made = []
    for number in range(count):
        shared = ids(0, 4)
        made.append(
            PairRow(
                problem_id=f"p{number}",
                prompt_ids=ids(2, 8),
                chosen_ids=(*shared, *ids(0, 6), END),
                rejected_ids=(*shared, *ids(4, 18), END),
            )
        )
    return made


def load(folder: Path) -> Any:  # noqa: ANN401 - transformers' models have no common typed base
    """The model in training mode; it has no dropout."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()


def log_prob(model: Any, prompt: tuple[int, ...], reply: tuple[int, ...]) -> Any:  # noqa: ANN401 - as above
    """Summed log-probability of `reply` after `prompt`, with its gradient."""
    import torch

    scores = torch.log_softmax(model(input_ids=torch.tensor([[*prompt, *reply]])).logits[0], dim=-1)
    return sum(scores[len(prompt) + place - 1, token] for place, token in enumerate(reply))


@dataclass(frozen=True)
class ByHand:
    """One step of the loop written out."""

    loss: float
    gradient_norm: float
    chosen: float
    rejected: float


def losses_by_hand(
    model: Any,  # noqa: ANN401 - as above
    rows: list[PairRow],
    settings: PreferenceSettings,
    reference: list[tuple[float, float]],
) -> tuple[Any, list[float], list[float]]:
    """Mean loss of `rows` and each pair's rewards, from the formulas of the papers."""
    import torch

    total: Any = 0.0
    chosen_rewards, rejected_rewards = [], []
    for row, (ref_chosen, ref_rejected) in zip(rows, reference, strict=True):
        chosen = log_prob(model, row.prompt_ids, row.chosen_ids)
        rejected = log_prob(model, row.prompt_ids, row.rejected_ids)
        mean_chosen, mean_rejected = chosen / len(row.chosen_ids), rejected / len(row.rejected_ids)
        if settings.method is Method.SIMPO:
            rewards = settings.beta * mean_chosen, settings.beta * mean_rejected
            loss = -torch.log(torch.sigmoid(rewards[0] - rewards[1] - settings.gamma))
        else:
            rewards = settings.beta * (chosen - ref_chosen), settings.beta * (rejected - ref_rejected)
            loss = -torch.log(torch.sigmoid(rewards[0] - rewards[1]))
            if settings.loss_type == "ipo":
                ratios = (chosen - ref_chosen) / len(row.chosen_ids), (rejected - ref_rejected) / len(row.rejected_ids)
                loss = (ratios[0] - ratios[1] - 1 / (2 * settings.beta)) ** 2
        total = total + (loss - settings.sft_weight * mean_chosen) / len(rows)
        chosen_rewards.append(float(rewards[0].detach()))
        rejected_rewards.append(float(rewards[1].detach()))
    return total, chosen_rewards, rejected_rewards


def reference_of(model: Any, rows: list[PairRow]) -> list[tuple[float, float]]:  # noqa: ANN401 - as above
    """Log-probabilities of each pair's replies under the model as it is."""
    import torch

    with torch.no_grad():
        return [
            (
                float(log_prob(model, row.prompt_ids, row.chosen_ids)),
                float(log_prob(model, row.prompt_ids, row.rejected_ids)),
            )
            for row in rows
        ]


def train_by_hand(folder: Path, rows: list[PairRow], settings: PreferenceSettings, num_steps: int) -> list[ByHand]:
    """`num_steps` of AdamW on all `rows` at a constant rate."""
    import torch

    model = load(folder)
    reference = reference_of(model, rows)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )
    made = []
    for _ in range(num_steps):
        loss, chosen, rejected = losses_by_hand(model, rows, settings, reference)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        made.append(ByHand(float(loss.detach()), float(norm), sum(chosen) / len(rows), sum(rejected) / len(rows)))
    return made


def ignore(step: Step) -> None:
    """Steps are in the result too."""
