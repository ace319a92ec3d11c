r"""Edits that put something around or into a benchmark item and leave its words: instructions, labels, notes."""

import random
import re
from collections.abc import Callable

Edit = Callable[[str, random.Random], str | None]

SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z\\$])")


def markup(text: str, _draw: random.Random) -> str:
    """Markdown or HTML around the text: escaped signs, paragraphs, bold words."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"\b(Find|What|Compute|How many|Determine|Let|Simplify|Evaluate|Which)\b", r"**\1**", escaped)
    return "<p>" + escaped.replace("\n\n", "</p>\n<p>") + "<br/></p>"


def doubled_backslashes(text: str, _draw: random.Random) -> str | None:
    """Encoded once too often as JSON."""
    edited = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return edited if edited != text else None


BEFORE = (
    "Solve the following math problem step by step. The last line of your response should be of the form "
    "Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n",
    "Please reason step by step, and put your final answer within \\boxed{}.\n\nProblem: ",
    "You are a careful mathematician. Think before you answer.\n### Question:\n",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n",
)
AFTER = (
    "\nPlease reason step by step, and put your final answer within \\boxed{}.",
    '\n\nRemember to put your answer on its own line after "Answer:".',
    " Express your answer as a single integer.",
    "\n\nPresent the answer in LaTex format: \\boxed{Your answer}",
)
LABELS = (
    "12. ",
    "Problem 7. ",
    "**Example 3** ",
    "[5 points] ",
    "Question 41: ",
    "1.14. ",
    "(2) ",
    "8. (10 points) ",
    "B4 ",
    "p17. ",
)
TAGS = (
    " (2016 AMC 10A, Problem 7)",
    "\n\nAnswer:",
    "\nSolution.",
    " [i]Proposed by Evan Chen[/i]",
    "\n\n\\textit{Proposed by Luke Robitaille}",
    " (ans:",
    " 【Hint】",
)
NOTES = (
    ' [asy] draw((0,0)--(1,1)); label("$A$",(0,0),SW); [/asy] ',
    " (see the figure) ",
    " ![](https://cdn.mathpix.com/cropped/2024_04_17_1.jpg?height=351&width=474) ",
    " (not drawn to scale) ",
)


def instruction_before(text: str, draw: random.Random) -> str:
    """An instruction in front."""
    return draw.choice(BEFORE) + text


def instruction_after(text: str, draw: random.Random) -> str:
    """An instruction behind."""
    return text.rstrip() + draw.choice(AFTER)


def label_before(text: str, draw: random.Random) -> str:
    """The number of an exercise in front."""
    return draw.choice(LABELS) + text


def tag_after(text: str, draw: random.Random) -> str:
    """A source, a name or `Answer:` behind."""
    return text.rstrip() + draw.choice(TAGS)


def figure_note(text: str, draw: random.Random) -> str | None:
    """A figure, or a note on it, between two sentences or in the middle of one."""
    ends = [match.start() for match in SENTENCE_END.finditer(text)] or [
        match.start() for match in re.finditer(r"(?<=[a-z]) (?=[a-z])", text)
    ]
    if not ends:
        return None
    place = draw.choice(ends)
    return text[:place] + draw.choice(NOTES) + text[place:].lstrip()


def in_a_list(text: str, draw: random.Random) -> str:
    """One of several questions of a longer row."""
    others = (
        "Find all primes $p$ such that $p^2+2$ is prime.",
        "A train travels 300 km in 4 hours. What is its mean speed?",
        "Prove that $\\sqrt{2}$ is irrational.",
    )
    first, last = draw.sample(others, 2)
    return f"1. {first}\n\n2. {text}\n\n3. {last}"
