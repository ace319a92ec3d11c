"""The traces of the problems that are labelled: those that sources brought and the teacher gave, or those of files.

Texts are streamed and never held. What is kept of each problem is which trace counts, its model and its length. The
trace of a problem is its first correct one; where none is correct, or nothing says so, its first.

A file of grades is matched to a file of responses by `response_key` where both have keys, as the tables of a run do.
Else by id and order: `thinkscale grade` writes a row for each row that it reads, so the second grade of an id is that
of its second response.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from thinkscale.config import LabelSettings
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Grade, Response, Verdict
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.stages.context import StageContext
from thinkscale.thinking.formats import recognised_format, split_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace with its text."""

    problem_id: str
    key: str
    model: str
    thinking: str
    thinking_tokens: int | None
    """As the response states it; None where it does not."""
    verdict: Verdict | None
    """None where there is no grade."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The trace that counts of a problem, without its text."""

    key: str
    model: str
    thinking_tokens: int | None
    verdict: Verdict | None


def has_traces(context: StageContext, settings: LabelSettings) -> bool:
    """Whether there is anything to take traces from."""
    if settings.responses is not None or context.run.journal.stage("generate") is not None:
        return True
    return context.run.journal.num_rows("responses", ["collect"]) > 0


def read_traces(context: StageContext, settings: LabelSettings) -> Iterator[Trace]:
    """Every trace in order. Raises DataError on a file that cannot be read, naming the row."""
    if settings.responses is not None:
        grades = context.folder / settings.grades if settings.grades else None
        return _of_files(context.folder / settings.responses, grades)
    return _of_journal(context) if has_traces(context, settings) else iter(())


def choose(traces: Iterable[Trace]) -> dict[str, Chosen]:
    """The trace that counts of each problem: the first correct one, else the first."""
    chosen: dict[str, Chosen] = {}
    for trace in traces:
        best = chosen.get(trace.problem_id)
        if best is None or (best.verdict is not Verdict.CORRECT and trace.verdict is Verdict.CORRECT):
            chosen[trace.problem_id] = Chosen(trace.key, trace.model, trace.thinking_tokens, trace.verdict)
    return chosen


def _of_journal(context: StageContext) -> Iterator[Trace]:
    grades = chain(context.records(Grade, "collect"), context.records(Grade, "grade"))
    verdicts = {grade.response_key: grade.verdict for grade in grades}
    for response in chain(context.records(Response, "collect"), context.records(Response, "generate")):
        if response.finish is Finish.ERROR:
            continue
        yield Trace(
            problem_id=response.problem_id,
            key=response.key,
            model=response.model,
            thinking=response.thinking,
            thinking_tokens=response.thinking_tokens,
            verdict=verdicts.get(response.key),
        )


def _of_files(responses: Path, grades: Path | None) -> Iterator[Trace]:
    verdicts = _verdicts(grades) if grades else {}
    seen: Counter[str] = Counter()
    for row in read_rows(responses):
        name = row_id(row)
        number = seen[name]
        seen[name] += 1
        given_key = row.values.get("key")
        key = given_key if isinstance(given_key, str) else f"{name}#{number}"
        tokens = row.values.get("thinking_tokens")
        yield Trace(
            problem_id=name,
            key=key,
            model=str(row.values.get("model") or responses.name),
            thinking=_thinking(row.values),
            thinking_tokens=tokens if isinstance(tokens, int) else None,
            verdict=verdicts.get(key) or verdicts.get(f"{name}#{number}"),
        )


def _verdicts(path: Path) -> dict[str, Verdict]:
    """Verdicts under the response's key, or under id and number among those of the id."""
    seen: Counter[str] = Counter()
    verdicts: dict[str, Verdict] = {}
    for row in read_rows(path):
        try:
            verdict = Verdict(str(row.values.get("verdict")))
        except ValueError:
            raise DataError(
                f"{row.place}: `verdict` must be one of {', '.join(Verdict)}, it is {row.values.get('verdict')!r:.40}"
            ) from None
        key = row.values.get("response_key")
        if isinstance(key, str):
            verdicts[key] = verdict
            continue
        name = row_id(row)
        verdicts[f"{name}#{seen[name]}"] = verdict
        seen[name] += 1
    return verdicts


def row_id(row: SourceRow) -> str:
    """The problem that a row is about, by `problem_id` or `id`. Raises DataError where it names none."""
    found = row.values.get("problem_id", row.values.get("id"))
    if found is None or found == "":
        raise DataError(f"{row.place}: the row names no problem; give it `problem_id` or `id`")
    return str(found)


def _thinking(values: Mapping[str, JSON]) -> str:
    """The thinking of a row, or that within its whole response."""
    for name in ("thinking", "reasoning"):
        if isinstance(found := values.get(name), str):
            return found
    whole = values.get("response")
    return split_text(whole, recognised_format(whole)).thinking if isinstance(whole, str) else ""
