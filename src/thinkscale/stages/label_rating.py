"""The difficulty of each problem from 1 to 10 as a model rates it, once or several times."""

from fractions import Fraction

from thinkscale.curation.difficulty import UNKNOWN
from thinkscale.curation.difficulty_rating import mean_rating, rating_system, read_rating
from thinkscale.curation.questionnaire import Unreadable
from thinkscale.records import Label, Problem
from thinkscale.stages.label_questions import Questionnaire, ask
from thinkscale.stages.label_work import Work

PLACE = 1 << 37
VOTE = "rating_vote"
"""The name of one rating of several; `rating` is their mean."""


def label_ratings(work: Work) -> None:
    """Asks for the ratings that are not given. Raises as `label_questions.ask`."""
    settings = work.settings.rating
    if settings is None:
        return
    name = "rating" if settings.samples == 1 else VOTE

    def read(problem_id: str, model: str, text: str) -> list[Label] | Unreadable:
        found = read_rating(text)
        if isinstance(found, Unreadable):
            return found
        return [Label(problem_id=problem_id, name=name, value=mean_rating([found]), by=model)]

    def unknown(problem_id: str, model: str, reason: str) -> list[Label]:
        return [Label(problem_id=problem_id, name=name, value=UNKNOWN, by=model, evidence=reason)]

    ask(
        work,
        Questionnaire(
            name="rating",
            place=PLACE,
            settings=settings,
            system=rating_system(),
            samples=settings.samples,
            is_open=lambda problem: rating_is_asked(work, problem),
            read=read,
            unknown=unknown,
        ),
    )


def rating_is_asked(work: Work, problem: Problem) -> bool:
    """Whether a model rates a problem."""
    return work.settings.rating is not None and work.given(problem, "rating") is None


def votes(work: Work) -> dict[str, list[str]]:
    """The ratings of each problem that has several, in order of sample."""
    found: dict[str, list[str]] = {}
    if work.settings.rating is None or work.settings.rating.samples == 1:
        return found
    for label in work.context.records(Label, work.context.stage):
        if label.name == VOTE:
            found.setdefault(label.problem_id, []).append(label.value)
    return found


def rating_of(problem_id: str, given: list[str], model: str) -> Label:
    """The mean of the readable ratings, `unknown` where none is, with all of them as evidence."""
    readable = [Fraction(value) for value in given if value != UNKNOWN]
    value = mean_rating(readable) if readable else UNKNOWN
    return Label(problem_id=problem_id, name="rating", value=value, by=model, evidence="; ".join(given))
