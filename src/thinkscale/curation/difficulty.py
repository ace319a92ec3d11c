"""Difficulty as s1 measures it: a question that a weak model answers correctly teaches nothing (paper, section 2.2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from thinkscale.records import Grade, Label, Verdict

TOO_EASY, HARD, UNKNOWN = "too_easy", "hard", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate:
    """Correct answers of one model to one problem, out of those that could be graded."""

    correct: int
    graded: int
    """All verdicts but `ungradable`: a cut-off or missing answer is not a correct one."""

    @property
    def rate(self) -> Fraction | None:
        """correct / graded, None where nothing was graded."""
        return Fraction(self.correct, self.graded) if self.graded else None


def pass_rate(grades: Iterable[Grade]) -> PassRate:
    """The pass rate over `grades`, which are of one model and one problem."""
    verdicts = [grade.verdict for grade in grades]
    graded = sum(verdict is not Verdict.UNGRADABLE for verdict in verdicts)
    return PassRate(correct=sum(verdict is Verdict.CORRECT for verdict in verdicts), graded=graded)


def is_too_easy(grades: Iterable[Grade]) -> bool:
    """Whether any grade is correct: `grades` are of all weak models on one problem (s1 drops these)."""
    return any(grade.verdict is Verdict.CORRECT for grade in grades)


def difficulty_label(problem_id: str, grades_by_model: Mapping[str, Sequence[Grade]]) -> Label:
    """`too_easy`, `hard`, or `unknown` where a model has no grade that counts, with each model's pass rate as evidence.

    s1 drops rows with a missing grade; here they are told apart, and dropping them is the caller's choice.
    """
    rates = {model: pass_rate(grades) for model, grades in sorted(grades_by_model.items())}
    if any(rate.correct for rate in rates.values()):
        value = TOO_EASY
    else:
        value = HARD if rates and all(rate.graded for rate in rates.values()) else UNKNOWN
    evidence = "; ".join(f"{model} {rate.correct}/{rate.graded}" for model, rate in rates.items())
    return Label(problem_id=problem_id, name="difficulty", value=value, by="weak_models", evidence=evidence)
