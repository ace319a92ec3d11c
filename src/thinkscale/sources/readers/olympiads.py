"""Olympiads and theorems: OlympicArena, OlympiadBench, TheoremQA."""

from collections.abc import Mapping

from thinkscale.keys import JSON

Row = Mapping[str, JSON]

COMPARABLE = ("NV", "SET", "IN", "EX", "EQ", "TUP", "MPV", "MA")
"""Types of OlympicArena's answers that are mathematics: a number, a set, an interval, an expression, several ..."""
SOLUTION_BREAK = "\n\nAnother solution:\n\n"


def olympic_arena(row: Row, _part: str) -> dict[str, JSON]:
    """A row of OlympicArena: the answer as a text or a list; programs have tests."""
    made = {key: value for key, value in row.items() if key not in ("answer", "test_cases")}
    made["reference"] = _one(row.get("answer"))
    tests, kind = row.get("test_cases"), row.get("answer_type")
    if kind == "CODE" and tests:
        return {**made, "kind": "code", "tests": tests}
    return {**made, "kind": "math" if kind in COMPARABLE else "open"}


def olympiad_bench(row: Row, _part: str) -> dict[str, JSON]:
    """A row of OlympiadBench: the context belongs to the question; a proof has no answer.

    Of several final answers, which are ways to say one, the first is the reference; all stay in `extra`.
    """
    made = {key: value for key, value in row.items() if key not in ("context", "solution", "final_answer")}
    context, solutions, answers = row.get("context"), row.get("solution"), row.get("final_answer")
    question = row.get("question")
    if isinstance(context, str) and context.strip() and isinstance(question, str):
        made["question"] = f"{context.strip()}\n\n{question}"
    texts = [text for text in solutions if isinstance(text, str)] if isinstance(solutions, list) else []
    made["solution"] = SOLUTION_BREAK.join(texts) or None
    given = [str(answer) for answer in answers] if isinstance(answers, list) else []
    made |= {"final_answers": [*given]} if len(given) > 1 else {}
    return {**made, "reference": given[0].strip().strip("$") if given else None, "kind": "math" if given else "open"}


def theoremqa(row: Row, _part: str) -> dict[str, JSON]:
    """A row of TheoremQA: truth values become a choice of two; an option of the question's text is not comparable."""
    made, answer, kind = dict(row), str(row.get("Answer")), row.get("Answer_type")
    if kind == "bool" and answer in ("True", "False"):
        return {**made, "kind": "choice", "choices": ["True", "False"], "Answer": "A" if answer == "True" else "B"}
    return {**made, "kind": "open" if kind == "option" else "math"}


def _one(answer: JSON) -> JSON:
    """An answer that stands alone, or as the parts of a list."""
    if isinstance(answer, list):
        return ", ".join(str(part) for part in answer if part is not None) or None
    return answer
