"""Filters on questions and on traces: each fault has a reason and the text that shows it.

Question rules are data with examples and measured rates (rules.yaml). They begin from the string filters of s1
(simplescaling/s1, data/filter.ipynb), which are there as they are (S1_RULES), with these departures:
- s1 keeps `[asy]` figures of AIME problems; here the reason is given always, and the caller decides what to keep;
- s1 looks for `p1.` to `p999.` as plain substrings, so that "step1." fires; here only at the start of a line;
- s1's pattern for bold numbering fires on any bold word with a digit later in the text; here the number is inside.

columns.py needs polars and is imported by name: `from thinkscale.curation.quality.columns import question_faults_of`.
"""

from thinkscale.curation.quality.faults import Fault
from thinkscale.curation.quality.language import known_languages, language_of
from thinkscale.curation.quality.loops import repetition_loop
from thinkscale.curation.quality.questions import QuestionLimits, question_faults
from thinkscale.curation.quality.repair import repaired
from thinkscale.curation.quality.rules import (
    DEFAULT_RULES,
    RULE_SETS,
    S1_RULES,
    QuestionRule,
    question_rules,
    rule_names,
)
from thinkscale.curation.quality.traces import (
    DEFAULT_TRACE_RULES,
    TraceLimits,
    response_faults,
    trace_rule_names,
)

__all__ = [
    "DEFAULT_RULES",
    "DEFAULT_TRACE_RULES",
    "RULE_SETS",
    "S1_RULES",
    "Fault",
    "QuestionLimits",
    "QuestionRule",
    "TraceLimits",
    "known_languages",
    "language_of",
    "question_faults",
    "question_rules",
    "repaired",
    "repetition_loop",
    "response_faults",
    "rule_names",
    "trace_rule_names",
]
