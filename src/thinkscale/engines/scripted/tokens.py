"""A script as a token engine in this process: what the loopback server says to token ids, without the server."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from thinkscale.engines.scripted.asking import Ask
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest
from thinkscale.records import Finish, Usage
from thinkscale.thinking.formats import Tokenizer


@dataclass(slots=True, kw_only=True)
class ScriptedTokens:
    """Answers in order, at once. See TokenEngine; a script draws each token for certain, so log-probabilities are 0.

    Drafts are neither read nor saved: a script gives the same tokens again at no cost.
    """

    name: str
    backend: ScriptedBackend
    """With a tokenizer, and that tokenizer is `tokenizer`."""
    tokenizer: Tokenizer
    context_tokens: int = 131_072

    def complete(self, queue: deque[TokenRequest], drafts: Drafts = NO_DRAFTS) -> Iterator[TokenCompletion]:
        """See TokenEngine."""
        while queue:
            yield self._completion(queue.popleft())

    def _completion(self, request: TokenRequest) -> TokenCompletion:
        needed = len(request.prompt) + request.sampling.max_tokens
        if not request.prompt or needed > self.context_tokens:
            error = f"prompt and max_tokens need {needed} tokens, the model has {self.context_tokens}"
            error = error if request.prompt else "empty prompt"
            return TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=error, usage=Usage())
        ask = Ask(sampling=request.sampling, stop_ids=request.stop_ids, min_tokens=request.min_tokens)
        said = self.backend.said_behind(request.prompt, ask)
        if isinstance(said, ScriptedReply):
            error = said.error or "the script failed"
            return TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=error, usage=Usage())
        ended = said.finish is Finish.END
        ids = said.ids[:-1] if ended else said.ids
        return TokenCompletion(
            request=request,
            ids=ids,
            finish=said.finish,
            stop_id=said.ids[-1] if ended else None,
            logprobs=(0.0,) * len(ids) if request.logprobs else (),
            usage=Usage(prompt_tokens=len(request.prompt), completion_tokens=len(said.ids)),
        )
