"""Preference pairs of a run or of a table, in our own shape and in those that other tools publish.

| shape | fields of a row | published by |
| --- | --- | --- |
| our own | `prompt` (turns), `chosen`, `rejected` (a turn each), `why`, `problem_id` | a run's pairs.parquet |
| plain texts | `prompt`, `chosen`, `rejected` | TRL |
| conversations | `chosen` and `rejected` as turns that begin alike, or with the turns before them in `prompt` | \
UltraFeedback, Magpie, alignment-handbook, TRL |
| sharegpt | `conversations` (`from`, `value`), `chosen`, `rejected` (a turn each), `system` | LLaMA-Factory, Sky-T1 |
| messages | `messages` (`role`, `content`), `chosen`, `rejected` (a turn each) | OpenAI, LLaMA-Factory |
| alpaca | `instruction`, `input`, `chosen`, `rejected`, `system`, `history` | LLaMA-Factory |

The shape is told by the fields of each row. A reply whose text bears the markers of a thinking format is taken apart,
so that it is rendered in the student's own format and its thinking can be cut. Pairs without a `problem_id` or
`prompt_id` are named after their prompt, so that pairs of one prompt belong together; other ids differ from pair to
pair.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Message, Pair, problem_id
from thinkscale.sources.files import is_readable, read_rows
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.formats import FORMATS, split_text

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
"""What others call a turn's speaker, and what we do."""
_SHAPES = "prompt (text or turns), conversations, messages or instruction, beside chosen and rejected"


class _ShapeError(Exception):
    """What is wrong with one row."""


def read_pairs(source: Path) -> Iterator[Pair]:
    """The pairs of a run directory, of a folder with pairs.parquet, or of a table (JSONL, Parquet, a JSON array).

    Raises DataError with the row's place where one cannot be read.
    """
    if (source / JOURNAL_NAME).is_file():
        with RunDirectory.read(source) as run:
            yield from run.rows(Pair)
        return
    path = source / "pairs.parquet" if source.is_dir() else source
    if not path.is_file() or not is_readable(path.name):
        raise DataError(f"{source} is neither a run nor a table of pairs (JSONL or Parquet)")
    for row in read_rows(path):
        try:
            yield pair_of(row.values)
        except _ShapeError as error:
            raise DataError(f"{row.place}: {error}") from error


def holds_pairs(source: Path) -> bool:
    """Whether `source` is a table whose first row is a pair; a run or anything else is not."""
    path = source / "pairs.parquet" if source.is_dir() else source
    if (source / JOURNAL_NAME).is_file() or not path.is_file() or not is_readable(path.name):
        return False
    if source.is_dir():
        return not (source / "examples.parquet").is_file()
    first = next(iter(read_rows(path)), None)
    return first is not None and {"chosen", "rejected"} <= set(first.values)


def pair_of(values: Mapping[str, JSON]) -> Pair:
    """The pair that a row of any of the shapes holds."""
    for name in ("chosen", "rejected"):
        if values.get(name) in (None, []):
            raise _ShapeError(f"no `{name}`; a row of pairs has {_SHAPES}")
    before_chosen, chosen = _reply(values["chosen"], "chosen")
    before_rejected, rejected = _reply(values["rejected"], "rejected")
    if before_chosen != before_rejected:
        raise _ShapeError(
            "`chosen` and `rejected` differ before their last turns, so they are not two replies to one prompt"
        )
    prompt = _with_system(values, _prompt(values, before_chosen))
    if not prompt or prompt[-1].role != "user":
        last = f"ends with a turn of the {prompt[-1].role}" if prompt else "is empty"
        raise _ShapeError(f"the prompt {last}, where a reply answers a turn of the user")
    named = values.get("problem_id") or values.get("prompt_id")
    return Pair(
        problem_id=str(named) if named else problem_id("pair", "\n".join(f"{t.role}: {t.content}" for t in prompt)),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        why=str(values.get("why") or ""),
    )


def _reply(value: JSON, name: str) -> tuple[tuple[Message, ...], Message]:
    """The turns before a reply, where it is a conversation, and the reply."""
    value = _unpacked(value)
    if isinstance(value, str):
        return (), _taken_apart(Message(role="assistant", content=value))
    turns = _turns(value if isinstance(value, list) else [value], name)
    if turns[-1].role != "assistant":
        raise _ShapeError(f"`{name}` ends with a turn of the {turns[-1].role}, not with the assistant's reply")
    return turns[:-1], _taken_apart(turns[-1])


def _prompt(values: Mapping[str, JSON], before: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns before the replies: those that the replies begin with, else those that the row states beside them."""
    stated = _stated(values)
    if not before:
        if not stated:
            raise _ShapeError(f"no prompt; a row of pairs has {_SHAPES}")
        return stated
    asked = {turn.content.strip() for turn in before if turn.role == "user"}
    repeated = len(stated) == 1 and stated[0].role == "user" and stated[0].content.strip() in asked
    if stated and stated != before and not repeated:
        raise _ShapeError("the prompt is not what `chosen` and `rejected` begin with")
    return before


def _stated(values: Mapping[str, JSON]) -> tuple[Message, ...]:
    for name in ("prompt", "conversations", "messages"):
        value = _unpacked(values.get(name))
        if name == "messages" and not isinstance(_unpacked(values["chosen"]), (dict, str)):
            continue  # alignment-handbook repeats the chosen conversation under this name
        if isinstance(value, str) and value.strip():
            return (Message(role="user", content=value),)
        if isinstance(value, list) and value:
            return _turns(value, name)
    instruction = values.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        return ()
    given = values.get("input")
    asked = f"{instruction}\n{given}" if isinstance(given, str) and given.strip() else instruction
    return (*_history(values.get("history")), Message(role="user", content=asked))


def _history(value: JSON) -> tuple[Message, ...]:
    """Earlier rounds as alpaca's pairs of question and answer."""
    turns: list[Message] = []
    for number, item in enumerate(value if isinstance(value, list) else []):
        if not (isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)):
            raise _ShapeError(f"round {number} of `history` is not a pair of question and answer")
        turns += [Message(role="user", content=str(item[0])), Message(role="assistant", content=str(item[1]))]
    return tuple(turns)


def _with_system(values: Mapping[str, JSON], prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    system = values.get("system")
    if not isinstance(system, str) or not system.strip():
        return prompt
    if any(turn.role == "system" for turn in prompt):
        raise _ShapeError("a system turn stands in `system` and in the conversation too")
    return (Message(role="system", content=system), *prompt)


def _turns(value: Sequence[JSON], name: str) -> tuple[Message, ...]:
    return tuple(_turn(item, f"turn {number} of `{name}`") for number, item in enumerate(value))


def _turn(value: JSON, where: str) -> Message:
    if not isinstance(value, dict):
        raise _ShapeError(f"{where} is no turn with `role` and `content`, or `from` and `value`")
    role, content = value.get("role", value.get("from")), value.get("content", value.get("value"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise _ShapeError(f"{where} lacks `role` and `content` (or `from` and `value`) as texts")
    if role not in ROLES:
        raise _ShapeError(f"{where} is of the role {role!r}; pairs hold {', '.join(sorted(set(ROLES.values())))}")
    thinking = value.get("thinking")
    if thinking is not None and not isinstance(thinking, str):
        raise _ShapeError(f"{where} has a `thinking` that is no text")
    return Message(role=ROLES[role], content=content, thinking=thinking)


def _unpacked(value: JSON) -> JSON:
    """Turns that stand in a text column as JSON, as in our own Parquet tables; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    turns = found if isinstance(found, list) else [found]
    is_turns = all(isinstance(turn, dict) and {"role", "from"} & set(turn) for turn in turns)
    return found if turns and is_turns else value


def _taken_apart(reply: Message) -> Message:
    """`reply` with the thinking that its text bears markers of as a field of its own; its answer is empty where the
    thinking never ends."""
    if reply.thinking is not None:
        return reply
    for item in FORMATS.values():
        if any(marker.strip() in reply.content for marker in (item.think_open, item.answer_open)):
            split = split_text(reply.content, item)
            return Message(role="assistant", content=split.answer, thinking=split.thinking)
    return reply
