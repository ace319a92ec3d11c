"""Where more thinking does not help: answers that a Wait turns, thinking that runs in circles, limits that cut.

Pure counts over scores. Whether a difference is beyond noise is said by the paired comparisons (intervals.py); here
stands what happened to which answers. Rejected: differences of cell accuracies alone, which hide that a Wait may rescue
ten answers and spoil ten others.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from thinkscale.records import Cut, Score, Verdict
from thinkscale.statistics.cells import CellKey, cell_key, setting_order

TRUNCATION, BUDGET_FORCING = "truncation", "budget_forcing"

Item = tuple[str, int]
"""One problem's sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFlips:
    """What became of the answers of one curve from one number of waits to the next. Counts are of (problem, sample)."""

    benchmark: str
    model: str
    budget_tokens: int | None
    variant: str
    """The wait string."""
    first_waits: int
    second_waits: int
    right_to_right: int
    right_to_wrong: int
    """Over-thinking: correct before, and not afterwards (wrong, no answer, cut off or ungradable)."""
    wrong_to_right: int
    wrong_to_wrong: int
    newly_cut: int
    """Of `right_to_wrong` and `wrong_to_wrong`: those that a limit cut only afterwards."""
    unchanged: int
    """Those that read the same response: there was no room for another wait."""
    added_tokens: float
    """Mean of the thinking tokens that the waits added."""

    @property
    def num_items(self) -> int:
        """Answers that both sides have."""
        return self.right_to_right + self.right_to_wrong + self.wrong_to_right + self.wrong_to_wrong


def wait_flips(scores: Iterable[Score]) -> list[WaitFlips]:
    """One row for each step to the next number of waits, curves in order of first appearance, small budgets first.

    A curve is a benchmark, model, budget and wait string of budget forcing. Its start is the cell without waits, or
    truncation at the same budget, which is the same thing.
    """
    cells: dict[CellKey, dict[Item, Score]] = {}
    for score in scores:
        if score.method in (TRUNCATION, BUDGET_FORCING):
            cells.setdefault(cell_key(score), {})[score.problem_id, score.sample] = score
    return [_flips(cells[first], cells[second], first, second) for first, second in _wait_steps(cells)]


def _wait_steps(cells: Collection[CellKey]) -> Iterator[tuple[CellKey, CellKey]]:
    start: dict[tuple[str, str, int | None], CellKey] = {}
    curves: dict[tuple[str, str, int | None, str], list[CellKey]] = {}
    for key in cells:
        group = (key.benchmark, key.model, key.budget_tokens)
        if key.waits:
            curves.setdefault((*group, key.variant), []).append(key)
        elif key.method == BUDGET_FORCING or group not in start:
            start[group] = key
    order = {(benchmark, model): None for benchmark, model, _, _ in curves}
    for name in order:
        members = [(group, curve) for group, curve in curves.items() if group[:2] == name]
        for (benchmark, model, limit, _), curve in sorted(members, key=lambda item: setting_order(item[1][0])[:2]):
            first = start.get((benchmark, model, limit))
            yield from pairwise(([first] if first else []) + sorted(curve, key=setting_order))


def _flips(before: Mapping[Item, Score], after: Mapping[Item, Score], first: CellKey, second: CellKey) -> WaitFlips:
    pairs = [(before[item], after[item]) for item in sorted(before.keys() & after.keys())]
    table = {(was, now): 0 for was in (True, False) for now in (True, False)}
    for one, other in pairs:
        table[one.verdict is Verdict.CORRECT, other.verdict is Verdict.CORRECT] += 1
    added = sum(other.thinking_tokens - one.thinking_tokens for one, other in pairs)
    return WaitFlips(
        benchmark=second.benchmark,
        model=second.model,
        budget_tokens=second.budget_tokens,
        variant=second.variant,
        first_waits=first.waits,
        second_waits=second.waits,
        right_to_right=table[True, True],
        right_to_wrong=table[True, False],
        wrong_to_right=table[False, True],
        wrong_to_wrong=table[False, False],
        newly_cut=sum(other.verdict is Verdict.CUT_OFF and one.verdict is not Verdict.CUT_OFF for one, other in pairs),
        unchanged=sum(one.response_key == other.response_key for one, other in pairs),
        added_tokens=added / len(pairs) if pairs else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCount:
    """Responses of one cell whose thinking ends in a loop of itself."""

    key: CellKey
    num_scores: int
    looping: int
    correct_looping: int
    correct_others: int
    cut_looping: int
    """Loops that ended at a limit and not by themselves."""

    @property
    def share(self) -> float:
        """Of all scores of the cell."""
        return self.looping / self.num_scores


def loop_counts(scores: Iterable[Score], looping: Collection[str]) -> list[LoopCount]:
    """One row for each cell with a response whose key is in `looping`, in order of first appearance of the cells."""
    cells: dict[CellKey, list[Score]] = {}
    for score in scores:
        cells.setdefault(cell_key(score), []).append(score)
    made = [_loops(key, members, looping) for key, members in cells.items()]
    return [item for item in made if item.looping]


def _loops(key: CellKey, members: list[Score], looping: Collection[str]) -> LoopCount:
    inside = [score for score in members if score.response_key in looping]
    correct = sum(score.verdict is Verdict.CORRECT for score in members)
    correct_inside = sum(score.verdict is Verdict.CORRECT for score in inside)
    return LoopCount(
        key=key,
        num_scores=len(members),
        looping=len(inside),
        correct_looping=correct_inside,
        correct_others=correct - correct_inside,
        cut_looping=sum(
            score.verdict is Verdict.CUT_OFF
            or (score.budget_tokens is not None and score.thinking_tokens >= score.budget_tokens)
            for score in inside
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What must hold of scores whatever a model does; each is a count of scores that break it."""

    num_scores: int
    over_budget: int
    """Of the methods that cut (`CUTTING`): thinking longer than its budget and grace, by however little."""
    num_cutting: int
    differing: int
    """Scores that read one response of one problem and yet differ in verdict, tokens or answer."""
    num_sharing: int
    """Scores that share their response with another."""
    without_cut: int
    """Verdict `cut_off` without a limit that cut, or a limit that cut and another verdict (ungradable apart)."""


CUTTING = ("truncation", "budget_forcing", "token_conditional_forced")
"""Methods whose budget is a hard limit on every single response. Steps are counted, so their budget is none."""


def agreement(scores: Collection[Score], grace_tokens: int = 0) -> Agreement:
    """Counts what contradicts itself among `scores`; in a sound evaluation every broken count is 0.

    `grace_tokens` is how far truncation and forcing may go beyond a budget to end a sentence."""
    by_response: dict[str, list[Score]] = {}
    for score in scores:
        by_response.setdefault(score.response_key, []).append(score)
    shared = [group for group in by_response.values() if len(group) > 1]
    differing = sum(_facts(item) != _facts(group[0]) for group in shared for item in group)
    beyond = [
        score.thinking_tokens - score.budget_tokens - grace_tokens * (score.method in (TRUNCATION, BUDGET_FORCING))
        for score in scores
        if score.method in CUTTING and score.budget_tokens is not None
    ]
    told = [score for score in scores if score.verdict is not Verdict.UNGRADABLE]
    knows_cuts = any(score.cut is not Cut.NONE for score in scores)
    return Agreement(
        num_scores=len(scores),
        over_budget=sum(tokens > 0 for tokens in beyond),
        num_cutting=len(beyond),
        differing=differing,
        num_sharing=sum(map(len, shared)),
        without_cut=sum((score.verdict is Verdict.CUT_OFF) != (score.cut is not Cut.NONE) for score in told)
        if knows_cuts
        else 0,
    )


def _facts(score: Score) -> tuple[str, int, Verdict, int, int, str | None]:
    return score.problem_id, score.sample, score.verdict, score.thinking_tokens, score.answer_tokens, score.answer
