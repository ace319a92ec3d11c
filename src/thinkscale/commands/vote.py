"""vote: what k samples a problem are worth, by majority, by pass@k and by any score, from a file of graded rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean

from thinkscale.errors import DataError
from thinkscale.grading.classes import answer_classes
from thinkscale.keys import JSON
from thinkscale.records import Kind, Verdict
from thinkscale.sources.files import SourceRow, read_rows, write_rows
from thinkscale.statistics.intervals import RESAMPLES, SEED
from thinkscale.statistics.parallel import (
    BEST_OF_N,
    MAJORITY,
    PASS,
    CurvePoint,
    Pool,
    Sample,
    best_values,
    curve_of,
    majority_values,
    pass_values,
    values_of,
)

GROUPS = ("benchmark", "model", "run", "method", "budget_tokens", "waits", "variant")
"""Columns that tell pools apart: each combination has curves of its own."""
SCORERS = ("score", "reward", "logprob")
"""Columns whose number chooses among samples."""
TOKENS = ("generated_tokens", "tokens")
ANSWERS = ("extracted", "answer", "pred")
PROBLEMS = ("problem_id", "id")
HEADER = (*GROUPS, "vote", "scorer", "k", "num_problems", "accuracy", "low", "high", "tokens")
CUT = frozenset({Verdict.CUT_OFF, Verdict.NO_ANSWER})


@dataclass(frozen=True, slots=True)
class _Row:
    """One graded sample."""

    place: str
    sample: int | None
    verdict: Verdict
    answer: str | None
    kind: Kind
    rewards: Mapping[str, float | None]
    tokens: float | None


@dataclass(slots=True)
class _Group:
    """The rows of one pool of problems."""

    names: Mapping[str, JSON]
    problems: dict[str, list[_Row]] = field(default_factory=dict)
    has_answers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One way to make an answer of k samples, over one group of rows."""

    group: Mapping[str, JSON]
    vote: str
    scorer: str
    num_problems: int
    num_samples: tuple[int, int]
    """Of the problem with the fewest, up to which k goes, and of the one with the most."""
    tokens: float | None
    """Of one sample, on average over problems."""
    points: Sequence[CurvePoint]

    def rows(self) -> Iterator[dict[str, JSON]]:
        """A row for each k."""
        for point in self.points:
            yield {
                **self.group,
                "vote": self.vote,
                "scorer": self.scorer or None,
                "k": point.k,
                "num_problems": self.num_problems,
                "accuracy": point.accuracy,
                "low": point.low,
                "high": point.high,
                "tokens": None if self.tokens is None else point.k * self.tokens,
            }


def vote(rows: Path, out: Path | None = None, *, resamples: int = RESAMPLES, seed: int = SEED) -> list[Curve]:
    """The curves of `rows`, for k from 1 to the smallest number of samples that a problem has; to `out`, where given.

    A row has `problem_id` (or `id`), `verdict` (or `correct`), and optionally `sample`, `extracted` (or `answer`),
    `kind`, a number in `score`, `reward` or `logprob`, and `generated_tokens`. Columns of GROUPS tell pools apart. Of a
    run directory the scores are read.
    Raises DataError naming the row that does not fit, or where no group has two samples of every problem.
    """
    rows = rows / "scores.parquet" if rows.is_dir() else rows
    if out and out.resolve() == rows.resolve():
        raise DataError(f"{out} is the file that is read; write somewhere else")
    groups = [group for group in _groups(rows) if min(map(len, group.problems.values())) > 1]
    if not groups:
        raise DataError(f"{rows}: there is nothing to vote with, since not every problem has two rows of one setting")
    curves = [curve for group in groups for curve in _curves(group, resamples, seed)]
    if out:
        write_rows(out, (row for curve in curves for row in curve.rows()), HEADER)
    return curves


def _groups(path: Path) -> list[_Group]:
    found: dict[str, _Group] = {}
    seen: set[tuple[str, str, int]] = set()
    for row in read_rows(path, without=("response", "thinking", "answer_text", "question")):
        names = {name: row.values[name] for name in GROUPS if row.values.get(name) not in (None, "")}
        key = repr(sorted(names.items(), key=lambda item: item[0]))
        problem = _problem(row)
        read = _read(row)
        if read.sample is not None:
            if (key, problem, read.sample) in seen:
                raise DataError(f"{row.place}: sample {read.sample} of problem {problem!r} is there twice")
            seen.add((key, problem, read.sample))
        group = found.setdefault(key, _Group(names))
        group.problems.setdefault(problem, []).append(read)
        group.has_answers |= read.answer is not None
    return list(found.values())


def _problem(row: SourceRow) -> str:
    for name in PROBLEMS:
        if (value := row.values.get(name)) is not None and not isinstance(value, (dict, list)):
            return str(value)
    raise DataError(f"{row.place} names no problem: it needs `problem_id` or `id`, the same in all its samples")


def _read(row: SourceRow) -> _Row:
    values = row.values
    sample = values.get("sample")
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool)):
        raise DataError(f"{row.place}: `sample` must be a whole number, and is {sample!r:.40}")
    verdict = _verdict(row)
    answer = next((text for name in ANSWERS if isinstance(text := values.get(name), str) and text.strip()), None)
    return _Row(
        place=row.place,
        sample=sample,
        verdict=verdict,
        answer=None if verdict in CUT else answer,
        kind=_kind(row),
        rewards={name: _number(row, name) for name in SCORERS},
        tokens=next((value for name in TOKENS if (value := _number(row, name)) is not None), None),
    )


def _verdict(row: SourceRow) -> Verdict:
    said, correct = row.values.get("verdict"), row.values.get("correct")
    if isinstance(said, str) and said in set(Verdict):
        return Verdict(said)
    if said is None and isinstance(correct, bool):
        return Verdict.CORRECT if correct else Verdict.WRONG
    raise DataError(
        f"{row.place} is not graded: `verdict` must be one of {', '.join(Verdict)}, or `correct` true or false; "
        "`thinkscale grade` writes such rows"
    )


def _kind(row: SourceRow) -> Kind:
    kind = row.values.get("kind", Kind.MATH.value)
    if not isinstance(kind, str) or kind not in set(Kind):
        raise DataError(f"{row.place}: `kind` must be one of {', '.join(Kind)}, and is {kind!r:.40}")
    return Kind(kind)


def _number(row: SourceRow, name: str) -> float | None:
    value = row.values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise DataError(f"{row.place}: `{name}` must be a number, and is {value!r:.40}")
    return float(value)


def _curves(group: _Group, resamples: int, seed: int) -> Iterator[Curve]:
    problems = [group.problems[name] for name in sorted(group.problems)]
    pools = [_pool(samples, has_answers=group.has_answers) for samples in problems]
    sizes = [len(pool) for pool in pools]
    every = [row for samples in problems for row in samples]
    made: list[tuple[str, str, Callable[[Pool], list[float]]]] = [(PASS, "", pass_values)]
    if group.has_answers:
        made.insert(0, (MAJORITY, "", majority_values))
    for name in SCORERS:
        if any(row.rewards[name] is not None for row in every):
            made.append((BEST_OF_N, name, partial(best_values, scorer=name)))
    tokens = None
    if all(row.tokens is not None for row in every):
        tokens = fmean(fmean(row.tokens or 0.0 for row in samples) for samples in problems)
    for name, scorer, values in made:
        points = curve_of(values_of(pools, values), resamples, seed)
        yield Curve(
            group=group.names,
            vote=name,
            scorer=scorer,
            num_problems=len(pools),
            num_samples=(min(sizes), max(sizes)),
            tokens=tokens,
            points=points,
        )


def _pool(rows: Sequence[_Row], *, has_answers: bool) -> list[Sample]:
    """Samples with their classes. Where no row states an answer, each is one of its own: it can be chosen."""
    classes = answer_classes([row.answer for row in rows], rows[0].kind)
    return [
        Sample(
            answer=name if has_answers else str(at),
            correct=row.verdict is Verdict.CORRECT,
            rewards=row.rewards,
        )
        for at, (row, name) in enumerate(zip(rows, classes, strict=True))
    ]


def _range(sizes: tuple[int, int]) -> str:
    return str(sizes[0]) if sizes[0] == sizes[1] else f"{sizes[0]} to {sizes[1]}"


def curves_json(curves: Sequence[Curve]) -> JSON:
    """The curves for a program to read."""
    return [
        {
            "group": dict(curve.group),
            "vote": curve.vote,
            "scorer": curve.scorer or None,
            "num_problems": curve.num_problems,
            "points": [
                {name: row[name] for name in ("k", "accuracy", "low", "high", "tokens")} for row in curve.rows()
            ],
        }
        for curve in curves
    ]


def curves_text(curves: Sequence[Curve]) -> str:
    """A table for each group: a line for each power of two and the last k, a column for each way."""
    parts = []
    for group in {repr(curve.group): curve.group for curve in curves}.values():
        own = [curve for curve in curves if curve.group == group]
        title = ", ".join(f"{name} {value}" for name, value in group.items()) or "all rows"
        most = len(own[0].points)
        shown = [k for k in (1 << power for power in range(most.bit_length())) if k < most] + [most]
        heads = [curve.vote + (f" by {curve.scorer}" if curve.scorer else "") for curve in own]
        lines = [
            f"{title}: {own[0].num_problems} problems of {_range(own[0].num_samples)} samples; accuracy in percent,"
            " with 95% intervals over problems",
            "     k  " + "  ".join(f"{head:<22}" for head in heads).rstrip(),
        ]
        for k in shown:
            points = [curve.points[k - 1] for curve in own]
            texts = [f"{100 * item.accuracy:5.1f} [{100 * item.low:.1f}, {100 * item.high:.1f}]" for item in points]
            lines.append(f"{k:6}  " + "  ".join(f"{text:<22}" for text in texts).rstrip())
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
