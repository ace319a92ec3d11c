"""Settings of the student: what it is, and its training."""

from typing import Literal

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings


class StudentSettings(Settings):
    """The model that is fine-tuned and evaluated."""

    model: str = Field(description="`lab`, a model folder (relative ones start at the current folder), or a Hub id")
    thinking_format: Literal["s1", "think_tags", "sky_t1"] = Field(
        default="s1", description="how thinking is marked in its training rows and prompts"
    )


class LoraSettings(Settings):
    """Low-rank adapters instead of all weights."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(default=(), description="linear layers by name; none: all but the head")


class TrainingSection(Settings):
    """What every training has; the defaults are the s1 paper's."""

    epochs: int = Field(default=5, ge=1)
    effective_batch_size: int = Field(default=16, ge=1, description="rows of one optimizer step, over all devices")
    micro_batch_size: int | None = Field(default=None, ge=1, description="rows at once", json_schema_extra=PLACEMENT)
    micro_batch_tokens: int | None = Field(
        default=None, ge=1, description="tokens at once at most", json_schema_extra=PLACEMENT
    )
    learning_rate: float = Field(default=1e-5, gt=0)
    lr_scheduler: Literal["cosine", "linear", "constant_with_warmup"] = Field(default="cosine")
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    adam_betas: tuple[float, float] = Field(default=(0.9, 0.95))
    max_gradient_norm: float = Field(default=1.0, gt=0)
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = Field(default="adamw")
    max_length: int = Field(default=32768, ge=16, description="tokens of a row, prompt included")
    dtype: Literal["float32", "bfloat16"] = Field(default="bfloat16", description="precision of the computation")
    weights: Literal["float32", "bfloat16"] = Field(
        default="float32", description="precision of the trained weights and the optimizer's state"
    )
    lora: LoraSettings | None = Field(default=None, description="adapters instead of all weights")
    held_out_rows: int = Field(default=0, ge=0, description="rows kept from training, to measure it on")
    evaluate_every_steps: int | None = Field(default=None, ge=1, description="None: after every epoch")
    keep: Literal["last", "best"] = Field(default="last", description="which weights go on, the best by held-out loss")
    batching: Literal["auto", "shuffled", "by_length", "padding_free", "packed"] = Field(default="auto")
    attention: Literal["auto", "sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3"] = Field(
        default="auto", json_schema_extra=PLACEMENT
    )
    activation_checkpointing: bool = Field(
        default=False,
        description="compute activations twice, to keep fewer: less memory, a fifth slower",
        json_schema_extra=PLACEMENT,
    )
    activation_offload: bool = Field(
        default=False, description="keep activations in the host's memory", json_schema_extra=PLACEMENT
    )
    device: Literal["auto", "cpu"] = Field(
        default="auto", description="auto: a GPU where one is free", json_schema_extra=PLACEMENT
    )
    processes: int | None = Field(
        default=None,
        ge=1,
        description="GPUs that train; None: one, the first that is free",
        json_schema_extra=PLACEMENT,
    )
    sharding: bool = Field(
        default=True, description="several processes share the weights (FSDP2)", json_schema_extra=PLACEMENT
    )
    save_every_steps: int = Field(
        default=50, ge=1, description="steps that a kill may cost", json_schema_extra=PLACEMENT
    )
    log_to: tuple[Literal["trackio", "wandb"], ...] = Field(
        default=(), description="trackers, besides the JSONL", json_schema_extra=PLACEMENT
    )


class TrainSettings(TrainingSection):
    """Supervised fine-tuning."""

    over_length: Literal["refuse", "drop", "truncate_middle", "truncate_end"] = Field(
        default="refuse", description="what to do with longer rows; never silently"
    )
    loss: Literal["auto", "full", "chunked", "fused"] = Field(
        default="auto", description="how the logits of a big vocabulary are held", json_schema_extra=PLACEMENT
    )


class PreferSettings(TrainingSection):
    """Preference training on pairs; the defaults are Sky-T1-32B-Flash's where it names them."""

    method: Literal["dpo", "simpo"] = Field(default="simpo")
    epochs: int = Field(default=1, ge=1)
    effective_batch_size: int = Field(default=96, ge=1, description="pairs of one optimizer step, over all devices")
    learning_rate: float = Field(default=5e-7, gt=0)
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_betas: tuple[float, float] = Field(default=(0.9, 0.999))
    max_length: int = Field(default=16384, ge=16, description="tokens of prompt and longer reply")
    beta: float | None = Field(default=None, gt=0, description="scale of the rewards; None: 2.0 for simpo, 0.1 for dpo")
    gamma: float | None = Field(
        default=None, ge=0, description="SimPO's target margin, in units of the reward; None: 0.3"
    )
    loss_type: str = Field(default="sigmoid", description="DPO's loss by TRL's name: sigmoid, ipo, robust, ...")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of pairs taken to be the wrong way round"
    )
    sft_weight: float = Field(
        default=0.0, ge=0, description="weight of the likelihood of chosen replies as a second loss"
    )
    over_length: Literal["refuse", "drop", "truncate_prompt", "truncate_middle"] = Field(
        default="refuse", description="what to do with longer pairs; never the answer is cut"
    )
    unusable: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="what to do with pairs of equal replies, without an answer or room for it",
    )
