"""select: the training examples, and for every other row the one filter that dropped it, with the evidence.

Filters in order: faults of the question, of the teacher's trace, contamination, duplicates, difficulty, the draw.
A row is dropped by the first that objects, so the funnel's counts add up.
"""

from collections.abc import Iterator

from thinkscale.config import SelectSettings
from thinkscale.curation.difficulty import TOO_EASY
from thinkscale.curation.duplicates import duplicates
from thinkscale.curation.ngrams import Document, build_index, find_hits
from thinkscale.curation.quality import TraceLimits, question_faults, response_faults
from thinkscale.curation.sampling import Candidate, Selection
from thinkscale.curation.sampling import select as draw
from thinkscale.curation.taxonomy import UNKNOWN
from thinkscale.errors import StageError
from thinkscale.records import Decision, Example, Fate, Grade, Label, Message, Problem, Record, Response
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate import load_benchmarks
from thinkscale.thinking.prompts import user_turn


def select(context: StageContext) -> None:
    """One unit: a fate for every collected problem, and exactly `count` examples."""
    settings = context.section(context.recipe.select)
    funnel = Funnel(context.problems())
    num_problems = len(funnel.left)
    with context.progress.task(context.stage, num_problems, "problems") as task:
        _drop_faulty_questions(funnel)
        traces = _drop_faulty_traces(context, settings, funnel)
        _drop_contaminated(context, settings, funnel)
        _drop_duplicates(settings, funnel, traces)
        labels = _labels(context)
        if settings.drop_solved:
            _drop_solved(funnel, labels)
        selection = _draw(context, settings, funnel, traces, labels)
        context.commit("selection", 0, _records(funnel, selection, traces))
        task.advance(num_problems)


class Funnel:
    """Problems that are left, and the fates of those that are not, in order of collection."""

    def __init__(self, problems: dict[str, Problem]) -> None:
        self.order = list(problems)
        self.left = dict(problems)
        self.fates: dict[str, Fate] = {}

    def drop(self, problem_id: str, reason: str, evidence: str) -> None:
        """Takes a problem out. Its first fate is its only one."""
        if self.left.pop(problem_id, None):
            self.fates[problem_id] = _fate(problem_id, Decision.DROPPED, reason, evidence)


def _fate(problem_id: str, decision: Decision, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=problem_id, stage="select", decision=decision, reason=reason, evidence=evidence)


def _drop_faulty_questions(funnel: Funnel) -> None:
    for problem in list(funnel.left.values()):
        for fault in question_faults(problem):
            funnel.drop(problem.id, fault.reason, fault.evidence)


def _drop_faulty_traces(context: StageContext, settings: SelectSettings, funnel: Funnel) -> dict[str, Response]:
    """Keeps problems with a trace that has no fault; returns the first such trace of each.

    A problem without one is dropped for what is wrong with its first trace.
    """
    limits = TraceLimits(min_tokens=settings.min_trace_tokens, max_tokens=settings.max_trace_tokens)
    grades = {grade.response_key: grade for grade in context.records(Grade, "grade")}
    sound: dict[str, Response] = {}
    first_faults: dict[str, tuple[str, str]] = {}
    for response in context.records(Response, "generate"):
        faults = response_faults(response, grades.get(response.key), limits)
        if faults:
            first_faults.setdefault(response.problem_id, (faults[0].reason, faults[0].evidence))
        else:
            sound.setdefault(response.problem_id, response)
    for name in list(funnel.left):
        if name not in sound:
            funnel.drop(name, *first_faults.get(name, ("no_trace", "the teacher was not asked")))
    return sound


def _drop_contaminated(context: StageContext, settings: SelectSettings, funnel: Funnel) -> None:
    """Drops what overlaps with any benchmark that the recipe evaluates."""
    if not context.recipe.evaluate:
        return
    for benchmark in load_benchmarks(context.recipe.evaluate, context.recipe.seed, context.folder):
        index = build_index(
            (Document(id=item.id, text=item.question) for item in benchmark.problems), settings.ngram_words
        )
        for hit in find_hits(index, [Document(id=item.id, text=item.question) for item in funnel.left.values()]):
            funnel.drop(hit.id, "contaminated", f"{benchmark.name} {hit.against_id} ({hit.reason}): {hit.span}")


def _drop_duplicates(settings: SelectSettings, funnel: Funnel, traces: dict[str, Response]) -> None:
    """Keeps the row with the longest trace of each cluster, as selection prefers long traces."""
    best_first = sorted(funnel.left.values(), key=lambda item: (-traces[item.id].thinking_tokens, item.id))
    documents = [Document(id=item.id, text=item.question) for item in best_first]
    for cluster in duplicates(documents, settings.ngram_words, settings.duplicate_containment):
        for copy in cluster.dropped:
            evidence = f"{copy.kept_id} ({copy.reason}, {copy.containment:.0%}): {copy.span}"
            funnel.drop(copy.id, "duplicate", evidence)


def _labels(context: StageContext) -> dict[tuple[str, str], Label]:
    return {(label.problem_id, label.name): label for label in context.records(Label, "label")}


def _drop_solved(funnel: Funnel, labels: dict[tuple[str, str], Label]) -> None:
    for name in list(funnel.left):
        label = labels.get((name, "difficulty"))
        if label and label.value == TOO_EASY:
            funnel.drop(name, "weak_model_solves_it", label.evidence)


def _draw(
    context: StageContext,
    settings: SelectSettings,
    funnel: Funnel,
    traces: dict[str, Response],
    labels: dict[tuple[str, str], Label],
) -> Selection:
    candidates = []
    for name in funnel.left:
        label = labels.get((name, "domain"))
        domain = label.value if label else UNKNOWN
        candidates.append(Candidate(problem_id=name, domain=domain, trace_tokens=traces[name].thinking_tokens))
    if len(candidates) < settings.count:
        raise StageError(
            f"select.count asks for {settings.count} examples, but only {len(candidates)} of {len(funnel.order)} "
            f"problems pass the filters ({_worst(funnel)}); collect more, loosen a filter, or lower select.count"
        )
    return draw(candidates, settings.count, context.recipe.seed)


def _worst(funnel: Funnel) -> str:
    counts: dict[str, int] = {}
    for fate in funnel.fates.values():
        counts[fate.reason] = counts.get(fate.reason, 0) + 1
    largest = sorted(counts.items(), key=lambda item: -item[1])[:3]
    return "dropped most: " + ", ".join(f"{reason} {number}" for reason, number in largest)


def _records(funnel: Funnel, selection: Selection, traces: dict[str, Response]) -> Iterator[Record]:
    """Fates in order of collection, then the examples in the order in which they were drawn."""
    picks = {pick.problem_id: pick for pick in selection.picks}
    for name in funnel.order:
        if pick := picks.get(name):
            yield _fate(name, Decision.KEPT, "selected", pick.evidence)
        elif name in funnel.left:
            yield _fate(name, Decision.DROPPED, "not_drawn", f"a candidate; {len(picks)} others were drawn")
        else:
            yield funnel.fates[name]
    for name in picks:
        yield _example(funnel.left[name], traces[name])


def _example(problem: Problem, trace: Response) -> Example:
    reply = Message(role="assistant", content=trace.answer_text, thinking=trace.thinking, trained=True)
    return Example(problem_id=problem.id, response_key=trace.key, messages=(*user_turn(problem), reply))
