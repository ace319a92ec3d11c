"""What the chat dialects share: the size of a conversation, and how a reply divides into thinking and answer."""

from collections.abc import Sequence

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.wire import Outcome, Reply
from thinkscale.records import Finish, Message, Usage
from thinkscale.thinking.formats import recognised_format, split_text

CHARACTERS_PER_TOKEN = 3
"""Of ASCII text: tokenizers of today have 3.5 to 4.5 in prose and mathematics."""
TOKENS_PER_TURN = 8
"""Role and separators."""


def prompt_estimate(messages: Sequence[Message]) -> int:
    """Tokens of a conversation, estimated from above: a third of its ASCII characters, and two for every other one."""
    tokens = TOKENS_PER_TURN
    for message in messages:
        size = len(message.content)
        num_other = 0 if message.content.isascii() else sum(character > "\x7f" for character in message.content)
        tokens += TOKENS_PER_TURN + 2 * num_other + -(-(size - num_other) // CHARACTERS_PER_TOKEN)
    return tokens


def divided(reply: Reply) -> tuple[str, str]:
    """Thinking and answer. Where the server did not part them, markers in the text do.

    A text is parted where it begins with a format's opening, or holds the closing behind which the answer stands
    (R1 templates open the thinking in the prompt). A marker that is only mentioned parts nothing.
    """
    text = reply.text
    if reply.thinking:
        return reply.thinking.strip("\n"), text.strip()
    found = recognised_format(text)
    if text.lstrip().startswith(found.think_open.strip()) or found.answer_open.strip() in text:
        parts = split_text(text, found)
        return parts.thinking, parts.answer
    return "", text.strip()


def token_shares(reply: Reply, thinking: str, answer: str) -> tuple[int, int]:
    """Tokens of thinking and of answer, which add up to the completion's.

    Exact where the server counts the thinking. Else the total is divided by characters: an estimate. Where the server
    counts nothing at all, the total is the number of pieces that came: a lower bound.
    """
    total = reply.completion_tokens if reply.completion_tokens is not None else reply.num_pieces
    if reply.thinking_tokens is not None:
        num_thinking = min(reply.thinking_tokens, total)
    else:
        size = len(thinking) + len(answer)
        num_thinking = round(total * len(thinking) / size) if size else 0
    return num_thinking, total - num_thinking


def chat_completion(request: ChatRequest, reply: Reply, outcome: Outcome) -> ChatCompletion:
    """The completion of a checked reply; an empty one with finish `error` where `outcome` has an error."""
    usage = Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens)
    failed = outcome.error is not None
    thinking, answer = ("", "") if failed else divided(reply)
    num_thinking, num_answer = (0, 0) if failed else token_shares(reply, thinking, answer)
    return ChatCompletion(
        request=request,
        thinking=thinking,
        answer_text=answer,
        finish=Finish.ERROR if failed else reply.finish or Finish.LENGTH,
        thinking_tokens=num_thinking,
        answer_tokens=num_answer,
        usage=usage,
        error=outcome.error,
        attempts=outcome.attempts,
        seconds=outcome.seconds,
        usd=outcome.usd,
    )


def add_thinking(reply: Reply, piece: str) -> None:
    """Appends in place: CPython grows a string that only a local name holds, where `reply.thinking += piece` copies it.

    A trace of 30,000 events would else be copied 30,000 times.
    """
    thinking, reply.thinking = reply.thinking, ""
    thinking += piece
    reply.thinking = thinking
    reply.num_pieces += bool(piece)


def add_text(reply: Reply, piece: str) -> None:
    """Appends in place, as `add_thinking`."""
    text, reply.text = reply.text, ""
    text += piece
    reply.text = text
    reply.num_pieces += bool(piece)
