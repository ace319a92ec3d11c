"""What a trainer logs, as records: one seam between transformers' dicts and our steps.

Imports torch and transformers; only modules that are loaded when a training begins import this one.

transformers tells of a step by a dict of names and numbers, ours and TRL's, and keeps the same dicts in the state of a
checkpoint. `step_of` and `held_out_of` read them in both places, so a resumed training reports the very records that
the killed one did. Clock readings take another way (`TrainingLog`), since no record may hold
one. Rejected: trainers
that make records themselves, which supervised and preference training would each do in their own way.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers

from thinkscale.errors import ModelError, StageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.flops import peak_flops, token_weighted_length, training_flops_per_token
from thinkscale.training.log import Speed, TrainingLog, peak_resident_bytes
from thinkscale.training.shapes import shape_of_config

Logs = Mapping[str, float]


class Recorder(transformers.TrainerCallback):
    """Hands steps and evaluations on as records; a loss or gradient norm that is not finite stops the training.

    Every process of a training has one, and only the first speaks. `log` is told of a step before `on_step` is, so
    who shows progress finds its readings there. What a token costs follows from `lengths`, the tokens of each row that
    is trained.
    """

    def __init__(
        self,
        on_step: Callable[[Step], None],
        on_held_out: Callable[[HeldOut], None] | None = None,
        log: TrainingLog | None = None,
        *,
        num_held_out: int = 0,
        lengths: Sequence[int] = (),
    ) -> None:
        self.on_step = on_step
        self.on_held_out = on_held_out
        self.log = log
        self.num_held_out = num_held_out
        self.lengths = lengths
        self._has_started = False

    def on_train_begin(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        if self.log and state.is_world_process_zero:
            done = records_of(state.log_history, num_held_out=self.num_held_out)
            self.log.begin(done, _speed(arguments["model"], args, self.lengths))

    def on_step_begin(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        if self.log and not self._has_started and state.is_world_process_zero:
            self.log.rest()  # what other callbacks did before the first step is none of its time
        self._has_started = True

    def on_log(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        logs = {**arguments["logs"], "step": state.global_step}
        if not (is_step(logs) or is_held_out(logs)):  # the summary at the end
            return
        check_finite(logs, args.learning_rate)
        peak_bytes = _peak_bytes(args.device)
        if state.is_world_process_zero:
            self._take(step_of(logs) if is_step(logs) else held_out_of(logs, self.num_held_out), peak_bytes)

    def on_save(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        if self.log and state.is_world_process_zero:
            self.log.rest()

    def _take(self, record: Step | HeldOut, peak_bytes: int) -> None:
        if isinstance(record, Step):
            if self.log:
                self.log.add_step(record, peak_bytes)
            self.on_step(record)
            return
        if self.log:
            self.log.add_held_out(record, peak_bytes)
        if self.on_held_out:
            self.on_held_out(record)


def records_of(log_history: Iterable[Logs], *, num_held_out: int = 0) -> Iterator[Step | HeldOut]:
    """What a checkpoint's `log_history` holds, in its order."""
    for logs in log_history:
        if is_step(logs):
            yield step_of(logs)
        elif is_held_out(logs):
            yield held_out_of(logs, num_held_out)


def is_step(logs: Logs) -> bool:
    """Whether `logs` tell of an optimizer step; the summary at a training's end does not."""
    return "loss" in logs and "grad_norm" in logs


def is_held_out(logs: Logs) -> bool:
    """Whether `logs` tell of an evaluation."""
    return "eval_loss" in logs


def step_of(logs: Logs) -> Step:
    """The step that one entry of transformers' log history tells of."""
    return Step(
        step=int(logs["step"]),
        epoch=float(logs["epoch"]),
        loss=float(logs["loss"]),
        learning_rate=float(logs["learning_rate"]),
        gradient_norm=float(logs["grad_norm"]),
        num_tokens=int(logs.get("num_step_tokens", 0)),
        num_trained_tokens=int(logs.get("num_step_trained_tokens", 0)),
        padding=float(logs.get("padding", 0.0)),
        chosen_reward=_number(logs, "rewards/chosen"),
        rejected_reward=_number(logs, "rewards/rejected"),
        reward_accuracy=_number(logs, "rewards/accuracies"),
    )


def held_out_of(logs: Logs, num_rows: int) -> HeldOut:
    """The evaluation that one entry of transformers' log history tells of, on `num_rows` rows or pairs.

    Where rewards are logged, TRL's token accuracy is left out: it mixes chosen with rejected replies.
    """
    is_preference = "eval_rewards/chosen" in logs
    return HeldOut(
        step=int(logs["step"]),
        epoch=float(logs["epoch"]),
        num_rows=num_rows,
        loss=float(logs["eval_loss"]),
        token_accuracy=None if is_preference else _number(logs, "eval_mean_token_accuracy"),
        chosen_reward=_number(logs, "eval_rewards/chosen"),
        rejected_reward=_number(logs, "eval_rewards/rejected"),
        reward_accuracy=_number(logs, "eval_rewards/accuracies"),
    )


def check_finite(logs: Logs, learning_rate: float) -> None:
    """Raises StageError where a loss or gradient norm is infinite or not a number."""
    names = {"loss": "the loss", "grad_norm": "the gradient norm", "eval_loss": "the loss on the held-out rows"}
    found = {said: float(logs[name]) for name, said in names.items() if name in logs}
    if all(math.isfinite(value) for value in found.values()):
        return
    values = " and ".join(f"{said} is {value}" for said, value in found.items())
    raise StageError(
        f"training step {int(logs['step'])}: {values}; no model was written. Lower learning_rate (now "
        f"{learning_rate}), or use dtype float32"
    )


def _number(logs: Logs, name: str) -> float | None:
    return float(logs[name]) if name in logs else None


def _speed(
    model: Any,  # noqa: ANN401 - transformers' models have no common typed base
    args: transformers.TrainingArguments,
    lengths: Sequence[int],
) -> Speed | None:
    """What a token costs and the devices could do; None where the device's peak or the model's size is not known."""
    if args.device.type != "cuda" or not lengths:
        return None
    dtype = "bfloat16" if args.bf16 or model.dtype == torch.bfloat16 else "float32"
    peak = peak_flops(torch.cuda.get_device_name(args.device), dtype)
    try:
        shape = shape_of_config(model.config.to_dict(), str(model.config.name_or_path))
    except ModelError:
        return None
    if peak is None:
        return None
    flops = training_flops_per_token(
        shape,
        token_weighted_length(lengths),
        is_adapter=hasattr(model, "peft_config"),
    )
    return Speed(flops_per_token=flops, peak_flops_per_second=peak * args.world_size)


def _peak_bytes(device: torch.device) -> int:
    """The most memory that any process held on its device since the last call; on a CPU, in its life.

    Every process of a training must call it at the same step: their readings are compared.
    """
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        peak = peak_resident_bytes()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        highest = torch.tensor(peak, dtype=torch.int64, device=device)
        torch.distributed.all_reduce(highest, op=torch.distributed.ReduceOp.MAX)
        peak = int(highest.item())
    return peak
