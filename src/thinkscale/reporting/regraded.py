"""The headline numbers of one evaluation under several graders, and how far the choice of the grader moves each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from thinkscale.keys import JSON, plain
from thinkscale.records import Score, Verdict
from thinkscale.reporting.wording import method_name, setting, signed
from thinkscale.statistics import RESAMPLES, SEED, Estimate, cell_key, cells_from_scores, method_metrics
from thinkscale.statistics.agreement import Range, range_of
from thinkscale.statistics.intervals import undefined

NOT_TAKEN = "it takes none of these"
Verdicts = Mapping[str, Verdict]
"""Response key to what one grader says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One number of the evaluation under each grader."""

    benchmark: str
    model: str
    what: str
    unit: str
    """`%`, or `points` for a slope."""
    by_grader: Mapping[str, Estimate]
    range: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderRange:
    """The numbers of a run under several graders; the first is the one that a run reports by."""

    graders: tuple[str, ...]
    num_responses: int
    headlines: tuple[Headline, ...]
    """For each method its best cell and its slope."""
    cells: tuple[Headline, ...]
    """Every cell's accuracy."""


def grader_range(
    scores: Sequence[Score],
    verdicts: Mapping[str, Verdicts],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> GraderRange:
    """The numbers of `scores` with each grader's verdicts in place of their own. Every response has a verdict."""
    rows: dict[tuple[str, str, str, str], dict[str, Estimate]] = {}
    cells: dict[tuple[str, str, str, str], dict[str, Estimate]] = {}
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.benchmark, score.model), []).append(score)
    # One benchmark after another: its resamples are drawn once for all graders.
    for place, members in groups.items():
        for grader, found in verdicts.items():
            own = regraded_scores(members, found)
            if all(score.verdict is Verdict.UNGRADABLE for score in own):
                continue  # not 0%: it takes no problem of this kind
            for metrics in method_metrics(own, (), resamples, seed):
                name = method_name(metrics.method)
                rows.setdefault((*place, f"{name}, best cell", "%"), {})[grader] = metrics.max_accuracy
                slope = metrics.scaling_per_doubling
                if slope.value is not None:
                    rows.setdefault((*place, f"{name}, per doubling", "points"), {})[grader] = slope
            for cell in cells_from_scores(own, resamples, seed):
                value = Estimate(value=100 * cell.accuracy, low=100 * cell.accuracy_low, high=100 * cell.accuracy_high)
                what = f"{method_name(cell.method)}, {setting(cell_key(cell))}"
                cells.setdefault((*place, what, "%"), {})[grader] = value
    return GraderRange(
        graders=tuple(verdicts),
        num_responses=len({score.response_key for score in scores}),
        headlines=_headlines(rows, verdicts),
        cells=_headlines(cells, verdicts),
    )


def regraded_scores(scores: Sequence[Score], verdicts: Verdicts) -> list[Score]:
    """`scores` with the verdicts of one grader."""
    return [replace(score, verdict=verdicts[score.response_key]) for score in scores]


def _headlines(
    rows: Mapping[tuple[str, str, str, str], Mapping[str, Estimate]], graders: Iterable[str]
) -> tuple[Headline, ...]:
    names, nothing = list(graders), undefined(NOT_TAKEN)
    return tuple(
        Headline(
            benchmark=benchmark,
            model=model,
            what=what,
            unit=unit,
            by_grader={name: found.get(name, nothing) for name in names},
            range=range_of(list(found.values())),
        )
        for (benchmark, model, what, unit), found in rows.items()
    )


def range_json(found: GraderRange) -> dict[str, JSON]:
    """Fields by name; percent and points as printed."""
    value = plain(found)
    assert isinstance(value, dict)
    return value


def range_text(found: GraderRange, *, with_cells: bool = False) -> str:
    """A table: a row for each number, a column for each grader, and the range."""
    chosen = [*found.headlines, *(found.cells if with_cells else ())]
    rows = [["", *found.graders, "range"]]
    for item in chosen:
        values = [_shown(item.by_grader[grader], item.unit) for grader in found.graders]
        width = item.range.width
        moved = "" if width is None else f"{width:.1f} points"
        rows.append([f"{item.benchmark}, {item.model}: {item.what}", *values, moved])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(widths[0]) if not place else cell.rjust(widths[place]) for place, cell in enumerate(row))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _shown(value: Estimate, unit: str) -> str:
    if value.value is None:
        return "n/a"
    return f"{value.value:.1f}%" if unit == "%" else signed(value.value)
