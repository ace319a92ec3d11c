"""Batches of both providers against a server on loopback, with kills at every instant: no row is lost or paid twice."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest
from aiohttp import web
from anthropic.types.messages import MessageBatchIndividualResponse
from anthropic.types.messages.batch_create_params import Request as SdkRow
from pydantic import TypeAdapter

from thinkscale.engines.batches import engine as engine_module
from thinkscale.engines.batches.anthropic import AnthropicBatches
from thinkscale.engines.batches.engine import BatchEngine
from thinkscale.engines.batches.openai import OpenAIBatches
from thinkscale.engines.batches.provider import BatchProvider
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.anthropic_messages import AnthropicMessages
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.wire import Reply
from thinkscale.errors import EngineError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Message, Sampling, Usage

Row = dict[str, JSON]
CREATED = "2099-01-01T00:00:00Z"


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def question_of(row: Row) -> str:
    body = cast(Row, row.get("params") or row["body"])
    return str(cast(list[Row], body["messages"])[-1]["content"])


@dataclass
class FakeProvider:
    """Both batch interfaces. A row's question says what becomes of it; each attempt of a question is counted."""

    batches: dict[str, list[Row]] = field(default_factory=dict)
    markers: dict[str, JSON] = field(default_factory=dict)
    polls: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, list[tuple[Row, str]]] = field(default_factory=dict)
    files: dict[str, list[Row]] = field(default_factory=dict)
    refuse: list[int] = field(default_factory=list)
    """Statuses with which the next creations are refused."""
    drop_after_create: int = 0
    fail_batches: list[str] = field(default_factory=list)
    """Error codes with which the next of OpenAI's batches fail as a whole."""
    failed: dict[str, str] = field(default_factory=dict)
    cut_results: int = 0
    lost_results: int = 0
    polls_to_end: int = 1

    def create(self, rows: list[Row]) -> str:
        name = f"batch_{len(self.batches)}"
        self.batches[name] = rows
        if self.fail_batches:
            self.failed[name] = self.fail_batches.pop(0)
            self.outcomes[name] = []
            return name
        self.outcomes[name] = [(row, self._outcome(question_of(row))) for row in rows]
        return name

    def _outcome(self, question: str) -> str:
        self.tried[question] += 1
        plan, _, times = question.partition(":")
        outcome = plan if times and self.tried[question] <= int(times) else "answer"
        self.answered[question] += outcome == "answer"
        return outcome

    def is_ended(self, name: str) -> bool:
        self.polls[name] += 1
        return self.polls[name] > self.polls_to_end


def refused(server: FakeProvider) -> web.Response | None:
    if server.refuse:
        status = server.refuse.pop(0)
        return web.json_response({"error": {"message": "no"}}, status=status)
    return None


def openai_line(row: Row, outcome: str) -> Row | None:
    if outcome == "missing":
        return None
    line: Row = {"id": "r", "custom_id": row["custom_id"], "response": None, "error": None}
    if outcome == "expired":
        return line | {"error": {"code": "batch_expired", "message": "too late"}}
    if outcome in ("errored", "refused"):
        status = 500 if outcome == "errored" else 400
        return line | {"response": {"status_code": status, "body": {"error": {"message": outcome}}}}
    choice: Row = {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
    choices: list[JSON] = [choice, choice] if outcome == "twofold" else [choice]
    usage: Row = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return line | {"response": {"status_code": 200, "body": {"choices": choices, "usage": usage}}}


def anthropic_line(row: Row, outcome: str) -> Row | None:
    message: Row = {
        "id": "m", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "4"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 2},
    }  # fmt: skip
    kind = "api_error" if outcome == "errored" else "invalid_request_error"
    errored: Row = {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": outcome}}}
    results: dict[str, Row] = {
        "answer": {"type": "succeeded", "message": message},
        "twofold": {"type": "succeeded", "message": message | {"usage": {"input_tokens": 10, "output_tokens": 999}}},
        "errored": errored, "refused": errored, "expired": {"type": "expired"}, "canceled": {"type": "canceled"},
    }  # fmt: skip
    return {"custom_id": row["custom_id"], "result": results[outcome]} if outcome in results else None


def file_response(server: FakeProvider, lines: list[Row | None]) -> web.Response:
    if server.lost_results:
        server.lost_results -= 1
        return web.json_response({"error": {"message": "no such file"}}, status=404)
    text = "\n".join(json.dumps(line) for line in reversed(lines) if line)
    if server.cut_results:
        server.cut_results -= 1
        text = text[: len(text) // 2]
    return web.Response(text=text, content_type="application/octet-stream")


def openai_routes(server: FakeProvider) -> list[web.RouteDef]:
    def shown(name: str) -> Row:
        code = server.failed.get(name)
        ended = server.is_ended(name)
        row: Row = {"id": name, "created_at": 4070908800, "metadata": {"thinkscale_marker": server.markers[name]}}
        if code and ended:
            return row | {"status": "failed", "errors": {"data": [{"code": code, "message": "failed " + code}]}}
        return row | {
            "status": "completed" if ended else "in_progress",
            "output_file_id": f"out-{name}" if ended else None,
        }

    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        content = cast(web.FileField, form["file"]).file.read().decode()
        name = f"file-{len(server.files)}"
        server.files[name] = [json.loads(line) for line in content.splitlines()]
        return web.json_response({"id": name, "object": "file"})

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        assert (body["endpoint"], body["completion_window"]) == ("/v1/chat/completions", "24h")
        if answer := refused(server):
            return answer
        name = server.create(server.files[body["input_file_id"]])
        server.markers[name] = body["metadata"]["thinkscale_marker"]
        if server.drop_after_create:
            server.drop_after_create -= 1
            assert request.transport
            request.transport.close()
        return web.json_response({"id": name})

    async def listed(request: web.Request) -> web.Response:
        return web.json_response({"data": [shown(name) for name in reversed(server.batches)], "has_more": False})

    async def one(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in server.batches:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        return web.json_response(shown(name))

    async def content(request: web.Request) -> web.Response:
        name = request.match_info["name"].removeprefix("out-")
        return file_response(server, [openai_line(*pair) for pair in server.outcomes[name]])

    return [
        web.post("/v1/files", upload), web.post("/v1/batches", create), web.get("/v1/batches", listed),
        web.get("/v1/batches/{name}", one), web.get("/v1/files/{name}/content", content),
    ]  # fmt: skip


def anthropic_routes(server: FakeProvider) -> list[web.RouteDef]:
    def shown(name: str) -> Row:
        status = "ended" if server.is_ended(name) else "in_progress"
        counts: Row = {"processing": 0, "succeeded": len(server.batches[name])}
        return {"id": name, "created_at": CREATED, "processing_status": status, "request_counts": counts}

    async def create(request: web.Request) -> web.Response:
        assert request.headers["x-api-key"] == "sk-ant-1"
        rows = (await request.json())["requests"]
        if answer := refused(server):
            return answer
        name = server.create(rows)
        if server.drop_after_create:
            server.drop_after_create -= 1
            assert request.transport
            request.transport.close()
        return web.json_response(shown(name))

    async def listed(request: web.Request) -> web.Response:
        return web.json_response({"data": [shown(name) for name in reversed(server.batches)], "has_more": False})

    async def one(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in server.batches:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        return web.json_response(shown(name))

    async def results(request: web.Request) -> web.Response:
        return file_response(server, [anthropic_line(*pair) for pair in server.outcomes[request.match_info["name"]]])

    base = "/v1/messages/batches"
    return [
        web.post(base, create), web.get(base, listed), web.get(base + "/{name}", one),
        web.get(base + "/{name}/results", results),
    ]  # fmt: skip


class Loopback:
    """A server in a thread, whose state is replaced for each case; the engine has the main thread's loop."""

    def __init__(self) -> None:
        self.state = FakeProvider()
        self.loop = asyncio.new_event_loop()
        self.url = ""
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self.ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.runner.cleanup())
        self.loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.add_routes([*openai_routes(self.state), *anthropic_routes(self.state)])
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    def fresh(self) -> FakeProvider:
        self.state.__init__()  # type: ignore[misc]  # the routes hold this very object
        return self.state

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    server = Loopback()
    yield server
    server.stop()


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest, loopback: Loopback) -> BatchProvider:
    return provider_of(request.param, loopback)


def provider_of(name: str, loopback: Loopback, max_rows: int = 3, max_bytes: int = 10**6) -> BatchProvider:
    if name == "openai":
        chat = OpenAIChat(model="m")
        return OpenAIBatches(
            dialect=chat, base_url=loopback.url + "/v1", key="sk-1", max_rows=max_rows, max_bytes=max_bytes
        )
    messages = AnthropicMessages(model="claude-opus-5-5")
    return AnthropicBatches(
        dialect=messages, base_url=loopback.url, key="sk-ant-1", max_rows=max_rows, max_bytes=max_bytes
    )


@dataclass
class Kept:
    """Notes in memory. Counts the instants around each change, and kills at the one that is asked for."""

    notes: dict[str, Row] = field(default_factory=dict)
    kill_at: int = -1
    instant: int = 0

    def tick(self) -> None:
        self.instant += 1
        if self.instant == self.kill_at:
            raise KilledError

    def load(self) -> list[Row]:
        return list(self.notes.values())

    def save(self, key: str, note: Row) -> None:
        self.tick()
        self.notes[key] = json.loads(json.dumps(note))
        self.tick()

    def forget(self, key: str) -> None:
        self.tick()
        del self.notes[key]
        self.tick()

    def wait(self, seconds: float) -> None:
        self.tick()


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SETTLE_SECONDS", 0.0)


def request_of(question: str) -> ChatRequest:
    sampling = Sampling(max_tokens=100, temperature=0.6, seed=3)
    return ChatRequest(key=f"{question}!", messages=(Message(role="user", content=question),), sampling=sampling)


def engine_of(provider: BatchProvider, kept: Kept, max_batches: int = 2) -> BatchEngine:
    return BatchEngine(
        name="m",
        provider=provider,
        notes=kept,
        price=lambda read, cached, written: read + 10 * written,
        max_batches=max_batches,
        wait=kept.wait,
    )


QUESTIONS = [
    "one",
    "errored:1",
    "two",
    "expired:2",
    "missing:1",
    "refused:9",
    "three",
    "errored:9",
    "twofold:1",
    "four",
]


def answers(engine: BatchEngine, questions: list[str]) -> dict[str, ChatCompletion]:
    found: dict[str, ChatCompletion] = {}
    for completion in engine.answer(request_of(question) for question in questions):
        question = completion.request.key.removesuffix("!")
        assert question not in found
        found[question] = completion
    return found


def test_each_row_ends_once_and_only_failed_ones_are_sent_again(loopback: Loopback, provider: BatchProvider) -> None:
    server, kept = loopback.fresh(), Kept()
    found = answers(engine_of(provider, kept), QUESTIONS)
    assert set(found) == set(QUESTIONS)
    assert dict(server.tried) == {
        "one": 1, "errored:1": 2, "two": 1, "expired:2": 3, "missing:1": 2, "refused:9": 1, "three": 1,
        "errored:9": 3, "twofold:1": 2, "four": 1,
    }  # fmt: skip
    assert {question: found[question].attempts for question in QUESTIONS} == dict(server.tried)
    failed = {question for question, completion in found.items() if completion.finish is Finish.ERROR}
    assert failed == {"refused:9", "errored:9"}
    assert str(found["refused:9"].error).startswith("bad_request: ")
    assert str(found["errored:9"].error).startswith("server_error: ")
    assert (found["one"].answer_text, found["one"].usage) == ("4", Usage(prompt_tokens=10, completion_tokens=2))
    assert found["one"].usd == 30
    assert found["twofold:1"].usd > 30  # the reply that contradicted itself was paid for too
    assert kept.notes == {}
    assert all(len(rows) <= 3 for rows in server.batches.values())


def test_custom_ids_fit_the_providers_and_bodies_are_of_the_dialect(
    loopback: Loopback, provider: BatchProvider
) -> None:
    server = loopback.fresh()
    answers(engine_of(provider, Kept()), ["one", "two"])
    (rows,) = server.batches.values()
    for row in rows:
        assert str(row["custom_id"]).replace("-", "").isalnum()
        assert len(str(row["custom_id"])) <= 64
        body = provider.dialect.call(request_of(question_of(row)), Reply(), stream=False).body
        assert (row.get("params") or row["body"]) == body
    if isinstance(provider, AnthropicBatches):
        assert [set(row) for row in TypeAdapter(list[SdkRow]).validate_python(rows)] == [set(row) for row in rows]
        line = anthropic_line(rows[0], "answer")
        assert MessageBatchIndividualResponse.model_validate(line).result.type == "succeeded"
    else:
        assert {(row["method"], row["url"]) for row in rows} == {("POST", "/v1/chat/completions")}


def test_a_kill_at_any_instant_loses_no_row_and_pays_for_none_twice(
    loopback: Loopback, provider: BatchProvider
) -> None:
    questions = ["one", "two", "errored:1", "three", "four", "missing:1", "five"]
    for kill_at in range(1, 200):
        server, kept = loopback.fresh(), Kept(kill_at=kill_at)
        stored: dict[str, ChatCompletion] = {}
        try:
            run(engine_of(provider, kept), questions, stored)
        except KilledError:
            run(engine_of(provider, kept), questions, stored)
        else:
            break
        assert set(stored) == set(questions), kill_at
        assert all(completion.finish is Finish.END for completion in stored.values())
        assert set(server.answered.values()) == {1}, (kill_at, server.answered)
        assert max(server.tried.values()) == 2
    assert kill_at > 20, "no kill came: the test has shown nothing"


def run(engine: BatchEngine, questions: list[str], stored: dict[str, ChatCompletion]) -> None:
    """A stage: asks for what is not stored yet, and stores each completion before it asks for more."""
    for completion in engine.answer(request_of(question) for question in questions if question not in stored):
        question = completion.request.key.removesuffix("!")
        assert question not in stored
        stored[question] = completion


def test_leaving_after_any_number_of_completions_leaves_the_rest_to_the_next_run(
    loopback: Loopback, provider: BatchProvider
) -> None:
    for num_taken in range(len(QUESTIONS)):
        server, kept = loopback.fresh(), Kept()
        stored: dict[str, ChatCompletion] = {}
        left = engine_of(provider, kept).answer(map(request_of, QUESTIONS))
        for _ in range(num_taken):
            completion = next(left)
            stored[completion.request.key.removesuffix("!")] = completion
        left.close()  # type: ignore[attr-defined]  # it is a generator
        run(engine_of(provider, kept), QUESTIONS, stored)
        assert set(stored) == set(QUESTIONS)
        assert max(server.answered.values()) == 1
        assert server.tried["errored:9"] == 3


def test_a_batch_whose_creation_got_no_answer_is_found_again(loopback: Loopback, provider: BatchProvider) -> None:
    server = loopback.fresh()
    server.drop_after_create = 1
    server.polls_to_end = 3  # listed while it still runs: it must not be taken for somebody else's
    assert set(answers(engine_of(provider, Kept()), ["one", "two"])) == {"one", "two"}
    assert set(server.answered.values()) == {1}
    assert len(server.batches) == 1


def test_a_batch_that_never_came_to_be_is_sent_again(loopback: Loopback, provider: BatchProvider) -> None:
    server = loopback.fresh()
    server.refuse = [500, 429]
    found = answers(engine_of(provider, Kept()), ["one", "two"])
    assert {completion.attempts for completion in found.values()} == {1}
    assert len(server.batches) == 1


@pytest.mark.parametrize("status", [400, 401, 402])
def test_a_refusal_of_the_batch_as_such_stops_the_engine_and_leaves_no_note(
    loopback: Loopback, provider: BatchProvider, status: int
) -> None:
    server, kept = loopback.fresh(), Kept()
    server.refuse = [status]
    with pytest.raises(EngineError):
        answers(engine_of(provider, kept), ["one"])
    assert kept.notes == {}


def test_results_that_were_torn_are_read_again_and_given_once(loopback: Loopback, provider: BatchProvider) -> None:
    server = loopback.fresh()
    server.cut_results = 2
    assert set(answers(engine_of(provider, Kept()), ["one", "two", "three"])) == {"one", "two", "three"}
    assert set(server.answered.values()) == {1}


def test_a_batch_that_the_provider_has_forgotten_is_an_attempt(loopback: Loopback, provider: BatchProvider) -> None:
    server, kept = loopback.fresh(), Kept()
    note: Row = {"marker": "aa", "since": 1.0, "keys": ["one!"], "attempts": [1], "batch_id": "batch_gone"}
    kept.notes["aa"] = note
    found = answers(engine_of(provider, kept), ["one"])
    assert (found["one"].attempts, found["one"].finish) == (2, Finish.END)
    assert kept.notes == {}
    assert server.tried == {"one": 1}


def test_results_that_the_provider_has_deleted_are_an_attempt(loopback: Loopback, provider: BatchProvider) -> None:
    server = loopback.fresh()
    server.lost_results = 1
    found = answers(engine_of(provider, Kept()), ["one"])
    assert (found["one"].attempts, found["one"].finish) == (2, Finish.END)


def test_of_two_notes_that_hold_a_row_the_later_attempt_counts(loopback: Loopback, provider: BatchProvider) -> None:
    server, kept = loopback.fresh(), Kept()
    body = provider.dialect.call(request_of("one"), Reply(), stream=False).body
    server.markers["batch_0"] = "bb"
    assert server.create([json.loads(provider.line("bb-0", body))]) == "batch_0"
    kept.notes["aa"] = {"marker": "aa", "since": 1.0, "keys": ["one!"], "attempts": [1], "batch_id": "batch_old"}
    kept.notes["bb"] = {"marker": "bb", "since": 2.0, "keys": ["one!"], "attempts": [2], "batch_id": "batch_0"}
    assert answers(engine_of(provider, kept), ["one"])["one"].attempts == 2
    assert server.tried == {"one": 1}
    assert kept.notes == {}


def test_a_note_of_rows_that_nobody_asks_for_stays_and_is_not_polled(
    loopback: Loopback, provider: BatchProvider
) -> None:
    server, kept = loopback.fresh(), Kept()
    note: Row = {"marker": "aa", "since": 1.0, "keys": ["other!"], "attempts": [1], "batch_id": "batch_7"}
    kept.notes["aa"] = note
    assert set(answers(engine_of(provider, kept), ["one"])) == {"one"}
    assert kept.notes == {"aa": note}
    assert "batch_7" not in server.polls


def test_a_full_provider_fails_a_batch_that_waits_without_losing_an_attempt(loopback: Loopback) -> None:
    server = loopback.fresh()
    provider = provider_of("openai", loopback, max_rows=1)
    server.fail_batches = ["token_limit_exceeded"]
    found = answers(engine_of(provider, Kept()), ["one", "two"])
    assert {question: completion.attempts for question, completion in found.items()} == {"one": 1, "two": 1}


def test_a_batch_of_which_the_provider_reads_nothing_ends_its_rows(loopback: Loopback) -> None:
    server = loopback.fresh()
    server.fail_batches = ["invalid_json_line"]
    found = answers(engine_of(provider_of("openai", loopback), Kept()), ["one"])
    assert "invalid_json_line" in str(found["one"].error)
    assert server.tried == {}


def test_requests_are_drawn_no_further_than_the_batches_in_flight_hold(loopback: Loopback) -> None:
    loopback.fresh()
    drawn: list[str] = []

    def requests() -> Iterator[ChatRequest]:
        for number in range(50):
            drawn.append(str(number))
            yield request_of(str(number))

    engine = engine_of(provider_of("openai", loopback, max_rows=3), Kept(), max_batches=2)
    for num_seen, _ in enumerate(engine.answer(requests()), start=1):
        assert len(drawn) <= num_seen + 2 * 3
    assert num_seen == 50


def test_a_batch_holds_no_more_bytes_than_allowed(loopback: Loopback) -> None:
    server = loopback.fresh()
    provider = provider_of("anthropic", loopback, max_rows=100, max_bytes=400)
    assert len(answers(engine_of(provider, Kept()), [str(number) * 30 for number in range(10, 20)])) == 10
    assert len(server.batches) > 2
    size = max(len(b"".join(provider.line(str(row["custom_id"]), cast(Row, row["params"])) for row in rows))
               for rows in server.batches.values())  # fmt: skip
    assert size <= 400


def test_a_request_that_cannot_be_sent_is_a_failed_row(loopback: Loopback) -> None:
    loopback.fresh()
    thinking = AnthropicMessages(model="c", thinking_budget=2000)
    provider = AnthropicBatches(dialect=thinking, base_url=loopback.url, key="sk-ant-1")
    found = answers(engine_of(provider, Kept()), ["one"])
    assert "thinking_budget" in str(found["one"].error)


def test_a_key_is_in_no_representation(loopback: Loopback) -> None:
    for name in ("openai", "anthropic"):
        engine = engine_of(provider_of(name, loopback), Kept())
        assert "sk-" not in repr(engine)
