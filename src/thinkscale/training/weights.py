"""The weights that a training leaves: the last ones, and the best by the loss on held-out rows.

Imports torch and transformers; only modules that are loaded when a training begins import this one.

The best weights of a training that is not over are kept beside its checkpoints, in a folder named by their step,
written before the next checkpoint and removed only after a checkpoint that knows better ones. So wherever a kill
falls, the checkpoint that is continued from finds the best weights up to its step, and the loss of every evaluation
is in its own history. Rejected: transformers' `load_best_model_at_end`, which needs a whole checkpoint, optimizer and
all, at each evaluation, and gives one of the two models.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import transformers

from thinkscale.keys import JSON
from thinkscale.training.adapters import is_adapted, merged_state
from thinkscale.training.output import publishing
from thinkscale.training.sharding import wait_for_all, whole_state

BEST = "best"
LOSS = "eval_loss"


class BestWeights(transformers.TrainerCallback):
    """Writes the weights after each evaluation that is better than all before; of equals the first is best."""

    def __init__(self, trainer: Any, folder: Path, rest: Callable[[], None]) -> None:  # noqa: ANN401 - TRL's, untyped
        self.trainer = trainer
        self.folder = folder / BEST
        self.rest = rest

    def on_evaluate(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        """Every process comes to the same answer, since each has the same history."""
        if best_of(state.log_history)[0] == state.global_step:
            self.folder.mkdir(parents=True, exist_ok=True)
            weights = whole_weights(self.trainer)
            if self.trainer.is_world_process_zero():
                with publishing(step_folder(self.folder, state.global_step)) as folder:
                    write_weights(self.trainer, weights, folder)
            wait_for_all()
        self.rest()

    def on_save(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        """A whole checkpoint knows the best by now; the others will not be asked for again."""
        if not state.is_world_process_zero:
            return
        kept = step_folder(self.folder, best_of(state.log_history)[0])
        for path in self.folder.glob("step-*"):
            if path != kept:
                shutil.rmtree(path)


def best_of(log_history: Iterable[Mapping[str, float]]) -> tuple[int, float]:
    """Step and loss of the best evaluation, the first of equals. Raises ValueError where there is none."""
    losses = ((float(logs[LOSS]), int(logs["step"])) for logs in log_history if LOSS in logs)
    loss, step = min(losses)
    return step, loss


def held_out_account(log_history: Iterable[Mapping[str, float]], num_rows: int) -> dict[str, JSON]:
    """What `training.json` says of the evaluations: the loss before the training, at its best and at its end."""
    losses = [(int(logs["step"]), float(logs[LOSS])) for logs in log_history if LOSS in logs]
    best = min(losses, key=lambda found: (found[1], found[0]))
    names = {"first": losses[0], BEST: best, "last": losses[-1]}
    return {"num_rows": num_rows} | {name: {"step": step, "loss": loss} for name, (step, loss) in names.items()}


def step_folder(folder: Path, step: int) -> Path:
    """Where the weights of `step` lie in `folder`."""
    return folder / f"step-{step}"


def whole_weights(trainer: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """The base model's weights by name, adapters merged; on every process but the first, none. All call it."""
    state = whole_state(trainer)
    model = trainer.accelerator.unwrap_model(trainer.model)
    return merged_state(model, state) if state and is_adapted(model) else state


def write_weights(trainer: Any, weights: Mapping[str, Any], folder: Path) -> None:  # noqa: ANN401 - as above
    """The model in transformers' form, without its tokenizer."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    base = model.get_base_model() if is_adapted(model) else model
    base.save_pretrained(folder, state_dict=dict(weights))


def count_parameters(model: Any) -> dict[str, JSON]:  # noqa: ANN401 - as above
    """Weights of the published model, and those that were trained; a shared weight counts once."""
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    trained = sum(sizes[name] for name, weight in model.named_parameters() if weight.requires_grad)
    return {"num_parameters": sum(size for name, size in sizes.items() if ".lora_" not in name), "num_trained": trained}
