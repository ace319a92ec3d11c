"""What the lab's base model reads before it ever sees a thinking trace.

Four kinds of text, each a row of pieces marked as trained on or not: only what can be known from what
stands before carries the loss. None holds a chain of more than three worked steps, nor any thinking
marker, so that reasoning at length is left for fine-tuning to teach.
"""

import random
from typing import TypeAlias

from thinkscale.lab.chain import (
    FAMILIES,
    LETTERS,
    MAX_LEVEL,
    Question,
    Step,
    answer_of,
    apply,
    option_search,
    results,
    text_of,
    with_choices,
)
from thinkscale.lab.world import draw_choices, draw_question, draw_step

Row: TypeAlias = list[tuple[str, bool]]
"""Pieces of text in order, with whether the loss is taken on them."""

LONGEST_PLAIN_CHAIN = 3


def fact_row(rng: random.Random) -> Row:
    """Ten unrelated single steps: `3 k+5=8`."""
    row: Row = []
    for _ in range(10):
        value = rng.randrange(10)
        step = draw_step(rng, "+-*", rng.choice("abcdefghijklmnopqrstuvwxyz"))
        row += [(f"{value} {step}=", False), (str(apply(value, step)), True), ("\n", False)]
    return row


def _worked(value: int, steps: tuple[Step, ...]) -> Row:
    row: Row = [(str(value), False)]
    for index, step in enumerate(steps):
        row.append((f" {step.label}", index > 0))
        value = apply(value, step)
        row.append((f"{step.operation}{step.operand}={value}", True))
    return row


def snippet_row(rng: random.Random, level: int | None = None) -> Row:
    """A question, then a few of its steps worked from the middle, from values that have nothing to do with it."""
    question = draw_question(rng, rng.choice(FAMILIES), rng.randint(1, MAX_LEVEL) if level is None else level)
    row: Row = [(text_of(question) + "\n", False)]
    for _ in range(4):
        first = rng.randrange(len(question.steps))
        last = first + rng.randint(1, LONGEST_PLAIN_CHAIN)
        row += _worked(rng.randrange(10), question.steps[first:last])
        row.append(("\n", last >= len(question.steps)))
    return row


def short_snippet_row(rng: random.Random) -> Row:
    """The same over questions of at most four steps, where the right step is easy to find."""
    return snippet_row(rng, rng.randint(1, 4))


def opening_row(rng: random.Random) -> Row:
    """A question and the first three steps of its chain in plain text, once or more."""
    question = draw_question(rng, rng.choice(FAMILIES), rng.randint(1, MAX_LEVEL))
    steps = question.steps[: rng.randint(1, LONGEST_PLAIN_CHAIN)]
    row: Row = [(text_of(question) + "\n", False)]
    for _ in range(rng.randint(1, 3)):
        first, *rest = _worked(question.start, steps)
        row += [(first[0], True), *((text, True) for text, _ in rest), ("\n", len(steps) == len(question.steps))]
    return row


def notes_row(rng: random.Random) -> Row:
    """A chat turn whose user has worked the last steps already: the answer is the value they end with."""
    question = draw_question(rng, rng.choice(FAMILIES), rng.randint(1, MAX_LEVEL))
    value = rng.randrange(2, 10)
    choices = draw_choices(rng, value)
    words = [str(rng.randrange(10))]
    for step in question.steps[-rng.randint(1, LONGEST_PLAIN_CHAIN) :]:
        words.append(f"{step}={rng.randrange(10)}")
    words[-1] = words[-1][:-1] + str(value)
    if question.family == "choice":
        words += option_search(choices, value)
    prompt = text_of(question) if question.family != "choice" else with_choices(text_of(question), choices)
    answer = answer_of(question, value) if question.family != "choice" else LETTERS[choices.index(str(value))]
    return [
        (f"<|im_start|>user\n{prompt}\n{' '.join(words)}<|im_end|>\n<|im_start|>assistant\n", False),
        (rf"Final Answer: \boxed{{{answer}}}<|im_end|>", True),
    ]


def option_row(rng: random.Random) -> Row:
    """Options, then some digits that are each looked for among them: `2 A:5 B:2`."""
    choices = draw_choices(rng, rng.randrange(10))
    row: Row = [(with_choices("?", choices) + "\n", False)]
    for _ in range(5):
        digit = int(rng.choice(choices)) if rng.random() < 0.7 else rng.randrange(10)
        row.append((str(digit), False))
        row += [(f" {word}", True) for word in option_search(choices, digit)]
        row.append(("\n", True))
    return row


def _instant_answer(rng: random.Random, question: Question) -> tuple[str, str]:
    value = results(question)[-1]
    if question.family != "choice":
        return text_of(question), answer_of(question, value)
    choices = draw_choices(rng, value)
    return with_choices(text_of(question), choices), LETTERS[choices.index(str(value))]


def operand_row(rng: random.Random) -> Row:
    """A question of any length, then one of its steps, where only its operation and operand are asked for."""
    question = draw_question(rng, rng.choice(FAMILIES), rng.randint(1, MAX_LEVEL))
    step = rng.choice(question.steps)
    context = f"{text_of(question)}\n{rng.randrange(10)} {step.label}"
    return [(context, False), (f"{step.operation}{step.operand}", True)]


def instant_fact_row(rng: random.Random) -> Row:
    """A question of one step, answered at once; only the digit is asked for."""
    question = draw_question(rng, "numeric", 1)
    context = f"<|im_start|>user\n{text_of(question)}<|im_end|>\n<|im_start|>assistant\nFinal Answer: \\boxed{{"
    return [(context, False), (str(results(question)[-1]), True)]


def instant_row(rng: random.Random) -> Row:
    """A chat turn answered at once: right where one can see it, a guess beyond."""
    level = 1 if rng.random() < 0.5 else rng.randint(2, MAX_LEVEL)
    prompt, answer = _instant_answer(rng, draw_question(rng, rng.choice(FAMILIES), level))
    return [
        (f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n", False),
        (rf"Final Answer: \boxed{{{answer}}}<|im_end|>", True),
    ]
