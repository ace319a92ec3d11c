"""grade: verdicts for a file of responses, streamed in order, by one grader or several."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from thinkscale.commands.submissions import NO_QUESTION, Row, read_submissions
from thinkscale.errors import ConfigError
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.progress import Progress
from thinkscale.records import Kind
from thinkscale.sandbox.isolation import check_name
from thinkscale.sources.files import write_rows
from thinkscale.sources.outputs.runs import GRADES, PROBLEMS, RESPONSES
from thinkscale.store.atomic import write_json
from thinkscale.thinking.formats import find_format
from thinkscale.verification.audit import audit_json, audit_text, auditing
from thinkscale.verification.decisions import (
    NO_DECISIONS,
    load_decisions,
    overridden_judgement,
)
from thinkscale.verification.judge import Judge, JudgeItem
from thinkscale.verification.panel import JUDGE, Submission, check_graders, opinions
from thinkscale.verification.verifier import GRADER, VerifierSettings

HEADER = ("id", "verdict", "extracted", "tier", "seconds")
"""The columns of a verdict; `evidence` follows where it is asked for."""
ROWS_FOR_MORE_PROCESSES = 512
"""Fewer rows of mathematics are done before a second process has started."""
ROWS_JUDGED_TOGETHER = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeOptions:
    """How a file is graded; nothing in it but `graders`, `settings`, `judge` and `disagreements` moves a verdict."""

    graders: tuple[str, ...] = (GRADER,)
    settings: VerifierSettings = field(default_factory=VerifierSettings)
    workers: int | None = None
    """Processes; None is a process for each core, where the file is worth it."""
    problems: Path | None = None
    """Where the problems are that a table of responses is about."""
    judge: Judge | None = None
    audit: Path | None = None
    """Where the comparison of several graders goes, as JSON."""
    disagreements: Path | None = None
    """What graders disagree on, for a person to settle; what is settled in it already overrides the graders."""
    evidence: bool = False
    """Say why, in a column of its own."""
    quiet: bool = True


def grade(rows: Path, out: Path | None, options: GradeOptions | None = None) -> str:
    """Writes one row for each row of `rows`, in order: id, verdict, extracted, tier, seconds.

    A row has `reference` and `response` (the whole text), and optionally `id`, `question`, `kind`, `choices`, `tests`
    and `thinking_format`; files of SkyThought, lm-eval and our own runs are recognised. The verdict is the first
    grader's. With several graders their agreement goes to `audit`, and what they disagree on to `disagreements`.
    Returns a line that counts the verdicts, and the comparison of the graders where there are several.
    """
    options = options or GradeOptions()
    check_graders(options.graders)
    if options.settings.isolation is not None:
        check_name(options.settings.isolation)
    if JUDGE in options.graders and options.judge is None:
        raise ConfigError("the grader `judge` needs a model: give --judge MODEL")
    _check_files(rows, out, options)
    decisions = NO_DECISIONS
    if options.disagreements and options.disagreements.exists():
        decisions = load_decisions(options.disagreements)
    counts: Counter[str] = Counter()
    with (
        Progress(quiet=options.quiet).task("grade", None, "rows") as task,
        auditing(options.graders, options.disagreements) as auditor,
    ):

        def verdicts() -> Iterator[Mapping[str, JSON]]:
            submissions = read_submissions(rows, options.problems)
            for row, judgements in _judged(_graded(submissions, options), options):
                case = row.case
                auditor.add(str(row.id), case, dict(zip(options.graders, judgements, strict=True)))
                last_word = overridden_judgement(judgements[0], decisions.find(case))
                counts[last_word.verdict] += 1
                task.advance()
                why: dict[str, JSON] = {"evidence": last_word.evidence} if options.evidence else {}
                yield {**_verdict(row, last_word), **why}

        total = write_rows(out, verdicts(), (*HEADER, *(("evidence",) if options.evidence else ())))
        found = auditor.finish()
    if options.audit:
        write_json(options.audit, audit_json(found))
    tally = ", ".join(f"{verdict} {number:,}" for verdict, number in sorted(counts.items()))
    comparison = f"\n\n{audit_text(found)}" if len(options.graders) > 1 else ""
    return f"{total:,} rows graded: {tally or 'none'}{comparison}"


def _check_files(rows: Path, out: Path | None, options: GradeOptions) -> None:
    """Raises ConfigError where a file would be written over an input, or two to one place."""
    tables = [rows / name for name in (RESPONSES, PROBLEMS, GRADES)] if rows.is_dir() else [rows.with_name(PROBLEMS)]
    inputs = {path.resolve() for path in (rows, options.problems, *tables) if path is not None and path.exists()}
    taken: dict[Path, str] = {}
    for name, path in (("--out", out), ("--audit", options.audit), ("--disagreements", options.disagreements)):
        if path is None:
            continue
        place = path.resolve()
        if place in inputs:
            raise ConfigError(f"{path} is an input and would be overwritten; give another {name}")
        if place in taken:
            raise ConfigError(f"{taken[place]} and {name} both name {path}; give two files")
        taken[place] = name


def _verdict(row: Row, judgement: Judgement) -> Mapping[str, JSON]:
    return {
        "id": row.id,
        "verdict": judgement.verdict.value,
        "extracted": judgement.extracted,
        "tier": judgement.tier,
        "seconds": round(row.seconds, 6),
    }


def _graded(rows: Iterator[Row], options: GradeOptions) -> Iterator[tuple[Row, tuple[Judgement, ...]]]:
    first = list(islice(rows, ROWS_FOR_MORE_PROCESSES))
    held: deque[Row] = deque()

    def submissions() -> Iterator[Submission]:
        for row in chain(first, rows):
            held.append(row)
            yield row.submission

    for found in opinions(submissions(), options.graders, options.settings, options.workers or _workers(first)):
        row = held.popleft()
        yield replace(row, seconds=found.seconds), found.judgements


def _judged(
    graded: Iterator[tuple[Row, tuple[Judgement, ...]]], options: GradeOptions
) -> Iterator[tuple[Row, tuple[Judgement, ...]]]:
    """The judge's verdicts where it is asked: as a grader of its own, and where the verifier could not decide."""
    if options.judge is None:
        yield from graded
        return
    while window := list(islice(graded, ROWS_JUDGED_TOGETHER)):
        items = {
            (number, place): _judge_item(f"{number}-{place}", row, judgement)
            for number, (row, judgements) in enumerate(window)
            for place, (name, judgement) in enumerate(zip(options.graders, judgements, strict=True))
            if _is_for_judge(name, row, judgement)
        }
        judged = {found.item.key: found.judgement for found in options.judge.grade(items.values())}
        for number, (row, judgements) in enumerate(window):
            yield row, tuple(judged.get(f"{number}-{place}", own) for place, own in enumerate(judgements))


def _is_for_judge(grader: str, row: Row, judgement: Judgement) -> bool:
    kind = row.submission.problem.kind
    if kind not in (Kind.MATH, Kind.OPEN) or judgement.tier in ("finish", "engine", "reference"):
        return False
    return grader == JUDGE or (grader == GRADER and (judgement.undecided or kind is Kind.OPEN))


def _judge_item(key: str, row: Row, judgement: Judgement) -> JudgeItem:
    problem = row.submission.problem
    question = None if problem.question == NO_QUESTION else problem.question
    answer = judgement.extracted or row.submission.response.answer_text
    return JudgeItem(key=key, question=question, reference=problem.reference or "", answer=answer)


def _workers(first: list[Row]) -> int:
    """A process for each core where there are many rows, or programs to run; else this one."""
    programs = sum(row.submission.problem.kind is Kind.CODE for row in first)
    if len(first) < ROWS_FOR_MORE_PROCESSES and programs < 2:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_judge(model: str) -> Judge:
    """A judge by a model in this process. It answers at once: what it reasons before its verdict is its answer."""
    from thinkscale.engines.catalogue import open_local, require_local
    from thinkscale.engines.conversation import Conversation
    from thinkscale.thinking.formats import BoundFormat

    require_local()
    engine = open_local(model, dtype="float32", device="auto", batch_size=32)
    return Judge(engine=Conversation(engine, BoundFormat(find_format("s1"), engine.tokenizer), thinks=False))
