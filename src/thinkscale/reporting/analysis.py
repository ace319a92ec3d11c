"""Everything that a report says about its cells, computed once: metrics, paired comparisons, failures."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from thinkscale.config.scorers import LOGPROB
from thinkscale.records import Cell, Score
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.pairs import TRUNCATION, Candidate, base_pairs, plain_pairs, span_pairs, steps_up, wait_pairs
from thinkscale.statistics import (
    CellAccount,
    CellKey,
    Certificate,
    Compared,
    Contrast,
    Detectable,
    MethodMetrics,
    PairedDifference,
    cell_key,
    certificates,
    compare_family,
    detectable_difference,
    method_metrics,
    outcomes_of,
    truncation_accounts,
)
from thinkscale.statistics.failures import Agreement, LoopCount, WaitFlips, agreement, loop_counts, wait_flips
from thinkscale.statistics.parallel_metrics import parallel_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two cells on the same problems: `second` minus `first`, corrected for the other comparisons of its family."""

    first: Cell
    second: Cell
    what: str
    """The change in words, such as `64 → 128 tokens`."""
    compared: Compared

    @property
    def paired(self) -> PairedDifference:
        """The difference as if nothing else had been looked at."""
        return self.compared.paired

    @property
    def beyond_noise(self) -> bool:
        """After correction, the interval leaves zero out and the test agrees."""
        return self.compared.beyond_noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """A family: the comparisons that answer one question, and what they are able to show."""

    detectable: tuple[Detectable, ...] = ()
    items: tuple[Comparison, ...] = ()

    def of_model(self, model: str | None) -> list[Comparison]:
        """Those whose second side is `model`."""
        return [item for item in self.items if item.second.model == model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What differences a benchmark is able to show to one comparison."""

    benchmark: str
    num_problems: int
    conservative: float | None
    """Detectable difference (a fraction) when half of all pairs are discordant; None where nothing would show."""
    discordant_rate: float | None
    """Mean over this report's comparisons on the benchmark; None without comparisons."""
    observed: float | None
    """Detectable difference at that rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was computed from the cells and scores of a report."""

    metrics: tuple[MethodMetrics, ...]
    accounts: tuple[CellAccount, ...]
    steps_up: Comparisons
    """Every step to the next larger budget, the next number of waits or the longer prompt class that made the
    mean thinking longer. Steps from the same responses to the same responses are one."""
    wait_effects: Comparisons
    """Each number of waits against none, at the largest budget that has both."""
    spans: Comparisons
    """The smallest against the largest budget of truncation (else of the first method with budgets)."""
    versus_base: Comparisons
    """Each trained model against the base model at the same setting: the largest budget that both have."""
    versus_plain: Comparisons
    """Every setting of the methods that do not cut, against thinking as long as the model likes."""
    resolutions: tuple[Resolution, ...]
    flips: tuple[WaitFlips, ...]
    loops: tuple[LoopCount, ...]
    agreement: Agreement
    certificates: tuple[Certificate, ...]

    @property
    def falls(self) -> tuple[Comparison, ...]:
        """Steps up at which the accuracy went down, largest fall first."""
        falling = [item for item in self.steps_up.items if item.paired.difference < 0]
        return tuple(sorted(falling, key=lambda item: item.paired.difference))


def analyse(data: ReportData) -> Analysis:
    """Metrics and comparisons of `data`. Cells without scores are shown in tables but not compared."""
    outcomes = outcomes_of(data.scores)
    cells = [cell for cell in data.cells if cell_key(cell) in outcomes]

    def family(name: str, candidates: Iterable[Candidate]) -> Comparisons:
        """The comparisons of those candidates that share problems."""
        chosen, contrasts = [], []
        for first, second, what in candidates:
            before, after = outcomes[cell_key(first)], outcomes[cell_key(second)]
            if before.keys() & after.keys():
                chosen.append((first, second, what))
                contrasts.append(Contrast(name=what, benchmark=second.benchmark, first=before, second=after))
        if not contrasts:
            return Comparisons()
        made = compare_family(name, contrasts, data.resamples, data.seed)
        items = (
            Comparison(first=first, second=second, what=what, compared=compared)
            for (first, second, what), compared in zip(chosen, made.comparisons, strict=True)
        )
        return Comparisons(detectable=made.detectable, items=tuple(items))

    climbed = family("steps to longer thinking", distinct(steps_up(cells), responses_read(data.scores)))
    waits = family("forced waits", wait_pairs(cells))
    base = family("trained against base", base_pairs(cells, data.base_model))
    seen = [*climbed.items, *waits.items, *base.items]
    return Analysis(
        metrics=(
            *method_metrics(data.scores, data.targets_tokens, data.resamples, data.seed),
            *metrics_of_votes(data),
        ),
        accounts=tuple(truncation_accounts(data.scores, data.resamples, data.seed)),
        steps_up=climbed,
        wait_effects=waits,
        spans=family("largest against smallest budget", span_pairs(cells)),
        versus_base=base,
        versus_plain=family("other methods against plain thinking", plain_pairs(cells)),
        resolutions=tuple(_resolution(name, num, seen) for name, num in data.problems_by_benchmark.items()),
        flips=tuple(wait_flips(data.scores)),
        loops=tuple(loop_counts(data.scores, {loop.response_key for loop in data.loops})),
        agreement=agreement(data.scores, data.grace_tokens),
        certificates=tuple(certificates(data.replays)),
    )


def metrics_of_votes(data: ReportData) -> Iterator[MethodMetrics]:
    """Those of parallel methods that have cells: without them nobody asked which answers are equal."""
    have = {(cell.benchmark, cell.model, cell.method) for cell in data.cells}
    rewards: dict[str, dict[str, float]] = {}
    for score in data.scores:
        if score.logprob is not None:
            rewards.setdefault(LOGPROB, {})[score.response_key] = score.logprob
    for reward in data.rewards:
        rewards.setdefault(reward.by, {})[reward.response_key] = reward.value
    for item in parallel_metrics(data.scores, rewards, data.resamples, data.seed):
        if (item.benchmark, item.model, item.method) in have:
            yield item


Read = frozenset[tuple[str, int, str]]
"""What a cell reads: problem, sample and response."""


def responses_read(scores: Iterable[Score]) -> dict[CellKey, Read]:
    """For each cell the responses that its scores are made of."""
    read: dict[CellKey, set[tuple[str, int, str]]] = {}
    for score in scores:
        read.setdefault(cell_key(score), set()).add((score.problem_id, score.sample, score.response_key))
    return {key: frozenset(items) for key, items in read.items()}


def distinct(candidates: Iterable[Candidate], read: Mapping[CellKey, Read]) -> Iterator[Candidate]:
    """Candidates in their order, without those that compare the same responses as another one.

    A wait that finds no room in its budget leaves the responses as they are, so one step of truncation is a step under
    every number of waits, too. Counted each time it would swell both the count and the correction. The plainest stays.
    """
    listed = list(candidates)
    plainest: dict[tuple[Read, Read], int] = {}
    for place, (first, second, _) in sorted(enumerate(listed), key=lambda item: _plainness(item[1])):
        plainest.setdefault((read[cell_key(first)], read[cell_key(second)]), place)
    kept = set(plainest.values())
    return (item for place, item in enumerate(listed) if place in kept)


def _plainness(candidate: Candidate) -> tuple[bool, int]:
    first, second, _ = candidate
    return second.method != TRUNCATION, first.waits + second.waits


def _resolution(benchmark: str, num_problems: int, comparisons: list[Comparison]) -> Resolution:
    rates = [item.paired.discordant_rate for item in comparisons if item.first.benchmark == benchmark]
    rate = fmean(rates) if rates else None
    return Resolution(
        benchmark=benchmark,
        num_problems=num_problems,
        conservative=detectable_difference(num_problems),
        discordant_rate=rate,
        observed=None if rate is None else detectable_difference(num_problems, rate),
    )
