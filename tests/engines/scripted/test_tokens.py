"""A script in this process says what it says behind the loopback server."""

from collections import deque
from dataclasses import replace

import pytest

from tests.engines.remote.pools import pool
from tests.engines.scripted.test_backend import QUESTION, script
from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.engines.remote.opening import open_tokens
from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.engines.scripted.tokens import ScriptedTokens
from thinkscale.engines.tokens import TokenEngine, TokenRequest
from thinkscale.records import Finish, Message, Sampling
from thinkscale.thinking.formats import FORMATS, BoundFormat

pytest.importorskip("transformers")


def ids_by(engine: TokenEngine, asked: list[TokenRequest]) -> dict[str, tuple[object, ...]]:
    found = engine.complete(deque(asked))
    return {one.request.key: (one.ids, one.finish, one.stop_id, one.logprobs) for one in found}


def test_in_process_and_over_http_the_ids_are_the_same() -> None:
    tokenizer = open_tokenizer("lab")
    bound = BoundFormat(FORMATS["s1"], tokenizer)
    backend = ScriptedBackend(script, name="toy", tokenizer=tokenizer)
    engine = ScriptedTokens(name="toy", backend=backend, tokenizer=tokenizer)
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    plain = TokenRequest(
        key="plain", prompt=prompt, sampling=Sampling(max_tokens=300), stop_ids=bound.think_stop_ids, logprobs=True
    )
    asked = [
        plain,
        replace(plain, key="cut", sampling=Sampling(max_tokens=7)),
        replace(plain, key="held", min_tokens=90),
        replace(plain, key="silent", logprobs=False),
    ]
    told = ids_by(engine, asked)
    with running_server(backend, ServerOptions()) as server:
        assert ids_by(open_tokens(pool(server.url, model="toy"), tokenizer), asked) == told
    assert told["plain"][1:3] == (Finish.END, bound.think_stop_ids[0])
    assert len(told["held"][0]) == 90  # type: ignore[arg-type]
    assert told["cut"][1] is Finish.LENGTH


def test_what_fails_and_what_does_not_fit_are_failed_completions() -> None:
    tokenizer = open_tokenizer("lab")
    broken = ScriptedBackend(
        lambda _prompt, _seed: ScriptedReply(thinking="", answer_text="", finish=Finish.ERROR, error="no"),
        name="toy",
        tokenizer=tokenizer,
    )
    engine = ScriptedTokens(name="toy", backend=broken, tokenizer=tokenizer, context_tokens=50)
    asked = TokenRequest(key="a", prompt=(1, 2), sampling=Sampling(max_tokens=20), stop_ids=())
    long = replace(asked, key="b", sampling=Sampling(max_tokens=49))
    found = {one.request.key: one.error for one in engine.complete(deque([asked, long, replace(asked, prompt=())]))}
    assert found == {"a": "empty prompt", "b": "prompt and max_tokens need 51 tokens, the model has 50"}
    (failed,) = engine.complete(deque([asked]))
    assert (failed.finish, failed.error) == (Finish.ERROR, "no")
