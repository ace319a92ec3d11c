"""What decides the weights that a training on preferences makes, beside what every training has.

Conventions, since names differ between tools. SimPO (arXiv 2405.14734, equation 6) is

    loss = -log sigmoid(beta * (lp_chosen / |chosen| - lp_rejected / |rejected|) - gamma)

with `gamma` the paper's target margin, in units of the reward. LLaMA-Factory's `simpo_gamma` and TRL's are the same
number: both subtract gamma / beta before they multiply by beta. princeton-nlp's `gamma_beta_ratio` is gamma / beta. So
Sky-T1-32B-Flash's pref_beta 2.0 and simpo_gamma 0.3 are beta 2.0 and gamma 0.3 here (a ratio of 0.15).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from thinkscale.errors import ConfigError
from thinkscale.training.batches import BatchPlan
from thinkscale.training.pairs import OverLongPair, Unusable
from thinkscale.training.settings import Batching, TrainingSettings

DPO_LOSSES = (
    *("sigmoid", "ipo", "hinge", "robust", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired"),
    *("apo_zero", "apo_down", "discopop", "sigmoid_norm"),
)
"""TRL's names (trl.DPOConfig.loss_type), but for `sft`, which is `sft_weight` here."""
SMOOTHED = {"robust": (0.0, 0.5), "exo_pair": (0.0, 1.0), "aot": (0.0, 1.0), "aot_unpaired": (0.0, 1.0)}
"""Losses of DPO that TRL smooths, with the open range of the smoothing; its `sigmoid` would leave it out unsaid."""
SORTED = ("aot", "aot_unpaired")
"""Losses over the sorted pairs of a forward pass: another micro-batch would be another loss."""


class Method(StrEnum):
    """How a model is trained on pairs."""

    DPO = "dpo"
    """Direct preference optimization (arXiv 2305.18290): log-ratios to the model as it was before."""
    SIMPO = "simpo"
    """Simple preference optimization (arXiv 2405.14734): mean log-probabilities, without a reference."""


DEFAULT_BETAS: Mapping[Method, float] = {Method.DPO: 0.1, Method.SIMPO: 2.0}
"""DPO: the paper's. SimPO: Sky-T1-32B-Flash's, the paper's lowest."""
DEFAULT_GAMMA = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceSettings(TrainingSettings):
    """Training on pairs; defaults are Sky-T1-32B-Flash's, and rows are pairs throughout."""

    method: Method = Method.SIMPO
    epochs: int = 1
    effective_batch_size: int = 96
    learning_rate: float = 5e-7
    warmup_ratio: float = 0.1
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_length: int = 16_384
    beta: float = DEFAULT_BETAS[Method.SIMPO]
    """What rewards are scaled by; in DPO also how much leaving the reference costs."""
    gamma: float = 0.0
    """SimPO's target margin."""
    loss_type: str = "sigmoid"
    """DPO's loss, by TRL's name."""
    label_smoothing: float = 0.0
    """Share of the pairs that are taken to be the wrong way round."""
    sft_weight: float = 0.0
    """Weight of a second loss: the negative mean log-probability of each chosen reply."""
    over_long: OverLongPair = OverLongPair.REFUSE
    unusable: Unusable = Unusable.REFUSE


def check_preference(settings: PreferenceSettings, plan: BatchPlan) -> None:
    """Raises ConfigError naming the first setting of preferences that is out of its range or has no effect."""
    finite = all(math.isfinite(value) for value in (settings.beta, settings.gamma, settings.sft_weight))
    if not finite or settings.beta <= 0:
        raise ConfigError(f"training setting beta is {settings.beta!r}; it must be above 0")
    for name in ("gamma", "sft_weight"):
        if not getattr(settings, name) >= 0:
            raise ConfigError(f"training setting {name} is {getattr(settings, name)!r}; it must be at least 0")
    if settings.lora and settings.lora.dropout:
        raise ConfigError(
            "lora.dropout has no effect in training on preferences: dropout is off, since replies are compared; set it "
            "to 0"
        )
    if settings.method is Method.DPO:
        _check_dpo(settings, plan)
    else:
        _check_simpo(settings)


def _check_dpo(settings: PreferenceSettings, plan: BatchPlan) -> None:
    loss, smoothing = settings.loss_type, settings.label_smoothing
    if loss not in DPO_LOSSES:
        raise ConfigError(f"there is no DPO loss {loss!r}; there are {', '.join(DPO_LOSSES)}")
    if settings.gamma:
        raise ConfigError(f"gamma is {settings.gamma}, but the target margin is SimPO's; DPO has none")
    if smoothing and loss not in SMOOTHED:
        raise ConfigError(
            f"label_smoothing is {smoothing}, but the loss {loss} has none; choose loss_type robust (DPO with noisy "
            f"labels), {', '.join(name for name in SMOOTHED if name != 'robust')}"
        )
    low, high = SMOOTHED.get(loss, (0.0, 0.5))
    if not low <= smoothing < high or (loss == "exo_pair" and smoothing == 0):
        wanted = f"above {low} and below {high}" if loss == "exo_pair" else f"at least {low} and below {high}"
        raise ConfigError(f"label_smoothing is {smoothing}; for the loss {loss} it must be {wanted}")
    if loss in SORTED and not _is_one_pass(settings, plan):
        raise ConfigError(
            f"the loss {loss} compares the pairs of a step with each other, so a step must be one forward pass: one "
            f"process, micro_batch_size {plan.effective_batch_size}, no micro_batch_tokens, and a batching other than "
            f"packed"
        )


def _is_one_pass(settings: PreferenceSettings, plan: BatchPlan) -> bool:
    """Without a limit on rows, packed passes, which `auto` then means, are limited by their tokens."""
    return (
        settings.micro_batch_size == plan.effective_batch_size
        and settings.micro_batch_tokens is None
        and settings.batching is not Batching.PACKED
    )


def _check_simpo(settings: PreferenceSettings) -> None:
    if settings.loss_type != "sigmoid":
        raise ConfigError(f"loss_type is {settings.loss_type}, but SimPO has one loss; loss_type is DPO's")
    if not 0 <= settings.label_smoothing < 0.5:
        raise ConfigError(f"label_smoothing is {settings.label_smoothing}; it must be at least 0 and below 0.5")
