"""Which responses the report shows in full: chosen by a rule and a seed, never by hand and never the first ones.

For each benchmark and method of the student: one that is right and one that is wrong; for each benchmark one answer
that a wait turned each way. Each is drawn at random among all that fit. Rejected: the first that fits, which shows the
same easy problem of a set again and again.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from thinkscale.config import Recipe
from thinkscale.keys import JSON, seed_from
from thinkscale.records import Grade, Problem, Response, Score, Verdict
from thinkscale.reporting.data import Piece, Sample
from thinkscale.reporting.traces.forced import pieces
from thinkscale.reporting.wording import method_name, waits
from thinkscale.stages.evaluate_jobs import STUDENT
from thinkscale.stages.trace_rows import student_tokens
from thinkscale.statistics.cells import setting_order
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.conditioning import condition_of, instruction
from thinkscale.thinking.formats import BoundFormat
from thinkscale.thinking.prompts import PLAIN, TEMPLATES, PromptTemplate, user_turn

SHARED_START = ("truncation", "budget_forcing")
"""Methods whose cell without a wait is where waits start."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A score to show, and the rule that chose it."""

    score: Score
    why: str


def choices(scores: Iterable[Score], seed: int) -> list[Choice]:
    """Every choice of the rule in order of importance: turned answers first, then method by method.

    A response is chosen once, by the first rule that draws it; a rule whose draw is shown already draws another.
    """
    student = [score for score in scores if score.model == STUDENT]
    benchmarks = list(dict.fromkeys(score.benchmark for score in student))
    methods = list(dict.fromkeys(score.method for score in student))
    taken: set[str] = set()
    found = []
    for why, candidates in [*_turned(student, benchmarks), *_by_method(student, benchmarks, methods)]:
        fitting = sorted(
            (score for score in candidates if score.response_key not in taken),
            key=lambda score: (score.problem_id, score.sample, setting_order(score)),
        )
        if fitting:
            score = random.Random(seed_from(seed, "sample", fitting[0].benchmark, why)).choice(fitting)
            taken.add(score.response_key)
            found.append(Choice(score, why))
    return found


def _turned(student: Sequence[Score], benchmarks: Sequence[str]) -> Iterator[tuple[str, list[Score]]]:
    """Scores after a wait whose verdict is the other one without any, at the same budget."""
    start = {
        (score.benchmark, score.budget_tokens, score.problem_id, score.sample): score.verdict
        for score in student
        if score.method in SHARED_START and not score.waits
    }
    forced = [score for score in student if score.method == "budget_forcing" and score.waits]
    for words, is_right in (("turned from wrong to right", True), ("turned from right to wrong", False)):
        for benchmark in benchmarks:
            members = []
            for score in forced:
                before = start.get((score.benchmark, score.budget_tokens, score.problem_id, score.sample))
                turned = (before, score.verdict)
                wanted = (Verdict.WRONG, Verdict.CORRECT) if is_right else (Verdict.CORRECT, Verdict.WRONG)
                if score.benchmark == benchmark and turned == wanted:
                    members.append(score)
            yield f"an answer that waiting {words}", members


def _by_method(
    student: Sequence[Score], benchmarks: Sequence[str], methods: Sequence[str]
) -> Iterator[tuple[str, list[Score]]]:
    for method in methods:
        for words, is_right in (("right", True), ("not right", False)):
            for benchmark in benchmarks:
                yield (
                    f"a response that is {words}, {method_name(method)}",
                    [
                        score
                        for score in student
                        if (score.benchmark, score.method) == (benchmark, method)
                        and (score.verdict is Verdict.CORRECT) is is_right
                    ],
                )


def chosen_samples(run: RunDirectory, recipe: Recipe, scores: Sequence[Score]) -> tuple[list[Sample], int]:
    """The samples to show, at most `report.samples` beside a teacher's, and how many choices found no room."""
    wanted = choices(scores, recipe.seed)
    shown = wanted[: recipe.report.samples]
    teacher = _teacher_trace(run, recipe.seed) if recipe.report.samples else None
    keys = {choice.score.response_key for choice in shown} | ({teacher.key} if teacher else set())
    if not keys:
        return [], len(wanted)
    grades = {grade.response_key: grade for grade in run.rows(Grade) if grade.response_key in keys}
    asked = {grade.problem_id for grade in grades.values()}
    problems = {problem.id: problem for problem in run.rows(Problem) if problem.id in asked}
    responses = {item.key: item for item in run.rows(Response, "evaluate") if item.key in keys}
    bound = student_tokens(recipe)
    made = [_teacher_sample(teacher, problems, grades, bound)] if teacher else []
    templates = asked_templates(run, recipe)
    made += [_sample(choice, recipe, problems, responses, grades, bound, templates) for choice in shown]
    return made, len(wanted) - len(shown)


def asked_templates(run: RunDirectory, recipe: Recipe) -> dict[str, PromptTemplate]:
    """Benchmark to the template that asked it, as the stage's identity says."""
    stage = run.journal.stage("evaluate")
    listed = stage.identity.get("benchmarks") if stage else None
    own = recipe.evaluate.templates if recipe.evaluate else {}
    known = dict(TEMPLATES)
    for name, item in own.items():
        known[name] = PromptTemplate(name=name, text=item.text, answer=item.answer, system=item.system)
    return {name: known.get(template, PLAIN) for name, template, _ in named_templates(listed)}


def named_templates(listed: JSON) -> Iterator[tuple[str, str, str]]:
    """Benchmark, template and the template's key, of the benchmarks in a stage's identity."""
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and isinstance(template := item.get("template"), dict):
            yield str(item.get("name")), str(template.get("name")), str(template.get("key"))


def _sample(
    choice: Choice,
    recipe: Recipe,
    problems: Mapping[str, Problem],
    responses: Mapping[str, Response],
    grades: Mapping[str, Grade],
    bound: BoundFormat | None,
    templates: Mapping[str, PromptTemplate],
) -> Sample:
    score = choice.score
    problem, response = problems[score.problem_id], responses[score.response_key]
    step_format = recipe.evaluate.step_format if recipe.evaluate else "blank_lines"
    told = instruction(condition_of(score.method, score.budget_tokens, score.variant, step_format))
    messages = user_turn(problem, suffix=told, template=templates.get(score.benchmark, PLAIN))
    after = f" ({waits(score.waits, score.variant)})" if score.waits else ""
    return Sample(
        problem=problem,
        prompt=bound.decode(bound.thinking_prompt(messages)) if bound else messages[-1].content,
        response=response,
        grade=grades[score.response_key],
        pieces=_pieces(response, bound),
        benchmark=score.benchmark,
        method=score.method,
        budget_tokens=score.budget_tokens,
        waits=score.waits,
        variant=score.variant,
        why=f"{choice.why}{after}",
    )


def _pieces(response: Response, bound: BoundFormat | None) -> tuple[Piece, ...]:
    """The thinking cut at its forced spans; empty where the text does not give the same tokens again."""
    cut = pieces(response.thinking, response.thinking_tokens, response.forced, bound)
    if cut is None or len(cut) == 1:
        return ()
    return tuple(Piece(text=text, forced=place % 2 == 1) for place, text in enumerate(cut))


def _teacher_trace(run: RunDirectory, seed: int) -> Response | None:
    """A right trace of the teacher in which it says Wait, drawn at random."""
    right = {grade.response_key for grade in run.rows(Grade, "grade") if grade.verdict is Verdict.CORRECT}
    keys = sorted(item.key for item in run.rows(Response, "generate") if item.key in right and "Wait" in item.thinking)
    if not keys:
        return None
    key = random.Random(seed_from(seed, "sample", "teacher")).choice(keys)
    return next(item for item in run.rows(Response, "generate") if item.key == key)


def _teacher_sample(
    response: Response, problems: Mapping[str, Problem], grades: Mapping[str, Grade], bound: BoundFormat | None
) -> Sample:
    problem = problems[response.problem_id]
    messages = user_turn(problem)
    return Sample(
        problem=problem,
        prompt=bound.decode(bound.thinking_prompt(messages)) if bound else messages[-1].content,
        response=response,
        grade=grades[response.key],
        why="a right trace of the teacher in which it says Wait",
    )
