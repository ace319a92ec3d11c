"""Token ids in, token ids out, over `/completions` of a server with vLLM's extensions.

The prompt goes as token ids and `return_token_ids` brings ids back, so budgets are exact and a torn trace goes on
from its last id: an attempt sends the prompt with all ids so far. The seed stays as it was.

Shapes as in vLLM's `entrypoints/openai/completion`: each chunk's choice has `token_ids`, the stop token included;
`stop_reason` is the id of a stop token of ours, and null where the model's own eos ended the text. Both are read, and
also servers that leave the stop token out. `logprobs: 0` brings the log-probability of each token and of no other;
vLLM's default (`--logprobs-mode raw_logprobs`) is what TokenCompletion means. Rejected: ids from `logprobs` of
`return_tokens_as_token_ids`, twice the bytes for every token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.engines.remote import shapes
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.openai_events import MAX_SEED, only_choice, raise_error, require_choice
from thinkscale.engines.remote.wire import Call, Outcome, Reply
from thinkscale.engines.tokens import TokenCompletion, TokenRequest, rounded_logprob
from thinkscale.keys import JSON, plain
from thinkscale.records import Finish, Usage

_FINISHES = {"stop": Finish.END, "length": Finish.LENGTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAICompletions:
    """Dialect of TokenRequest and TokenCompletion. See `wire.Dialect`."""

    model: str

    def headers(self, key: str | None) -> dict[str, str]:
        """A bearer token where there is a key."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def key_of(self, request: TokenRequest) -> str:
        """The caller's name for the request."""
        return request.key

    def identity(self, request: TokenRequest) -> JSON:
        """Prompt, sampling and stop ids, and what else is asked for where it is."""
        asked = {"prompt": request.prompt, "sampling": request.sampling, "stop_ids": request.stop_ids}
        optional = {"min_tokens": request.min_tokens, "logprobs": request.logprobs}
        return plain(asked | {name: value for name, value in optional.items() if value})

    def call(self, request: TokenRequest, before: Reply, *, stream: bool) -> Call:
        """The prompt with the ids of `before`, and what is left of `max_tokens`.

        `before.ids` must be fewer than `max_tokens`: with as many, the completion is finished (finish length) and
        there is nothing to send.
        """
        sampling = request.sampling
        prompt = [*request.prompt, *before.ids]
        max_tokens = sampling.max_tokens - len(before.ids)
        body: dict[str, JSON] = {
            "model": self.model,
            "prompt": prompt,  # type: ignore[dict-item]  # list[int] is a list of JSON
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed & MAX_SEED,
            "n": 1,
            "stop_token_ids": list(request.stop_ids),
            "return_token_ids": True,
            "skip_special_tokens": False,
        }
        if request.min_tokens > len(before.ids):
            body["min_tokens"] = min(request.min_tokens - len(before.ids), max_tokens)
        if request.logprobs:
            body["logprobs"] = 0
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Call(path="/completions", body=body, prompt_tokens=len(prompt), max_tokens=max_tokens)

    def take(self, reply: Reply, event: Mapping[str, JSON]) -> None:
        """Adds a chunk's ids; a whole reply has the same shape. Raises Failure."""
        raise_error(event)
        if event.get("usage") is not None:
            _take_usage(reply, event)
        if (choice := only_choice(event)) is not None:
            _take_choice(reply, choice)

    def take_whole(self, reply: Reply, body: Mapping[str, JSON]) -> None:
        """An unstreamed reply. Raises Failure, WRONG_COUNTS where it has no choice."""
        self.take(reply, body)
        require_choice(body)

    def check(self, request: TokenRequest, reply: Reply) -> None:
        """TORN without a finish; WRONG_COUNTS beyond `max_tokens` or against the server's own counts.

        BAD_REQUEST where ids follow a stop id: a server that does not know `stop_token_ids` cannot hold a budget.
        """
        if reply.finish is None:
            raise Failure(FailureKind.TORN, "the stream ended before the completion did")
        ids, finish, _ = _ending(request, reply)
        if len(ids) > request.sampling.max_tokens:
            said = f"{len(ids)} tokens where at most {request.sampling.max_tokens} were asked for"
            raise Failure(FailureKind.WRONG_COUNTS, said)
        if finish is Finish.END and len(ids) < request.min_tokens:
            raise Failure(
                FailureKind.BAD_REQUEST,
                f"this server ended after {len(ids)} tokens where `min_tokens` was {request.min_tokens}, so it cannot "
                "serve a minimum of thinking; use vLLM, or leave that method out",
            )
        if any(stop in ids for stop in request.stop_ids):
            raise Failure(
                FailureKind.BAD_REQUEST,
                "this server goes on behind `stop_token_ids`, so it cannot serve budget methods; use the chat protocol",
            )
        _check_usage(request, reply, len(ids), finish)

    def renew(self, reply: Reply) -> Reply:
        """What came so far. A reply that had finished and was refused all the same is not to be trusted: none of it."""
        return Reply(ids=list(reply.ids), logprobs=list(reply.logprobs)) if reply.finish is None else Reply()

    def completion(self, request: TokenRequest, reply: Reply, outcome: Outcome) -> TokenCompletion:
        """The ids without the stop token; none with `outcome.error`."""
        ids, finish, stop_id = _ending(request, reply)
        if outcome.error is not None:
            ids, finish, stop_id = [], Finish.ERROR, None
        is_told = request.logprobs and len(reply.logprobs) >= len(ids)
        return TokenCompletion(
            request=request,
            ids=tuple(ids),
            finish=finish or Finish.LENGTH,
            stop_id=stop_id,
            logprobs=tuple(reply.logprobs[: len(ids)]) if is_told else (),
            error=outcome.error,
            attempts=outcome.attempts,
            seconds=outcome.seconds,
            usage=Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens),
            usd=outcome.usd,
        )


def _take_usage(reply: Reply, event: Mapping[str, JSON]) -> None:
    usage = shapes.table(event, "usage")
    reply.prompt_tokens = shapes.count(usage, "prompt_tokens")
    reply.completion_tokens = shapes.count(usage, "completion_tokens")
    reply.cached_tokens = shapes.count(shapes.table(usage, "prompt_tokens_details"), "cached_tokens") or 0


def _take_choice(reply: Reply, choice: Mapping[str, JSON]) -> None:
    ids = shapes.token_ids(choice, "token_ids")
    if ids:
        _take_logprobs(reply, choice, len(ids))
        reply.ids += ids
        reply.num_pieces += 1
    elif ids is None and choice.get("text"):
        raise Failure(
            FailureKind.BAD_REQUEST,
            "this server returns no token ids (`return_token_ids`), so it cannot serve budget methods; "
            "use the chat protocol",
        )
    if (reason := choice.get("finish_reason")) is not None:
        reply.finish = _finish(reason)
        stop_id = choice.get("stop_reason")
        if type(stop_id) is int and reply.finish is Finish.END:
            reply.stop_id = stop_id
            if reply.ids and reply.ids[-1] == stop_id:
                reply.ids.pop()


def _take_logprobs(reply: Reply, choice: Mapping[str, JSON], num_ids: int) -> None:
    """Adds those of a chunk. A chunk without them leaves the reply's behind its ids for good."""
    values = shapes.numbers(shapes.table(choice, "logprobs"), "token_logprobs")
    if not values:
        return
    if len(values) == num_ids + 1 and choice.get("finish_reason") is not None:
        values = values[:-1]  # of a stop token that the server left out
    if len(values) != num_ids:
        said = f"{len(values)} log-probabilities came with {num_ids} token ids"
        raise Failure(FailureKind.WRONG_COUNTS, said)
    if len(reply.logprobs) == len(reply.ids):
        reply.logprobs += [rounded_logprob(value) for value in values]


def _finish(reason: JSON) -> Finish:
    if isinstance(reason, str) and reason in _FINISHES:
        return _FINISHES[reason]
    if reason in ("abort", "error"):
        raise Failure(FailureKind.SERVER_ERROR, f"the server gave the completion up ({reason})")
    raise Failure(FailureKind.MALFORMED, f"finish_reason {reason!r:.40} is none of a completion")


def _ending(request: TokenRequest, reply: Reply) -> tuple[list[int], Finish | None, int | None]:
    """Ids without the stop token, the finish, and the stop token where one of the request's ended it.

    A stop token as the last id that was allowed ends the completion, whatever the server calls it.
    """
    if reply.stop_id is None and reply.finish is not None and reply.ids and reply.ids[-1] in request.stop_ids:
        return reply.ids[:-1], Finish.END, reply.ids[-1]
    return reply.ids, reply.finish, reply.stop_id


def _check_usage(request: TokenRequest, reply: Reply, num_ids: int, finish: Finish | None) -> None:
    """Read and written tokens add up to prompt and ids, however many of the ids came in earlier attempts.

    Servers differ in whether they count the stop token.
    """
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return
    said = reply.prompt_tokens + reply.completion_tokens
    came = len(request.prompt) + num_ids
    if said != came and not (said == came + 1 and finish is Finish.END):
        raise Failure(
            FailureKind.WRONG_COUNTS,
            f"the server counts {reply.prompt_tokens} tokens read and {reply.completion_tokens} written; "
            f"prompt and ids are {len(request.prompt)} and {num_ids}",
        )
