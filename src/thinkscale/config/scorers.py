"""Settings of the scorers that choose among samples (best-of-N)."""

from typing import Literal, TypeAlias

from pydantic import Field

from thinkscale.config.asking import AskingSettings
from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.config.engines import EngineSettings, engine_name
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON

LOGPROB = "logprob"
"""The scorer that needs no other model: the mean log-probability of a sample's own tokens."""


class RewardScorerSettings(Settings):
    """A reward model: a Hugging Face sequence classifier with one output, run in this process."""

    reward: str = Field(min_length=1, description="a model folder, or a Hub id")
    trust_remote_code: bool = Field(
        default=False, description="true: runs Python code that comes with the model (ArmoRM needs it)"
    )
    max_tokens: int | None = Field(
        default=None, ge=16, description="longest conversation; what the model was made for if not given"
    )
    over_length: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="what to do with longer ones; skip leaves them without a reward, and counts them",
        # A run that was refused goes on with skip, and ends as if it had begun with it.
        json_schema_extra=PLACEMENT,
    )
    dtype: Literal["float32", "float64", "bfloat16"] = Field(default="float32")
    batch_tokens: int = Field(default=16384, ge=16, description="tokens of one pass, padding included")
    device: str = Field(default="auto", json_schema_extra=PLACEMENT)


class JudgeScorerSettings(AskingSettings):
    """A model that says how likely an answer is correct, without seeing the reference."""

    judge: EngineSettings
    max_tokens: int = Field(default=2048, ge=1, description="of a reply, thinking included")


ScorerSettings: TypeAlias = Literal["logprob"] | RewardScorerSettings | JudgeScorerSettings


def scorer_name(settings: ScorerSettings) -> str:
    """The scorer as it stands in records: `logprob`, `reward:NAME` or `judge:NAME`."""
    if isinstance(settings, RewardScorerSettings):
        return f"reward:{settings.reward.rstrip('/').rpartition('/')[2] or settings.reward}"
    if isinstance(settings, JudgeScorerSettings):
        return f"judge:{engine_name(settings.judge)}"
    return LOGPROB


def scorer_section(text: str) -> JSON:
    """The setting that `--scorer` names: `logprob`, or `reward:MODEL`. Raises ConfigError."""
    kind, colon, model = text.partition(":")
    if text == LOGPROB:
        return LOGPROB
    if kind == "reward" and colon and model:
        return {"reward": model}
    raise ConfigError(
        f"--scorer {text!r} is neither `logprob` nor `reward:MODEL`; a judge is an engine with settings of its own, in "
        "a recipe: `evaluate.scorers: [{judge: {type: openai, ...}}]`"
    )
