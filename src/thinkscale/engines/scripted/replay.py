"""Recorded responses as a script: what a model once said to a question, it says again.

Any table with a question and a response is a recording, whatever its columns are called (QUESTION, THINKING, ANSWER).
A question is found in a prompt also where a template or an instruction stands around it.

Rejected: an exact match of whole prompts. Every recipe words its prompt in its own way, so nothing would be found.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.records import Finish
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.thinking.formats import recognised_format, split_text

QUESTION = ("question", "problem", "prompt")
"""Columns that may hold the question; the first that a row has counts."""
THINKING = ("thinking", "reasoning", "reasoning_trace", "reasoning_content", "solution")
ANSWER = ("answer_text", "response", "output", "answer")
FINAL = "**Final Answer**"
"""Where reasoning models begin to state the answer when nothing marks the end of their thinking."""
INDEX_CHARACTERS = 24
"""Questions are found in a prompt by this much of their beginning, then compared whole."""
SCANNED_CHARACTERS = 20_000
"""How far into a prompt a question may begin."""


class Unknown(StrEnum):
    """What is said to a prompt that holds no recorded question."""

    ANY = "any"
    """A recorded reply, chosen by a hash of the prompt: for rehearsing, where lengths matter and content does not."""
    ERROR = "error"
    """A reply with finish `error`."""


def parse_unknown(name: str) -> Unknown:
    """The policy of this name. Raises ConfigError."""
    try:
        return Unknown(name)
    except ValueError:
        raise ConfigError(f"--unknown {name!r} is none of {', '.join(Unknown)}") from None


class Replay:
    """A script that says what was recorded. Of n replies to a question, a seed gets number `seed % n`."""

    def __init__(self, replies: Mapping[str, Iterable[ScriptedReply]], unknown: Unknown = Unknown.ANY) -> None:
        """`replies` by question. Raises DataError where there are none."""
        self._replies = {_plain(question): tuple(found) for question, found in replies.items()}
        self._replies = {question: found for question, found in self._replies.items() if question and found}
        if not self._replies:
            raise DataError("there is no recorded response to replay; give a table with a question and a response")
        self._all = tuple(reply for found in self._replies.values() for reply in found)
        self._by_beginning: dict[int, dict[str, list[str]]] = {}
        for question in self._replies:
            beginning = question[:INDEX_CHARACTERS]
            self._by_beginning.setdefault(len(beginning), {}).setdefault(beginning, []).append(question)
        self.unknown = unknown

    @property
    def num_questions(self) -> int:
        """Different questions."""
        return len(self._replies)

    @property
    def num_replies(self) -> int:
        """Replies to all of them."""
        return len(self._all)

    def replies_to(self, prompt: str) -> tuple[ScriptedReply, ...]:
        """All that was recorded for the longest question that stands in `prompt`; empty where none does."""
        text = _plain(prompt)
        question = text if text in self._replies else max(self._questions_in(text), key=len, default="")
        return self._replies.get(question, ())

    def _questions_in(self, text: str) -> Iterator[str]:
        for size, beginnings in self._by_beginning.items():
            for at in range(min(len(text) - size + 1, SCANNED_CHARACTERS)):
                for question in beginnings.get(text[at : at + size], ()):
                    if text.startswith(question, at):
                        yield question

    def __call__(self, prompt: str, seed: int) -> ScriptedReply:
        """See Script."""
        found = self.replies_to(prompt)
        if found:
            return found[seed % len(found)]
        if self.unknown is Unknown.ERROR:
            return ScriptedReply(
                thinking="", answer_text="", finish=Finish.ERROR, error="no response is recorded for this prompt"
            )
        digest = hashlib.blake2b(prompt.encode(errors="surrogatepass"), digest_size=8).digest()
        return self._all[(int.from_bytes(digest) + seed) % len(self._all)]


def read_replay(path: Path, *, problems: Path | None = None, unknown: Unknown = Unknown.ANY) -> Replay:
    """The responses of a JSONL or Parquet file. `problems` is the table that a `responses` table of ours names.

    Rows that recorded a failure (no text at all) are left out. Raises DataError naming the row that has no question.
    """
    questions = _questions(problems) if problems else {}
    replies: dict[str, list[ScriptedReply]] = {}
    for row in read_rows(path):
        reply = recorded_reply(row.values)
        if reply is not None:
            replies.setdefault(_question(row, questions), []).append(reply)
    if not replies:
        raise DataError(
            f"{path} holds no response: none of {', '.join((*THINKING, *ANSWER))} has text in any row; "
            "give a table of recorded responses"
        )
    return Replay(replies, unknown)


def _questions(path: Path) -> dict[str, str]:
    return {str(row.values.get("id")): _first(row.values, QUESTION) for row in read_rows(path)}


def _question(row: SourceRow, questions: Mapping[str, str]) -> str:
    question = _first(row.values, QUESTION) or questions.get(str(row.values.get("problem_id")), "")
    if not question:
        raise DataError(
            f"{row.place} has no question: none of {', '.join(QUESTION)} holds a text; a table of responses that names "
            "problems by `problem_id` needs the table of those problems beside it"
        )
    return question


def recorded_reply(values: Mapping[str, JSON]) -> ScriptedReply | None:
    """The response in a row; None where it holds none. One text alone is split at the marks of its thinking."""
    thinking, answer = _first(values, THINKING), _first(values, ANSWER)
    if not thinking and not answer:
        return None
    if not thinking or not answer:
        thinking, answer = _parts(thinking or answer, is_thinking=not answer and "solution" not in values)
    cut = values.get("finish") in (Finish.LENGTH.value, "length")
    return ScriptedReply(thinking=thinking, answer_text=answer, finish=Finish.LENGTH if cut else Finish.END)


def _parts(text: str, *, is_thinking: bool) -> tuple[str, str]:
    """Thinking and answer of one text. Where nothing marks them, a text is what its column says it is."""
    found = split_text(text, recognised_format(text))
    if found.thinking:
        return found.thinking, found.answer
    head, mark, tail = text.rpartition(FINAL)
    if mark and head.strip():
        return head.rstrip(), mark + tail
    return (text, "") if is_thinking else ("", text)


def _first(values: Mapping[str, JSON], columns: Iterable[str]) -> str:
    texts = (values.get(column) for column in columns)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _plain(text: str) -> str:
    return " ".join(text.split())
