"""From measures to decisions: a fate for every row, a count for every step, and the picks. Pure, and done in seconds.

Steps in order; the first that objects is the row's fate, so the counts add up:

1. `missing`: no trace, no grade, no label, where the rules need one (what s1 calls API errors)
2. `question`: faults of the question (s1's formatting filters)
3. `trace`: faults of the trace, its length, a wrong answer
4. `contaminated`: it shares text with a benchmark
5. `duplicate`: it repeats a better row of those that are left
6. `difficulty`: rated out of bounds, or solved by weak models
7. `draw`: it passed, and others were drawn

Duplicates come before difficulty: of two copies of a question that a weak model solves once in two attempts, the other
copy must not come through. s1 takes steps 4 and 5 before it makes traces.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thinkscale.curation.filters import FILTERS, Chosen, Objection, choose_traces
from thinkscale.curation.garbage import rare_collections
from thinkscale.curation.measures import Measures
from thinkscale.curation.patterns import fits
from thinkscale.curation.repeats import duplicates
from thinkscale.curation.rules import KeepRule, Rules
from thinkscale.curation.sampling import Candidate, Domains, Pick, Selection, Within, select, select_mixed
from thinkscale.errors import StageError
from thinkscale.records import Decision, Fate

STEPS = ("missing", "question", "trace", "contaminated", "duplicate", "difficulty", "draw")
PAPER_COLLECTED = 59_029
PAPER_LEFT: Mapping[str, int] = {"missing": 54_116, "question": 51_581, "difficulty": 24_496, "draw": 1_000}
"""Rows left after each step in the s1 paper (arXiv 2501.19393, section 2.2), for comparison."""
UNKNOWN_DOMAIN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Rows into and out of one step, and the reasons with their counts, most first."""

    name: str
    rows_in: int
    rows_out: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What becomes of every row, by its number."""

    steps: tuple[Step, ...]
    dropped: Mapping[int, tuple[str, Objection]]
    """Row to the step that dropped it and why; those not drawn are among them."""
    picks: Mapping[int, Pick]
    """Row to its pick, in the order in which they were made."""
    chosen: Chosen
    selection: Selection
    notices: tuple[str, ...]
    """What a person should know: a rule that kept nothing."""

    @property
    def candidates(self) -> Iterator[int]:
        """Rows that pass every filter, drawn or not."""
        yield from self.picks
        yield from (row for row, (step, _) in self.dropped.items() if step == "draw")


def decide(measures: Measures, rules: Rules, seed: int) -> Decisions:
    """Decides on every row. StageError where `rules.count` rows cannot be given or a rule names no source."""
    return draw(measures, rules, seed, sift(measures, rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What the filters leave."""

    steps: tuple[Step, ...]
    dropped: Mapping[int, tuple[str, Objection]]
    left: Mapping[int, None]
    """Rows that pass all of them, in order of collection."""
    chosen: Chosen


@rare_collections()
def sift(measures: Measures, rules: Rules) -> Sifted:
    """All steps but the draw."""
    chosen = choose_traces(measures, rules)
    left = dict.fromkeys(measures.rows["row"].to_list())
    dropped: dict[int, tuple[str, Objection]] = {}
    steps: list[Step] = []
    for step in STEPS[:-1]:
        found = (
            duplicates(measures, rules, chosen, left) if step == "duplicate" else FILTERS[step](measures, rules, chosen)
        )
        steps.append(_drop(step, found, left, dropped))
    return Sifted(steps=tuple(steps), dropped=dropped, left=left, chosen=chosen)


@rare_collections()
def draw(measures: Measures, rules: Rules, seed: int, sifted: Sifted) -> Decisions:
    """The last step. StageError as `decide` raises it."""
    selection, notices = _draw(measures, rules, seed, sifted)
    number = {pick.problem_id: pick for pick in selection.picks}
    rows = {name: row for row, name in _names(measures) if name in number}
    picks = {rows[name]: pick for name, pick in number.items()}
    left, dropped = dict(sifted.left), dict(sifted.dropped)
    others = Objection("not_drawn", f"{len(picks)} others were drawn")
    last = _drop("draw", {row: others for row in sifted.left if row not in picks}, left, dropped)
    return Decisions(
        steps=(*sifted.steps, last),
        dropped=dropped,
        picks=picks,
        chosen=sifted.chosen,
        selection=selection,
        notices=notices,
    )


def fates(measures: Measures, decisions: Decisions) -> Iterator[Fate]:
    """The fate of every row, in order of collection."""
    ranks = _ranks(measures, decisions)
    for row, name in _names(measures):
        if pick := decisions.picks.get(row):
            yield _fate(name, Decision.KEPT, "selected", pick.evidence)
        else:
            step, objection = decisions.dropped[row]
            evidence = objection.evidence if step != "draw" else f"{ranks[row]}; {objection.evidence}"
            yield _fate(name, Decision.DROPPED, objection.reason, evidence)


def _ranks(measures: Measures, decisions: Decisions) -> dict[int, str]:
    """The rank of each candidate by length among all candidates of its domain, in words."""
    tokens, candidates = decisions.chosen.tokens, set(decisions.candidates)
    domains: dict[str, list[tuple[int, str, int]]] = {}
    for row, name, domain in _columns(measures, "row", "problem_id", "domain"):
        if row in candidates:
            domains.setdefault(domain or UNKNOWN_DOMAIN, []).append((-tokens.get(row, 0), name, row))
    return {
        row: f"a candidate, rank {rank} of {len(members)} by length in {domain}"
        for domain, members in domains.items()
        for rank, (_, _, row) in enumerate(sorted(members), 1)
    }


def dropped_fates(measures: Measures, sifted: Sifted) -> Iterator[Fate]:
    """The fates of rows that a filter drops: all that can be said where the draw cannot be made."""
    for row, name in _names(measures):
        if row in sifted.dropped:
            _, objection = sifted.dropped[row]
            yield _fate(name, Decision.DROPPED, objection.reason, objection.evidence)


def _fate(problem_id: str, decision: Decision, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=problem_id, stage="select", decision=decision, reason=reason, evidence=evidence)


def _names(measures: Measures) -> Iterator[tuple[int, str]]:
    return _columns(measures, "row", "problem_id")


def _columns(measures: Measures, *names: str) -> Iterator[Any]:
    """The rows of some columns; by column, which is several times as fast as by row."""
    return zip(*(measures.rows[name].to_list() for name in names), strict=True)


def _drop(
    name: str, found: Mapping[int, Objection], left: dict[int, None], dropped: dict[int, tuple[str, Objection]]
) -> Step:
    rows_in = len(left)
    new = {row: (name, objection) for row, objection in found.items() if row in left}
    for row in new:
        del left[row]
    dropped.update(new)
    reasons = Counter(objection.reason for _, objection in new.values())
    return Step(name=name, rows_in=rows_in, rows_out=len(left), reasons=dict(reasons.most_common()))


def _draw(measures: Measures, rules: Rules, seed: int, sifted: Sifted) -> tuple[Selection, tuple[str, ...]]:
    left, chosen = sifted.left, sifted.chosen
    if len(left) < rules.count and rules.sampler.within is not Within.EVERY:
        raise StageError(
            f"select.count asks for {rules.count} examples, but only {len(left)} of {len(measures.rows)} problems pass "
            f"the filters{_worst(sifted.steps)}; collect more, loosen a filter, or lower select.count"
        )
    candidates = {
        row: Candidate(
            problem_id=name, domain=domain or UNKNOWN_DOMAIN, trace_tokens=chosen.tokens.get(row, 0), source=source
        )
        for row, name, domain, source in _columns(measures, "row", "problem_id", "domain", "source")
        if row in left
    }
    kept: set[str] = set()
    notices = []
    for rule in rules.keep_all:
        found = {row.problem_id for number, row in candidates.items() if _is_kept(rule, number, row, chosen)}
        if not found:
            notices.append(_kept_nothing(rule, measures))
        kept |= found
    if rules.sampler.domains is not Domains.IGNORED and {row.domain for row in candidates.values()} == {UNKNOWN_DOMAIN}:
        notices.append(
            "no row that passes has a domain, so all were drawn as one; label the domains, or use the sampler random"
        )
    if rules.mix:
        drawn = select_mixed(candidates.values(), rules.count, seed, kept, rules.sampler, rules.mix)
    else:
        drawn = select(candidates.values(), rules.count, seed, kept, rules.sampler)
    return drawn, tuple(notices)


def _is_kept(rule: KeepRule, number: int, row: Candidate, chosen: Chosen) -> bool:
    is_wanted = fits(row.source, rule.source) and row.trace_tokens >= rule.min_trace_tokens
    return is_wanted and (not rule.correct or chosen.is_correct(number))


def _kept_nothing(rule: KeepRule, measures: Measures) -> str:
    """What to tell of a rule that keeps nothing. s1's did so unnoticed after its source was renamed."""
    sources = measures.rows["source"].value_counts()
    rows = sum(number for name, number in sources.iter_rows() if fits(name, rule.source))
    if not rows:
        names = ", ".join(sorted(sources["source"].to_list()))
        raise StageError(f"select.keep_all: no row is of the source {rule.source!r}; the sources are {names}")
    return (
        f"select.keep_all ({rule}) keeps nothing: of the {rows:,} rows of that source none passes the filters and fits"
    )


def _worst(steps: Sequence[Step]) -> str:
    counts = Counter[str]()
    for step in steps:
        counts.update(step.reasons)
    largest = ", ".join(f"{reason} {number}" for reason, number in counts.most_common(3))
    return f" (dropped most: {largest})" if largest else ""
