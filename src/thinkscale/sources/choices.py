"""Options of a foreign row, the letter of the right one, and their order shuffled by a recorded seed.

A benchmark whose right answer always stands first (GPQA states it in a column of its own), or more often at one letter
than at others, rewards a model that likes that letter. So options are shuffled, each row by a seed of its own, made of
the run's seed and the row's id: the order of one row depends neither on the other rows nor on their order, and every
run can be repeated. `Problem.extra["option_shuffle"]` records the seed and the order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from thinkscale.grading.choice import MAX_CHOICES, letters, single_letter
from thinkscale.keys import JSON, seed_from
from thinkscale.records import Problem

GPQA_RIGHT = "Correct Answer"
GPQA_WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
GPQA_NAMES = {"Question": "question", "Record ID": "id"}

CHOICES = ("choices", "options")
RIGHT = ("reference", "answer", "Answer", "answerKey", "answer_index", "target")
"""Columns that may say which option is right, the first that does decides."""
RECORD = "option_shuffle"

POSITIONAL = re.compile(
    r"\b(?:above|below|of (?:these|them)|(?:first|last|other) (?:two|three|options?|choices?))\b"
    r"|\b(?:both|either|neither)\s+\(?[A-H1-9]\)?\s+(?:and|or|nor)\b"
    r"|^\W*[A-H]\)?(?:\s*,\s*\(?[A-H]\)?)*\s+(?:and|or)\s+\(?[A-H]\)?(?:\s+only)?\W*$",
    re.IGNORECASE,
)
"""An option that speaks of others by their place: in another order it would say something else."""

Values = Mapping[str, JSON]


def option_texts(values: Values) -> list[str]:
    """Option texts in the order of their letters, empty where the row states none.

    A list under one of CHOICES, `{"text": [...], "label": [...]}` (ARC), or `choice1`, `choice2`, ... A label "(A) "
    before every one of them is dropped.
    """
    stated = next((values[name] for name in CHOICES if values.get(name)), None)
    if isinstance(stated, dict):
        stated = stated.get("text")
    stated = stated or _numbered(values)
    if not isinstance(stated, list) or not 2 <= len(stated) <= MAX_CHOICES:
        return []
    options = [str(item) for item in stated]
    labels = [f"({letter}) " for letter in letters(len(options))]
    if all(option.startswith(label) for option, label in zip(options, labels, strict=True)):
        return [option.removeprefix(label) for option, label in zip(options, labels, strict=True)]
    return options


def _numbered(values: Values) -> list[JSON]:
    found: list[JSON] = []
    while (text := values.get(f"choice{len(found) + 1}")) is not None:
        found.append(text)
    return found


def right_letter(values: Values, options: Sequence[str]) -> str | None:
    """The letter of the right option, None where nothing says it or it is no option.

    Stated as a letter, as an index from 0, as a label of ARC's, or as the text of one option.
    """
    names = letters(len(options))
    stated = values.get("choices")
    labels = stated.get("label") if isinstance(stated, dict) else None
    for name in RIGHT:
        value = values.get(name)
        if isinstance(labels, list) and labels.count(value) == 1:
            return names[labels.index(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            return names[value] if 0 <= value < len(names) else None
        if isinstance(value, str) and (letter := single_letter(value, names)):
            return letter
        if isinstance(value, str) and list(options).count(value) == 1:
            return names[list(options).index(value)]
    return None


def is_gpqa(values: Values) -> bool:
    """Whether the right and the wrong options stand in columns of their own."""
    return all(isinstance(values.get(name), (str, int, float)) for name in (GPQA_RIGHT, *GPQA_WRONG))


def with_options(values: Values) -> Values:
    """The row with `choices` as a list and `reference` as a letter, where it says so in another way; else as it is."""
    if is_gpqa(values):
        options = [str(values[name]).strip() for name in (GPQA_RIGHT, *GPQA_WRONG)]
        rest = {
            GPQA_NAMES.get(name, name): value for name, value in values.items() if name not in (GPQA_RIGHT, *GPQA_WRONG)
        }
        return {**rest, "choices": [*options], "reference": "A"}
    options = option_texts(values)
    letter = right_letter(values, options) if options else None
    stated = next((values[name] for name in ("reference", "answer") if values.get(name) is not None), None)
    already = isinstance(values.get("choices") or values.get("options"), list) and isinstance(stated, str)
    if letter is None or (already and single_letter(str(stated), letters(len(options)))):
        return values
    rest = {name: value for name, value in values.items() if name not in (*CHOICES, "reference", "answer")}
    return {**rest, "choices": [*options], "reference": letter}


def shuffled(problem: Problem, seed: int, *, always: bool = False) -> Problem:
    """`problem` with its options in an order drawn by (`seed`, its id), and the reference at its new letter.

    All orders are equally likely. Unchanged where there are no two options or the reference is no letter of theirs,
    and, unless `always`, where an option speaks of others by their place ("all of the above").
    `order` in the record gives, for each place, the place that the option had in the source.
    """
    names = letters(min(len(problem.choices), MAX_CHOICES))
    right = single_letter(problem.reference or "", names)
    if len(names) < 2 or len(names) < len(problem.choices) or right is None:
        return problem
    if not always and any(POSITIONAL.search(option) for option in problem.choices):
        return problem
    own_seed = seed_from(seed, problem.id)
    # Sorting by independent hashes draws each order with the same chance, in every version of Python.
    order = sorted(range(len(names)), key=lambda place: seed_from(own_seed, place))
    record: dict[str, JSON] = {"seed": own_seed, "order": [*order]}
    return replace(
        problem,
        choices=tuple(problem.choices[place] for place in order),
        reference=names[order.index(names.index(right))],
        extra={**problem.extra, RECORD: record},
    )
