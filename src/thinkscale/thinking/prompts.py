"""What the model is asked: a problem as one user turn.

The wording of the class prompts is ours; the idea (asking for short or for long thinking) is s1's, section 4.
"""

from collections.abc import Mapping

from thinkscale.grading.choice import letters
from thinkscale.records import Message, Problem

CLASS_PROMPTS: Mapping[str, str] = {
    "short": "Think briefly: take only the steps that the answer needs.",
    "long": "Think at length: go slowly, then check every step before you answer.",
}


def question_text(problem: Problem) -> str:
    """The question with its options, one a line: `A) ...`."""
    if not problem.choices:
        return problem.question
    options = zip(letters(len(problem.choices)), problem.choices, strict=True)
    return problem.question + "\n\n" + "\n".join(f"{letter}) {text}" for letter, text in options)


def user_turn(problem: Problem, prompt_class: str = "", suffix: str = "") -> tuple[Message, ...]:
    """The conversation that asks `problem`; a class prompt or a format instruction follows the question."""
    lines = [question_text(problem), CLASS_PROMPTS.get(prompt_class, ""), suffix]
    return (Message(role="user", content="\n".join(line for line in lines if line)),)
