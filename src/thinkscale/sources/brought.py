"""What a set brings beside its questions, as the records that later stages would make: traces, grades, labels.

A pool such as s1's comes with a teacher's trace for each question, a model's verdict on it, whether two weak models
were right, and a domain. Each becomes the record that our own stage would have written, by the name of whoever said it
(`Grade.grader`, `Label.by`), so that selection reads bought and imported facts alike, and no stage has to ask again.

Rejected: an engine that replays the set to the generate stage. It would count tokens again, grade again, and lose what
the set says of weak models.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite

from thinkscale.curation.taxonomy import domain_code
from thinkscale.keys import JSON, content_key
from thinkscale.records import Finish, Grade, Label, Problem, Response, Role, Sampling, Verdict
from thinkscale.sources.catalogue import Brought
from thinkscale.sources.shaping import column

UNSTATED = Sampling(max_tokens=0)
"""How the tokens were drawn, where the set does not say: no real request has 0 tokens."""
NO_TRACE = "the set holds no trace for this question"
TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
WORDS = re.compile(r"\S+")


def count_words(text: str) -> int:
    """Words between white space: what is counted where neither the set nor a tokenizer counts tokens."""
    return sum(1 for _ in WORDS.finditer(text))


def brought(
    brings: Brought, problem: Problem, row: Mapping[str, JSON], count: Callable[[str], int], counted_by: str
) -> Iterator[Response | Grade | Label]:
    """The records of one row. `count` counts tokens where the set does not; `counted_by` names it in the label."""
    response = _response(brings, problem, row, count)
    yield response
    if brings.correct:
        yield _grade(brings, response, _truth(column(row, brings.correct)))
    if response.error is None:
        by = counted_by if _number(column(row, brings.tokens)) is None else brings.tokenizer
        yield Label(problem_id=problem.id, name="trace_tokens", value=str(response.thinking_tokens), by=by)
    domain = column(row, brings.domain)
    if domain is not None and str(domain).strip():
        code = domain_code(str(domain))
        evidence = "" if code == str(domain) else str(domain)
        yield Label(problem_id=problem.id, name="domain", value=code, by=brings.judge, evidence=evidence)
    for model, names in brings.weak.items():
        if (truth := _truth(column(row, names))) is not None:
            value, evidence = f"{int(truth)}/1", f"as {brings.judge} judged"
            yield Label(problem_id=problem.id, name="pass_rate", value=value, by=model, evidence=evidence)


def _response(brings: Brought, problem: Problem, row: Mapping[str, JSON], count: Callable[[str], int]) -> Response:
    thinking, answer = _text(column(row, brings.thinking)), _text(column(row, brings.answer))
    stated = _number(column(row, brings.tokens))
    is_there = bool(thinking.strip() or answer.strip())
    return Response(
        key=content_key("imported", brings.teacher, problem.id, thinking, answer),
        role=Role.TEACHER,
        problem_id=problem.id,
        model=brings.teacher,
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=stated if stated is not None else count(thinking),
        answer_tokens=count(answer),
        finish=Finish.END if is_there else Finish.ERROR,
        error=None if is_there else NO_TRACE,
        sampling=UNSTATED,
    )


def _grade(brings: Brought, response: Response, is_correct: bool | None) -> Grade:
    verdict = Verdict.UNGRADABLE if is_correct is None else Verdict.CORRECT if is_correct else Verdict.WRONG
    return Grade(
        response_key=response.key,
        problem_id=response.problem_id,
        grader=brings.judge,
        verdict=verdict,
        tier="imported",
        evidence="the set holds no grade" if is_correct is None else "as the set says",
    )


def _text(value: JSON) -> str:
    """A text, or the first of a list of texts."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, str) and item.strip()), "")
    return value if isinstance(value, str) else ""


def _truth(value: JSON) -> bool | None:
    if isinstance(value, bool):
        return value
    return TRUTHS.get(str(value).strip().lower()) if value is not None else None


def _number(value: JSON) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if isfinite(value) and value >= 0 else None
