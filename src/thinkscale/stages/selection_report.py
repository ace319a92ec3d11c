"""What a run's selection came to, for the report: its measures, decided again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, exp, log

from thinkscale.config import Recipe
from thinkscale.curation.funnel import PAPER_COLLECTED, PAPER_LEFT, UNKNOWN_DOMAIN, Decisions, decide
from thinkscale.curation.measures import Measures
from thinkscale.curation.rules import Rules
from thinkscale.curation.sampling import against_uniform, jaccard
from thinkscale.curation.sampling.selection import KEPT_REASON
from thinkscale.curation.taxonomy import DOMAINS
from thinkscale.records import Score
from thinkscale.reporting.selection import (
    Contamination,
    FunnelStep,
    GroupCounts,
    LengthBin,
    SelectionFacts,
)
from thinkscale.stages.selection_rules import rules_of
from thinkscale.stages.stored_measures import stored_measures
from thinkscale.statistics import split_accuracy
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StoredState

NUM_BINS = 20
MOST_CONTAMINATIONS = 200


def selection_facts(run: RunDirectory, recipe: Recipe, scores: Sequence[Score]) -> SelectionFacts | None:
    """None where nothing was selected, or the measures are not at hand: a report measures nothing."""
    stage = run.journal.stage("select")
    if recipe.select is None or stage is None or stage.state is not StoredState.DONE:
        return None
    measures = stored_measures(run)
    if measures is None:
        return None
    rules = rules_of(recipe.select)
    decisions = decide(measures, rules, recipe.seed)
    other = decide(measures, rules, recipe.seed + 1)
    candidates = set(decisions.candidates)
    contaminated = _contaminated(measures, rules, decisions)
    return SelectionFacts(
        sampler=recipe.select.sampler,
        seed=recipe.seed,
        num_kept=sum(pick.reason == KEPT_REASON for pick in decisions.picks.values()),
        funnel=_funnel(measures, decisions),
        domains=tuple(_groups(measures, "domain", candidates, decisions)),
        sources=tuple(_groups(measures, "source", candidates, decisions)),
        lengths=tuple(_bins(decisions, candidates)),
        quantiles=_quantiles(decisions, candidates),
        uniformity=against_uniform(_drawn(measures, decisions, candidates)),
        other_seed=recipe.seed + 1,
        other_overlap=jaccard(_ids(decisions), _ids(other)),
        contaminated=sum(step == "contaminated" for step, _ in decisions.dropped.values()),
        contaminations=contaminated,
        touched=tuple(split_accuracy(scores, set(measures.overlaps.select("against", "against_id").iter_rows()))),
    )


def _ids(decisions: Decisions) -> set[str]:
    return {pick.problem_id for pick in decisions.selection.picks}


def _funnel(measures: Measures, decisions: Decisions) -> tuple[FunnelStep, ...]:
    first = FunnelStep(name="collected", rows_left=len(measures.rows), paper=PAPER_COLLECTED, dropped={})
    return first, *(
        FunnelStep(name=step.name, rows_left=step.rows_out, paper=PAPER_LEFT.get(step.name), dropped=step.reasons)
        for step in decisions.steps
    )


def _groups(measures: Measures, column: str, candidates: set[int], decisions: Decisions) -> Iterable[GroupCounts]:
    collected, passed, selected = Counter[str](), Counter[str](), Counter[str]()
    for row, value in measures.rows.select("row", column).iter_rows():
        name = _title(value) if column == "domain" else value
        collected[name] += 1
        passed[name] += row in candidates
        selected[name] += row in decisions.picks
    for name in sorted(collected, key=lambda name: (-passed[name], -collected[name], name)):
        yield GroupCounts(name=name, collected=collected[name], candidates=passed[name], selected=selected[name])


def _title(domain: str) -> str:
    return f"{domain} {DOMAINS[domain]}" if domain in DOMAINS else domain or UNKNOWN_DOMAIN


def _bins(decisions: Decisions, candidates: set[int]) -> Iterable[LengthBin]:
    """Bins of equal width in the logarithm; traces of no token are in none."""
    tokens = {row: decisions.chosen.tokens.get(row, 0) for row in candidates}
    lengths = [number for number in tokens.values() if number > 0]
    if not lengths:
        return
    low, high = min(lengths), max(lengths) + 1
    number = max(1, min(NUM_BINS, ceil(high - low)))
    edges = [low * exp(log(high / low) * place / number) for place in range(number + 1)]
    passed, selected = Counter[int](), Counter[int]()
    for row, length in tokens.items():
        if length > 0:
            place = min(number - 1, int(log(length / low) / log(high / low) * number + 1e-9))
            passed[place] += 1
            selected[place] += row in decisions.picks
    for place in range(number):
        yield LengthBin(low=edges[place], high=edges[place + 1], candidates=passed[place], selected=selected[place])


def _quantiles(decisions: Decisions, candidates: set[int]) -> dict[str, tuple[int, ...]]:
    made = {}
    for name, rows in (("candidates", candidates), ("selected", set(decisions.picks))):
        lengths = sorted(decisions.chosen.tokens[row] for row in rows if row in decisions.chosen.tokens)
        if lengths:
            made[name] = tuple(lengths[round(part * (len(lengths) - 1) / 4)] for part in range(5))
    return made


def _drawn(measures: Measures, decisions: Decisions, candidates: set[int]) -> list[int]:
    """Drawn rows of each domain that has candidates beside the kept ones."""
    kept = {row for row, pick in decisions.picks.items() if pick.reason == KEPT_REASON}
    domains = dict(measures.rows.select("row", "domain").iter_rows())
    drawn = Counter(dict.fromkeys((domains[row] for row in candidates - kept), 0))
    drawn.update(domains[row] for row in decisions.picks if row not in kept)
    return [drawn[name] for name in sorted(drawn)]


def _contaminated(measures: Measures, rules: Rules, decisions: Decisions) -> tuple[Contamination, ...]:
    """The strongest overlap of each of the first rows that were dropped for one."""
    import polars as pl

    rows = [row for row, (step, _) in decisions.dropped.items() if step == "contaminated"][:MOST_CONTAMINATIONS]
    names = dict(measures.rows.filter(pl.col("row").is_in(rows)).select("row", "problem_id").iter_rows())
    hits = measures.overlaps.filter(pl.col("row").is_in(rows) & (pl.col("share") >= rules.overlap_share))
    best: dict[int, Contamination] = {}
    for row, key, against, item, reason, share, span in hits.iter_rows():
        if key and decisions.chosen.key.get(row) != key:
            continue
        if row not in best or share > best[row].share:
            best[row] = Contamination(
                problem_id=names[row], against=against, against_id=item, reason=reason, share=share, span=span
            )
    return tuple(best[row] for row in sorted(best))
