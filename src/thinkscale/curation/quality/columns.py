"""Faults of a whole column of questions: polars sieves, the functions of the row decide (questions.py).

A sieve is the patterns of a few rules joined, so that a text without any fault is read a few times, not once a rule;
what it leaves is asked rule by rule, and `re` runs on hits only. Checks without a pattern cost next to nothing and see
every row. Rejected: all rules in one sieve (the automaton outgrows the cache of Rust's regex and is 20 times as slow).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import polars as pl

from thinkscale.curation.quality.language import foreign_sieve
from thinkscale.curation.quality.loops import MIN_LOOP_CHARACTERS, START_CHARACTERS
from thinkscale.curation.quality.questions import ENGLISH, WHITE_SPACE, QuestionLimits, Row, evidence_by
from thinkscale.curation.quality.rules import DEFAULT_RULES, QuestionRule, checked_rules, for_rust, question_rules
from thinkscale.errors import DataError
from thinkscale.records import Kind

RULES_A_SIEVE = 8
EMPTY: Mapping[str, str] = {"question": "", "reference": "", "kind": Kind.MATH.value, "tests": "", "source": ""}
"""What a column that is not there, or a null, reads as."""


def question_faults_of(
    frame: pl.DataFrame, rules: Collection[str] = DEFAULT_RULES, limits: QuestionLimits | None = None
) -> pl.Series:
    """`question_faults` of every row, in order, as a column of that name: list<struct<reason, evidence>>.

    Reads the text column `question`, and where they are there `reference`, `kind`, `tests` and `source`. Raises
    ConfigError for a name that is no rule, DataError where there is no question.
    """
    table = question_fault_table(frame, rules, limits)
    places = pl.DataFrame({"row": pl.int_range(frame.height, dtype=pl.Int64, eager=True)})
    faults = table.group_by("row", maintain_order=True).agg(question_faults=pl.struct("reason", "evidence"))
    found = places.join(faults, on="row", how="left", maintain_order="left")
    return found.select(pl.col("question_faults").fill_null([])).to_series()


def question_fault_table(
    frame: pl.DataFrame, rules: Collection[str] = DEFAULT_RULES, limits: QuestionLimits | None = None
) -> pl.DataFrame:
    """The same as a long table (row: int from 0, reason, evidence), sorted by row and in the order of the catalogue."""
    names, limits = checked_rules(rules), limits or QuestionLimits()
    columns = _columns(frame)
    texts = [columns.get_column(name).to_list() for name in Row._fields]
    found: list[tuple[int, int, str]] = []
    for name, places in _candidates(names, columns, limits):
        rule, evidence_of = names.index(name), evidence_by(question_rules()[name])
        evidence = ((place, evidence_of(Row(*[text[place] for text in texts]), limits)) for place in places)
        found += [(place, rule, text) for place, text in evidence if text is not None]
    found.sort()
    return pl.DataFrame(
        {
            "row": [place for place, _, _ in found],
            "reason": [names[rule] for _, rule, _ in found],
            "evidence": [text for _, _, text in found],
        },
        schema={"row": pl.Int64, "reason": pl.String, "evidence": pl.String},
    )


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of a Row, none of them null, and the place of each row."""
    if "question" not in frame.columns:
        raise DataError(f"no column `question` to find faults in; there are {', '.join(frame.columns) or 'none'}")
    return frame.select(
        (pl.col(name).cast(pl.String).fill_null(empty) if name in frame.columns else pl.lit(empty)).alias(name)
        for name, empty in EMPTY.items()
    ).with_row_index("place")


def _candidates(
    names: tuple[str, ...], columns: pl.DataFrame, limits: QuestionLimits
) -> Iterator[tuple[str, Iterable[int]]]:
    """For each rule the places of all rows that can have its fault, and of few others."""
    patterns = {name: _pattern(question_rules()[name], limits) for name in names}
    sieved = {name: pattern for name, pattern in patterns.items() if pattern is not None}
    for start in range(0, len(sieved), RULES_A_SIEVE):
        group = dict(list(sieved.items())[start : start + RULES_A_SIEVE])
        left = columns.select("place", "question").filter(pl.col("question").str.contains("|".join(group.values())))
        for name, pattern in group.items():
            yield name, left.filter(pl.col("question").str.contains(pattern)).get_column("place").to_list()
    for name in names:
        if name not in sieved:
            test = _test(question_rules()[name], limits)
            yield name, range(columns.height) if test is None else columns.filter(test).get_column("place").to_list()


def _pattern(rule: QuestionRule, limits: QuestionLimits) -> str | None:
    """A pattern for Rust that every question with this fault has, None where there is none."""
    if rule.check == "language":
        return for_rust(foreign_sieve()) if ENGLISH in limits.languages else None
    return for_rust(*rule.parts) if rule.pattern and rule.field == "question" else None


def _test(rule: QuestionRule, limits: QuestionLimits) -> pl.Expr | None:
    """What every row with the fault of a rule without such a pattern passes, None where only its function knows."""
    if rule.pattern:
        return pl.col(rule.field).str.contains(for_rust(*rule.parts))
    if rule.check == "missing_question":
        return _length("question") == 0
    if rule.check == "too_short":
        return _length("question") < limits.min_characters
    if rule.check == "too_long":
        return pl.col("question").str.len_chars() > limits.max_characters
    if rule.check == "twice":
        text = pl.col("question").str.strip_chars(WHITE_SPACE).str
        return text.slice(START_CHARACTERS).str.contains(text.slice(0, START_CHARACTERS), literal=True)
    if rule.check == "loop":
        return pl.col("question").str.len_chars() >= MIN_LOOP_CHARACTERS
    if rule.check == "unbalanced":
        escapes = pl.col("question").str.contains(r"\\[{}$]")
        return escapes | (_count("$") % 2 == 1) | (_count("{") != _count("}"))
    if rule.check == "no_reference":
        return (_length("reference") == 0) | (_length("tests") == 0) & (pl.col("kind") == Kind.CODE.value)
    return None


def _length(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars(WHITE_SPACE).str.len_chars()


def _count(sign: str) -> pl.Expr:
    return pl.col("question").str.count_matches(sign, literal=True)
