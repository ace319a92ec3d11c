"""The domain of each problem, and its subject, by a model: what the source gives goes first unless asked otherwise."""

from thinkscale.config.label import DomainSettings
from thinkscale.curation.questionnaire import Unreadable
from thinkscale.curation.taxonomy import DOMAINS, UNKNOWN
from thinkscale.curation.taxonomy_prompt import domain_system, read_domain
from thinkscale.records import Label, Problem
from thinkscale.stages.label_questions import Questionnaire, ask
from thinkscale.stages.label_work import Work

PLACE = 1 << 36


def label_domains(work: Work) -> None:
    """Asks for the domains that are not given. Raises as `label_questions.ask`."""
    settings = work.settings.domain
    if settings is None:
        return
    ask(
        work,
        Questionnaire(
            name="domain",
            place=PLACE,
            settings=settings,
            system=domain_system(),
            samples=1,
            is_open=lambda problem: domain_is_asked(work, settings, problem),
            read=_read,
            unknown=_unknown,
        ),
    )


def domain_is_asked(work: Work, settings: DomainSettings | None, problem: Problem) -> bool:
    """Whether a model says the domain of a problem."""
    return settings is not None and (settings.relabel or work.given(problem, "domain") is None)


def _read(problem_id: str, model: str, text: str) -> list[Label] | Unreadable:
    found = read_domain(text)
    if isinstance(found, Unreadable):
        return found
    title = DOMAINS[found.domain]
    return [
        Label(problem_id=problem_id, name="domain", value=found.domain, by=model, evidence=title),
        Label(problem_id=problem_id, name="subject", value=found.subject, by=model),
    ]


def _unknown(problem_id: str, model: str, reason: str) -> list[Label]:
    return [
        Label(problem_id=problem_id, name=name, value=UNKNOWN, by=model, evidence=reason)
        for name in ("domain", "subject")
    ]
