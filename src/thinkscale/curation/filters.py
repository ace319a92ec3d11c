"""What stands against a row, filter by filter, each by itself: a reason and its evidence.

A filter looks at every row, also at those that an earlier one drops, so that `why` can say what would have happened
later. Duplicates, which depend on the other rows that are left, are in repeats.py.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from thinkscale.curation.measures import QUESTION, Measures
from thinkscale.curation.patterns import fits
from thinkscale.curation.rules import Need, Rules, Solved, first_match
from thinkscale.records import Verdict

if TYPE_CHECKING:
    import polars as pl

ENGINE_ERROR = "engine_error"
NOT_CORRECT = ("wrong_answer", "no_answer", "ungradable")
"""Faults of traces that count where a correct trace is needed, and nowhere else."""


class Objection(NamedTuple):
    """Why a row is to be dropped, and what shows it."""

    reason: str
    evidence: str


Objections: TypeAlias = dict[int, Objection]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The trace of each row that has one: the first sound one, a correct one before others; else the first of all."""

    key: Mapping[int, str]
    number: Mapping[int, int]
    tokens: Mapping[int, int]
    verdict: Mapping[int, str]

    def is_correct(self, row: int) -> bool:
        """Whether the row's trace was graded correct."""
        return self.verdict.get(row) == Verdict.CORRECT


def choose_traces(measures: Measures, rules: Rules) -> Chosen:
    """The trace that would be trained on, for every row that has any."""
    import polars as pl

    if measures.traces.is_empty():
        return Chosen({}, {}, {}, {})
    faulty = _counting(measures, rules).filter(pl.col("trace") != QUESTION).select("row", "trace").unique()
    traces = measures.traces.join(faulty.with_columns(faulty=True), on=["row", "trace"], how="left")
    is_correct = pl.col("verdict") == Verdict.CORRECT.value
    sound = pl.col("faulty").is_null() & pl.col("tokens").is_between(rules.min_trace_tokens, rules.max_trace_tokens)
    if rules.need_correct:
        sound &= is_correct
    ranked = traces.with_columns(place=pl.when(~sound).then(2).when(is_correct).then(0).otherwise(1))
    first = ranked.sort(["row", "place", "trace"]).unique("row", keep="first", maintain_order=True)
    rows = first["row"].to_list()
    return Chosen(
        *(
            dict(zip(rows, first[name].to_list(), strict=True))
            for name in ("response_key", "trace", "tokens", "verdict")
        )
    )


def _counting(measures: Measures, rules: Rules) -> "pl.DataFrame":
    """The faults that count: of the rules that drop, and not tolerated in rows of their source."""
    import polars as pl

    of_question = sorted(rules.question_rules)
    of_answer = NOT_CORRECT if rules.need_correct else ()
    of_trace = sorted({*rules.trace_rules, ENGINE_ERROR}.difference(NOT_CORRECT).union(of_answer))
    is_asked = pl.col("trace") == QUESTION
    faults = measures.faults.join(measures.rows.select("row", "source"), on="row", how="left", maintain_order="left")
    faults = faults.filter(
        (is_asked & pl.col("reason").is_in(of_question)) | (~is_asked & pl.col("reason").is_in(of_trace))
    )
    for pattern, reasons in rules.tolerated_faults.items():
        sources = [name for name in measures.rows["source"].unique().to_list() if fits(name, pattern)]
        faults = faults.filter(~(pl.col("source").is_in(sources) & pl.col("reason").is_in(reasons)))
    return faults


def missing(measures: Measures, rules: Rules, chosen: Chosen) -> Objections:
    """Rows that lack what the rules need."""
    found: Objections = {}
    rows = measures.rows
    if Need.TRACE in rules.need:
        failed = _first_faults(measures, rules, chosen, only=(ENGINE_ERROR,))
        for row in rows["row"].to_list():
            if row not in chosen.key:
                found[row] = Objection("no_trace", "the teacher was not asked")
            elif row in failed:
                found[row] = failed[row]
    if Need.GRADE in rules.need:
        for row, verdict in chosen.verdict.items():
            if verdict in ("", Verdict.UNGRADABLE):
                found.setdefault(row, Objection("not_graded", f"no verdict on {chosen.key[row]}"))
    if Need.DOMAIN in rules.need:
        for row in rows.filter(rows["domain"] == "")["row"].to_list():
            found.setdefault(row, Objection("no_domain", "nobody labelled it"))
    if Need.ATTEMPTS in rules.need:
        for row, evidence in _unattempted(measures):
            found.setdefault(row, Objection("no_attempts", evidence))
    if Need.RATING in rules.need:
        for row in rows.filter(rows["rating"].is_null())["row"].to_list():
            found.setdefault(row, Objection("no_rating", "nobody rated it"))
    return found


def _unattempted(measures: Measures) -> Iterator[tuple[int, str]]:
    attempts = measures.attempts.filter(measures.attempts["graded"] > 0)
    models = sorted(measures.attempts["model"].unique().to_list())
    for model in models:
        done = set(attempts.filter(attempts["model"] == model)["row"].to_list())
        for row in measures.rows["row"].to_list():
            if row not in done:
                yield row, f"no gradable attempt of {model}"
    if not models:
        for row in measures.rows["row"].to_list():
            yield row, "no weak model was asked"


def _first_faults(
    measures: Measures, rules: Rules, chosen: Chosen | None, only: Collection[str] = (), but: Collection[str] = ()
) -> Objections:
    """The first fault of each question, or of each chosen trace; of the reasons `only`, or of all `but` some."""
    import polars as pl

    if chosen is not None and not chosen.key:
        return {}
    faults = _counting(measures, rules)
    faults = faults.filter(pl.col("trace") == QUESTION if chosen is None else pl.col("trace") != QUESTION)
    faults = faults.filter(pl.col("reason").is_in(list(only))) if only else faults
    found: Objections = {}
    for row, trace, reason, evidence in faults.select("row", "trace", "reason", "evidence").iter_rows():
        if reason not in but and (chosen is None or chosen.number.get(row) == trace):
            found.setdefault(row, Objection(reason, evidence))
    return found


def faulty_question(measures: Measures, rules: Rules, _chosen: Chosen) -> Objections:
    """Faults of the question."""
    return _first_faults(measures, rules, None)


def faulty_trace(measures: Measures, rules: Rules, chosen: Chosen) -> Objections:
    """Faults of the trace, its length, and whether it is correct."""
    found = _first_faults(measures, rules, chosen, but=(ENGINE_ERROR,))
    for row, tokens in chosen.tokens.items():
        if tokens < rules.min_trace_tokens:
            found.setdefault(row, Objection("too_short", f"{tokens} < {rules.min_trace_tokens} thinking tokens"))
        elif tokens > rules.max_trace_tokens:
            found.setdefault(row, Objection("too_long", f"{tokens} > {rules.max_trace_tokens} thinking tokens"))
    if rules.need_correct:
        for row, verdict in chosen.verdict.items():
            if verdict != Verdict.CORRECT:
                found.setdefault(
                    row,
                    Objection(
                        "wrong_answer" if verdict == Verdict.WRONG else verdict or "not_graded",
                        f"{chosen.key[row]} is not known to be correct",
                    ),
                )
    return found


def contaminated(measures: Measures, rules: Rules, chosen: Chosen) -> Objections:
    """The benchmark item that a row shares most with, and how many more there are."""
    import polars as pl

    hits = measures.overlaps.filter(pl.col("share") >= rules.overlap_share)
    hits = hits.sort(["row", "share"], descending=[False, True], maintain_order=True)
    found: Objections = {}
    more: dict[int, int] = {}
    for row, key, against, against_id, reason, share, span in hits.iter_rows():
        if key and chosen.key.get(row) != key:
            continue
        if row in found:
            more[row] = more.get(row, 0) + 1
            continue
        where = f"the trace and {against}" if key else against
        found[row] = Objection("contaminated", f"{where} {against_id} ({reason}, {share:.0%}): {span}")
    for row, number in more.items():
        found[row] = Objection(found[row].reason, f"{found[row].evidence} (and {number} more)")
    return found


def too_easy(measures: Measures, rules: Rules, _chosen: Chosen) -> Objections:
    """Rows whose rating is out of bounds, or that weak models solve."""
    found: Objections = {}
    if rules.ratings:
        for row, source, rating in measures.rows.select("row", "source", "rating").iter_rows():
            bounds = first_match(rules.ratings, source)
            objection = _out_of_bounds(bounds, rating) if bounds else None
            if objection:
                found[row] = objection
    if rules.solved is not Solved.NONE:
        for row, rates in attempts_of(measures).items():
            solved = [correct > rules.solved_above * graded for _, correct, graded in rates if graded]
            if solved and (any(solved) if rules.solved is Solved.ANY else all(solved) and len(solved) == len(rates)):
                found.setdefault(row, Objection("weak_model_solves_it", rates_text(rates)))
    return found


def _out_of_bounds(bounds: tuple[float, float], rating: float | None) -> Objection | None:
    low, high = bounds
    if rating is None:
        return Objection("no_rating", f"its source is bounded to {low:g} to {high:g}")
    if rating < low:
        return Objection("too_easy", f"rating {rating:g} < {low:g}")
    return Objection("too_hard", f"rating {rating:g} > {high:g}") if rating > high else None


Rates: TypeAlias = list[tuple[str, int, int]]


def attempts_of(measures: Measures) -> dict[int, Rates]:
    """The weak models' correct and graded attempts at each row that has any."""
    made: dict[int, Rates] = {}
    for row, model, correct, graded in measures.attempts.iter_rows():
        made.setdefault(row, []).append((model, correct, graded))
    return made


def rates_text(rates: Rates) -> str:
    """`small 1/4; large 0/4`."""
    return "; ".join(f"{model} {correct}/{graded}" for model, correct, graded in rates)


FILTERS: Mapping[str, Callable[[Measures, Rules, Chosen], Objections]] = {
    "missing": missing,
    "question": faulty_question,
    "trace": faulty_trace,
    "contaminated": contaminated,
    "difficulty": too_easy,
}
"""Filters that look at each row by itself."""
