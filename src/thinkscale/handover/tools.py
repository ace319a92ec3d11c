"""What each target of a hand-over consists of: the shape of its rows, and the configuration that its tool runs.

A configuration says what our own training would do: the same model, epochs, effective batch, schedule, optimizer and
longest row. Where a tool has a switch for over-long rows it is set to refuse them, since a trace that is cut teaches
not to end. Names of settings are those of axolotl 0.13, LLaMA-Factory 0.9 and TRL 1.x.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thinkscale.errors import ConfigError
from thinkscale.keys import JSON

DATA_NAME = "train.jsonl"
OUTPUT_FOLDER = "student"
LLAMA_FACTORY_TEMPLATES = (
    ("qwen3", "qwen3"),
    ("qwen2", "qwen"),
    ("llama-3", "llama3"),
    ("gemma-3", "gemma3"),
    ("gemma", "gemma"),
    ("mistral", "mistral"),
    ("phi-4", "phi4"),
)
"""Part of a model's name to the template that LLaMA-Factory has for it, the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a configuration is made of: the student and its hyperparameters, over `gpus` devices."""

    model: str
    epochs: int
    effective_batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_ratio: float
    weight_decay: float
    adam_betas: tuple[float, float]
    max_gradient_norm: float
    max_length: int
    seed: int
    gpus: int = 1
    template: str | None = None
    """LLaMA-Factory's name of the chat template; found by the model's name where it is not given."""

    @property
    def accumulation_steps(self) -> int:
        """So many micro-batches of every device make the effective batch. Raises ConfigError where none do."""
        share = self.gpus * self.micro_batch_size
        if self.effective_batch_size % share:
            raise ConfigError(
                f"an effective batch of {self.effective_batch_size} rows cannot be made of {self.gpus} GPUs with "
                f"{self.micro_batch_size} rows each: choose a number of GPUs that divides it"
            )
        return self.effective_batch_size // share


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of `--to`: a shape of handover/rows.py, the files that go with it, and the command that trains on them."""

    shape: str
    files: Callable[[Training], Mapping[str, JSON]]
    """File name to what is in it: YAML or JSON by its ending."""
    command: str = ""


def _nothing(training: Training) -> Mapping[str, JSON]:
    return {}


def shared(training: Training) -> dict[str, JSON]:
    """Settings that all three tools call the same."""
    return {
        "output_dir": OUTPUT_FOLDER,
        "adam_beta1": training.adam_betas[0],
        "adam_beta2": training.adam_betas[1],
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_gradient_norm,
        "learning_rate": training.learning_rate,
        "bf16": True,
        "logging_steps": 1,
        "save_strategy": "epoch",
        "seed": training.seed,
    }


def of_transformers(training: Training) -> dict[str, JSON]:
    """Settings under the names of transformers' trainer, which LLaMA-Factory and TRL take over."""
    return {
        **shared(training),
        "per_device_train_batch_size": training.micro_batch_size,
        "gradient_accumulation_steps": training.accumulation_steps,
        "lr_scheduler_type": "cosine",
        "report_to": "none",
    }


def axolotl(training: Training) -> Mapping[str, JSON]:
    """axolotl.yaml: turns under the tokenizer's own chat template, loss on the assistant's alone."""
    return {
        "axolotl.yaml": {
            "base_model": training.model,
            "datasets": [
                {
                    "path": DATA_NAME,
                    "ds_type": "json",
                    "type": "chat_template",
                    "chat_template": "tokenizer_default",
                    "field_messages": "messages",
                    "message_property_mappings": {"role": "role", "content": "content"},
                    "roles_to_train": ["assistant"],
                    "train_on_eos": "turn",
                }
            ],
            "val_set_size": 0.0,
            "sample_packing": False,
            **axolotl_training(training),
        }
    }


def axolotl_training(training: Training) -> Mapping[str, JSON]:
    """What Axolotl's configurations of supervised and preference training share. Longer rows end it: none is cut."""
    return {
        "dataset_prepared_path": "prepared",
        "sequence_len": training.max_length,
        "excess_length_strategy": "raise",
        "micro_batch_size": training.micro_batch_size,
        "gradient_accumulation_steps": training.accumulation_steps,
        "num_epochs": training.epochs,
        "optimizer": "adamw_torch_fused",
        **shared(training),
        "lr_scheduler": "cosine",
        "warmup_ratio": training.warmup_ratio,
        "gradient_checkpointing": True,
    }


def llama_factory(training: Training) -> Mapping[str, JSON]:
    """dataset_info.json and llama_factory.yaml. Raises ConfigError where the model's template is not known."""
    return {
        "dataset_info.json": {
            "thinkscale": {
                "file_name": DATA_NAME,
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "system": "system"},
                "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
            }
        },
        "llama_factory.yaml": {
            "model_name_or_path": training.model,
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "full",
            "dataset_dir": ".",
            "dataset": "thinkscale",
            "template": training.template or llama_factory_template(training.model),
            "cutoff_len": training.max_length,
            "num_train_epochs": float(training.epochs),
            "optim": "adamw_torch_fused",
            **of_transformers(training),
            "warmup_ratio": training.warmup_ratio,
        },
    }


def llama_factory_template(model: str) -> str:
    """The template of `model` in LLaMA-Factory. Raises ConfigError where its name says nothing."""
    name = model.lower()
    for part, template in LLAMA_FACTORY_TEMPLATES:
        if part in name:
            return template
    raise ConfigError(
        f"which chat template LLaMA-Factory has for {model} is not known; name it with --template, "
        "as its README lists them (qwen for Qwen2.5, llama3, ...)"
    )


def trl(training: Training) -> Mapping[str, JSON]:
    """sft.yaml for `trl sft`: prompt and completion as turns, loss on the completion alone."""
    return {
        "sft.yaml": {
            "model_name_or_path": training.model,
            "dtype": "bfloat16",
            "datasets": [{"path": "json", "data_files": DATA_NAME, "split": "train"}],
            "max_length": training.max_length,
            "packing": False,
            "completion_only_loss": True,
            "num_train_epochs": training.epochs,
            **of_transformers(training),
            "warmup_steps": training.warmup_ratio,
            "gradient_checkpointing": True,
        }
    }


TARGETS: Mapping[str, Target] = {
    "messages": Target(shape="messages", files=_nothing),
    "sharegpt": Target(shape="sharegpt", files=_nothing),
    "alpaca": Target(shape="alpaca", files=_nothing),
    "axolotl": Target(shape="messages", files=axolotl, command="axolotl train axolotl.yaml"),
    "llama-factory": Target(shape="sharegpt", files=llama_factory, command="llamafactory-cli train llama_factory.yaml"),
    "trl": Target(shape="prompt_completion", files=trl, command="trl sft --config sft.yaml"),
}
"""`export --to`."""


def command_of(command: str, gpus: int) -> str:
    """The command of a target on so many devices; empty where the target has no tool."""
    if not command or gpus == 1:
        return command
    if command.startswith("llamafactory"):
        return f"FORCE_TORCHRUN=1 NPROC_PER_NODE={gpus} {command}"
    option = "--num-processes" if command.startswith("axolotl") else "--num_processes"
    return f"{command} {option} {gpus}"
