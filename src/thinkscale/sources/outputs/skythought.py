"""SkyThought's results.json: one JSON object, an entry for each problem, its columns beside its responses.

Two shapes. Today's: keys are row numbers, `responses` is a list of `{content, correctness, reason}`. The older one:
keys are the texts of the problems, `responses` maps a temperature to such an object or to a list of them. Where a
response has `processed_content`, that is what SkyThought's own check reads, so it is the response here too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Verdict
from thinkscale.sources.files import SourceRow
from thinkscale.sources.outputs.entries import entries
from thinkscale.sources.outputs.questions import stated_problem

ADDED = frozenset({"responses", "token_usages", "prompt", "input_conversation", "_index", "messages"})
"""Columns that SkyThought adds to those of the data set."""
GRADER = "skythought"
MAX_ID_CHARACTERS = 200


def is_skythought(entry: JSON) -> bool:
    """Whether the first entry of an object is one of SkyThought's."""
    return isinstance(entry, dict) and isinstance(entry.get("responses"), (list, dict)) and "doc_id" not in entry


def read_skythought(path: Path) -> Iterator[SourceRow]:
    """A row for each response. Raises DataError, naming the entry, where one has no responses."""
    for number, (key, entry) in enumerate(entries(path)):
        place = f"{path}, entry {number + 1}"
        if not isinstance(entry, dict) or not isinstance(entry.get("responses"), (list, dict)):
            raise DataError(f"{place} ({key!r:.60}): there are no `responses`; it is no entry of a results.json")
        problem = stated_problem(_columns(entry), _prompt(entry))
        if not problem["question"]:
            problem["question"] = key
        # The older shape has the problem's text as its key, which is no name for a row.
        name = str(number) if key == problem["question"] or len(key) > MAX_ID_CHARACTERS else key
        replies = list(_replies(entry["responses"]))
        for label, reply in replies:
            row_id = name if len(replies) == 1 else f"{name}/{label}"
            yield SourceRow(place, {"id": row_id, **problem, **_reply(reply, f"{place}, response {label}")})


def _columns(entry: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The data set's columns, with those of LiveCodeBench under the names that SkyThought changed."""
    columns = {name: value for name, value in entry.items() if name not in ADDED}
    if "is_stdin" in columns and "public_test_cases" in columns and "test" in columns:
        columns["private_test_cases"] = columns.pop("test")
        columns["starter_code"] = columns.pop("entry_point", None)
    return columns


def _prompt(entry: Mapping[str, JSON]) -> str:
    """The user's turn, from the conversation: `prompt` is the prefill in some versions."""
    turns = entry.get("input_conversation")
    for turn in reversed(turns if isinstance(turns, list) else []):
        if isinstance(turn, dict) and turn.get("role") == "user" and isinstance(turn.get("content"), str):
            return str(turn["content"])
    prompt = entry.get("prompt")
    return prompt if isinstance(prompt, str) else ""


def _replies(responses: JSON) -> Iterator[tuple[str, JSON]]:
    if isinstance(responses, list):
        yield from ((str(number), reply) for number, reply in enumerate(responses))
    elif isinstance(responses, dict):
        for temperature, replies in responses.items():
            if isinstance(replies, list):
                yield from ((f"{temperature}/{number}", reply) for number, reply in enumerate(replies))
            else:
                yield temperature, replies


def _reply(reply: JSON, place: str) -> dict[str, JSON]:
    values: Mapping[str, JSON] = reply if isinstance(reply, dict) else {"content": reply}
    text = values.get("processed_content")
    text = text if isinstance(text, str) else values.get("content")
    if not isinstance(text, str):
        raise DataError(f"{place}: `content` must be the whole response as text, it is {text!r:.60}")
    correctness = values.get("correctness")
    verdict = Verdict.CORRECT if correctness else Verdict.WRONG
    recorded = verdict.value if isinstance(correctness, (bool, int)) else None
    return {"response": text, "recorded": recorded, "recorded_by": {GRADER: recorded} if recorded else {}}
