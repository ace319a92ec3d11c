"""A token engine as a chat engine: renders conversations as ids, and splits what comes back at the end of thinking."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenEngine, TokenRequest
from thinkscale.records import Finish, Usage
from thinkscale.thinking.formats import BoundFormat

WINDOW = 1024
"""Requests rendered ahead of the engine, so that memory does not grow with the number of rows."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`engine` behind messages. With `thinks` the thinking is opened in the prompt; else it answers at once."""

    engine: TokenEngine
    bound: BoundFormat
    thinks: bool
    drafts: Drafts = NO_DRAFTS

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine."""
        waiting = iter(requests)
        running: dict[str, ChatRequest] = {}
        queue: deque[TokenRequest] = deque()

        def refill() -> None:
            while len(running) < WINDOW and (request := next(waiting, None)):
                running[request.key] = request
                queue.append(self._tokens(request))

        refill()
        while queue:
            for completion in self.engine.complete(queue, self.drafts):
                yield self._chat(running.pop(completion.request.key), completion)
                refill()

    def _tokens(self, request: ChatRequest) -> TokenRequest:
        render = self.bound.thinking_prompt if self.thinks else self.bound.direct_prompt
        return TokenRequest(
            key=request.key,
            prompt=render(request.messages),
            sampling=request.sampling,
            stop_ids=self.bound.answer_stop_ids,
        )

    def _chat(self, request: ChatRequest, completion: TokenCompletion) -> ChatCompletion:
        ids, bound = completion.ids, self.bound
        thinking_ids: tuple[int, ...] = ()
        answer_ids = ids
        if self.thinks:
            end_id = bound.think_stop_ids[0]
            end = ids.index(end_id) if end_id in ids else len(ids)
            marker = bound.encode(bound.format.answer_open)
            thinking_ids, rest = ids[:end], ids[end:]
            answer_ids = rest[len(marker) :] if rest[: len(marker)] == marker else rest[1:]
        return ChatCompletion(
            request=request,
            thinking=bound.decode(thinking_ids).strip("\n"),
            answer_text=bound.decode(answer_ids).strip(),
            finish=Finish.ERROR if completion.error else completion.finish,
            thinking_tokens=len(thinking_ids),
            answer_tokens=len(answer_ids),
            usage=completion.usage or Usage(prompt_tokens=len(completion.request.prompt), completion_tokens=len(ids)),
            error=completion.error,
            attempts=completion.attempts,
            seconds=completion.seconds,
            usd=completion.usd,
        )
