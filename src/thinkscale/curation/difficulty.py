"""Difficulty as s1 measures it: a question that a weak model answers correctly teaches nothing (paper, section 2.2).

Each weak model's pass rate is a label of its own (`pass_rate`, by the model, `correct/graded`), and `difficulty` is
what follows from all of them. A source may bring its own pass rates: they are labels like any other, by `source`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from thinkscale.curation.taxonomy import SOURCE
from thinkscale.keys import JSON
from thinkscale.records import Grade, Label, Problem, Verdict

TOO_EASY, HARD, UNKNOWN = "too_easy", "hard", "unknown"

WEAK_MODELS = ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-32B-Instruct")
"""The weak models of s1."""

GIVEN = "weak_correct"
"""The key of `extra` under which a source brings what weak models did: model to true, false, or a list of them."""


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

    def with_verdict(self, verdict: Verdict) -> "PassRate":
        """The pass rate with one more grade."""
        return PassRate(
            correct=self.correct + (verdict is Verdict.CORRECT),
            graded=self.graded + (verdict is not Verdict.UNGRADABLE),
        )


NONE_YET = PassRate(correct=0, graded=0)


def pass_rate(grades: Iterable[Grade]) -> PassRate:
    """The pass rate over `grades`, which are of one model and one problem."""
    rate = NONE_YET
    for grade in grades:
        rate = rate.with_verdict(grade.verdict)
    return rate


def is_too_easy(grades: Iterable[Grade]) -> bool:
    """Whether any grade is correct: `grades` are of all weak models on one problem (s1 drops these)."""
    return any(grade.verdict is Verdict.CORRECT for grade in grades)


def given_pass_rates(problem: Problem) -> dict[str, PassRate]:
    """What the source says in `extra["weak_correct"]` of weak models, by model; what is null there was not graded."""
    given = problem.extra.get(GIVEN)
    if not isinstance(given, Mapping):
        return {}
    return {model: _rate_of(value if isinstance(value, list) else [value]) for model, value in given.items()}


def _rate_of(values: Sequence[JSON]) -> PassRate:
    graded = [value for value in values if isinstance(value, bool)]
    return PassRate(correct=sum(graded), graded=len(graded))


def pass_rate_label(problem_id: str, model: str, rate: PassRate, by: str = "") -> Label:
    """`1/4`: one of four graded attempts is correct. `by` is the model; what a source says names it in the evidence."""
    value = f"{rate.correct}/{rate.graded}"
    evidence = model if by == SOURCE else ""
    return Label(problem_id=problem_id, name="pass_rate", value=value, by=by or model, evidence=evidence)


def pass_rate_of(label: Label) -> tuple[str, PassRate]:
    """The model that a label `pass_rate` is about, and its rate. ValueError where the value is no `correct/graded`."""
    correct, graded = (int(part) for part in label.value.split("/"))
    if not 0 <= correct <= graded:
        raise ValueError(f"a pass rate is correct/graded, such as 1/4; this is {label.value}")
    return (label.evidence if label.by == SOURCE else label.by), PassRate(correct=correct, graded=graded)


def difficulty_label(problem_id: str, rates_by_model: Mapping[str, PassRate], by: str = "weak_models") -> Label:
    """`too_easy`, `hard`, or `unknown` where a model has no grade that counts, with each model's pass rate as evidence.

    s1 drops rows with a missing grade; here they are told apart, and dropping them is the caller's choice.
    """
    rates = dict(sorted(rates_by_model.items()))
    if any(rate.correct for rate in rates.values()):
        value = TOO_EASY
    else:
        value = HARD if rates and all(rate.graded for rate in rates.values()) else UNKNOWN
    evidence = "; ".join(f"{model} {rate.correct}/{rate.graded}" for model, rate in rates.items())
    return Label(problem_id=problem_id, name="difficulty", value=value, by=by, evidence=evidence)
