"""Training examples as the rows of other tools.

Every tool renders turns with the model's chat template, so thinking goes into the assistant's text with the markers
of the thinking format around it: the text is the one that our own training rows are encoded from. Roles keep the
names that each format uses.

Rejected: a field of its own for the thinking (`reasoning_content`): each template does something else with it, and
most drop it.
"""

from collections.abc import Callable, Mapping

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Example, Message
from thinkscale.thinking.formats import ThinkingFormat

SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}
Turns = tuple[Message, ...]


def written(example: Example, thinking_format: ThinkingFormat) -> Turns:
    """The turns of `example` with each thinking written into its text.

    Raises DataError where a turn that is trained is not the last one, or the last is not the assistant's: most of the
    formats cannot say which turns carry the loss, so an example that needs it is not handed over silently.
    """
    turns = example.messages
    if not turns or turns[-1].role != "assistant" or any(turn.trained for turn in turns[:-1]):
        raise DataError(
            f"{example.problem_id}: only examples that end with their one trained assistant turn can be exported"
        )
    return tuple(
        Message(role=turn.role, content=text_of(turn, thinking_format), trained=turn.trained) for turn in turns
    )


def text_of(turn: Message, thinking_format: ThinkingFormat) -> str:
    """The turn's text, its thinking before it with the markers of the format."""
    if turn.thinking is None:
        return turn.content
    thinking = thinking_format.think_open + turn.thinking.strip("\n") + "\n"
    return thinking + thinking_format.answer_open + turn.content + thinking_format.answer_end


def messages(turns: Turns) -> dict[str, JSON]:
    """`messages`: role and content, as the chat APIs have them."""
    return {"messages": _turns(turns)}


def prompt_and_completion(turns: Turns) -> dict[str, JSON]:
    """`prompt` and `completion`, both lists of turns: TRL trains on the completion alone."""
    return {"prompt": _turns(turns[:-1]), "completion": _turns(turns[-1:])}


def _turns(turns: Turns) -> list[JSON]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def sharegpt(turns: Turns) -> dict[str, JSON]:
    """`conversations` of `from` (human, gpt) and `value`; the system turn is a field of its own."""
    conversation: list[JSON] = [
        {"from": SHAREGPT_ROLES[turn.role], "value": turn.content} for turn in turns if turn.role != "system"
    ]
    return {"system": _system(turns), "conversations": conversation}


def alpaca(turns: Turns) -> dict[str, JSON]:
    """`instruction`, `input` (empty), `output`, `system`. Raises DataError on a conversation of several rounds."""
    asked = [turn for turn in turns[:-1] if turn.role == "user"]
    if len(asked) != 1 or any(turn.role == "assistant" for turn in turns[:-1]):
        raise DataError("the alpaca format holds one question and one answer; export to messages or sharegpt")
    return {"instruction": asked[0].content, "input": "", "output": turns[-1].content, "system": _system(turns)}


def _system(turns: Turns) -> str:
    return "\n".join(turn.content for turn in turns if turn.role == "system")


SHAPES: Mapping[str, Callable[[Turns], dict[str, JSON]]] = {
    "messages": messages,
    "sharegpt": sharegpt,
    "alpaca": alpaca,
    "prompt_completion": prompt_and_completion,
}
