"""What a sweep would take: trajectories, cells and tokens of every method, and what sharing prefixes saves.

The expectation is made by running the sweep's own bookkeeping on thinking of assumed lengths: those of the run's own
traces where there are any, since a student thinks about as long as what it learns from; else lengths from a hundredth
of the limit to all of it, every order of length equally likely. Each further stretch behind a suppressed end is taken
to be a tenth of the first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import mean

from thinkscale.config import EvaluateSettings
from thinkscale.keys import JSON
from thinkscale.stages.evaluate_cells import sweep_settings
from thinkscale.thinking.budgets import Setting, direct, truncation
from thinkscale.thinking.sweep import PrefixEnd, TrajectoryPlan, plan_trajectories
from thinkscale.thinking.tree import Branch, Trajectory

NUM_LENGTHS = 25
"""Quantiles of the lengths that are tried."""
SHORTEST = 100
"""The shortest assumed thinking is this part of the limit."""
FURTHER = 10
"""A stretch behind a suppressed end is this part of the first."""
ANSWER_TOKENS = 100
"""An answer is assumed to take so many tokens, or as many as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEstimate:
    """Tokens of thinking and answers of all problems and samples."""

    method: str
    cells: int
    trajectories: int
    expected_tokens: int
    greatest_tokens: int
    separate_expected_tokens: int
    """A run of its own for each cell."""
    separate_greatest_tokens: int

    @property
    def saving(self) -> float:
        """How many times fewer tokens are expected than separate runs would generate."""
        return self.separate_expected_tokens / max(self.expected_tokens, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """A sweep before it runs. Where the number of problems is not known, all figures are of one."""

    problems: int | None
    samples: int
    assumption: str
    methods: tuple[SweepEstimate, ...]
    total: SweepEstimate


class _NoText:
    """Lengths are all that counts here."""

    def encode(self, text: str) -> tuple[int, ...]:
        return (0,) * len(text.split())

    def piece(self, token: int) -> str:
        return ""


def sweep_plan(settings: EvaluateSettings, problems: int | None, traces: Sequence[int], *, base: bool) -> SweepPlan:
    """The estimates for every method and for all together; with `base` for the untrained model, too."""
    number = (problems if problems is not None else 1) * settings.samples
    lengths, assumption = _lengths(settings.max_thinking_tokens, traces)
    asked = sweep_settings(settings)
    by_method: dict[str, list[Setting]] = {}
    for setting in asked:
        by_method.setdefault(setting.method, []).append(setting)
    methods = [_estimate(name, members, settings, lengths, number) for name, members in by_method.items()]
    total = _estimate("all", asked, settings, lengths, number)
    if base:
        before = _estimate("base model", [direct(), *truncation((None,))], settings, lengths, number)
        methods.append(before)
        total = _sum(total, before)
    return SweepPlan(
        problems=problems,
        samples=settings.samples,
        assumption=assumption,
        methods=tuple(methods),
        total=total,
    )


def _lengths(limit: int, traces: Sequence[int]) -> tuple[list[int], str]:
    """Lengths of thinking that ends by itself, and where they are from."""
    shares = [(index + 0.5) / NUM_LENGTHS for index in range(NUM_LENGTHS)]
    if traces:
        ordered = sorted(traces)
        lengths = [ordered[int(share * len(ordered))] for share in shares]
        return lengths, f"as long as the {len(ordered):,} traces of this run (mean {mean(ordered):,.0f} tokens)"
    lengths = [max(1, round(limit / SHORTEST * SHORTEST**share)) for share in shares]
    return lengths, (
        f"{lengths[0]:,} to {lengths[-1]:,} tokens (mean {mean(lengths):,.0f}), since nothing that is stored says more"
    )


def _estimate(
    name: str, asked: Sequence[Setting], settings: EvaluateSettings, lengths: Sequence[int], number: int
) -> SweepEstimate:
    plans = plan_trajectories(asked, settings.max_thinking_tokens, is_greedy=settings.temperature == 0)
    answer = min(ANSWER_TOKENS, settings.max_answer_tokens)
    tried = [_simulated(plan, lengths, index, answer) for plan in plans for index in range(len(lengths))]
    expected = number * sum(shared for shared, _ in tried) / len(lengths)
    separate = number * sum(apart for _, apart in tried) / len(lengths)
    most = sum(plan.greatest_tokens for plan in plans) + len(asked) * settings.max_answer_tokens
    most_apart = sum(
        max(setting.attempts, 1) * plan.bound(setting) + settings.max_answer_tokens
        for plan in plans
        for setting in plan.settings
    )
    return SweepEstimate(
        method=name,
        cells=len(asked),
        trajectories=number * len(plans),
        expected_tokens=round(expected),
        greatest_tokens=number * most,
        separate_expected_tokens=round(separate),
        separate_greatest_tokens=number * most_apart,
    )


def _simulated(plan: TrajectoryPlan, lengths: Sequence[int], index: int, answer: int) -> tuple[int, int]:
    """Tokens of one problem whose thinking has the length number `index`: in the sweep, and in separate runs."""
    trajectory = Trajectory(plan, _NoText())
    while branches := trajectory.begin():
        for branch in branches:
            length = _length(branch, lengths, index)
            branch.extend([0] * min(length, branch.room), ended=length < branch.room)
    answered = {setting: trajectory.prefix(setting).end is not PrefixEnd.UNFINISHED for setting in plan.settings}
    prefixes = {trajectory.prefix(setting) for setting, has_answer in answered.items() if has_answer}
    shared = trajectory.generated_tokens + answer * len(prefixes)
    return shared, trajectory.separate_tokens + answer * sum(answered.values())


def _length(branch: Branch, lengths: Sequence[int], index: int) -> int:
    """What a model is taken to say in a branch. Attempts are as long as other problems' thinking."""
    attempt = branch.path[0].attempt if branch.path else 0
    first = lengths[(index + attempt * (NUM_LENGTHS // 3 + 1)) % len(lengths)]
    is_first = not branch.path or attempt or branch.path[-1].minimum
    length = first if is_first else -(-first // FURTHER)
    return max(length, branch.min_tokens)


def _sum(first: SweepEstimate, second: SweepEstimate) -> SweepEstimate:
    added = {name: getattr(first, name) + getattr(second, name) for name in asdict(first) if name != "method"}
    return SweepEstimate(method=first.method, **added)


def sweep_json(plan: SweepPlan) -> dict[str, JSON]:
    """The plan for a program."""
    return {
        "problems": plan.problems,
        "samples": plan.samples,
        "numbers_are": "of one problem" if plan.problems is None else "of all problems",
        "assumed_thinking": plan.assumption,
        "methods": [_row(item) for item in plan.methods],
        "all": _row(plan.total),
    }


def _row(item: SweepEstimate) -> dict[str, JSON]:
    return {**asdict(item), "saving": round(item.saving, 2)}


def sweep_line(plan: SweepPlan) -> str:
    """The plan in one line."""
    total = plan.total
    many = "problems of unknown number: for each" if plan.problems is None else f"{plan.problems:,} problems"
    samples = f" x {plan.samples} samples" if plan.samples > 1 else ""
    return (
        f"{many}{samples}, {total.cells:,} cells from {total.trajectories:,} trajectories; about "
        f"{total.expected_tokens:,} tokens (at most {total.greatest_tokens:,}), where separate runs take about "
        f"{total.separate_expected_tokens:,} (at most {total.separate_greatest_tokens:,}): "
        f"{total.saving:.1f} times as many"
    )


def sweep_text(plan: SweepPlan) -> Iterator[str]:
    """The plan as a table, and what it assumes."""
    names = ("", "cells", "trajectories", "tokens", "at most", "separate runs", "saving")
    rows = [
        (
            item.method,
            f"{item.cells:,}",
            f"{item.trajectories:,}",
            f"{item.expected_tokens:,}",
            f"{item.greatest_tokens:,}",
            f"{item.separate_expected_tokens:,}",
            f"{item.saving:.1f}x",
        )
        for item in (*plan.methods, plan.total)
    ]
    widths = [max(len(row[column]) for row in (names, *rows)) for column in range(len(names))]
    for row in (names, *rows):
        cells = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        yield f"{row[0]:<{widths[0]}}  {'  '.join(cells)}"
    yield f"assumed: thinking that ends by itself takes {plan.assumption}"
