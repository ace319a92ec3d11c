"""regrade: the stored responses of an evaluation under other graders, without asking a model for anything.

The run is read and never written. With `apply` a new run directory is made in which the evaluation is graded by the
first of the graders; what lies in the old one stays as it is.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from thinkscale.commands.regraded_run import write_regraded
from thinkscale.errors import ConfigError, DataError
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.records import Grade, Problem, Response, Score, Verdict
from thinkscale.reporting.regraded import GraderRange, grader_range, range_json, range_text
from thinkscale.statistics import RESAMPLES, SEED
from thinkscale.store.atomic import write_json
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import TABLE_OF, read_table
from thinkscale.verification.audit import Audit, AuditCounts, audit_json, audit_text
from thinkscale.verification.panel import JUDGE, Submission, check_graders, opinions
from thinkscale.verification.verifier import GRADER, VerifierSettings

R = TypeVar("R")
STAGE = "evaluate"
DEFAULT_GRADERS = (GRADER, "rules", "last_number", "s1", "lm_eval", "string")
"""Those that take a fraction of a millisecond a response, and what the run reports by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegradeOptions:
    """How a run is graded again."""

    graders: tuple[str, ...] = DEFAULT_GRADERS
    settings: VerifierSettings = field(default_factory=VerifierSettings)
    workers: int = 1
    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Regraded:
    """What several graders say of a run."""

    found: GraderRange
    audit: Audit
    judgements: Mapping[str, Judgement]
    """Of the first grader, by response key."""
    seconds: float
    """Of the grading alone."""


class _Rows(Protocol):
    """Rows of the evaluation by the type of their record."""

    def __call__(self, record_type: type[R], /) -> Iterator[R]: ...


@dataclass(frozen=True, slots=True)
class _Stored:
    problems: dict[str, Problem]
    responses: list[Response]
    recorded: dict[str, Verdict]
    scores: tuple[Score, ...]


def regrade(
    folder: Path, options: RegradeOptions | None = None, out: Path | None = None, *, apply: bool = False
) -> Regraded:
    """Grades what `folder` holds; the numbers go to `out` as JSON, or with `apply` into a new run directory there.

    `folder` is a run directory, or holds its exported tables. Raises ConfigError on unknown graders and where `apply`
    cannot be done, DataError where there is no evaluation.
    """
    options = options or RegradeOptions()
    check_graders(options.graders)
    if JUDGE in options.graders:
        raise ConfigError("regrade asks no model; `thinkscale grade --judge MODEL` does, on the run's responses")
    if apply:
        _check_apply(folder, out)
    stored = _read(folder)
    counts = AuditCounts(options.graders)
    verdicts: dict[str, dict[str, Verdict]] = {name: {} for name in options.graders}
    first: dict[str, Judgement] = {}
    started = time.perf_counter()
    for response, judgements in _judged(stored, options):
        counts.add(judgements)
        first[response.key] = judgements[options.graders[0]]
        for name, judgement in judgements.items():
            verdicts[name][response.key] = judgement.verdict
    seconds = time.perf_counter() - started
    found = grader_range(stored.scores, verdicts, options.resamples, options.seed)
    done = Regraded(found=found, audit=counts.result(), judgements=first, seconds=seconds)
    if apply and out is not None:
        write_regraded(folder, out, first, options.graders[0])
        write_json(out / "regrade.json", regraded_json(done))
    elif out is not None:
        write_json(out, regraded_json(done))
    return done


def regraded_json(done: Regraded) -> dict[str, JSON]:
    """The numbers and the agreement of the graders."""
    return {**range_json(done.found), "agreement": audit_json(done.audit)}


def regraded_text(done: Regraded, *, with_cells: bool = False) -> str:
    """The same for a terminal."""
    rate = len(done.judgements) / done.seconds if done.seconds else 0.0
    head = f"{len(done.judgements):,} responses graded in {done.seconds:.1f} s ({rate:,.0f}/s, all graders)"
    return (
        f"{head}\n\n{range_text(done.found, with_cells=with_cells)}\n\n{audit_text(done.audit, with_tables=with_cells)}"
    )


def _check_apply(folder: Path, out: Path | None) -> None:
    if out is None:
        raise ConfigError("--apply makes a new run directory: name it with --out; the old one stays as it is")
    if not (folder / JOURNAL_NAME).is_file():
        raise ConfigError(f"--apply needs a run directory, and {folder} holds no {JOURNAL_NAME}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            f"{out}: there is something already; --apply makes a new run directory and overwrites nothing"
        )


def _read(folder: Path) -> _Stored:
    if (folder / JOURNAL_NAME).is_file():
        with RunDirectory.read(folder) as run:
            return _stored(lambda record_type: run.rows(record_type, STAGE), folder)
    if (folder / "scores.parquet").is_file():
        return _stored(lambda record_type: read_table(folder / f"{TABLE_OF[record_type]}.parquet", record_type), folder)
    raise ConfigError(f"{folder}: neither a run directory nor a folder with its tables")


def _stored(rows: _Rows, folder: Path) -> _Stored:
    scores = tuple(rows(Score))
    if not scores:
        raise DataError(f"{folder}: there is no finished evaluation to grade again")
    wanted = {score.response_key for score in scores}
    return _Stored(
        {problem.id: problem for problem in rows(Problem)},
        [response for response in rows(Response) if response.key in wanted],
        {grade.response_key: grade.verdict for grade in rows(Grade) if grade.response_key in wanted},
        scores,
    )


def _judged(stored: _Stored, options: RegradeOptions) -> Iterator[tuple[Response, dict[str, Judgement]]]:
    def submissions() -> Iterator[Submission]:
        for response in stored.responses:
            yield Submission(
                problem=stored.problems[response.problem_id],
                response=response,
                text=response.answer_text,
                recorded=stored.recorded.get(response.key),
            )

    found = opinions(submissions(), options.graders, options.settings, options.workers)
    for response, said in zip(stored.responses, found, strict=True):
        yield response, dict(zip(options.graders, said.judgements, strict=True))
