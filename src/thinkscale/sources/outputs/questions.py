r"""Question, options and reference of a row with the columns of some data set, by stated rules.

The files of other harnesses hold the rows of the data set as they were. The reference is, in this order:

1. A row with tests (columns of code benchmarks): none; the tests decide.
2. A row with options: the letter of the right one (sources/choices.py). For GPQA, where a row states no order since
   the harness shuffles, `Answer`, else the letter under which the prompt shows the correct answer.
3. The first of REFERENCES that is there. Of a text with `####` (GSM8K) what follows the last; of a list of one, its
   element; of a list of several (OlympiadBench), the elements joined by commas.
4. The answer that the extraction rules find in `solution` (NuminaMath, Minerva).
5. None: every response to it is `ungradable`.
"""

import re
from collections.abc import Mapping

from thinkscale.grading.answers import extract_answer
from thinkscale.grading.choice import letters, single_letter
from thinkscale.keys import JSON
from thinkscale.records import Kind
from thinkscale.sources.choices import GPQA_RIGHT, GPQA_WRONG, is_gpqa, option_texts, right_letter
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem

QUESTIONS = ("question", "problem", "Question", "Problem", "question_content", "input", "text")
REFERENCES = (
    "answer", "Answer", "reference", "expected_answer", "final_answer", "answer_key", "target", "gold", "gt",
    "ground_truth",
)  # fmt: skip
Values = Mapping[str, JSON]


def stated_problem(values: Values, prompt: str = "") -> dict[str, JSON]:
    """`question`, `kind`, `reference`, `choices` and `tests` of a data set's row; `prompt` is what the model saw."""
    question = next((text for name in QUESTIONS if isinstance(text := values.get(name), str) and text.strip()), prompt)
    is_code, tests = _tests(values, question)
    if is_code:
        return {"question": question, "kind": Kind.CODE.value, "reference": None, "choices": [], "tests": tests}
    options = option_texts(values)
    kind = Kind.CHOICE if options or is_gpqa(values) else Kind.MATH
    if options:
        reference = right_letter(values, options)
    elif is_gpqa(values):
        options, reference = _shown_options(values, prompt)
    else:
        reference = _reference(values)
    return {"question": question, "kind": kind.value, "reference": reference, "choices": [*options], "tests": None}


def plain_reference(value: JSON) -> str | None:
    """A reference as text, by rule 3."""
    if isinstance(value, list):
        texts = [text for item in value if (text := plain_reference(item)) is not None]
        return ", ".join(texts) if texts else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).rpartition("####")[2].strip()
    return text or None


def _tests(values: Values, question: str) -> tuple[bool, str | None]:
    """Whether the row is a code problem, and its tests as the reader of benchmarks has them; None if unreadable."""
    apart = {*COLUMNS["id"], *COLUMNS["reference"], *COLUMNS["choices"]}
    others = {key: value for key, value in values.items() if key not in apart}
    problem = parse_problem({**others, "id": "-", "question": question or "-"}, "rows", {})
    if isinstance(problem, Malformed):
        return problem.reason == "unreadable_tests", None
    return problem.kind is Kind.CODE, problem.tests


def _shown_options(values: Values, prompt: str) -> tuple[list[str], str | None]:
    """GPQA's options in the order in which the prompt shows them, and the letter of the right one."""
    texts = [str(values[name]).strip() for name in (GPQA_RIGHT, *GPQA_WRONG)]
    shown = {_shown_letter(text, prompt): text for text in texts}
    options = [shown[letter] for letter in "ABCD"] if shown.keys() == set("ABCD") else []
    stated = single_letter(str(values.get("Answer") or ""), letters(4))
    return options, stated or _shown_letter(texts[0], prompt)


def _shown_letter(option: str, prompt: str) -> str | None:
    """The letter under which `prompt` shows an option, as "B) text" or "(B) text"; None where it is not plain."""
    found = set(re.findall(rf"(?<![A-Za-z])([A-D])\) ?{re.escape(option)}(?=,? ?\(?[A-D]\)|\s*$|\n)", prompt))
    return str(found.pop()) if option and len(found) == 1 else None


def _reference(values: Values) -> str | None:
    found = next((text for name in REFERENCES if (text := plain_reference(values.get(name))) is not None), None)
    if found is not None:
        return found
    solution = values.get("solution")
    answer = extract_answer(solution) if isinstance(solution, str) else None
    return answer.text if answer else None
