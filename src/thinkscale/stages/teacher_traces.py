"""What the teacher gave, for the report: counts and lengths of its responses."""

from collections import Counter
from collections.abc import Iterator

from thinkscale.records import Finish, Response
from thinkscale.reporting.data import TeacherTraces
from thinkscale.store.run import RunDirectory


def teacher_traces(run: RunDirectory) -> Iterator[TeacherTraces]:
    """One summary of what the teacher gave, in one pass that holds a number for each response."""
    stage = run.journal.stage("generate")
    lengths: list[int] = []
    finishes: Counter[Finish] = Counter()
    failures: Counter[str] = Counter()
    model, retried, read, written = "", 0, 0, 0
    for response in run.rows(Response, "generate"):
        model = response.model
        finishes[response.finish] += 1
        retried += response.attempts > 1
        read += response.usage.prompt_tokens
        written += response.usage.completion_tokens
        if response.error is None:
            lengths.append(response.thinking_tokens)
        else:
            failures[response.error.split(":", 1)[0]] += 1
    if not finishes or stage is None:
        return
    lengths.sort()
    spread = (lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10], lengths[-1]) if lengths else (0, 0, 0)
    yield TeacherTraces(
        model=model,
        responses=finishes.total(),
        ended=finishes[Finish.END],
        cut=finishes[Finish.LENGTH],
        failed=failures.total(),
        failures=dict(failures.most_common()),
        retried=retried,
        thinking_tokens=spread,
        prompt_tokens=read,
        completion_tokens=written,
        usd=stage.usd,
    )
