"""Faults of a response as a training trace."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from thinkscale.curation.quality.faults import Fault, shown
from thinkscale.curation.quality.language import language_of
from thinkscale.curation.quality.loops import repetition_loop
from thinkscale.errors import ConfigError
from thinkscale.records import Finish, Grade, Response, Verdict

ENGINE_ERROR = "engine_error"

LANGUAGE_CHARACTERS = 8_000
"""Of the thinking, so many at its beginning and at its end decide its language."""

VERDICT_FAULTS: Mapping[Verdict, str] = {
    Verdict.WRONG: "wrong_answer",
    Verdict.NO_ANSWER: "no_answer",
    Verdict.UNGRADABLE: "ungradable",
}
"""Cut-off is a fact of the response and already a fault by its finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLimits:
    """Bounds on the thinking of a training trace, in tokens, both ends allowed."""

    min_tokens: int = 50
    max_tokens: int = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the rules read: a response, its grade where it has one, and the question."""

    response: Response
    grade: Grade | None
    question: str
    limits: TraceLimits


def trace_rule_names() -> tuple[str, ...]:
    """The names of all trace rules, in the order in which faults are listed."""
    return (ENGINE_ERROR, *TRACE_RULES)


def response_faults(
    response: Response,
    grade: Grade | None,
    limits: TraceLimits | None = None,
    *,
    rules: Collection[str] | None = None,
    question: str = "",
) -> list[Fault]:
    """What is wrong with a response as a training trace by these rules (DEFAULT_TRACE_RULES where none are given).

    Without a grade nothing is said about its answer, without the question nothing about its language. An engine
    failure is the only fault of a response that has one: nothing else about it means anything. Raises ConfigError for
    a name that is no rule.
    """
    wanted = DEFAULT_TRACE_RULES if rules is None else rules
    unknown = sorted(set(wanted) - set(trace_rule_names()))
    if unknown:
        raise ConfigError(f"no trace rule is called {', '.join(unknown)}; there are {', '.join(trace_rule_names())}")
    if response.finish is Finish.ERROR:
        return [Fault(ENGINE_ERROR, shown(response.error or "no message"))] if ENGINE_ERROR in wanted else []
    trace = Trace(response=response, grade=grade, question=question, limits=limits or TraceLimits())
    found = ((name, rule(trace)) for name, rule in TRACE_RULES.items() if name in wanted)
    return [Fault(name, evidence) for name, evidence in found if evidence is not None]


def _cut_off(trace: Trace) -> str | None:
    if trace.response.finish is not Finish.LENGTH:
        return None
    return f"stopped by a limit after {trace.response.thinking_tokens} + {trace.response.answer_tokens} tokens"


def _empty_thinking(trace: Trace) -> str | None:
    return None if trace.response.thinking.strip() else f"{trace.response.thinking_tokens} thinking tokens"


def _too_short(trace: Trace) -> str | None:
    tokens, least = trace.response.thinking_tokens, trace.limits.min_tokens
    return f"{tokens} < {least} thinking tokens" if tokens < least and trace.response.thinking.strip() else None


def _too_long(trace: Trace) -> str | None:
    tokens, most = trace.response.thinking_tokens, trace.limits.max_tokens
    return f"{tokens} > {most} thinking tokens" if tokens > most else None


def _repetition_loop(trace: Trace) -> str | None:
    for part in (trace.response.thinking, trace.response.answer_text):
        loop = repetition_loop(part)
        if loop:
            return f"{loop[1]} times: {shown(loop[0])}"
    return None


def _other_language(trace: Trace) -> str | None:
    """The thinking is in another language than the question, where both are known."""
    asked = language_of(trace.question) if trace.question else None
    thinking = trace.response.thinking
    if len(thinking) > 2 * LANGUAGE_CHARACTERS:
        thinking = f"{thinking[:LANGUAGE_CHARACTERS]}\n{thinking[-LANGUAGE_CHARACTERS:]}"
    thought = language_of(thinking) if asked else None
    if asked is None or thought is None or asked.code == thought.code:
        return None
    return f"thinks in {thought.code} ({thought.words:g} of {thought.of_words:g} words), asked in {asked.code}"


def _answer_only_in_thinking(trace: Trace) -> str | None:
    """The graded answer stands in the thinking and not in the final text, which a student would learn to leave out."""
    grade, response = trace.grade, trace.response
    if grade is None or not grade.extracted or _stands_in(response.answer_text, grade.extracted):
        return None
    where = "in the thinking only" if _stands_in(response.thinking, grade.extracted) else "nowhere as such"
    return shown(f"{grade.extracted}: {where}; the final text ends {response.answer_text.strip()[-40:]!r}")


def _stands_in(text: str, answer: str) -> bool:
    """Whether each part of an answer is in `text`, white space aside: the graders join several boxes with commas."""
    bare = "".join(text.split())
    return all("".join(part.split()) in bare for part in answer.split(", "))


def _verdict(verdict: Verdict) -> Callable[[Trace], str | None]:
    def evidence(trace: Trace) -> str | None:
        grade = trace.grade
        return shown(f"{grade.tier}: {grade.evidence}") if grade is not None and grade.verdict is verdict else None

    return evidence


TRACE_RULES: Mapping[str, Callable[[Trace], str | None]] = {
    "cut_off": _cut_off,
    "empty_thinking": _empty_thinking,
    "too_short": _too_short,
    "too_long": _too_long,
    "repetition_loop": _repetition_loop,
    "thinking_in_other_language": _other_language,
    "answer_only_in_thinking": _answer_only_in_thinking,
    **{name: _verdict(verdict) for verdict, name in VERDICT_FAULTS.items()},
}
"""Each says what shows the fault, None where there is none."""

DEFAULT_TRACE_RULES: frozenset[str] = frozenset(
    {ENGINE_ERROR, *TRACE_RULES} - {"thinking_in_other_language", "answer_only_in_thinking"}
)
"""The rules that drop a trace; the other two are options. See docs/curation.md for the measured rates."""
