"""grade: a verdict for every teacher response."""

from itertools import islice

from thinkscale.grading.verdicts import grade as grade_response
from thinkscale.keys import combined_key
from thinkscale.records import Response
from thinkscale.stages.context import StageContext

RESPONSES_PER_UNIT = 256


def grade(context: StageContext) -> None:
    """Grades the teacher's responses in their order."""
    problems = context.problems()
    responses = context.records(Response, "generate")
    total = context.run.journal.num_rows("responses", ["generate"])
    stored = context.stored()
    with context.progress.task(context.stage, total, "responses") as task:
        position = 0
        while chunk := list(islice(responses, RESPONSES_PER_UNIT)):
            unit = combined_key(response.key for response in chunk)
            if unit not in stored:
                context.commit(unit, position, [grade_response(problems[item.problem_id], item) for item in chunk])
            position += 1
            task.advance(len(chunk))
