"""Asking a model for a stage: the engine with its cache, its meter and its spend cap, and the count of what fails.

A stage hands in requests as an iterator and takes completions as they come; what it stores, and under which key, is its
own affair. A request that fails for good is a completion like any other: it counts, and only where the share of
failures passes the stage's limit does the stage stop.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from thinkscale.config import EndpointSettings, EngineSettings
from thinkscale.credentials import redact
from thinkscale.engines.chat import ChatCompletion, ChatEngine, ChatRequest
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.errors import StageError
from thinkscale.progress import Task
from thinkscale.stages.context import StageContext
from thinkscale.stages.teachers import Asking, open_engine
from thinkscale.store.notes import JournalDrafts

LEAST_JUDGED = 20
"""Answers before which the share of failures says nothing."""


class Terms(Protocol):
    """The part of a stage's section that says what may fail and what it may cost."""

    @property
    def max_failures(self) -> float:
        """Share of failed requests at which the stage stops."""
        ...

    @property
    def max_spend(self) -> float | None:
        """US dollars of the whole stage."""
        ...

    @property
    def prices(self) -> str | None:
        """A file of prices."""
        ...

    @property
    def batch_poll_seconds(self) -> float:
        """How often batches are asked for."""
        ...

    @property
    def cache(self) -> str:
        """`default`, `none`, or a file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the model is to answer."""

    thinking_format: str
    thinks: bool = True
    batch: bool = False
    student: str | None = None
    """The model whose tokenizer counts what a script says."""


@dataclass(slots=True)
class Failures:
    """Counts failed requests of this invocation, and stops the stage where they are too many."""

    stage: str
    most: float
    finished: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, error: str | None) -> None:
        """One more answer. Raises StageError."""
        self.finished += 1
        if error is None:
            return
        self.failed += 1
        kind = error.split(":", 1)[0]
        self.reasons[kind] = self.reasons.get(kind, 0) + 1
        if self.finished >= LEAST_JUDGED and self.failed > self.most * self.finished:
            counts = ", ".join(f"{number} {kind}" for kind, number in sorted(self.reasons.items()))
            raise StageError(
                f"{self.stage}: {self.failed} of {self.finished} requests failed ({counts}), the last with: {error}. "
                "What was answered is stored. Mend the cause and run again with --retry-failed, or raise "
                f"{self.stage}.max_failures"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that is being asked."""

    engine: ChatEngine
    meter: Meter
    failures: Failures
    context: StageContext
    counts_itself: bool
    """Whether the meter learns of tokens as they arrive; else they are counted when an answer is there."""

    def answers(self, requests: Iterable[ChatRequest], task: Task) -> Iterator[ChatCompletion]:
        """Completions as they come. What was handed out is counted when the next is asked for: behind its being stored.

        Raises StageError where too many fail, EngineError and SpendCapError where the engine cannot go on.
        """
        self.meter.tick = task.look
        with closing(self.engine.answer(requests)) as completions:  # type: ignore[type-var]  # engines are generators
            for completion in completions:
                yield completion
                if not self.counts_itself:
                    self.meter.completion_tokens += completion.usage.completion_tokens
                error = None if completion.error is None else redact(completion.error)
                if error:
                    self.context.run.journal.add_event(self.context.stage, "failure", error)
                self.failures.count(error)


@contextmanager
def asked_model(context: StageContext, settings: EngineSettings, terms: Terms, manner: Manner) -> Iterator[Model]:
    """Opens the engine for the stage, and closes its cache. Raises ConfigError, ModelError, EngineError."""
    meter = Meter()
    is_remote = isinstance(settings, EndpointSettings)
    cache = _open_cache(terms.cache, context.folder) if is_remote else None
    try:
        asking = Asking(
            thinking_format=manner.thinking_format,
            thinks=manner.thinks,
            student=manner.student,
            folder=context.folder,
            max_spend=terms.max_spend,
            spent_before=context.spent_usd(),
            prices=context.folder / terms.prices if terms.prices else None,
            cache=cache,
            batch=manner.batch,
            batch_poll_seconds=terms.batch_poll_seconds,
            notes=context.notes,
            drafts=JournalDrafts(context.notes),
            meter=meter,
            notice=context.notice,
        )
        engine = open_engine(settings, asking)
        failures = Failures(context.stage, terms.max_failures)
        yield Model(engine=engine, meter=meter, failures=failures, context=context, counts_itself=is_remote)
    finally:
        if cache:
            cache.close()


def _open_cache(name: str, folder: Path) -> RequestCache | None:
    if name == "none":
        return None
    return RequestCache.open(None if name == "default" else folder / name)
