"""Exams with options: AGIEval, JEEBench, GPQA, MMLU, SciEval; and crossword clues."""

import re
from collections.abc import Mapping

from thinkscale.grading.choice import letters, single_letter
from thinkscale.keys import JSON
from thinkscale.sources.choices import with_options

Row = Mapping[str, JSON]

LABELLED = re.compile(r"\s*\(?([A-Z])\)\s*")
"""The label of an option of AGIEval's, with a space behind it or without: `(A)5`, `(B) 6`."""
IN_PARENTHESES = re.compile(r"^\s*\(([A-D])\)\s*", re.MULTILINE)
"""An option of JEEBench's within the question: `(A) ...` at the beginning of a line."""
WITH_POINT = re.compile(r"^([A-H])\.\s+", re.MULTILINE)
"""An option of SciEval's within the question: `A. ...` at the beginning of a line."""
OPTIMAL = re.compile(r"\nOptimal (\w+):")
CLUE, ANSWER, EXPLANATION = "### Clue:", "### Answer:", "### Explanation:"
CROSSWORD = "Solve the crossword clue. The number of letters of the answer follows the clue in brackets."


def agieval(row: Row, part: str) -> dict[str, JSON]:
    """A row of AGIEval's v1: passage, question, options with labels, label or answer, and what else is known."""
    made = _without(row, "passage", "question", "options", "label", "answer", "other")
    other = row.get("other")
    known = dict(other) if isinstance(other, dict) else {}
    made |= {"question": _joined(row.get("passage"), row.get("question")), "subject": known.pop("type", None) or part}
    made |= {key: value for key, value in known.items() if value is not None}
    options, label = row.get("options"), row.get("label")
    if isinstance(options, list) and options and label is not None:
        texts = [LABELLED.sub("", str(option), count=1) for option in options]
        return {**made, "kind": "choice", "choices": [*texts], "reference": label}
    return {**made, "reference": row.get("answer")}


def jeebench(row: Row, _part: str) -> dict[str, JSON]:
    """A row of JEEBench: options stand within the question; several may be right, which no letter can say."""
    made, kind = dict(row), row.get("type")
    if kind in ("Integer", "Numeric"):
        return {**made, "kind": "math"}
    stem, options = _split_options(str(row.get("question") or ""), IN_PARENTHESES)
    if kind == "MCQ" and len(options) == 4 and single_letter(str(row.get("gold")), letters(4)):
        return {**made, "kind": "choice", "question": stem, "choices": [*options]}
    return {**made, "kind": "open"}


def gpqa(row: Row, _part: str) -> dict[str, JSON]:
    """A row of GPQA: the right option first. Whoever reads the set shuffles (sources/choices.py)."""
    made = dict(with_options(row))
    return {**made, "solution": made.pop("Explanation", None)}


def options(row: Row, _part: str) -> dict[str, JSON]:
    """A row of MMLU or MMLU-Pro: a list of options, and the right one by its index, its letter or its text."""
    made = dict(with_options(row))
    for ours, theirs in (("choices", "options"), ("reference", "answer")):
        if ours not in made and theirs in made:
            made[ours] = made.pop(theirs)
    return made


def scieval(row: Row, _part: str) -> dict[str, JSON]:
    """A row of SciEval: a question that ends in `Answer:`, and a list of answers."""
    made = _without(row, "question", "answer")
    text = str(row.get("question") or "").removesuffix("\n\nAnswer:").removesuffix("Answer:").rstrip()
    text = OPTIMAL.sub(r"\nWhat is the optimal \1?", text + "\n").rstrip()
    answers = row.get("answer")
    given = [str(answer) for answer in answers] if isinstance(answers, list) else [] if answers is None else [answers]
    made |= {"answers": [*given]} if len(given) > 1 else {}
    reference = given[0] if given else None
    stem, options = _split_options(text, WITH_POINT)
    if options and len(given) == 1 and single_letter(str(reference), letters(len(options))):
        return {**made, "kind": "choice", "question": stem, "choices": [*options], "reference": reference}
    return {**made, "kind": "open", "question": text, "reference": reference}


def xword(row: Row, _part: str) -> dict[str, JSON]:
    """A crossword clue in the form of an instruction, an input and an output of which the answer is a part."""
    made = _without(row, "input", "output")
    clue, output = str(row.get("input") or ""), str(row.get("output") or "")
    clue = clue.partition(CLUE)[2].strip() or clue.strip()
    answer, _, explanation = (output.partition(ANSWER)[2] or output).partition(EXPLANATION)
    made |= {"solution": explanation.strip()} if explanation.strip() else {}
    return {**made, "question": f"{CROSSWORD}\n\n{clue}" if clue else "", "reference": answer.strip() or None}


def _joined(passage: JSON, question: JSON) -> JSON:
    """A question behind its passage, an empty line between them."""
    if not isinstance(question, str) or not isinstance(passage, str) or not passage.strip():
        return question
    return f"{passage.strip()}\n\n{question}"


def _split_options(text: str, label: re.Pattern[str]) -> tuple[str, list[str]]:
    """A question and the options at its end, which stand in order from A; no options where they do not."""
    marks = list(label.finditer(text))
    first = next((place for place in range(len(marks) - 1, -1, -1) if marks[place][1] == "A"), None)
    found = marks[first:] if first is not None else []
    if len(found) < 2 or [mark[1] for mark in found] != list(letters(len(found))):
        return text, []
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    options = [text[mark.end() : end].strip() for mark, end in zip(found, ends, strict=True)]
    return (text[: found[0].start()].rstrip(), options) if all(options) else (text, [])


def _without(row: Row, *names: str) -> dict[str, JSON]:
    return {key: value for key, value in row.items() if key not in names}
