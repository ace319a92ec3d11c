"""Settings of a stage that asks models: what may fail, what it may cost, where replies are kept."""

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings


class AskingSettings(Settings):
    """The terms on which a stage asks. None of them changes an answer."""

    max_failures: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of failed requests at which the stage stops",
        json_schema_extra=PLACEMENT,
    )
    max_spend: float | None = Field(
        default=None, ge=0, description="US dollars that are never crossed", json_schema_extra=PLACEMENT
    )
    prices: str | None = Field(
        default=None, description="a file of prices that go before the built-in ones", json_schema_extra=PLACEMENT
    )
    batch_poll_seconds: float = Field(
        default=60.0, gt=0, description="how often batches are asked for", json_schema_extra=PLACEMENT
    )
    cache: str = Field(
        default="default",
        description="where replies that were paid for are kept for every run: default, none, or a file",
        json_schema_extra=PLACEMENT,
    )
