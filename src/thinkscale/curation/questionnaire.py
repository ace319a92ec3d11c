"""How a model is asked for labels: a constant system turn, the questions last, and one line for each thing it says.

    user:  <question id="1">...</question>           model:  Question 1
           <question id="2">...</question>                   Domain: 11
                                                             Subject: mathematics
                                                             Question 2 ...

The system turn is the same text in every request, so a provider's prompt cache and a server's prefix cache hold it; all
that differs stands behind it. An answer that cannot be read is asked for once more in a turn that shows it with the
error. That turn repeats the question and is no continued conversation: an empty answer has no place in one (Anthropic
refuses it), a model that thinks would want its thoughts back, and the prefix would no longer be the same.

Rejected: JSON, which small models break at the first backslash of LaTeX; and taking the last two digits of whatever is
said, as s1 does, which reads a code out of any number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_CHARACTERS = 600
"""Of a faulty answer, when it is shown again and in evidence."""

_HEADER = re.compile(r"[\s*_#>-]*question\s*[#:]?\s*(\d{1,6})[\s*_:.]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why an answer, or what it says of one question, cannot be read: a sentence for the model and for people."""

    error: str


@dataclass(frozen=True, slots=True)
class Faulty:
    """An answer that could not be read."""

    said: str
    error: str

    @property
    def evidence(self) -> str:
        """The error and the beginning of what was said."""
        return f"{self.error}; it said: {excerpt(self.said) or '(nothing)'}"


def user_text(questions: Sequence[str], faulty: Faulty | None = None) -> str:
    """The user's turn: the questions with their numbers from 1; of a second try also what was wrong with the first."""
    text = "\n".join(
        f'<question id="{number}">\n{question}\n</question>' for number, question in enumerate(questions, 1)
    )
    if faulty is None:
        return text
    said = f"You said:\n<answer>\n{faulty.said[:SHOWN_CHARACTERS]}\n</answer>" if faulty.said else "You said nothing."
    return f"{text}\n\n{said}\nThis could not be read: {faulty.error}. Answer again, with the lines asked for only."


def answers(text: str, number: int) -> list[str | Unreadable]:
    """What `text` says of each of `number` questions.

    Of one question the whole text is its answer. Of several each answer stands behind its line `Question N`; a number
    that is missing, or comes twice, is unreadable.
    """
    if number == 1:
        return ["\n".join(line for line in text.splitlines() if not _HEADER.fullmatch(line))]
    found: dict[int, list[str]] = {}
    repeated: set[int] = set()
    current: list[str] = []
    for line in text.splitlines():
        if header := _HEADER.fullmatch(line):
            current = []
            if found.setdefault(int(header[1]), current) is not current:
                repeated.add(int(header[1]))
        else:
            current.append(line)
    return [
        Unreadable(f"question {wanted} is answered twice")
        if wanted in repeated
        else "\n".join(found[wanted])
        if wanted in found
        else Unreadable(f"question {wanted} is not answered")
        for wanted in range(1, number + 1)
    ]


def line_value(text: str, name: str) -> str | Unreadable:
    """What stands behind `name:` on the one line of `text` that begins so; marks of Markdown around it are dropped.

    A line that is repeated word for word counts once; two that differ are unreadable, since nobody says which counts.
    """
    line = re.compile(rf"[\s*_#>`-]*{name}[\s*_`]*:(.*)", re.IGNORECASE)
    values = {found[1].strip(" \t*_`") for row in text.splitlines() if (found := line.fullmatch(row))}
    if not values:
        return Unreadable(f"there is no line `{name}: ...`")
    if len(values) > 1:
        return Unreadable(f"there are {len(values)} different lines `{name}: ...`")
    return values.pop()


def excerpt(text: str) -> str:
    """The beginning of a text on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN_CHARACTERS // 3 else flat[: SHOWN_CHARACTERS // 3] + "..."
