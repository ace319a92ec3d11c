"""The lab's teacher: reasons step by step, slips now and then, and sometimes checks itself with "Wait".

It sees the prompt and nothing else. A slip is carried forward; a check is a second pass over the chain,
and is right. A slip that goes unchecked ends in a wrong answer, which grading is there to catch.
"""

import random
import re
from dataclasses import dataclass

from thinkscale.keys import seed_from
from thinkscale.lab.chain import (
    LETTERS,
    MODULUS,
    Question,
    answer_of,
    apply,
    option_search,
    parse_choices,
    parse_question,
)
from thinkscale.records import Finish

SLIP_RATE = 0.1
"""Chance that one step of a first pass is off by one."""
CHECK_RATE_AFTER_SLIP = 0.7
CHECK_RATE = 0.25
"""Chance of a check after a pass without a slip; each further check after a check is as likely."""
MOST_CHECKS = 3
ERROR_RATE = 0.01
CUT_RATE = 0.02
NO_ANSWER_RATE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherReply:
    """What a reasoning engine returns: thinking apart from the answer."""

    thinking: str
    answer_text: str
    finish: Finish
    error: str | None = None


def reply(prompt: str, seed: int) -> TeacherReply:
    """The teacher's reply to `prompt`; the same reply to the same prompt and seed."""
    rng = random.Random(seed_from("lab-teacher", prompt, seed))
    fortune = rng.random()
    if fortune < ERROR_RATE:
        return TeacherReply(thinking="", answer_text="", finish=Finish.ERROR, error="503: the teacher is overloaded")
    question, choices = parse_question(prompt), parse_choices(prompt)
    if question is None or (question.family == "choice" and not choices):
        return TeacherReply(
            thinking="There is no chain of steps here.", answer_text="I cannot answer this.", finish=Finish.END
        )
    thinking, value = _reason(rng, question, choices)
    if fortune < ERROR_RATE + CUT_RATE:
        return TeacherReply(thinking=_cut(rng, thinking), answer_text="", finish=Finish.LENGTH)
    if fortune < ERROR_RATE + CUT_RATE + NO_ANSWER_RATE:
        return TeacherReply(thinking=thinking, answer_text="It is as worked out above.", finish=Finish.END)
    return TeacherReply(thinking=thinking, answer_text=final_answer(question, choices, value), finish=Finish.END)


def final_answer(question: Question, choices: tuple[str, ...], value: int) -> str:
    """The last line of a reply that found `value`."""
    answer = _letter(choices, value) if question.family == "choice" else answer_of(question, value)
    return rf"Final Answer: \boxed{{{answer}}}"


def work(rng: random.Random, question: Question, choices: tuple[str, ...], slip_rate: float) -> tuple[str, int, bool]:
    """One pass over the chain: its text, the value found, and whether there is reason to doubt it."""
    value, slipped = question.start, False
    words = [str(value)]
    for step in question.steps:
        value = apply(value, step)
        if rng.random() < slip_rate:
            value, slipped = (value + rng.choice((-1, 1))) % MODULUS, True
        words.append(f"{step}={value}")
    if question.family == "choice":
        words += option_search(choices, value)
    return " ".join(words), value, slipped


def _letter(choices: tuple[str, ...], value: int) -> str:
    return LETTERS[choices.index(str(value))] if str(value) in choices else "none"


def _reason(rng: random.Random, question: Question, choices: tuple[str, ...]) -> tuple[str, int]:
    """Thinking and the value it ends with: a first pass, and checks."""
    text, value, slipped = work(rng, question, choices, SLIP_RATE)
    passes = [text]
    no_option = question.family == "choice" and _letter(choices, value) == "none"
    rate = 1.0 if no_option else CHECK_RATE_AFTER_SLIP if slipped else CHECK_RATE
    while len(passes) <= MOST_CHECKS and rng.random() < rate:
        text, value, _ = work(rng, question, choices, 0.0)
        passes.append(text)
        rate = CHECK_RATE
    return "\nWait\n".join(passes), value


def _cut(rng: random.Random, thinking: str) -> str:
    ends = [found.start() for found in re.finditer(r"\s", thinking)]
    return thinking[: rng.choice(ends)]
