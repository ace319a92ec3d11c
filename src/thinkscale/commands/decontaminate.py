"""decontaminate: a pool without what overlaps with benchmarks.

The pool is read twice: once to look every row over (what is boilerplate shows only at the end), once to write the rows
that are kept. So memory grows with what overlaps, not with the pool.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from thinkscale.curation.overlap import Benchmark, Hit, Overlaps, Questions
from thinkscale.curation.words import DEFAULT, RULES
from thinkscale.errors import ConfigError, DataError
from thinkscale.grading.choice import ALPHABET
from thinkscale.keys import JSON
from thinkscale.records import Problem
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.files import SourceRow, is_table, read_rows, require_table, write_rows
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem

SEED = 42
ROWS_AT_ONCE = 20_000
CHARACTERS_AT_ONCE = 50_000_000
HEADER = ("id", "against", "against_id", "reason", "span", "share")
"""The columns of a hit."""
USED = (*COLUMNS["id"], *COLUMNS["question"], *COLUMNS["choices"])
"""The columns that decide what overlaps and under which id; nothing is asked of the others."""
TRACES = ("solution", "response", "thinking", "reasoning", "attempt")
"""The columns that `--traces` also looks at, those that a row has."""


def decontaminate(
    pool: Path,
    against: tuple[str, ...],
    out: Path,
    report: Path | None,
    words: int,
    rule: str = DEFAULT,
    traces: bool = False,
) -> str:
    """Writes the rows of `pool` without a hit to `out`, unchanged, and to `report` a row for each hit.

    `rule` is one of `words.RULES`. With `traces` a row is also dropped where one of its columns TRACES quotes an item.
    A hit row has the columns HEADER. Returns a line that counts. Raises ConfigError on a rule that is not there and on
    files that would be overwritten, DataError on rows that are no problems.
    """
    _require_files(pool, against, out, report)
    if rule not in RULES:
        raise ConfigError(f"--rule {rule}: there is no such rule; the rules are {', '.join(RULES)}")
    benchmarks = [_benchmark(reference) for reference in dict.fromkeys(against)]
    names, hits = _hits(pool, benchmarks, rule, words, traces)
    touched = {hit.row for hit in hits}
    total = 0

    def kept() -> Iterator[Mapping[str, JSON]]:
        nonlocal total
        for number, row in enumerate(read_rows(pool)):
            total += 1
            if number not in touched:
                yield row.values

    num_kept = write_rows(out, kept())
    if report:
        write_rows(report, (_reported(hit, names[hit.row]) for hit in hits), HEADER)
    return f"{total:,} rows: {num_kept:,} kept, {total - num_kept:,} dropped, {len(hits):,} hits"


def _require_files(pool: Path, against: tuple[str, ...], out: Path, report: Path | None) -> None:
    written = (out, *([report] if report else []))
    for path in written:
        require_table(path)
    if report and report.resolve() == out.resolve():
        raise ConfigError(f"--out and --report both name {out}; give two files")
    inputs = {pool.resolve(), *(Path(name).resolve() for name in against)}
    for path in written:
        if path.resolve() in inputs:
            raise ConfigError(f"{path} is an input and would be overwritten; give another --out or --report")


def _hits(
    pool: Path, benchmarks: Sequence[Benchmark], rule: str, words: int, traces: bool
) -> tuple[dict[int, str], list[Hit]]:
    """The ids of the rows with hits, by row number since ids of foreign files need not be unique, and all hits."""
    questions = Overlaps(benchmarks, rule, words)
    quotes = Overlaps(benchmarks, rule, words, traces=True) if traces else None
    first = 0
    names: dict[int, str] = {}
    for rows in _chunks(read_rows(pool)):
        problems = [_problem(row, "pool") for row in rows]
        near = {*questions.look([item.question for item in problems], [_answer(row.values) for row in rows])}
        if quotes:
            near.update(quotes.look([_trace(row.values) for row in rows], [None] * len(rows)))
        names.update({first + place: problems[place].id for place in near})
        first += len(rows)
    return names, sorted([*questions.hits(), *(quotes.hits() if quotes else ())], key=lambda hit: hit.row)


def _chunks(rows: Iterable[SourceRow]) -> Iterator[list[SourceRow]]:
    chunk: list[SourceRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row.values.values() if isinstance(value, str))
        if len(chunk) == ROWS_AT_ONCE or size > CHARACTERS_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _reported(hit: Hit, name: str) -> dict[str, JSON]:
    return {
        "id": name,
        "against": hit.against,
        "against_id": hit.against_id,
        "reason": hit.reason,
        "span": hit.span,
        "share": round(hit.share, 4),
    }


def _benchmark(reference: str) -> Benchmark:
    """The problems of a named benchmark, or the rows of a file, of which none needs an id of its own."""
    name, _, size = reference.rpartition(":")
    if is_table(reference):
        name, size = reference, ""
    elif not (is_table(name) and size.isdigit() and int(size)):
        loaded = load_benchmark(reference, SEED)
        ids = [item.id for item in loaded.problems]
        answers = [_answer({"answer": item.reference, "choices": list(item.choices)}) for item in loaded.problems]
        return Benchmark(reference, Questions(ids, loaded.compared, answers))
    rows = list(islice(read_rows(Path(name)), int(size) if size else None))
    if len(rows) < int(size or 1):
        raise DataError(f"{reference}: asked for {size or 'rows'}, the file has {len(rows) or 'none'}")
    source = Path(name).name.split(".")[0]
    items = [_problem(row, source) for row in rows]
    texts, answers = [item.question for item in items], [_answer(row.values) for row in rows]
    return Benchmark(reference, Questions([item.id for item in items], texts, answers))


def _answer(values: Mapping[str, JSON]) -> str | None:
    """The answer of a row as text: of a choice the option, of several answers all; None where it states none."""
    found = next((values[key] for key in COLUMNS["reference"] if values.get(key) is not None), None)
    options = next((values[key] for key in COLUMNS["choices"] if values.get(key) is not None), None)
    if isinstance(options, list) and options:
        place = ALPHABET.find(str(found)) if isinstance(found, str) and len(found) == 1 else -1
        return str(options[place]) if 0 <= place < len(options) else None
    if isinstance(found, list):
        return ", ".join(str(item) for item in found)
    return str(found) if isinstance(found, (str, int, float)) else None


def _trace(values: Mapping[str, JSON]) -> str:
    found = [values[key] for key in TRACES if key in values]
    return "\n\n".join(str(part) for value in found for part in (value if isinstance(value, list) else [value]) if part)


def _problem(row: SourceRow, source: str) -> Problem:
    problem = parse_problem({key: row.values[key] for key in USED if key in row.values}, source, {})
    if isinstance(problem, Malformed):
        raise DataError(f"{row.place}: {problem.detail}")
    return problem
