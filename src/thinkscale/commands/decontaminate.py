"""decontaminate: a pool without what overlaps with benchmarks."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from thinkscale.curation.ngrams import Document, NgramIndex, build_index, find_hits
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Problem
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.files import SourceRow, read_rows, write_rows
from thinkscale.sources.problems import Malformed, parse_problem

SEED = 42
ROWS_AT_ONCE = 20_000


def decontaminate(pool: Path, against: tuple[str, ...], out: Path, report: Path | None, words: int) -> str:
    """Writes the rows of `pool` without a hit to `out`, unchanged, and to `report` a row for each hit.

    A hit row has `id`, `against`, `against_id`, `reason` and `span`. Returns a line that counts.
    """
    indexes = {reference: _index(reference, words) for reference in against}
    hits: list[Mapping[str, JSON]] = []
    total = 0

    def kept() -> Iterator[Mapping[str, JSON]]:
        nonlocal total
        rows = read_rows(pool)
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            total += len(chunk)
            found = list(_hits(chunk, indexes))
            hits.extend(found)
            touched = {hit["row"] for hit in found}
            yield from (row.values for number, row in enumerate(chunk) if number not in touched)

    num_kept = write_rows(out, kept())
    if report:
        write_rows(report, ({key: value for key, value in hit.items() if key != "row"} for hit in hits))
    return f"{total:,} rows: {num_kept:,} kept, {total - num_kept:,} dropped, {len(hits):,} hits"


def _index(reference: str, words: int) -> NgramIndex:
    problems = load_benchmark(reference, SEED).problems
    return build_index((Document(id=problem.id, text=problem.question) for problem in problems), words)


def _hits(chunk: list[SourceRow], indexes: Mapping[str, NgramIndex]) -> Iterator[dict[str, JSON]]:
    """Hits of a chunk of rows, with the row's place in the chunk: ids of foreign files need not be unique."""
    problems = [_problem(row) for row in chunk]
    documents = [Document(id=str(number), text=problem.question) for number, problem in enumerate(problems)]
    for reference, index in indexes.items():
        for hit in find_hits(index, documents):
            yield {
                "row": int(hit.id),
                "id": problems[int(hit.id)].id,
                "against": reference,
                "against_id": hit.against_id,
                "reason": hit.reason,
                "span": hit.span,
            }


def _problem(row: SourceRow) -> Problem:
    problem = parse_problem(row.values, "pool", {})
    if isinstance(problem, Malformed):
        raise DataError(f"{row.place}: {problem.detail}")
    return problem
