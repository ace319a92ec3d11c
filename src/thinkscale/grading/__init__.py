"""Grading: find the answer, compare it with the reference, say one of five verdicts."""

from thinkscale.grading.answers import Extraction, extract_answer
from thinkscale.grading.choice import extract_choice, letters
from thinkscale.grading.math.comparison import Comparison, compare
from thinkscale.grading.math.values import Outcome
from thinkscale.grading.verdicts import GRADERS, grade

__all__ = [
    "GRADERS",
    "Comparison",
    "Extraction",
    "Outcome",
    "compare",
    "extract_answer",
    "extract_choice",
    "grade",
    "letters",
]
