"""What every label of the stage starts from: the problems to label, what is given of them, and which trace counts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from thinkscale.config import LabelSettings
from thinkscale.curation.difficulty import PassRate, given_pass_rates, pass_rate_label, pass_rate_of
from thinkscale.curation.taxonomy import SOURCE, domain_code, given_domain, given_subject
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Label, Problem, Verdict
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.stages.asking import Manner
from thinkscale.stages.context import StageContext
from thinkscale.stages.label_traces import Chosen, choose, has_traces, read_traces, row_id

FAILED = "#failed"
"""Behind the key of a unit whose request failed for good: `--retry-failed` forgets these."""

GIVEN = frozenset({"domain", "subject", "rating", "pass_rate", "difficulty"})
"""Labels that are not asked for where somebody else gives them."""

FIELDS: dict[str, Callable[[Problem], Label | None]] = {"domain": given_domain, "subject": given_subject}
"""Labels that a field of a foreign row may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The stage's narrow data: no question and no trace is held."""

    context: StageContext
    settings: LabelSettings
    traces: dict[str, Chosen]
    """The trace that counts of each problem that is labelled and has one."""
    wanted: frozenset[str]
    """Ids of the problems that are labelled."""
    stated: dict[str, tuple[Label, ...]]
    """Labels of files, by problem."""
    brought: dict[str, tuple[Label, ...]]
    """Labels that sources brought, by problem: they are rows of the run already."""

    def problems(self) -> Iterator[tuple[int, Problem]]:
        """The problems to label with their numbers from 0, in order of collection."""
        number = 0
        for problem in self.context.records(Problem, "collect"):
            if problem.id in self.wanted:
                yield number, problem
                number += 1

    def given(self, problem: Problem, name: str) -> Label | None:
        """What somebody else than our models says: the first row of a file, what a source brought, or a field of it."""
        rows = chain(self.stated.get(problem.id, ()), self.brought.get(problem.id, ()))
        row = next((label for label in rows if label.name == name), None)
        return row or FIELDS.get(name, _nothing)(problem)

    def is_new(self, label: Label) -> bool:
        """Whether a given label is to be stored: it is no row of the run yet."""
        return label not in self.brought.get(label.problem_id, ())

    def given_rates(self, problem: Problem) -> dict[str, tuple[PassRate, Label]]:
        """Pass rates of weak models that somebody else gives, by model, each with its label; a file goes first."""
        fields = (pass_rate_label(problem.id, model, rate, SOURCE) for model, rate in given_pass_rates(problem).items())
        found: dict[str, tuple[PassRate, Label]] = {}
        for label in chain(self.stated.get(problem.id, ()), self.brought.get(problem.id, ()), fields):
            if label.name == "pass_rate":
                model, rate = pass_rate_of(label)
                found.setdefault(model, (rate, label))
        return found

    def manner(self, *, thinks: bool = False, batch: bool = False) -> Manner:
        """How models are asked."""
        student = self.context.recipe.student
        return Manner(
            thinking_format=thinking_format(self.settings, student.thinking_format if student else None),
            thinks=thinks,
            batch=batch,
            student=student.model if student else None,
        )

    def is_settled(self, unit: str) -> bool:
        """Whether a unit is stored, answered or failed."""
        return self.context.is_stored(unit) or self.context.is_stored(unit + FAILED)


def _nothing(_problem: Problem) -> None:
    return None


def thinking_format(settings: LabelSettings, of_student: str | None) -> str:
    """How models of token ids mark their thinking. s1's markers are tokens of every Qwen, its weak models included."""
    return settings.thinking_format or of_student or "s1"


def prepare(context: StageContext, settings: LabelSettings) -> Work:
    """Reads what there is, once. Raises DataError on files that cannot be read."""
    traces = choose(read_traces(context, settings))
    wanted = frozenset(problem.id for problem in context.records(Problem, "collect"))
    if strangers := len(traces.keys() - wanted):
        context.notice(f"{strangers:,} traces are of problems that are not there")
    if settings.problems == "correct_trace" and has_traces(context, settings):
        is_graded = settings.responses is None or settings.grades is not None
        wanted &= {name for name, trace in traces.items() if not is_graded or trace.verdict is Verdict.CORRECT}
    traces = {name: trace for name, trace in traces.items() if name in wanted}
    return Work(
        context=context,
        settings=settings,
        traces=traces,
        wanted=wanted,
        stated=_by_problem(read_labels(context.folder / name for name in settings.labels)),
        brought=_by_problem(label for label in context.records(Label, "collect") if label.name in GIVEN),
    )


def _by_problem(labels: Iterable[Label]) -> dict[str, tuple[Label, ...]]:
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(label.problem_id, []).append(label)
    return {name: tuple(items) for name, items in found.items()}


def read_labels(paths: Iterable[Path]) -> Iterator[Label]:
    """Labels of files: rows with `problem_id` (or `id`), `name` and `value`; `by` is `source` where it is not given.

    Raises DataError naming the row that is none.
    """
    for path in paths:
        for row in read_rows(path):
            yield _label(row)


def _label(row: SourceRow) -> Label:
    name, value = (_text(row, field) for field in ("name", "value"))
    made = Label(
        problem_id=row_id(row),
        name=name,
        value=domain_code(value) if name == "domain" else value,
        by=str(row.values.get("by") or SOURCE),
        evidence=str(row.values.get("evidence") or ""),
    )
    if name == "pass_rate":
        try:
            model, _ = pass_rate_of(made)
        except ValueError:
            raise DataError(
                f"{row.place}: the value of a `pass_rate` is `correct/graded`, such as 1/4; this is {value:.40}"
            ) from None
        if not model:
            raise DataError(f"{row.place}: a `pass_rate` needs the model that it is of, in `by`")
    return made


def _text(row: SourceRow, field: str) -> str:
    value: JSON = row.values.get(field)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or str(value).strip() == "":
        raise DataError(f"{row.place}: a label needs `{field}`, a text or a number; it is {value!r:.40}")
    return f"{value:g}" if isinstance(value, float) else str(value)
