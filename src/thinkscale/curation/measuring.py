"""Measuring: one pass over problems, one over traces, one over labels, and the texts' likeness. Pure.

Traces stream through and only narrow facts of them stay, so memory grows with the questions alone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from thinkscale.curation.difficulty import PassRate, pass_rate_of
from thinkscale.curation.likeness import (
    Against,
    Comparing,
    benchmark_of,
    edge_columns,
    overlap_columns,
    search,
    traces_search,
)
from thinkscale.curation.measures import COLUMNS, QUESTION, Measures, table
from thinkscale.curation.overlap import Overlaps
from thinkscale.curation.quality import QuestionLimits, TraceLimits, response_faults, rule_names, trace_rule_names
from thinkscale.curation.taxonomy import UNKNOWN, domain_code
from thinkscale.curation.words import Tokens, rows_between, tokens
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Grade, Label, Problem, Response

TRACES_AT_ONCE, QUESTIONS_AT_ONCE = 500, 20_000
ANY_LENGTH = TraceLimits(min_tokens=0, max_tokens=2**62)
"""Bounds on length are decided, not measured."""

OF_RESPONSE = "response "
"""In the evidence of a label `trace_tokens`: the response that was counted."""

Columns = dict[str, list[object]]
Value = TypeVar("Value")


def measure(
    problems: Iterable[Problem],
    answers: Iterable[tuple[Response, Grade | None]] = (),
    labels: Iterable[Label] = (),
    against: Sequence[Against] = (),
    comparing: Comparing | None = None,
    languages: tuple[str, ...] = ("en",),
    question_rules: Collection[str] | None = None,
) -> Measures:
    """The measures of `problems`, whose ids are unique. DataError on a label whose value cannot be read.

    `answers` are the teacher's, each with its grade; answers and labels of other problems are passed over. Of two
    labels of one name the later one counts, unless its value is `unknown`. Where `question_rules` are given, no other
    rules can be decided by later.
    """
    comparing = comparing or Comparing()
    made: dict[str, Columns] = {name: {column: [] for column in columns} for name, columns in COLUMNS.items()}
    numbers, questions, references = _take_problems(
        problems, rule_names() if question_rules is None else question_rules, QuestionLimits(languages=languages), made
    )
    words = tokens(questions, comparing.rule)
    if against:
        made["overlaps"] = _question_overlaps(questions, references, words, against, comparing)
    in_traces = traces_search([benchmark_of(item) for item in against], comparing)
    take_others(labels, answers, numbers, questions, in_traces, made)
    made["edges"] = edge_columns(questions, references, words, comparing.words)
    return Measures(**{name: table(name, columns) for name, columns in made.items()})


def take_others(
    labels: Iterable[Label],
    answers: Iterable[tuple[Response, Grade | None]],
    numbers: Mapping[str, int],
    questions: Mapping[int, str] | Sequence[str],
    in_traces: Overlaps | None,
    made: Mapping[str, Columns],
) -> None:
    """All that is known beside the questions, added to the columns of `made`; `numbers` are the rows of problems' ids.

    DataError on a label whose value cannot be read.
    """
    counted = _take_labels(labels, numbers, made)
    places = _take_answers(answers, numbers, questions, in_traces, made)
    made["traces"]["tokens"] = [
        counted.get(str(key), tokens)
        for key, tokens in zip(made["traces"]["response_key"], made["traces"]["tokens"], strict=True)
    ]
    if in_traces:
        for column, values in overlap_columns(in_traces.hits(), places).items():
            made["overlaps"][column] += values


def _add(columns: Columns, *values: object) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)


def _take_problems(
    problems: Iterable[Problem], rules: Collection[str], limits: QuestionLimits, made: Mapping[str, Columns]
) -> tuple[dict[str, int], list[str], list[str | None]]:
    rows = made["rows"]
    numbers: dict[str, int] = {}
    questions: list[str] = []
    references: list[str | None] = []
    waiting: list[Problem] = []
    for row, problem in enumerate(problems):
        domain, subject, rating = stated(problem.extra)
        rows["problem_id"].append(problem.id)
        rows["source"].append(problem.source)
        rows["kind"].append(problem.kind.value)
        rows["domain"].append(domain)
        rows["subject"].append(subject)
        rows["rating"].append(rating)
        numbers[problem.id] = row
        questions.append(problem.question)
        references.append(problem.reference)
        waiting.append(problem)
        if len(waiting) == QUESTIONS_AT_ONCE:
            _take_question_faults(waiting, row + 1, rules, limits, made["faults"])
            waiting.clear()
    _take_question_faults(waiting, len(questions), rules, limits, made["faults"])
    rows["row"] += range(len(questions))
    return numbers, questions, references


def _take_question_faults(
    problems: Sequence[Problem], end: int, rules: Collection[str], limits: QuestionLimits, columns: Columns
) -> None:
    """The faults of the questions of `problems`, the last of which is the row before `end`."""
    import polars as pl

    from thinkscale.curation.quality.columns import question_fault_table

    read = {
        name: [getattr(problem, name) for problem in problems] for name in ("question", "reference", "tests", "source")
    }
    read["kind"] = [problem.kind.value for problem in problems]
    found = question_fault_table(pl.DataFrame(read, schema=dict.fromkeys(read, pl.String)), rules, limits)
    columns["row"] += (found["row"] + (end - len(problems))).to_list()
    columns["trace"] += [QUESTION] * len(found)
    columns["reason"] += found["reason"].to_list()
    columns["evidence"] += found["evidence"].to_list()


def stated(extra: Mapping[str, JSON]) -> tuple[str, str, float | None]:
    """Domain, subject and rating of a problem as its source gives them in `extra`; empty or None where it does not."""
    if not extra:
        return "", "", None
    given, subject = extra.get("domain"), extra.get("subject")
    domain = domain_code(str(given)) if given is not None else ""
    text = subject.strip() if isinstance(subject, str) else ""
    return "" if domain == UNKNOWN else domain, text, _number(extra.get("rating"))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _take_labels(labels: Iterable[Label], numbers: Mapping[str, int], made: Mapping[str, Columns]) -> dict[str, int]:
    """The labels' facts, in `rows` and `attempts` of `made`.

    Returns the lengths of traces that a tokenizer counted, by the key of the response.
    """
    rows = made["rows"]
    rates: dict[tuple[int, str], PassRate] = {}
    counted: dict[str, int] = {}
    for label in labels:
        row = numbers.get(label.problem_id)
        if row is None or label.value == UNKNOWN:
            continue
        if label.name in ("domain", "subject"):
            rows[label.name][row] = label.value
        elif label.name == "rating":
            rows["rating"][row] = _number(label.value)
        elif label.name == "pass_rate":
            model, rate = _read(label, pass_rate_of)
            rates[row, model] = rate
        elif label.name == "trace_tokens" and label.evidence.startswith(OF_RESPONSE):
            counted[label.evidence.removeprefix(OF_RESPONSE)] = _read(label, lambda label: int(label.value))
    for (row, model), rate in sorted(rates.items(), key=lambda item: item[0]):
        _add(made["attempts"], row, model, rate.correct, rate.graded)
    return counted


def _read(label: Label, reader: Callable[[Label], Value]) -> Value:
    try:
        return reader(label)
    except ValueError as error:
        raise DataError(f"label {label.name} of {label.problem_id} by {label.by}: {label.value!r}: {error}") from error


def _question_overlaps(
    questions: Sequence[str],
    references: Sequence[str | None],
    words: Tokens,
    against: Sequence[Against],
    comparing: Comparing,
) -> Columns:
    found = search([benchmark_of(item) for item in against], comparing)
    for start in range(0, len(questions), QUESTIONS_AT_ONCE):
        end = start + QUESTIONS_AT_ONCE
        found.look(questions[start:end], references[start:end], rows_between(words, start, end))
    return overlap_columns(found.hits())


def _take_answers(
    answers: Iterable[tuple[Response, Grade | None]],
    numbers: Mapping[str, int],
    questions: Mapping[int, str] | Sequence[str],
    search_in: Overlaps | None,
    made: Mapping[str, Columns],
) -> list[tuple[int, str]]:
    """The traces' facts, in `traces` and `faults` of `made`.

    Returns row and key of each trace, in the order in which they were shown to `search_in`.
    """
    count: dict[int, int] = {}
    places: list[tuple[int, str]] = []
    known = (
        (numbers[response.problem_id], response, grade) for response, grade in answers if response.problem_id in numbers
    )
    while batch := list(islice(known, TRACES_AT_ONCE)):
        for row, response, grade in batch:
            trace = count.get(row, 0)
            count[row] = trace + 1
            verdict = "" if grade is None else grade.verdict.value
            _add(made["traces"], row, trace, response.key, response.thinking_tokens, verdict)
            found = response_faults(response, grade, ANY_LENGTH, rules=trace_rule_names(), question=questions[row])
            for fault in found:
                _add(made["faults"], row, trace, fault.reason, fault.evidence)
        if search_in is not None:
            texts = [f"{response.thinking}\n{response.answer_text}" for _, response, _ in batch]
            search_in.look(texts, [None] * len(texts))
            places += [(row, response.key) for row, response, _ in batch]
    return places


def graded(responses: Iterable[Response], grades: Iterable[Grade]) -> Iterator[tuple[Response, Grade | None]]:
    """Each response with its grade, the later one of two; the grades are held, the responses stream."""
    by_key = {grade.response_key: grade for grade in grades}
    return ((response, by_key.get(response.key)) for response in responses)
