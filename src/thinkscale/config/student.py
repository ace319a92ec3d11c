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


class TrainSettings(Settings):
    """Supervised fine-tuning; the defaults are the s1 paper's."""

    epochs: int = Field(default=5, ge=1)
    effective_batch_size: int = Field(default=16, ge=1, description="rows of one optimizer step, over all devices")
    micro_batch_size: int | None = Field(default=None, ge=1, description="rows at once", json_schema_extra=PLACEMENT)
    learning_rate: float = Field(default=1e-5, gt=0)
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    adam_betas: tuple[float, float] = Field(default=(0.9, 0.95))
    max_gradient_norm: float = Field(default=1.0, gt=0)
    max_length: int = Field(default=32768, ge=16, description="tokens of a row, prompt included")
    over_length: Literal["refuse", "drop", "truncate_middle"] = Field(
        default="refuse", description="what to do with longer rows; never silently"
    )
    dtype: Literal["float32", "bfloat16"] = Field(default="bfloat16")
    activation_checkpointing: bool = Field(
        default=False,
        description="compute activations twice, to keep fewer: less memory, a fifth slower",
        json_schema_extra=PLACEMENT,
    )
    save_every_steps: int = Field(
        default=50, ge=1, description="steps that a kill may cost", json_schema_extra=PLACEMENT
    )
