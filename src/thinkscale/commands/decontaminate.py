"""decontaminate: a pool without what overlaps with benchmarks."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from thinkscale.curation.ngrams import Document, NgramIndex, build_index, find_hits
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.records import Problem
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.files import SourceRow, is_table, read_rows, require_table, write_rows
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem

SEED = 42
ROWS_AT_ONCE = 20_000
HEADER = ("id", "against", "against_id", "reason", "span")
"""The columns of a hit."""
USED = (*COLUMNS["id"], *COLUMNS["question"], *COLUMNS["choices"])
"""The columns that decide what overlaps and under which id; nothing is asked of the others."""


def decontaminate(pool: Path, against: tuple[str, ...], out: Path, report: Path | None, words: int) -> str:
    """Writes the rows of `pool` without a hit to `out`, unchanged, and to `report` a row for each hit.

    A hit row has `id`, `against`, `against_id`, `reason` and `span`. Returns a line that counts.
    """
    for path in (out, *([report] if report else [])):
        require_table(path)
    if report and report.resolve() == out.resolve():
        raise ConfigError(f"--out and --report both name {out}; give two files")
    inputs = {pool.resolve(), *(Path(name).resolve() for name in against)}
    for path in (out, *([report] if report else [])):
        if path.resolve() in inputs:
            raise ConfigError(f"{path} is an input and would be overwritten; give another --out or --report")
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
        write_rows(report, ({key: hit[key] for key in HEADER} for hit in hits), HEADER)
    return f"{total:,} rows: {num_kept:,} kept, {total - num_kept:,} dropped, {len(hits):,} hits"


def _index(reference: str, words: int) -> NgramIndex:
    return build_index(
        (Document(id=problem.id, text=problem.question) for problem in _reference_problems(reference)), words
    )


def _reference_problems(reference: str) -> Sequence[Problem]:
    """The problems of a named benchmark, or the rows of a file, of which none needs an id of its own."""
    name, _, size = reference.rpartition(":")
    if is_table(reference):
        name, size = reference, ""
    elif not (is_table(name) and size.isdigit() and int(size)):
        return load_benchmark(reference, SEED).problems
    problems = [
        _problem(row, Path(name).name.split(".")[0])
        for row in islice(read_rows(Path(name)), int(size) if size else None)
    ]
    if len(problems) < int(size or 1):
        raise DataError(f"{reference}: asked for {size or 'rows'}, the file has {len(problems) or 'none'}")
    return problems


def _hits(chunk: list[SourceRow], indexes: Mapping[str, NgramIndex]) -> Iterator[dict[str, JSON]]:
    """Hits of a chunk of rows, with the row's place in the chunk: ids of foreign files need not be unique."""
    problems = [_problem(row, "pool") for row in chunk]
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


def _problem(row: SourceRow, source: str) -> Problem:
    problem = parse_problem({key: row.values[key] for key in USED if key in row.values}, source, {})
    if isinstance(problem, Malformed):
        raise DataError(f"{row.place}: {problem.detail}")
    return problem
