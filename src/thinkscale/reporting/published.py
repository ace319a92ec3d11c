"""What others published, as data (published.yaml): points of accuracy over thinking, and metrics of methods.

A point is one run of one model on one benchmark. `digitised` says that it was read from a figure, so that a report can
say so; everything else is as a table prints it. Methods are called as in our records, and two more names are used:
`unforced` (the model's own end of thinking, without any limit but the context) and `other` (a model that is measured
by others' means). A benchmark's size turns percentages into counts, since a table's 53.3 of 30 problems is 16; what is
no whole count (a mean over runs) stays as printed.

Rejected: numbers in the code of a chart, which nobody can check against the paper or add to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkscale.errors import ConfigError

TOKENS_OF_A_STEP = 100
"""What the paper counts for each step that a model is told (Table 13)."""
ROUNDING_POINTS = 0.06
"""Percentages are printed with one digit; 54.55 is printed as 54.6 and as 54.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPoint:
    """One run of one model on one benchmark."""

    study: str
    model: str
    benchmark: str
    method: str
    label: str
    """What tells this run from others of the method, where neither budget nor waits do."""
    accuracy: float
    """From 0 to 1: the fraction of the benchmark's problems that the printed percentage rounds, where it does."""
    correct: int | None
    """That many of them; None where the percentage is a mean over runs."""
    of: int
    thinking_tokens: float | None
    """The mean over problems; None where it is not published."""
    budget_tokens: int | None
    """What the thinking was cut at, or the model was told; 100 for each step it was told."""
    waits: int | None
    variant: str
    difference_low: float | None
    difference_high: float | None
    """95% interval of the difference to the study's own model, in fractions, where it is published."""
    digitised: bool
    source: str
    """Table or figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedMetrics:
    """What a study says of a method on a benchmark."""

    study: str
    benchmark: str
    method: str
    control_percent: float
    scaling_per_doubling: float
    """Points of accuracy per doubling of the mean thinking tokens."""
    performance_percent: float
    num_runs: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Points of one paper that belong together."""

    name: str
    title: str
    paper: str
    model: str
    points: tuple[PublishedPoint, ...]
    metrics: tuple[PublishedMetrics, ...]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Point(_Row):
    """A line of published.yaml: benchmarks with an accuracy in percent, or [mean thinking tokens, percent]."""

    source: str = ""
    figure: str = ""
    method: str
    model: str = ""
    label: str = ""
    budget: int | None = None
    steps: int | None = None
    waits: int | None = None
    variant: str = ""
    results: Mapping[str, tuple[float | None, float]]
    intervals: Mapping[str, tuple[float, float]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _benchmarks_apart(cls, values: dict[str, object]) -> dict[str, object]:
        named = {key: value for key, value in values.items() if key in cls.model_fields}
        results = {key: value for key, value in values.items() if key not in cls.model_fields}
        return {**named, "results": {key: _pair(value) for key, value in results.items()}}

    @model_validator(mode="after")
    def _has_one_source(self) -> "_Point":
        if bool(self.source) == bool(self.figure) or not self.results:
            raise ValueError("a point has either `source` (a table) or `figure`, and a benchmark")
        return self


def _pair(value: object) -> object:
    return value if isinstance(value, list) else [None, value]


class _Metrics(_Row):
    source: str
    benchmark: str
    method: str
    control: float
    scaling: float
    performance: float
    runs: int


class _Study(_Row):
    title: str
    paper: str
    model: str
    points: tuple[_Point, ...]
    metrics: tuple[_Metrics, ...] = ()


class _File(_Row):
    sizes: Mapping[str, int]
    studies: Mapping[str, _Study]


@cache
def studies() -> Mapping[str, Study]:
    """Name to study, in the order of published.yaml."""
    text = files("thinkscale.reporting").joinpath("published.yaml").read_text(encoding="utf-8")
    read = _File.model_validate(yaml.safe_load(text))
    return {name: _study(name, study, read.sizes) for name, study in read.studies.items()}


def published(benchmarks: Sequence[str], wanted: Sequence[str] | None = None) -> tuple[PublishedPoint, ...]:
    """The points of some studies (all, if not said) on some benchmarks. Raises ConfigError on an unknown study."""
    known = studies()
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise ConfigError(f"there is no published study {unknown[0]!r}; there are {', '.join(known)}")
    chosen = known if wanted is None else wanted
    return tuple(point for name in chosen for point in known[name].points if point.benchmark in benchmarks)


def published_metrics() -> tuple[PublishedMetrics, ...]:
    """The metrics of all studies."""
    return tuple(metrics for study in studies().values() for metrics in study.metrics)


def _study(name: str, study: _Study, sizes: Mapping[str, int]) -> Study:
    points = (
        _point(name, study, row, benchmark, sizes[benchmark]) for row in study.points for benchmark in row.results
    )
    metrics = (
        PublishedMetrics(
            study=name,
            benchmark=row.benchmark,
            method=row.method,
            control_percent=row.control,
            scaling_per_doubling=row.scaling,
            performance_percent=row.performance,
            num_runs=row.runs,
            source=row.source,
        )
        for row in study.metrics
    )
    return Study(
        name=name,
        title=study.title,
        paper=study.paper,
        model=study.model,
        points=tuple(points),
        metrics=tuple(metrics),
    )


def _point(name: str, study: _Study, row: _Point, benchmark: str, size: int) -> PublishedPoint:
    tokens, percent = row.results[benchmark]
    low, high = row.intervals.get(benchmark, (None, None))
    nearest = round(percent / 100 * size)
    correct = nearest if abs(100 * nearest / size - percent) < ROUNDING_POINTS else None
    return PublishedPoint(
        study=name,
        model=row.model or study.model,
        benchmark=benchmark,
        method=row.method,
        label=row.label,
        accuracy=percent / 100 if correct is None else correct / size,
        correct=correct,
        of=size,
        thinking_tokens=tokens,
        budget_tokens=row.budget if row.steps is None else row.steps * TOKENS_OF_A_STEP,
        waits=row.waits,
        variant=row.variant if row.steps is None else str(row.steps),
        difference_low=None if low is None else low / 100,
        difference_high=None if high is None else high / 100,
        digitised=bool(row.figure),
        source=row.source or row.figure,
    )
