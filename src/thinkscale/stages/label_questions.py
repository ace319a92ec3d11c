"""Asking a model a questionnaire about every problem: one queue, one retry, nothing asked twice.

A question is a unit of work. A request may hold several, always the same ones together; their answers are stored one by
one. What could not be read becomes a note under the question's unit and is asked once more, alone, when all others are
there; the note goes in the transaction that stores the answer. So a kill between the two tries loses neither.

Rejected: following up at once, within the first queue. An engine may stop drawing requests when they run dry, and the
few questions that are asked again are too few to hold up anything.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from thinkscale.config import engine_name
from thinkscale.config.label import QuestionnaireSettings
from thinkscale.credentials import redact
from thinkscale.curation.questionnaire import SHOWN_CHARACTERS, Faulty, Unreadable, answers, user_text
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.keys import JSON, content_key, seed_from
from thinkscale.records import Finish, Label, Message, Problem, Sampling
from thinkscale.stages.asking import asked_model
from thinkscale.stages.label_work import FAILED, Work
from thinkscale.thinking.prompts import question_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """What is asked, of whom, and what the answers become."""

    name: str
    """Of the label, and the beginning of its units' keys."""
    place: int
    """Position of its first unit in the stage."""
    settings: QuestionnaireSettings
    system: str
    """The system turn, the same in every request."""
    samples: int
    is_open: Callable[[Problem], bool]
    """Whether a problem is asked about: nobody else has said."""
    read: Callable[[str, str, str], list[Label] | Unreadable]
    """Problem id, model and answer to labels."""
    unknown: Callable[[str, str, str], list[Label]]
    """Problem id, model and reason to the labels of a question without an answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of one sample."""

    unit: str
    position: int
    problem_id: str
    text: str
    sample: int


def ask(work: Work, asked: Questionnaire) -> None:
    """Stores the labels of every question that has none yet. Raises what engines raise, StageError at many failures."""
    desk = _Desk(work, asked, engine_name(asked.settings.engine), content_key(asked.system))
    settled = [work.is_settled(question.unit) for question in desk.questions()]
    if all(settled):
        return
    context, settings = work.context, asked.settings
    manner = work.manner(thinks=settings.thinks, batch=settings.batch)
    with (
        asked_model(context, settings.engine, work.settings, manner) as model,
        context.progress.task(
            context.stage, len(settled), f"{asked.name} labels", done=sum(settled), gauges=model.meter
        ) as task,
    ):
        for requests in (desk.first_requests, desk.second_requests):
            running: dict[str, _Request] = {}
            for completion in model.answers(_drawn(requests(), running), task):
                task.advance(desk.take(running.pop(completion.request.key), completion))


@dataclass(frozen=True, slots=True)
class _Request:
    """Questions that were sent together; `earlier` where it is the second try of one."""

    request: ChatRequest
    questions: tuple[Question, ...]
    earlier: "_Note | None" = None


@dataclass(frozen=True, slots=True)
class _Note:
    """What is remembered of a first try."""

    faulty: Faulty
    is_missing: bool
    """Left out of an answer to several: there is nothing to show to the model."""
    seconds: float
    usd: float


def _drawn(requests: Iterator[_Request], running: dict[str, _Request]) -> Iterator[ChatRequest]:
    for item in requests:
        running[item.request.key] = item
        yield item.request


@dataclass(frozen=True, slots=True)
class _Desk:
    """Makes requests of questions, and labels of answers."""

    work: Work
    asked: Questionnaire
    model: str
    prompt: str
    """Key of the system turn."""

    def questions(self) -> Iterator[Question]:
        """Every question, asked or not: for each problem its samples."""
        samples = self.asked.samples
        for number, problem in self.work.problems():
            if not self.asked.is_open(problem):
                continue
            text = question_text(problem)
            for sample in range(samples):
                unit = self._unit(problem.id, text, sample)
                yield Question(unit, self.asked.place + number * samples + sample, problem.id, text, sample)

    def _unit(self, problem_id: str, text: str, sample: int) -> str:
        settings = self.asked.settings
        parts = (self.model, self.prompt, problem_id, text, settings.temperature, settings.max_tokens, sample)
        return f"{self.asked.name}:{content_key(*parts)}"

    def first_requests(self) -> Iterator[_Request]:
        """Groups of questions in which one at least has not been asked."""
        noted = set(self.work.context.notes.keys(f"{self.asked.name}:"))
        for group in self._groups():
            if not all(item.unit in noted or self.work.is_settled(item.unit) for item in group):
                yield _Request(self._request(group), group)

    def _groups(self) -> Iterator[tuple[Question, ...]]:
        """Always the same questions together, whatever is stored; samples of one question never are."""
        samples, size = self.asked.samples, self.asked.settings.questions_per_request
        questions = self.questions()
        while chunk := list(islice(questions, size * samples)):
            yield from (tuple(chunk[sample::samples]) for sample in range(samples))

    def second_requests(self) -> Iterator[_Request]:
        """Questions whose first answer could not be read, alone."""
        notes = self.work.context.notes
        noted = set(notes.keys(f"{self.asked.name}:"))
        for question in self.questions() if noted else ():
            if question.unit in noted and not self.work.is_settled(question.unit):
                note = _note_of(notes.load(question.unit))
                yield _Request(self._request((question,), note), (question,), note)

    def _request(self, questions: tuple[Question, ...], earlier: _Note | None = None) -> ChatRequest:
        settings, units = self.asked.settings, [item.unit for item in questions]
        shown = earlier.faulty if earlier and not earlier.is_missing else None
        text = user_text([item.text for item in questions], shown)
        return ChatRequest(
            key=content_key("label", units, text if earlier else ""),
            messages=(Message(role="system", content=self.asked.system), Message(role="user", content=text)),
            sampling=Sampling(
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                seed=seed_from(self.work.context.recipe.seed, units, earlier is not None),
            ),
        )

    def take(self, sent: _Request, completion: ChatCompletion) -> int:
        """Stores what an answer says of each question; how many of them are settled by it.

        Those that were settled before were only sent because another question of their request was not.
        """
        size = len(sent.questions)
        parts: list[str | Unreadable | None] = [None] * size
        if completion.error is None:
            parts = [*answers(completion.answer_text, size)]
        return sum(
            self._take_part(question, part, sent, completion)
            for question, part in zip(sent.questions, parts, strict=True)
            if not self.work.is_settled(question.unit)
        )

    def _take_part(
        self, question: Question, part: str | Unreadable | None, sent: _Request, completion: ChatCompletion
    ) -> bool:
        """`part` is None where the request failed. False where the question is to be asked once more."""
        name, asked = question.problem_id, self.asked
        if part is None:
            labels = asked.unknown(name, self.model, f"the request failed: {redact(completion.error or '')}")
            self._commit(question, question.unit + FAILED, labels, sent, completion)
            return True
        found = part if isinstance(part, Unreadable) else asked.read(name, self.model, part)
        if isinstance(found, Unreadable):
            faulty = Faulty("" if isinstance(part, Unreadable) else part, found.error + _cut(completion))
            if not sent.earlier:
                self._note(question, faulty, isinstance(part, Unreadable), sent, completion)
                return False
            found = asked.unknown(name, self.model, f"twice no answer: {faulty.evidence}")
        elif sent.earlier:
            found = [replace(label, evidence=f"{label.evidence} (second try)".strip()) for label in found]
        self._commit(question, question.unit, found, sent, completion)
        return True

    def _commit(
        self, question: Question, unit: str, labels: list[Label], sent: _Request, completion: ChatCompletion
    ) -> None:
        """Each question of a request bears its share of what the request took, and all that its first try took."""
        share, earlier = 1 / len(sent.questions), sent.earlier
        self.work.context.commit(
            unit,
            question.position,
            labels,
            seconds=completion.seconds * share + (earlier.seconds if earlier else 0.0),
            usd=completion.usd * share + (earlier.usd if earlier else 0.0),
        )

    def _note(
        self, question: Question, faulty: Faulty, is_missing: bool, sent: _Request, completion: ChatCompletion
    ) -> None:
        share = 1 / len(sent.questions)
        note: dict[str, JSON] = {
            "said": faulty.said[:SHOWN_CHARACTERS],
            "error": faulty.error,
            "is_missing": is_missing,
            "seconds": completion.seconds * share,
            "usd": completion.usd * share,
        }
        self.work.context.notes.save(question.unit, note)


def _cut(completion: ChatCompletion) -> str:
    if completion.finish is not Finish.LENGTH:
        return ""
    return f", and the answer was cut off at {completion.request.sampling.max_tokens} tokens"


def _note_of(value: object) -> _Note:
    assert isinstance(value, dict)
    return _Note(
        Faulty(str(value["said"]), str(value["error"])),
        bool(value["is_missing"]),
        float(value["seconds"]),
        float(value["usd"]),
    )
