"""A training for reports: steps whose loss falls with noise, measured now and then, with readings."""

import math

import numpy as np

from thinkscale.records import HeldOut, Step
from thinkscale.reporting.training import TrainingFacts
from thinkscale.training.log import Readings


def steps(num: int) -> list[Step]:
    random = np.random.default_rng(1)
    return [
        Step(
            step=index + 1,
            epoch=(index + 1) / (num / 3),
            loss=float(0.6 + 1.9 * math.exp(-index / 30) + random.normal(0, 0.03)),
            learning_rate=1e-4 * (1 - index / num),
            gradient_norm=1.0,
            num_tokens=900 + 10 * (index % 7),
            num_trained_tokens=700,
            padding=0.1,
            chosen_reward=0.01 * index,
            rejected_reward=-0.02 * index,
            reward_accuracy=0.5 + index / (2 * num),
        )
        for index in range(num)
    ]


def training(num: int) -> TrainingFacts:
    """A training by pairs of `num` steps, a second each, measured on 8 pairs after each third of it."""
    return TrainingFacts(
        steps=tuple(steps(num)),
        held_out=tuple(
            HeldOut(
                step=step,
                epoch=3 * step / num,
                num_rows=8,
                loss=loss,
                chosen_reward=0.1,
                rejected_reward=-0.1,
                reward_accuracy=0.75,
            )
            for step, loss in zip(range(0, num + 1, num // 3), (2.5, 0.9, 0.8, 1.0), strict=True)
        ),
        readings={
            step: Readings(
                time="2026-11-21T12:00:00.000+00:00",
                seconds=1.0,
                tokens_per_second=930.0,
                computed_per_second=1033.3,
                mfu=0.4,
                peak_bytes=3 * 1024**3,
            )
            for step in range(1, num + 1)
        },
        account={"base_model": "lab", "num_rows": 640, "hyperparameters": {"effective_batch_size": 16}},
    )
