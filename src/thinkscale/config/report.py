"""Settings of the report."""

from pydantic import Field

from thinkscale.config.base import PLACEMENT, Settings


class ReportSettings(Settings):
    """What the report shows."""

    title: str = Field(default="thinkscale report")
    notice: tuple[str, ...] = Field(
        default=(), description="lines at the head of the report, such as what a rehearsal replaced"
    )
    samples: int = Field(default=24, ge=0, description="traces shown in full, at most")
    resamples: int = Field(default=2000, ge=100, description="bootstrap resamples of every interval")
    published: tuple[str, ...] = Field(
        default=(), description="studies whose published points are drawn beside the run's own: s1, s1.1, ablations"
    )
    usd_per_hour: float | None = Field(
        default=None, ge=0, description="price of this machine, for what is computed on it", json_schema_extra=PLACEMENT
    )
