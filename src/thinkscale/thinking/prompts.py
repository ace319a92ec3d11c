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

SYSTEM_PROMPTS: Mapping[str, str] = {
    "none": "",
    "boxed": "Reason step by step, and put the final answer within \\boxed{}.",
    "careful": (
        "Work the problem out at length before you answer: take it apart, try an approach, check each step, go back "
        "where something does not fit, and look for a second way. Then give a solution that stands by itself, with "
        "the final answer within \\boxed{}."
    ),
}
"""System turns by name. `boxed` is what the authors of Qwen2.5-Math and DeepSeek-R1 recommend, in our words; `careful`
is the idea of Sky-T1's, which asks for long thinking and a clean solution."""


def question_text(problem: Problem) -> str:
    """The question with its options, one a line: `A) ...`."""
    if not problem.choices:
        return problem.question
    options = zip(letters(len(problem.choices)), problem.choices, strict=True)
    return problem.question + "\n\n" + "\n".join(f"{letter}) {text}" for letter, text in options)


def user_turn(
    problem: Problem, prompt_class: str = "", suffix: str = "", system_prompt: str = "none"
) -> tuple[Message, ...]:
    """The conversation that asks `problem`; a class prompt or a format instruction follows the question."""
    lines = [question_text(problem), CLASS_PROMPTS.get(prompt_class, ""), suffix]
    asked = Message(role="user", content="\n".join(line for line in lines if line))
    told = SYSTEM_PROMPTS[system_prompt]
    return (Message(role="system", content=told), asked) if told else (asked,)
