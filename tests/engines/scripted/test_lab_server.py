"""Token for token: the lab's model over HTTP against the same model in this process."""

from collections import deque

import httpx
import pytest

from tests.engines.scripted.lab_server import lab_server
from thinkscale.engines.catalogue import open_local
from thinkscale.engines.tokens import TokenRequest
from thinkscale.records import Message, Sampling
from thinkscale.thinking.formats import FORMATS, BoundFormat

pytest.importorskip("torch")
QUESTION = "Compute 7 a+5 b*3 c-4 modulo 10."


@pytest.mark.lab
def test_ids_over_http_equal_those_of_the_local_engine() -> None:
    engine = open_local("lab", dtype="float64", device="cpu", batch_size=16)
    bound = BoundFormat(FORMATS["s1"], engine.tokenizer)
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    request = TokenRequest(
        key="a", prompt=prompt, sampling=Sampling(max_tokens=60, seed=7), stop_ids=bound.think_stop_ids
    )
    (expected,) = engine.complete(deque([request]))
    body = {
        "model": "lab",
        "prompt": list(prompt),
        "max_tokens": 60,
        "temperature": 0,
        "seed": 7,
        "stop_token_ids": list(bound.think_stop_ids),
        "return_token_ids": True,
    }
    with lab_server(engine=engine) as server:
        whole = httpx.post(f"{server.url}/completions", json=body).json()["choices"][0]
        rest = httpx.post(
            f"{server.url}/completions", json={**body, "prompt": [*prompt, *expected.ids[:5]], "max_tokens": 55}
        ).json()["choices"][0]
        stopped = httpx.post(f"{server.url}/completions", json={**body, "stop_token_ids": [expected.ids[4]]}).json()
        refused = httpx.post(f"{server.url}/completions", json={**body, "max_tokens": 10**6})
    stopped = stopped["choices"][0]
    assert expected.stop_id is not None
    assert tuple(whole["token_ids"]) == (*expected.ids, expected.stop_id)
    first, stop = expected.ids.index(expected.ids[4]), expected.ids[4]
    assert stopped["token_ids"] == list(expected.ids[: first + 1])
    assert (stopped["finish_reason"], stopped["stop_reason"]) == ("stop", stop)
    assert whole["prompt_token_ids"] == list(prompt)
    assert rest["token_ids"] == whole["token_ids"][5:]
    assert refused.status_code == 400
