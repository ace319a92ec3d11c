"""select: the training examples, and for every other row the one filter that dropped it, with the evidence.

It measures (measuring.py, stored_measures.py), decides (curation/funnel.py), and commits: fates in order of
collection, then one example at a time in the order in which they were drawn. Traces are read twice and never held
together: once for their narrow facts, and once more those that were picked.
"""

from collections.abc import Iterator
from itertools import islice

from thinkscale.curation.funnel import Decisions, decide, fates
from thinkscale.curation.measures import Measures
from thinkscale.records import Example, Fate, Message, Problem, Response
from thinkscale.stages.context import StageContext
from thinkscale.stages.measuring import measure_run, teacher_responses
from thinkscale.stages.selection_rules import rules_of
from thinkscale.stages.stored_measures import stored_measures, write_measures
from thinkscale.thinking.prompts import user_turn

FATES_PER_UNIT = 20_000
EXAMPLES = 1 << 40
"""Position of the first example, behind every fate."""


def select(context: StageContext) -> None:
    """A fate for every collected problem, and an example for every pick."""
    settings = context.section(context.recipe.select)
    rules = rules_of(settings)
    measures = stored_measures(context.run)
    if measures is None:
        context.progress.say("select: measuring")
        measures = measure_run(context.run, context.recipe, context.folder)
        write_measures(context.run, measures)
    with context.progress.task(context.stage, len(measures.rows), "problems") as task:
        decisions = decide(measures, rules, context.recipe.seed)
        for notice in decisions.notices:
            context.notice(notice)
        for unit, rows in enumerate(_chunks(fates(measures, decisions))):
            context.commit(f"fates-{unit}", unit, rows)
            task.advance(len(rows))
        _commit_examples(context, measures, decisions)


def _chunks(rows: Iterator[Fate]) -> Iterator[list[Fate]]:
    while chunk := list(islice(rows, FATES_PER_UNIT)):
        yield chunk


def _commit_examples(context: StageContext, measures: Measures, decisions: Decisions) -> None:
    """One unit for each pick, at the place of its draw, as its trace comes by."""
    chosen = decisions.chosen
    missing = {chosen.key[row]: pick for row, pick in decisions.picks.items() if row in chosen.key}
    if len(missing) < len(decisions.picks):
        without = len(decisions.picks) - len(missing)
        context.notice(f"{without:,} selected rows have no trace, so no example is made of them")
    stored = context.stored()
    missing = {key: pick for key, pick in missing.items() if key not in stored}
    if not missing:
        return
    wanted = {pick.problem_id for pick in missing.values()}
    problems = {item.id: item for item in context.records(Problem, "collect") if item.id in wanted}
    for response in teacher_responses(context.run):
        pick = missing.pop(response.key, None)
        if pick is not None:
            example = _example(problems[pick.problem_id], response)
            context.commit(response.key, EXAMPLES + pick.order, [example])
        if not missing:
            return


def _example(problem: Problem, trace: Response) -> Example:
    reply = Message(role="assistant", content=trace.answer_text, thinking=trace.thinking, trained=True)
    return Example(problem_id=problem.id, response_key=trace.key, messages=(*user_turn(problem), reply))
