"""What a training can see of its rows, its model and itself that its user should know, and that is no error.

What users of s1 and Sky-T1 complain of most often ends here where it does not end in an error: a model that does not
stop, a base model whose end-of-turn token was never trained, a small model that got worse.

Imports torch; only modules that are loaded when a training begins import this one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thinkscale.keys import JSON
from thinkscale.training.loading import Student
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.starting import is_first_process
from thinkscale.training.tokens import TrainingRow

UNTRAINED_NORM = 0.25
"""A token whose row in the head is shorter than this share of the median row was hardly ever predicted."""

FULL_RATE = 2e-5
"""The highest learning rate that is usual for all weights and too low for adapters, which need about ten times it."""

ROSE = 1.01
"""The held-out loss at the end over the best one, from which on it is said."""


def stop_ids(model: Any) -> set[int]:  # noqa: ANN401 - transformers' classes are untyped
    """Ids at which the model's generation settings stop."""
    found = model.generation_config.eos_token_id
    if found is None:
        return set()
    return set(found) if isinstance(found, list) else {int(found)}


def stop_at_end_of_rows(rows: Sequence[TrainingRow], student: Student) -> list[str]:
    """Lets the published model stop where its rows end, if that is a special token; says so, and which rows do not.

    A base model stops at the end of a text. Trained on turns, it ends them as it learned, and an engine that asks its
    settings generates on.
    """
    ends = Counter(row.input_ids[-1] for row in rows)
    known, special = stop_ids(student.model), set(student.tokenizer.get_added_vocab().values())
    special |= set(student.tokenizer.all_special_ids)
    said = []
    commonest = ends.most_common(1)[0][0]
    if commonest in special - known:
        student.model.generation_config.eos_token_id = [commonest, *sorted(known)]
        known.add(commonest)
        name = _name(student, commonest)
        said.append(f"rows end with {name}, where the base model's settings do not stop; the trained model's will")
    open_ended = sum(count for token, count in ends.items() if token not in known)
    if open_ended:
        names = ", ".join(_name(student, token) for token in sorted(known)) or "none is set"
        said.append(
            f"{open_ended} of {len(rows)} rows do not end with an end-of-turn token ({names}); from them the model "
            f"learns not to stop"
        )
    return said


def of_start(rows: Sequence[TrainingRow], student: Student, settings: TrainingSettings) -> list[str]:
    """What rows, tokenizer and model tell before the first step."""
    said = stop_at_end_of_rows(rows, student)
    if getattr(student.tokenizer, "chat_template", None) is None:
        said.append(f"the tokenizer of {settings.model} has no chat template, so nor will that of the trained model")
    if settings.lora and is_first_process():
        said += _untrained_targets(rows, student)
    if settings.lora and settings.learning_rate <= FULL_RATE:
        said.append(
            f"learning_rate {settings.learning_rate:g} is usual for all weights; adapters learn little at it, and are "
            f"usually trained at about ten times as much"
        )
    return said


def _untrained_targets(rows: Sequence[TrainingRow], student: Student) -> list[str]:
    """Special tokens that rows train, whose row in the head no training ever moved, and adapters do not."""
    head = student.model.get_output_embeddings()
    special = set(student.tokenizer.get_added_vocab().values())
    trained = {
        token for row in rows for token, counts in zip(row.input_ids, row.trained, strict=True) if counts
    } & special
    norms = torch.linalg.vector_norm(head.weight.detach().float(), dim=1)
    least = UNTRAINED_NORM * norms.median()
    names = [_name(student, token) for token in sorted(trained) if norms[token] < least]
    if not names:
        return []
    return [
        f"the base model was hardly ever trained on {', '.join(names)}, and adapters leave embeddings and head as they "
        f"are; train all weights, or start from the instruction-tuned model"
    ]


def of_end(held_out: Mapping[str, JSON], keep: str, beside: str) -> list[str]:
    """What the measurements tell; `held_out` as `held_out_account` gives it."""
    first, best, last = (_step_and_loss(held_out[name]) for name in ("first", "best", "last"))
    if best[0] == 0:
        return [
            f"the held-out loss never fell below that of the untrained model ({first[1]:.4f}; {last[1]:.4f} at the "
            f"end): on rows that it was not trained on, the model got worse. A lower learning_rate may help"
        ]
    if keep == "last" and last[1] > ROSE * best[1]:
        return [
            f"the held-out loss was lowest after step {best[0]} ({best[1]:.4f}) and rose to {last[1]:.4f}; the weights "
            f"of that step lie beside these in {beside}, and keep best publishes them"
        ]
    return []


def _step_and_loss(found: JSON) -> tuple[int, float]:
    assert isinstance(found, dict)
    step, loss = found["step"], found["loss"]
    assert isinstance(step, int)
    assert isinstance(loss, float)
    return step, loss


def _name(student: Student, token: int) -> str:
    return str(student.tokenizer.convert_ids_to_tokens(token))
