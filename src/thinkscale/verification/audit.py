"""Several graders on the same rows: how they agree, what each would report, and what a person should look at."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO

from thinkscale.errors import DataError
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON, plain
from thinkscale.records import Verdict
from thinkscale.statistics.agreement import (
    VERDICTS,
    Agreement,
    Headline,
    Pattern,
    Range,
    fleiss_kappa,
    headlines,
    pairwise_agreement,
    range_of,
)
from thinkscale.statistics.intervals import Estimate
from thinkscale.store.atomic import writing
from thinkscale.verification.decisions import Case, case_row, check_cases, write_cases


@dataclass(slots=True)
class AuditCounts:
    """How often each combination of verdicts occurred: all that an audit keeps, however many rows there are."""

    graders: tuple[str, ...]
    patterns: Counter[Pattern] = field(default_factory=Counter)

    def add(self, judgements: Mapping[str, Judgement]) -> None:
        """Counts one row. Raises DataError where a grader has no judgement of it, or a grader is not of this audit."""
        if judgements.keys() != set(self.graders):
            raise DataError(f"a row is judged by {', '.join(judgements)}, the audit is of {', '.join(self.graders)}")
        self.patterns[tuple(judgements[grader].verdict for grader in self.graders)] += 1

    def result(self) -> "Audit":
        """What the counts say. Computes the intervals."""
        found = headlines(self.graders, self.patterns)
        return Audit(
            graders=self.graders,
            num_rows=sum(self.patterns.values()),
            num_disputed=sum(count for pattern, count in self.patterns.items() if len(set(pattern)) > 1),
            headlines=found,
            range_of_all=range_of([item.of_all for item in found]),
            range_of_decided=range_of([item.of_decided for item in found]),
            pairs=pairwise_agreement(self.graders, self.patterns),
            fleiss_kappa=fleiss_kappa(self.patterns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The agreement of graders on the rows of a file."""

    graders: tuple[str, ...]
    num_rows: int
    num_disputed: int
    headlines: tuple[Headline, ...]
    range_of_all: Range
    """Of the lower bounds over graders: how far the choice of the grader moves the reported accuracy."""
    range_of_decided: Range
    pairs: tuple[Agreement, ...]
    fleiss_kappa: float | None
    """Over all graders; None where all rows have one verdict, or there is one grader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Takes rows one by one. `auditing` makes it."""

    counts: AuditCounts
    disputes: Path | None
    spool: IO[str]

    def add(self, row_id: str, case: Case, judgements: Mapping[str, Judgement]) -> None:
        """Counts one row, and keeps it for a person where two graders give different verdicts."""
        self.counts.add(judgements)
        if self.disputes is not None and len({judgement.verdict for judgement in judgements.values()}) > 1:
            with writing(self.disputes):
                self.spool.write(json.dumps(case_row(row_id, case, judgements)) + "\n")

    def finish(self) -> Audit:
        """Writes the disputes, and says what the counts say. Raises DataError, and StorageError."""
        if self.disputes is not None:
            with writing(self.disputes):
                self.spool.seek(0)
            write_cases(self.disputes, map(json.loads, self.spool))
        return self.counts.result()


@contextmanager
def auditing(graders: Sequence[str], disputes: Path | None = None) -> Iterator[Auditor]:
    """An auditor, which writes what is disputed to `disputes` when all rows were seen (`Auditor.finish`).

    Memory is bounded: the counts, and the disputed rows in a spool file beside `disputes`. That file changes only at
    the end, as `write_cases` says. Raises DataError at once where it is there and cannot be read as such a file.
    """
    counts = AuditCounts(tuple(graders))
    if disputes is None:
        yield Auditor(counts=counts, disputes=None, spool=StringIO())
        return
    check_cases(disputes)
    with writing(disputes):
        disputes.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+", encoding="ascii", dir=disputes.parent) as spool:
        yield Auditor(counts=counts, disputes=disputes, spool=spool)


def audit_json(result: Audit) -> JSON:
    """The audit as plain JSON. Verdicts of the tables stand in the order of `verdicts`."""
    return {
        "graders": list(result.graders),
        "rows": result.num_rows,
        "disputed": result.num_disputed,
        "verdicts": [verdict.value for verdict in VERDICTS],
        "headlines": [
            {
                "grader": item.grader,
                "counts": {verdict.value: item.counts[verdict] for verdict in VERDICTS},
                "correct_of_all": plain(item.of_all),
                "correct_of_decided": plain(item.of_decided),
            }
            for item in result.headlines
        ],
        "range_of_all": plain(result.range_of_all),
        "range_of_decided": plain(result.range_of_decided),
        "pairs": [plain(pair) for pair in result.pairs],
        "fleiss_kappa": result.fleiss_kappa,
    }


def audit_text(result: Audit, *, with_tables: bool = True) -> str:
    """The audit as aligned text: headlines, agreement of pairs, and the confusion table of each pair.

    Without tables, only the pairs of the first grader, which is what the numbers are reported by."""
    lines = [f"{result.num_rows:,} rows, {len(result.graders)} graders, {result.num_disputed:,} rows disputed", ""]
    names = [_name(verdict) for verdict in VERDICTS]
    head = ["grader", *names, "correct of all", "correct of decided"]
    body = [
        [
            item.grader,
            *(f"{item.counts[verdict]:,}" for verdict in VERDICTS),
            _percent(item.of_all),
            _percent(item.of_decided),
        ]
        for item in result.headlines
    ]
    over = ["range over graders", *([""] * len(VERDICTS)), _span(result.range_of_all), _span(result.range_of_decided)]
    lines += [*_table([head, *body, over]), ""]
    pairs = result.pairs if with_tables else [pair for pair in result.pairs if pair.first == result.graders[0]]
    if pairs:
        rows = [[f"{pair.first} / {pair.second}", _percent(pair.agreement), _kappa(pair.kappa)] for pair in pairs]
        lines += [*_table([["agreement", "equal verdicts", "Cohen's kappa"], *rows]), ""]
    if len(result.graders) > 2 and result.fleiss_kappa is not None:
        lines += [f"Fleiss' kappa over all {len(result.graders)} graders: {result.fleiss_kappa:.3f}", ""]
    for pair in result.pairs if with_tables else ():
        cells = [[name, *(f"{count:,}" for count in row)] for name, row in zip(names, pair.table, strict=True)]
        lines += [*_table([[f"{pair.first}, by {pair.second}", *names], *cells]), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def _name(verdict: Verdict) -> str:
    return verdict.value.replace("_", " ")


def _percent(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{100 * estimate.value:.1f}% [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _kappa(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"- ({estimate.reason})"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _span(found: Range) -> str:
    return "-" if found.low is None or found.high is None else f"{100 * found.low:.1f}% to {100 * found.high:.1f}%"
