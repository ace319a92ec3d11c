"""Preference pairs as the rows of other tools, and the configurations that train DPO or SimPO on them.

As with examples, thinking stands in the reply's text with the markers of the thinking format, and a configuration says
what our own training would do. Names of settings are those of axolotl 0.13, LLaMA-Factory 0.9 and TRL 1.x. What a tool
cannot do as asked is refused: TRL's command line has no SimPO, and the others have not all of TRL's losses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thinkscale.errors import ConfigError, DataError
from thinkscale.handover.rows import SHAREGPT_ROLES, text_of
from thinkscale.handover.tools import (
    DATA_NAME,
    Training,
    axolotl_training,
    llama_factory_template,
    of_transformers,
)
from thinkscale.keys import JSON
from thinkscale.records import Message, Pair
from thinkscale.thinking.formats import ThinkingFormat

METHODS = ("dpo", "simpo")
LLAMA_FACTORY_LOSSES = ("sigmoid", "hinge", "ipo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferring:
    """A method and its settings, beside what every training has."""

    training: Training
    method: str
    beta: float
    gamma: float = 0.0
    loss_type: str = "sigmoid"
    label_smoothing: float = 0.0
    sft_weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTarget:
    """One of `--to`: a shape of rows, the files that go with it, and the command that trains on them."""

    shape: str
    files: Callable[[Preferring], Mapping[str, JSON]] | None = None
    command: str = ""


def written_pair(pair: Pair, thinking_format: ThinkingFormat) -> Pair:
    """`pair` with each thinking written into its text."""

    def plain(turn: Message) -> Message:
        return Message(role=turn.role, content=text_of(turn, thinking_format))

    return Pair(
        problem_id=pair.problem_id,
        prompt=tuple(plain(turn) for turn in pair.prompt),
        chosen=plain(pair.chosen),
        rejected=plain(pair.rejected),
        why=pair.why,
    )


def messages(pair: Pair) -> dict[str, JSON]:
    """`messages` before the replies; `chosen` and `rejected` are a turn each."""
    return {
        "messages": [_turn(turn) for turn in pair.prompt],
        "chosen": _turn(pair.chosen),
        "rejected": _turn(pair.rejected),
    }


def conversations(pair: Pair) -> dict[str, JSON]:
    """`prompt`, `chosen` and `rejected`, all lists of turns, as TRL has them."""
    return {
        "prompt": [_turn(turn) for turn in pair.prompt],
        "chosen": [_turn(pair.chosen)],
        "rejected": [_turn(pair.rejected)],
    }


def sharegpt(pair: Pair) -> dict[str, JSON]:
    """`conversations` before the replies, `chosen` and `rejected` of `from` and `value`; the system turn by itself."""
    asked: list[JSON] = [_said(turn) for turn in pair.prompt if turn.role != "system"]
    return {
        "system": _system(pair),
        "conversations": asked,
        "chosen": _said(pair.chosen),
        "rejected": _said(pair.rejected),
    }


def alpaca(pair: Pair) -> dict[str, JSON]:
    """`instruction`, `input` (empty), `chosen`, `rejected`, `system`. Raises DataError on several rounds."""
    asked = [turn for turn in pair.prompt if turn.role != "system"]
    if len(asked) != 1:
        raise DataError(f"{pair.problem_id}: the alpaca format holds one question; export to messages or sharegpt")
    return {
        "instruction": asked[0].content,
        "input": "",
        "chosen": pair.chosen.content,
        "rejected": pair.rejected.content,
        "system": _system(pair),
    }


def _turn(turn: Message) -> dict[str, JSON]:
    return {"role": turn.role, "content": turn.content}


def _said(turn: Message) -> dict[str, JSON]:
    return {"from": SHAREGPT_ROLES[turn.role], "value": turn.content}


def _system(pair: Pair) -> str:
    return "\n".join(turn.content for turn in pair.prompt if turn.role == "system")


PAIR_SHAPES: Mapping[str, Callable[[Pair], dict[str, JSON]]] = {
    "messages": messages,
    "conversations": conversations,
    "sharegpt": sharegpt,
    "alpaca": alpaca,
}


def axolotl(asked: Preferring) -> Mapping[str, JSON]:
    """axolotl.yaml. SimPO there is TRL's CPO with another loss, whose likelihood term is 1 unless it is set."""
    if asked.method == "dpo" and (asked.loss_type not in ("sigmoid", "ipo") or asked.sft_weight):
        raise _lacks("axolotl", "sigmoid and ipo, without a likelihood term", asked)
    training = asked.training
    of_method: dict[str, JSON] = {"rl": "ipo" if asked.loss_type == "ipo" else "dpo", "rl_beta": asked.beta}
    if asked.method == "simpo":
        of_method = {
            "rl": "simpo",
            "rl_beta": asked.beta,
            "simpo_gamma": asked.gamma,
            "cpo_alpha": asked.sft_weight,
        }
    return {
        "axolotl.yaml": {
            "base_model": training.model,
            "chat_template": "tokenizer_default",
            **of_method,
            "datasets": [
                {
                    "path": DATA_NAME,
                    "ds_type": "json",
                    "split": "train",
                    "type": "chat_template.default",
                    "field_messages": "messages",
                    "field_chosen": "chosen",
                    "field_rejected": "rejected",
                    "message_property_mappings": {"role": "role", "content": "content"},
                }
            ],
            **axolotl_training(training),
        }
    }


def llama_factory(asked: Preferring) -> Mapping[str, JSON]:
    """dataset_info.json and llama_factory.yaml. Raises ConfigError where the model's template is not known."""
    if asked.loss_type not in LLAMA_FACTORY_LOSSES or asked.label_smoothing:
        raise _lacks("LLaMA-Factory", f"{', '.join(LLAMA_FACTORY_LOSSES)}, without smoothing,", asked)
    training = asked.training
    is_simpo = asked.method == "simpo"
    return {
        "dataset_info.json": {
            "thinkscale": {
                "file_name": DATA_NAME,
                "formatting": "sharegpt",
                "ranking": True,
                "columns": {
                    "messages": "conversations",
                    "chosen": "chosen",
                    "rejected": "rejected",
                    "system": "system",
                },
                "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
            }
        },
        "llama_factory.yaml": {
            "model_name_or_path": training.model,
            "stage": "dpo",
            "do_train": True,
            "finetuning_type": "full",
            "dataset_dir": ".",
            "dataset": "thinkscale",
            "template": training.template or llama_factory_template(training.model),
            "cutoff_len": training.max_length,
            "pref_loss": "simpo" if is_simpo else asked.loss_type,
            "pref_beta": asked.beta,
            **({"simpo_gamma": asked.gamma} if is_simpo else {}),
            "pref_ftx": asked.sft_weight,
            "num_train_epochs": float(training.epochs),
            "optim": "adamw_torch_fused",
            **of_transformers(training),
            "warmup_ratio": training.warmup_ratio,
        },
    }


def trl(asked: Preferring) -> Mapping[str, JSON]:
    """dpo.yaml for `trl dpo`. TRL cuts what is longer than `max_length` from its end, so it is given no limit."""
    if asked.method == "simpo":
        raise ConfigError(
            "trl has no command for SimPO (its trainer is experimental); choose --method dpo, or --to axolotl or "
            "llama-factory; or train here: thinkscale train simpo"
        )
    training = asked.training
    losses: dict[str, JSON] = {"loss_type": [asked.loss_type]}
    if asked.sft_weight:
        losses = {"loss_type": [asked.loss_type, "sft"], "loss_weights": [1.0, asked.sft_weight]}
    return {
        "dpo.yaml": {
            "model_name_or_path": training.model,
            "dtype": "bfloat16",
            "datasets": [{"path": "json", "data_files": DATA_NAME, "split": "train"}],
            "max_length": None,
            "beta": asked.beta,
            **losses,
            "label_smoothing": asked.label_smoothing,
            "precompute_ref_log_probs": True,
            "num_train_epochs": training.epochs,
            **of_transformers(training),
            "warmup_steps": training.warmup_ratio,
            "gradient_checkpointing": True,
        }
    }


def _lacks(tool: str, known: str, asked: Preferring) -> ConfigError:
    return ConfigError(
        f"{tool} has the losses {known} for {asked.method}; what is asked for is {asked.loss_type} with "
        f"label_smoothing {asked.label_smoothing} and sft_weight {asked.sft_weight}; train it here: thinkscale train "
        f"{asked.method}"
    )


PAIR_TARGETS: Mapping[str, PairTarget] = {
    "messages": PairTarget(shape="messages"),
    "sharegpt": PairTarget(shape="sharegpt"),
    "alpaca": PairTarget(shape="alpaca"),
    "axolotl": PairTarget(shape="messages", files=axolotl, command="axolotl train axolotl.yaml"),
    "llama-factory": PairTarget(
        shape="sharegpt", files=llama_factory, command="llamafactory-cli train llama_factory.yaml"
    ),
    "trl": PairTarget(shape="conversations", files=trl, command="trl dpo --config dpo.yaml"),
}
"""`export --to` for pairs."""
