"""`min_tokens` and log-probabilities over `/completions`: as vLLM takes and returns them, and servers that do not."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engines.remote.pools import pool
from tests.engines.remote.test_openai import EOS, OUTCOME, STOP, TOKENS, chunk, counted, token_request
from tests.engines.remote.test_remote_engine import CONTEXT, Kept
from tests.engines.remote.test_remote_engine import token_request as local_request
from tests.engines.scripted.lab_server import lab_server
from thinkscale.engines.remote import jobs, loop
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.opening import open_tokens
from thinkscale.engines.remote.wire import Reply
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.tokens import LOGPROB_STEP, TokenCompletion, TokenEngine, TokenRequest
from thinkscale.keys import JSON
from thinkscale.records import Finish

ASKED = replace(token_request(), logprobs=True)


def told(ids: Sequence[int], values: JSON, finish: str | None = None, stop: JSON = None) -> dict[str, JSON]:
    """A chunk with log-probabilities, in vLLM's shape."""
    body = chunk(ids, finish, stop)
    choices = body["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    choices[0]["logprobs"] = {"text_offset": [0], "token_logprobs": values, "tokens": ["t"], "top_logprobs": [{}]}
    return body


def read(events: Sequence[Mapping[str, JSON]], request: TokenRequest = ASKED, before: Reply | None = None) -> Reply:
    reply = before or Reply()
    for event in events:
        TOKENS.take(reply, event)
    TOKENS.check(request, reply)
    return reply


def logprobs_of(events: Sequence[Mapping[str, JSON]], request: TokenRequest = ASKED) -> tuple[float, ...]:
    return TOKENS.completion(request, read(events, request), OUTCOME).logprobs


def test_both_are_asked_for_only_where_they_are_wanted() -> None:
    plain = TOKENS.call(token_request(), Reply(), stream=True).body
    assert "min_tokens" not in plain
    assert "logprobs" not in plain
    body = TOKENS.call(replace(ASKED, min_tokens=4), Reply(), stream=True).body
    assert (body["min_tokens"], body["logprobs"]) == (4, 0)


@pytest.mark.parametrize(("written", "sent"), [(0, 5), (1, 4), (3, 2)])
def test_what_is_left_of_a_minimum_is_sent_and_never_more_than_max_tokens(written: int, sent: int) -> None:
    """vLLM refuses a `min_tokens` above `max_tokens`."""
    before = Reply(ids=[4] * written)
    assert TOKENS.call(replace(ASKED, min_tokens=9), before, stream=True).body["min_tokens"] == sent
    assert TOKENS.call(replace(ASKED, min_tokens=3), Reply(ids=[4, 4, 4]), stream=True).body.get("min_tokens") is None


def test_the_cache_tells_such_requests_from_plain_ones_and_knows_the_plain_ones_still() -> None:
    plain = token_request()
    assert TOKENS.identity(plain) == {
        "prompt": [1, 2, 3],
        "sampling": {"max_tokens": 5, "temperature": 0.7, "top_p": 0.9, "seed": 2**63 + 5},
        "stop_ids": [8, 9],
    }
    asked = [plain, ASKED, replace(plain, min_tokens=2), replace(plain, min_tokens=3)]
    identities = [TOKENS.identity(item) for item in asked]
    assert all(one not in identities[at + 1 :] for at, one in enumerate(identities))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([told([4], [-0.5]), told([5, STOP], [-0.25, -2.0], "stop", STOP), counted(3, 3)], (-0.5, -0.25)),
        ([told([4, 5, EOS], [-0.5, -0.25, 0.0], "stop"), counted(3, 3)], (-0.5, -0.25)),
        ([told([4, 5], [-0.5, -0.25, -2.0], "stop", STOP), counted(3, 3)], (-0.5, -0.25)),
        ([told([4, 5], [-0.5, -0.25], "stop", STOP), counted(3, 2)], (-0.5, -0.25)),
        ([told([4, 5, 6, 7, 4], [-1, -2, -9999.0, -1e-9, -0.1], "length")],
         (-1.0, -2.0, -9999.0, 0.0, -104858 * LOGPROB_STEP)),
        ([chunk([4]), told([5, STOP], [-0.25, -2.0], "stop", STOP)], ()),
        ([chunk([4, 5, STOP], "stop", STOP)], ()),
        ([told([STOP], [-2.0], "stop", STOP)], ()),
    ],
    ids=["with the stop token", "the model's own eos", "stop token left out of the ids alone", "left out of both",
         "the limit", "one chunk says nothing", "nothing is said", "no token but the stop"],
)  # fmt: skip
def test_each_id_has_its_log_probability_wherever_the_stop_token_is(
    events: list[dict[str, JSON]], expected: tuple[float, ...]
) -> None:
    assert logprobs_of(events) == expected


def test_what_is_told_though_nobody_asked_is_left_out() -> None:
    assert logprobs_of([told([4, 5], [-0.5, -0.25], "length")], token_request()) == ()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([-0.5], FailureKind.WRONG_COUNTS),
        ([-0.5, None], FailureKind.MALFORMED),
        ([-0.5, "x"], FailureKind.MALFORMED),
        ([-0.5, float("nan")], FailureKind.MALFORMED),
        ([-0.5, 10**400], FailureKind.MALFORMED),
        ("x", FailureKind.MALFORMED),
    ],
)
def test_log_probabilities_of_another_shape_are_a_failure(values: JSON, kind: FailureKind) -> None:
    with pytest.raises(Failure) as caught:
        read([told([4, 5], values)])
    assert caught.value.kind is kind


def test_an_end_before_the_minimum_is_refused_in_words() -> None:
    with pytest.raises(Failure, match="ended after 2 tokens where `min_tokens` was 3") as caught:
        read([chunk([4, 5, STOP], "stop", STOP)], replace(ASKED, min_tokens=3))
    assert caught.value.kind is FailureKind.BAD_REQUEST
    assert read([chunk([4, 5, STOP], "stop", STOP)], replace(ASKED, min_tokens=2)).finish is Finish.END
    assert read([chunk([4, 5], "length")], replace(ASKED, min_tokens=3)).finish is Finish.LENGTH


@pytest.fixture(scope="module")
def local(random_model: str) -> TokenEngine:
    from thinkscale.engines.local import LocalEngine

    return LocalEngine(random_model, dtype="float64")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "backoff_seconds", lambda *_: 0.01)
    monkeypatch.setattr(loop, "DRAFT_TOKENS", 32)


def told_by(engine: TokenEngine, requests: Sequence[TokenRequest], drafts: Kept) -> dict[str, TokenCompletion]:
    return {item.request.key: item for item in engine.complete(deque(requests), drafts)}


@pytest.mark.lab
@pytest.mark.parametrize(("torn", "ends_after"), [(0.0, None), (0.4, None), (0.0, 3), (0.0, 4)])
def test_over_http_they_are_those_of_the_local_engine_over_torn_streams_and_kills(
    local: TokenEngine, torn: float, ends_after: int | None
) -> None:
    plain = [local_request(number, 120, local) for number in range(4)]
    requests = [replace(item, min_tokens=100, logprobs=True, stop_ids=(*item.stop_ids, *range(60))) for item in plain]
    expected = told_by(local, requests, Kept())
    faults = FaultPlan(shares={Fault.TORN_STREAM: torn}) if torn else FaultPlan()
    options = ServerOptions(max_model_len=CONTEXT, chunk_tokens=8, tokens_per_second=2000, faults=faults)
    drafts = Kept(ends_after)
    found: dict[str, TokenCompletion] = {}
    with lab_server(options, local) as server:
        for _ in range(2 if ends_after else 1):
            engine = open_tokens(pool(server.url, model=local.name), local.tokenizer)
            try:
                found |= told_by(engine, [item for item in requests if item.key not in found], drafts)
            except KeyboardInterrupt:
                drafts.ends_after = None
    assert found.keys() == expected.keys()
    for key, completion in found.items():
        assert (completion.ids, completion.logprobs) == (expected[key].ids, expected[key].logprobs)
        assert len(completion.logprobs) == len(completion.ids) >= 100


@pytest.mark.lab
def test_a_server_that_ends_too_early_gives_failed_completions_that_say_why(
    local: TokenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an OpenAI-compatible server does that overlooks fields that it does not know."""
    monkeypatch.setattr("thinkscale.engines.scripted.openai_replies.whole_number", _without_min_tokens)
    request = replace(local_request(0, 120, local), min_tokens=119, stop_ids=tuple(range(60)))
    with lab_server(ServerOptions(max_model_len=CONTEXT), local) as server:
        engine = open_tokens(pool(server.url, model=local.name), local.tokenizer)
        (completion,) = engine.complete(deque([request]))
    assert completion.finish is Finish.ERROR
    assert "cannot serve a minimum of thinking" in (completion.error or "")


def _without_min_tokens(body: Mapping[str, JSON], name: str, default: int) -> int:
    value = body.get(name)
    return default if name == "min_tokens" or not isinstance(value, int) else value
