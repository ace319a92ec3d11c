"""A deterministic chat engine without a model: a script answers. It ships in the package, for the lab and for tests."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.records import Finish, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """What a script says to a prompt."""

    thinking: str
    answer_text: str
    finish: Finish = Finish.END
    error: str | None = None


Script = Callable[[str, int], ScriptedReply]
"""From the text of the last user turn and a seed to a reply; pure."""


@dataclass(frozen=True, slots=True)
class ScriptedEngine:
    """Answers each request from `script`, in order, counting tokens with `count_tokens`."""

    name: str
    script: Script
    count_tokens: Callable[[str], int]

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine."""
        for request in requests:
            prompt = request.messages[-1].content
            reply = self.script(prompt, request.sampling.seed)
            thinking_tokens, answer_tokens = self.count_tokens(reply.thinking), self.count_tokens(reply.answer_text)
            yield ChatCompletion(
                request=request,
                thinking=reply.thinking,
                answer_text=reply.answer_text,
                finish=reply.finish,
                thinking_tokens=thinking_tokens,
                answer_tokens=answer_tokens,
                usage=Usage(prompt_tokens=self.count_tokens(prompt), completion_tokens=thinking_tokens + answer_tokens),
                error=reply.error,
            )
