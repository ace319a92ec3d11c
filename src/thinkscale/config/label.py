"""Settings of the labels."""

from pydantic import Field

from thinkscale.config.base import Settings
from thinkscale.config.engines import EngineSettings


class LabelSettings(Settings):
    """Domain, trace length, and difficulty by weak models."""

    weak_models: tuple[EngineSettings, ...] = Field(
        default=(), description="a problem that any of these solves is too easy to teach with"
    )
    weak_samples: int = Field(default=1, ge=1, description="attempts of each weak model at each problem")
    weak_temperature: float = Field(default=0.05, ge=0, description="s1 used 0.05")
    weak_max_tokens: int = Field(default=1024, ge=1)
