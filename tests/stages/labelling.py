"""A classifier, a rater and a weak model that answer from a script, and the stage `label` over a run made by hand.

The script does what the question's first word says, so that each way of answering can be asked for:

    right 11            Domain: 11                      once 11       unreadable, then right
    always              never readable                  outside       a code of no class
    refuses             a refusal in words              left 11       left out where it shares a request
    fails               the server refuses the request
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from thinkscale.config import LabelSettings, Recipe
from thinkscale.engines.scripted.asking import Answer, Ask, RefusedError
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.keys import JSON
from thinkscale.progress import Progress
from thinkscale.records import (
    Finish,
    Grade,
    Kind,
    Label,
    Message,
    Problem,
    Record,
    Response,
    Role,
    Sampling,
    Verdict,
)
from thinkscale.stages.context import StageContext
from thinkscale.stages.label import label
from thinkscale.store.run import RunDirectory

MODEL = "labeller"
QUESTION = re.compile(r'<question id="(\d+)">\n(.*?)\n</question>', re.DOTALL)
FORMS = {"Domain: ": "Subject: mathematics", "Difficulty: ": ""}


def one_answer(question: str, *, is_alone: bool, is_second: bool, line: str) -> str | None:
    """What is said of one question; None leaves it out."""
    behaviour, _, value = question.partition(" ")
    right = f"{line}{value}\n{FORMS[line]}"
    match behaviour:
        case "once":
            return right if is_second else f"It is class {value}, I think."
        case "always":
            return "It is hard to say."
        case "outside":
            return f"{line}99\n{FORMS[line]}"
        case "refuses":
            return "I cannot help with that."
        case "left":
            return right if is_alone else None
        case "fails":
            raise RefusedError("this prompt is not allowed")
    return right


def answered(prompt: str, line: str) -> ScriptedReply:
    """The answer to a whole request."""
    questions = QUESTION.findall(prompt)
    is_alone, is_second = len(questions) == 1, "could not be read" in prompt
    parts = {number: one_answer(text, is_alone=is_alone, is_second=is_second, line=line) for number, text in questions}
    if is_alone:
        return ScriptedReply(thinking="", answer_text=parts["1"] or "")
    text = "\n".join(f"Question {number}\n{part}" for number, part in parts.items() if part is not None)
    return ScriptedReply(thinking="", answer_text=text)


def classifier(prompt: str, _seed: int) -> ScriptedReply:
    return answered(prompt, "Domain: ")


def rater(prompt: str, _seed: int) -> ScriptedReply:
    return answered(prompt, "Difficulty: ")


class Listening(ScriptedBackend):
    """Remembers the conversations that it was asked to answer."""

    heard: list[tuple[Message, ...]]

    async def reply(self, ask: Ask, chunk_tokens: int) -> Answer:
        self.__dict__.setdefault("heard", []).append(tuple(ask.messages))
        return await super().reply(ask, chunk_tokens)


@contextmanager
def classifying(options: ServerOptions | None = None) -> Iterator[tuple[ReplayServer, Listening]]:
    """The classifier behind the loopback server."""
    backend = Listening(classifier, name=MODEL)
    backend.heard = []
    with running_server(backend, options) as server:
        yield server, backend


def engine(server: ReplayServer, **more: JSON) -> dict[str, JSON]:
    """The section of an engine that asks `server`."""
    return {"type": "openai", "model": MODEL, "endpoints": [server.url], "retries": 0, **more}


def problem(name: str, question: str, **extra: JSON) -> Problem:
    return Problem(id=name, source="test", question=question, reference="7", kind=Kind.MATH, extra=extra)


def response(name: str, thinking: str = "", sample: int = 0, tokens: int = 5, *, error: str | None = None) -> Response:
    return Response(
        key=f"{name}-{sample}",
        role=Role.TEACHER,
        problem_id=name,
        model="teacher",
        sample=sample,
        thinking=thinking,
        answer_text="7",
        thinking_tokens=tokens,
        answer_tokens=1,
        finish=Finish.ERROR if error else Finish.END,
        error=error,
        sampling=Sampling(max_tokens=100),
    )


def grade(name: str, verdict: Verdict, sample: int = 0) -> Grade:
    return Grade(response_key=f"{name}-{sample}", problem_id=name, grader="rules", verdict=verdict)


@dataclass(slots=True, kw_only=True)
class Stages:
    """What earlier stages have made."""

    collect: Sequence[Record]
    generate: Sequence[Record] = ()
    grade: Sequence[Record] = ()


@dataclass(slots=True)
class Labelling:
    """A run directory whose stage `label` is begun, or gone on with."""

    folder: Path
    stages: Stages
    section: Mapping[str, JSON]
    most_commits: int | None = None
    """The stage is interrupted at the commit behind so many."""
    said: list[str] = field(default_factory=list)

    def __call__(self) -> list[Label]:
        """Runs the stage to its end and gives its labels."""
        with RunDirectory.create_or_open(self.folder / "run", "name: test\n") as run:
            for name, records in (
                ("collect", self.stages.collect),
                ("generate", self.stages.generate),
                ("grade", self.stages.grade),
            ):
                if records and run.journal.stage(name) is None:
                    run.begin_stage(name, {})
                    run.commit(name, "all", 0, records)
                    run.finish_stage(name)
            run.begin_stage("label", {})
            label(self._context(run))
            run.finish_stage("label")
        return self.labels()

    def _context(self, run: RunDirectory) -> StageContext:
        settings = LabelSettings.model_validate_json(
            json.dumps({"cache": str(self.folder / "cache.db"), **self.section})
        )
        recipe = Recipe(name="test", label=settings)
        progress = Progress(run.journal, quiet=True)
        progress.say = self.said.append  # type: ignore[method-assign, assignment]
        if self.most_commits is None:
            return StageContext("label", recipe, self.folder, run, progress)
        return Interrupted("label", recipe, self.folder, run, progress, left=[self.most_commits])

    def labels(self) -> list[Label]:
        with RunDirectory.read(self.folder / "run") as run:
            return list(run.rows(Label, "label"))

    def values(self, name: str) -> dict[str, str]:
        """The labels of one name, by problem."""
        return {item.problem_id: item.value for item in self.labels() if item.name == name}


@dataclass(frozen=True, slots=True)
class Interrupted(StageContext):
    """A context that is stopped as Ctrl-C stops it, behind so many commits."""

    left: list[int] = field(default_factory=list)

    def commit(self, *args: object, **options: object) -> None:
        if self.left[0] == 0:
            raise KeyboardInterrupt
        self.left[0] -= 1
        StageContext.commit(self, *args, **options)  # type: ignore[arg-type]
