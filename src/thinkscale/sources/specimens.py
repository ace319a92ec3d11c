"""A few rows in the shape of each set of the catalogues, made of the lab's problems: what a rehearsal reads.

Every row has the columns of its set, so that filters, readers and mappings do what they will do on the real rows; the
content is the lab's, so that the package ships nobody's text. sources/readers says what the shapes are; a test reads
the specimens of every entry back.

Rejected: recorded rows (competition problems keep their owners' rights, and GPQA's authors ask that nothing is shown).
"""

import json
from collections.abc import Callable, Mapping
from functools import cache

from thinkscale.keys import JSON
from thinkscale.lab.pool import pool_rows
from thinkscale.lab.teacher import reply
from thinkscale.records import Kind
from thinkscale.sources.catalogue import Brought, Entry, Names

Row = dict[str, JSON]
SEED = 42
DOMAINS = ("05", "11", "26", "51", "60")
LONG_TRACE_TOKENS = 6000
"""What a specimen of a pool states as the length of its trace, and a little more for each further row, so that rules
on length are met whatever the trace is."""


def specimens(name: str, entry: Entry, count: int, start: int = 0) -> list[Row]:
    """`count` rows of the set `name`, all of which the entry counts; always the same.

    Sets that are asked from starts at least `count` apart share no problem, so that none contaminates another.
    """
    problems = _problems(entry.kind, entry.reader, start, count)
    return [_row(name, entry, problem, number) for number, problem in enumerate(problems)]


def specimen_file(entry: Entry) -> dict[str, list[Row]]:
    """Files that must lie beside the rows: what an entry leaves out, with one row that is none of the specimens."""
    if entry.without is None:
        return {}
    return {name: [{entry.without.column: "A question that is in no specimen."}] for name in entry.without.files}


def mapped_specimens(columns: Mapping[str, str], count: int, start: int = 0) -> list[Row]:
    """Rows for any set with a column mapping: our names, or those that carry the fields."""
    rows = []
    for problem in _problems(Kind.MATH, None, start, count):
        named = {"id": problem["id"], "question": problem["question"], "reference": problem["answer"]}
        rows.append({columns.get(field, field): value for field, value in named.items()})
    return rows


def _problems(kind: Kind, reader: str | None, start: int, count: int) -> list[Row]:
    """The lab's sound problems of the kind that a set has; programs are sums."""
    if kind is Kind.CODE:
        return [{"id": f"sum-{number}", "add": number} for number in range(start + 1, start + count + 1)]
    size = 256
    while len(found := _pool(size, kind is Kind.CHOICE or reader in CHOICES)) < start + count:
        size *= 4
    return found[start : start + count]


@cache
def _pool(size: int, with_choices: bool) -> list[Row]:
    """Rows of the lab's pool before the first fault that is planted in it, which share no eight words."""
    rows = pool_rows(size, SEED)[: size // 4]
    return [row for row in rows if (row["kind"] == Kind.CHOICE.value) == with_choices]


def _row(name: str, entry: Entry, problem: Row, number: int) -> Row:
    shape = SHAPES.get(entry.reader or ("program" if entry.kind is Kind.CODE else ""), _by_columns)
    row = shape(entry, problem, number)
    for column, values in entry.keep.items():
        _put(row, column, next((value for value in values if value is not None), None))
    for column, (low, _) in entry.between.items():
        row[column] = low + number
    if entry.years and (year := entry.facts.get("year")):
        first, last = entry.years
        row[year[0]] = first + number % (last - first + 1)
    if entry.brings:
        row |= _brought(entry, entry.brings, problem, number)
    for column in entry.needs:
        row.setdefault(column.split(".")[0], f"{name} {number}")
    return row


def _by_columns(entry: Entry, problem: Row, number: int) -> Row:
    """A row of a set whose columns carry the fields."""
    answer = str(problem["answer"])
    solution = {"boxed": f"So it is \\boxed{{{answer}}}.", "hashes": f"Step by step.\n#### {answer}"}.get(
        entry.reference, f"It ends there.\n\nAnswer: {answer}"
    )
    levels = list(entry.levels)
    stated: Row = {
        "id": problem["id"],
        "question": problem["question"],
        "reference": answer,
        "solution": solution,
        "level": levels[number % len(levels)] if levels else problem["level"],
    }
    row: Row = {}
    for field, names in entry.columns.items():
        _put(row, names[0], stated.get(field))
    for field, names in entry.facts.items():
        _put(row, names[0], str(problem["domain"]) if field == "subject" else field)
    return row


def _put(row: Row, name: str, value: JSON) -> None:
    """Sets a column, or the key `b` of the object in column `a` for `a.b`."""
    head, point, tail = name.partition(".")
    if not point:
        row[name] = value
        return
    inner = row.setdefault(head, {})
    if isinstance(inner, dict):
        _put(inner, tail, value)


def _brought(entry: Entry, brings: Brought, problem: Row, number: int) -> Row:
    """What a pool brings beside its questions: a trace, its grade, weak models' results, a domain."""
    said = reply(str(problem["question"]), number)
    first: Callable[[Names], str] = lambda names: names[0]  # noqa: E731
    row: Row = {first(brings.thinking): said.thinking or "So it is.", first(brings.answer): said.answer_text or "0"}
    if brings.tokens:
        row[first(brings.tokens)] = LONG_TRACE_TOKENS + number
    if brings.correct:
        row[first(brings.correct)] = True
    if brings.domain:
        row[first(brings.domain)] = DOMAINS[number % len(DOMAINS)]
    for names in brings.weak.values():
        row[first(names)] = number % 4 == 3
    if entry.family:
        families = list(entry.families)
        row[entry.family] = families[number % len(families)]
    return row


def _options(problem: Row) -> list[str]:
    choices = problem["choices"]
    assert isinstance(choices, list)
    return [str(choice) for choice in choices]


def _place(problem: Row) -> int:
    """The place of the right option, from 0."""
    return "ABCD".index(str(problem["answer"]))


def _listed(problem: Row, form: str) -> str:
    return "\n".join(
        form.format(letter=letter, text=text) for letter, text in zip("ABCD", _options(problem), strict=True)
    )


def _agieval(_entry: Entry, problem: Row, _number: int) -> Row:
    options: list[JSON] = [f"({letter}){text}" for letter, text in zip("ABCD", _options(problem), strict=True)]
    stated: Row = {"passage": None, "question": problem["question"], "options": options, "label": problem["answer"]}
    return {**stated, "answer": None, "other": {"level": 5}}


def _dapo(_entry: Entry, problem: Row, _number: int) -> Row:
    turns: list[JSON] = [{"role": "user", "content": problem["question"]}]
    return {
        "prompt": turns,
        "reward_model": {"ground_truth": problem["answer"]},
        "extra_info": {"index": problem["id"]},
    }


def _gpqa(entry: Entry, problem: Row, _number: int) -> Row:
    options, right = _options(problem), _place(problem)
    wrong = [text for place, text in enumerate(options) if place != right]
    named: Row = {f"Incorrect Answer {place}": text for place, text in enumerate(wrong, 1)}
    subject = entry.facts["subject"][0]
    known: Row = {"Record ID": problem["id"], "Question": problem["question"], "Correct Answer": options[right]}
    return {**known, **named, subject: "Physics"}


def _human_eval(_entry: Entry, problem: Row, number: int) -> Row:
    add = problem["add"]
    return {
        "task_id": f"Sum/{number}",
        "prompt": f'def add_{add}(number):\n    """Return number plus {add}."""\n',
        "entry_point": f"add_{add}",
        "canonical_solution": f"    return number + {add}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == 1 + {add}\n",
    }


def _jeebench(_entry: Entry, problem: Row, _number: int) -> Row:
    text = f"{problem['question']}\n{_listed(problem, '({letter}) {text}')}"
    return {"question": text, "gold": problem["answer"], "type": "MCQ", "subject": "math"}


def _live_code_bench(entry: Entry, problem: Row, number: int) -> Row:
    cases = [{"input": "1\n", "output": f"{1 + int(str(problem['add']))}\n", "testtype": "stdin"}]
    question: Row = {"question_id": problem["id"], "question_content": _sum_question(problem), "starter_code": ""}
    tests: Row = {"public_test_cases": json.dumps(cases), "private_test_cases": json.dumps(cases), "metadata": "{}"}
    levels = list(entry.levels)
    return {**question, **tests, "platform": "lab", "difficulty": levels[number % len(levels)]}


def _olympiad_bench(_entry: Entry, problem: Row, _number: int) -> Row:
    answers: list[JSON] = [problem["answer"]]
    stated: Row = {"id": problem["id"], "context": None, "question": problem["question"], "final_answer": answers}
    return {**stated, "solution": ["It ends there."], "subfield": "Algebra"}


def _olympic_arena(_entry: Entry, problem: Row, _number: int) -> Row:
    stated: Row = {"id": problem["id"], "problem": problem["question"], "answer": problem["answer"]}
    return {**stated, "answer_type": "NV", "solution": "It ends there.", "subject": "Math"}


def _with_options(entry: Entry, problem: Row, _number: int) -> Row:
    """MMLU states the place of the right option, MMLU-Pro its letter."""
    options: list[JSON] = [*_options(problem)]
    lettered = "options" in entry.needs
    right: JSON = problem["answer"] if lettered else _place(problem)
    names = {names[0]: problem["id"] for field, names in entry.columns.items() if field == "id"}
    subject = {names[0]: "arithmetic" for names in entry.facts.values()}
    return {
        **names,
        "question": problem["question"],
        "options" if lettered else "choices": options,
        "answer": right,
        **subject,
    }


def _program(entry: Entry, problem: Row, number: int) -> Row:
    """A program on standard input, as APPS and TACO hold it; a function with asserts where the set has those."""
    row = _by_columns(
        entry, {**problem, "question": _sum_question(problem), "answer": "", "level": 1, "domain": ""}, number
    )
    add = int(str(problem["add"]))
    if "test_list" in entry.needs:
        asserts: list[JSON] = [f"assert add_{add}(1) == {1 + add}"]
        code = f"def add_{add}(number):\n    return number + {add}"
        return {**row, "code": code, "test_list": asserts, "test_setup_code": "", "challenge_test_list": []}
    tests = json.dumps({"inputs": ["1\n"], "outputs": [f"{1 + add}\n"]})
    solutions = json.dumps([f"print(int(input()) + {add})"])
    return {**row, "input_output": tests, "solutions": solutions, "starter_code": ""}


def _sum_question(problem: Row) -> str:
    return f"Read a whole number and print it plus {problem['add']}."


def _scieval(_entry: Entry, problem: Row, number: int) -> Row:
    text = f"{problem['question']}\n\n{_listed(problem, '{letter}. {text}')}\n\nAnswer:"
    stated: Row = {"id": problem["id"], "question": text, "answer": [problem["answer"]], "category": "physics"}
    return {**stated, "task_name": f"task {number % 2}", "topic": f"topic {number % 3}"}


def _theoremqa(_entry: Entry, problem: Row, _number: int) -> Row:
    return {
        "Question": problem["question"],
        "Answer": problem["answer"],
        "Answer_type": "integer",
        "Picture": None,
    }


def _xword(_entry: Entry, problem: Row, number: int) -> Row:
    clue = f"### Clue:\n{problem['question']} ({number})"
    return {
        "instruction": "Solve.",
        "input": clue,
        "output": f"### Answer:\n{problem['answer']}\n### Explanation:\nSo.",
    }


def _s1_pool(entry: Entry, problem: Row, number: int) -> Row:
    return {**_by_columns(entry, problem, number), "cot_type": "math"}


CHOICES = frozenset({"agieval", "gpqa", "jeebench", "options", "scieval"})
"""Readers of rows with options."""
SHAPES: Mapping[str, Callable[[Entry, Row, int], Row]] = {
    "agieval": _agieval,
    "dapo": _dapo,
    "gpqa": _gpqa,
    "human_eval": _human_eval,
    "jeebench": _jeebench,
    "livecodebench": _live_code_bench,
    "olympiad_bench": _olympiad_bench,
    "olympic_arena": _olympic_arena,
    "options": _with_options,
    "program": _program,
    "programs": _program,
    "s1_pool": _s1_pool,
    "scieval": _scieval,
    "theoremqa": _theoremqa,
    "xword": _xword,
}
"""Reader, or `program` for a set of programs without one, to what makes its rows."""
