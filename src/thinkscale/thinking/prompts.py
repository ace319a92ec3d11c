r"""What the model is asked: a problem under a prompt template, as a user turn, behind a system turn if wanted.

A template is a text with places: `{question}`, `{options}` (an empty line, then an option on each line, `A) ...`;
nothing where a problem has none) and `{program}` (what a program must be, as the problem's tests use it). Everything
else stands as it is, braces too, so that `\boxed{}` is written like that. Its `key` is a content key of all that
decides the text; it goes into a stage's identity and the report, since scores under two templates do not compare.

`answer` says how an answer is written under the template. `check_template` gives that to the grader of the kind: a
template whose answers the grader could not read is refused before anything is generated.

Rejected: `str.format` (a brace of LaTeX is an error there, or becomes half a brace), and templates in code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from thinkscale.errors import ConfigError
from thinkscale.grading.choice import letters
from thinkscale.grading.code.programs import Missing, Wanted, find_program
from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import StreamTest, Unreadable
from thinkscale.grading.verdicts import judge_by_rules
from thinkscale.keys import content_key
from thinkscale.records import Finish, Kind, Message, Problem, Response, Role, Sampling, Verdict

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

QUESTION, OPTIONS, PROGRAM, ANSWER = "{question}", "{options}", "{program}", "{answer}"
PLACES = re.compile("|".join(map(re.escape, (QUESTION, OPTIONS, PROGRAM))))
STREAMS = (
    "Write a whole Python program that reads standard input and writes its answer to standard output. "
    "Put all of it in one ```python block."
)
FUNCTION = "Write Python code that defines `{name}`; do not call it. Put all of it in one ```python block."
COMPLETION = "Complete this function. Put the whole of it, its imports too, in one ```python block."
PASSING = "Write Python code that passes these tests. Put all of it in one ```python block.\n\n{tests}"
RENDERING = 1
"""Raised when the same template gives another text."""
FENCED = "```python\n{answer}\n```"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplate:
    """One way to ask."""

    name: str
    text: str
    answer: str = ""
    """How an answer is written under it, with `{answer}` in its place; empty where it does not say."""
    system: str = ""
    kinds: tuple[Kind, ...] = tuple(Kind)
    title: str = ""

    @property
    def key(self) -> str:
        """A content key of what the model is shown, the same for two names of one text."""
        of_programs = (STREAMS, FUNCTION, COMPLETION, PASSING) if PROGRAM in self.text else ()
        return content_key("template", RENDERING, self.text, self.system, *of_programs)

    def render(self, problem: Problem) -> str:
        """The user turn that asks `problem`."""
        filled = {
            QUESTION: lambda: problem.question,
            OPTIONS: lambda: _options(problem),
            PROGRAM: lambda: wanted_program(problem.tests or ""),
        }
        # Filled in one pass: a question may hold the name of a place.
        return PLACES.sub(lambda place: filled[place[0]](), self.text)


def _options(problem: Problem) -> str:
    named = zip(letters(len(problem.choices)), problem.choices, strict=True)
    return "\n\n" + "\n".join(f"{letter}) {text}" for letter, text in named) if problem.choices else ""


@lru_cache(maxsize=64)
def wanted_program(tests: str) -> str:
    """What the tests need of a program, as an instruction; empty where they cannot be read.

    Tests of which the names are all that one can go by (MBPP's) are shown whole, as their authors ask them.
    """
    suite = read_suite(tests)
    if isinstance(suite, Unreadable):
        return ""
    if isinstance(suite.tests[0], StreamTest):
        return STREAMS
    if suite.opening:
        return COMPLETION
    shown = _shown_tests(tests)
    if shown:
        return PASSING.replace("{tests}", "\n".join(shown))
    return FUNCTION.replace("{name}", suite.entry) if suite.entry else PASSING.replace("{tests}", tests)


def _shown_tests(tests: str) -> list[str]:
    """The asserts that a problem of MBPP's kind is asked with; none of any other kind."""
    try:
        stated = json.loads(tests)
    except ValueError:
        return []
    shown = stated.get("test_list") if isinstance(stated, dict) else stated
    return shown if isinstance(shown, list) and all(isinstance(item, str) for item in shown) else []


PLAIN = PromptTemplate(
    name="plain",
    text=QUESTION + OPTIONS,
    title="the bare question, with its options on lines of their own: s1's",
)
TEMPLATES: Mapping[str, PromptTemplate] = {
    item.name: item
    for item in (
        PLAIN,
        PromptTemplate(
            name="boxed",
            text=f"{QUESTION}\n\nPut the final answer within \\boxed{{}}.",
            answer="\\boxed{{answer}}",
            kinds=(Kind.MATH,),
            title="the question, then how to write the answer",
        ),
        PromptTemplate(
            name="boxed_first",
            text=f"Put the final answer within \\boxed{{}}. {QUESTION}",
            answer="\\boxed{{answer}}",
            kinds=(Kind.MATH,),
            title="how to write the answer, then the question: Sky-T1's order",
        ),
        PromptTemplate(
            name="letter",
            text=f"{QUESTION}{OPTIONS}\n\nEnd with a line that says `Answer: ` and the letter of the right option.",
            answer="Answer: {answer}",
            kinds=(Kind.CHOICE,),
            title="a choice, then how to name the option",
        ),
        PromptTemplate(
            name="boxed_letter",
            text=f"{QUESTION}{OPTIONS}\n\nPut the letter of the right option within \\boxed{{}}.",
            answer="\\boxed{{answer}}",
            kinds=(Kind.CHOICE,),
            title="a choice, with the letter in a box",
        ),
        PromptTemplate(
            name="program",
            text=f"{QUESTION}\n\n{PROGRAM}",
            answer=FENCED,
            kinds=(Kind.CODE,),
            title="a question of code, then what its tests need: a program on standard input, or a function by name",
        ),
    )
}
"""The shipped templates by name."""

PROBES: Mapping[Kind, Problem] = {
    Kind.MATH: Problem(id="probe", source="probe", question="6 * 7?", reference="42"),
    Kind.CHOICE: Problem(
        id="probe", source="probe", question="Which?", reference="C", kind=Kind.CHOICE, choices=("1", "2", "3", "4")
    ),
}
"""Problems whose reference, written as a template says, the grader must find correct."""
SOLVE = Wanted(entry="solve")


def find_template(name: str, own: Mapping[str, PromptTemplate] | None = None) -> PromptTemplate:
    """The template of this name, one's own first. Raises ConfigError."""
    known = {**TEMPLATES, **(own or {})}
    if name not in known:
        raise ConfigError(
            f"there is no prompt template {name!r}; there are {', '.join(known)} (`thinkscale list templates`), or "
            "write your own under evaluate.templates"
        )
    return known[name]


def check_template(template: PromptTemplate, kind: Kind) -> None:
    """Raises ConfigError where problems of `kind` cannot be asked with it, or their grader not read its answers."""
    if template.text.count(QUESTION) != 1:
        raise ConfigError(f"prompt template {template.name!r}: its text must hold {QUESTION} once")
    if kind is Kind.CHOICE and OPTIONS not in template.text:
        raise ConfigError(f"prompt template {template.name!r}: problems of kind choice need {OPTIONS} in its text")
    if kind not in template.kinds:
        raise ConfigError(
            f"prompt template {template.name!r} is for problems of kind {', '.join(template.kinds)}, not for {kind}"
        )
    if template.answer and not _is_read(template.answer, kind):
        raise ConfigError(
            f"prompt template {template.name!r}: the grader of kind {kind} cannot read an answer that is written as "
            f"{template.answer!r}; it reads \\boxed{{...}}, `Answer: ...`, and of programs a ```python block"
        )


def _is_read(form: str, kind: Kind) -> bool:
    """Whether the grader finds the answer in a text of this form."""
    if ANSWER not in form:
        return False
    if kind is Kind.CODE:
        return not isinstance(find_program(form.replace(ANSWER, "def solve():\n    return 1"), SOLVE), Missing)
    problem = PROBES.get(kind)
    if problem is None:
        return True
    text = "It follows from the above. " + form.replace(ANSWER, str(problem.reference))
    return judge_by_rules(problem, _response(text)).verdict is Verdict.CORRECT


def _response(text: str) -> Response:
    return Response(
        key="probe",
        role=Role.EVALUATION,
        problem_id="probe",
        model="probe",
        sample=0,
        thinking="",
        answer_text=text,
        thinking_tokens=0,
        answer_tokens=1,
        finish=Finish.END,
        sampling=Sampling(max_tokens=1),
    )


def question_text(problem: Problem) -> str:
    """The question with its options, one a line: `A) ...`."""
    return PLAIN.render(problem)


def user_turn(
    problem: Problem,
    suffix: str = "",
    system_prompt: str = "none",
    template: PromptTemplate = PLAIN,
) -> tuple[Message, ...]:
    """The conversation that asks `problem`; `suffix`, such as an instruction on length, is its last line."""
    lines = [template.render(problem), suffix]
    asked = Message(role="user", content="\n".join(line for line in lines if line))
    told = SYSTEM_PROMPTS[system_prompt] or template.system
    return (Message(role="system", content=told), asked) if told else (asked,)
