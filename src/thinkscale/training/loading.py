"""The student under training: its tokenizer, its weights in the precision that is trained, and its adapters' plan.

Imports torch and transformers; only modules that are loaded when a training begins import this one.

The model comes plain, with the adapters as a configuration beside it: TRL's trainers wrap it themselves, since they
seed the adapters' first values and keep the bare model as the reference of a preference training. Rejected: wrapping
it here, which would give preference training a reference of a second adapter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from thinkscale.errors import ConfigError, MissingExtraError, ModelError
from thinkscale.training.adapters import adapters_of
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.sharding import read_model

IdsOfRow = tuple[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """What is trained. `adapters` is peft's configuration of them; None where all weights are trained."""

    tokenizer: Any
    model: Any
    adapters: Any = None


def load_student(settings: TrainingSettings) -> Student:
    """Tokenizer and model of a folder or Hub id.

    Raises ModelError (not there, not a causal model, a tokenizer of another model), ConfigError (adapters on layers
    that it lacks), MissingExtraError (an attention kernel or peft is not installed).
    """
    name = settings.model
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(name)
        model = read_model(settings, dtype=getattr(torch, settings.weights), **_attention(settings))
    except ImportError as error:  # transformers says so of flash-attn and its versions
        raise MissingExtraError(f"attention {settings.attention} cannot be used here: {error}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the base model {name}: {error}") from error
    _check_tokenizer(name, tokenizer, model)
    return Student(
        tokenizer=tokenizer, model=model, adapters=adapters_of(settings.lora, model) if settings.lora else None
    )


def check_rows(rows: Iterable[IdsOfRow], student: Student, settings: TrainingSettings) -> None:
    """Raises ConfigError where rows hold ids or lengths that the model does not know."""
    vocabulary = int(student.model.get_input_embeddings().num_embeddings)
    context = int(getattr(student.model.config.get_text_config(), "max_position_embeddings", None) or 0)
    for name, ids in rows:
        if max(ids) >= vocabulary or min(ids) < 0:
            raise ConfigError(
                f"training row {name} holds token {max(ids)}, but {settings.model} has {vocabulary} tokens; the rows "
                f"were made with another tokenizer"
            )
        if context and len(ids) > context:
            raise ConfigError(
                f"training row {name} has {len(ids)} tokens, but {settings.model} has a context of {context}; set "
                f"max_length to {context} and choose over_length"
            )


def _check_tokenizer(name: str, tokenizer: Any, model: Any) -> None:  # noqa: ANN401 - transformers' classes are untyped
    if tokenizer.pad_token is None and tokenizer.eos_token is None:
        raise ModelError(f"the tokenizer of {name} has neither a pad nor an eos token, so rows cannot be padded")
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    beyond = sorted(token for token, place in tokenizer.get_added_vocab().items() if place >= vocabulary)
    if beyond:
        raise ModelError(
            f"the tokenizer of {name} has tokens that its model has not ({', '.join(beyond[:5])}; the model has "
            f"{vocabulary}); resize the model's embeddings, or use the tokenizer that belongs to it"
        )


def _attention(settings: TrainingSettings) -> dict[str, str]:
    """`auto` leaves the choice to transformers."""
    return {} if settings.attention == "auto" else {"attn_implementation": settings.attention}
