"""Batches of both providers through their official clients."""

import json

import anthropic
import httpx
import openai

from tests.engines.scripted.worlds import ANSWER, THINKING, backend, chat
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server

NAMES = [f"row-{number}" for number in range(8)]


def rows(names: list[str]) -> bytes:
    return b"".join(
        json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": chat(name)}).encode()
        + b"\n"
        for name in names
    )


def run_openai(client: openai.OpenAI, names: list[str], polls: int) -> tuple[set[str], set[str]]:
    """Names of the rows that succeeded and of those that failed."""
    file = client.files.create(file=("batch.jsonl", rows(names)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"run": "a"}
    )
    states = [batch.status]
    while batch.status == "in_progress":
        batch = client.batches.retrieve(batch.id)
        states.append(batch.status)
    assert states == ["in_progress"] * polls + ["completed"]
    assert batch.request_counts is not None
    found = []
    for file_id in (batch.output_file_id, batch.error_file_id):
        text = client.files.content(file_id).text if file_id else ""
        found.append({row["custom_id"]: row["response"] for row in map(json.loads, text.splitlines())})
    good, bad = found
    assert (batch.request_counts.completed, batch.request_counts.failed) == (len(good), len(bad))
    assert {reply["body"]["choices"][0]["message"]["content"] for reply in good.values()} <= {ANSWER}
    assert {reply["status_code"] for reply in bad.values()} <= {500}
    return set(good), set(bad)


def test_an_openai_batch_ends_after_its_polls_and_failed_rows_can_be_sent_again() -> None:
    options = ServerOptions(batch_polls=3, batch_failed_share=0.5)
    with running_server(backend(), options) as server, openai.OpenAI(base_url=server.url, api_key="k") as client:
        good, bad = run_openai(client, NAMES, polls=3)
        assert good | bad == set(NAMES)
        assert good
        assert bad
        for _ in range(20):
            if bad:
                again, bad = run_openai(client, sorted(bad), polls=3)
                good |= again
        assert good == set(NAMES)
        assert client.batches.list().data[-1].metadata == {"run": "a"}
        assert server.settled().statuses[200] == len(NAMES)


def test_an_anthropic_batch_gives_each_row_its_result() -> None:
    options = ServerOptions(batch_polls=2, batch_failed_share=0.5)
    with running_server(backend(), options) as server:
        url = server.url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
            batch = client.messages.batches.create(
                requests=[
                    {
                        "custom_id": name,
                        "params": {
                            "model": "toy",
                            "max_tokens": 2000,
                            "thinking": {"type": "enabled", "budget_tokens": 1024},
                            "messages": [{"role": "user", "content": name}],
                        },
                    }
                    for name in NAMES
                ]
            )
            states = [batch.processing_status]
            while batch.processing_status != "ended":
                batch = client.messages.batches.retrieve(batch.id)
                states.append(batch.processing_status)
            results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
            assert [found.id for found in client.messages.batches.list().data] == [batch.id]
    assert states == ["in_progress", "in_progress", "ended"]
    assert set(results) == set(NAMES)
    kinds = [result.type for result in results.values()]
    assert (kinds.count("succeeded"), kinds.count("errored")) == (
        batch.request_counts.succeeded,
        batch.request_counts.errored,
    )
    assert 0 < kinds.count("errored") < len(NAMES)
    for result in results.values():
        if result.type == "succeeded":
            assert [block.model_dump()[block.type] for block in result.message.content] == [THINKING, ANSWER]


def test_a_batch_that_cannot_be_is_refused() -> None:
    with running_server(backend()) as server:
        twice = {"file": ("a.jsonl", rows(["a", "a"]))}
        file_id = httpx.post(f"{server.url}/files", files=twice, data={"purpose": "batch"}).json()["id"]

        def refusal(**source: object) -> str:
            reply = httpx.post(f"{server.url}/batches", json=source)
            assert reply.status_code == 400
            return str(reply.json()["error"]["message"])

        assert refusal(input_file_id=file_id, endpoint="/v1/chat/completions").startswith("custom_id must be unique")
        assert "takes no batch" in refusal(input_file_id=file_id, endpoint="/v1/embeddings")
        assert "No such File" in refusal(input_file_id="file-9", endpoint="/v1/completions")
        assert httpx.get(f"{server.url}/messages/batches/none").status_code == 404
