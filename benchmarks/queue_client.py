"""One client of the queue's benchmarks, in a process of its own; prints what it took as JSON.

    python benchmarks/queue_client.py '{"kind": "bare", "url": "...", "requests": 2000, "in_flight": 1000}'

`bare` is an asyncio loop with a semaphore that reads every stream to its end and looks at nothing; `parsed` also reads
each event as JSON and joins the texts, which is the least that a useful client does; `engine` is RemoteChat.answer;
`stage` is the run of `generate` with collect, journal, cache and tables, without the report. All send the same bodies
through aiohttp.
"""

import asyncio
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from queue_server import MODEL

from thinkscale.config import Recipe
from thinkscale.engines.chat import ChatRequest
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.engine import RemoteChat
from thinkscale.engines.remote.http import STREAM_HEADERS, open_session
from thinkscale.engines.remote.lanes import LaneLimits
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import Pool, open_chat
from thinkscale.engines.remote.wire import Reply
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Message, Sampling
from thinkscale.settings import load_settings

MAX_TOKENS = 8192
QUESTION = (
    "Problem {number}. A train leaves the station at {number} minutes past noon and travels at a constant speed of "
    "eighty kilometres an hour. A second train follows it forty minutes later at one hundred kilometres an hour. How "
    "far from the station does the second train reach the first one?"
)


def questions(count: int) -> Iterator[str]:
    """As many different questions of about sixty tokens."""
    return (QUESTION.format(number=number) for number in range(count))


def requests(count: int) -> Iterator[ChatRequest]:
    """The questions as requests of the engine."""
    for number, question in enumerate(questions(count)):
        sampling = Sampling(max_tokens=MAX_TOKENS, temperature=1.0, seed=number)
        yield ChatRequest(key=str(number), messages=(Message(role="user", content=question),), sampling=sampling)


async def bare(asked: dict[str, Any], *, parses: bool) -> None:
    """Every request at once, as many as the semaphore lets through."""
    dialect, gate = OpenAIChat(model=MODEL), asyncio.Semaphore(asked["in_flight"])

    async def send(session: aiohttp.ClientSession, request: ChatRequest) -> None:
        async with gate:
            body = json.dumps(dialect.call(request, Reply(), stream=True).body, separators=(",", ":")).encode()
            async with session.post(asked["url"] + "/chat/completions", data=body, headers=STREAM_HEADERS) as response:
                rest, texts = b"", []
                async for chunk in response.content.iter_any():
                    if parses:
                        *events, rest = (rest + chunk).split(b"\n\n")
                        texts += [text_of(event) for event in events]
                "".join(texts)

    async with open_session(connect_seconds=60, stall_seconds=120) as session, asyncio.TaskGroup() as group:
        for request in requests(asked["requests"]):
            group.create_task(send(session, request))


def text_of(event: bytes) -> str:
    """The text of one event of a stream."""
    if event == b"data: [DONE]":
        return ""
    choices = json.loads(event[6:])["choices"]
    delta = choices[0]["delta"] if choices else {}
    return str(delta.get("content") or delta.get("reasoning_content") or "")


def engine_of(asked: dict[str, Any], meter: Meter) -> RemoteChat:
    """The pool of one endpoint as a chat engine."""
    limits = LaneLimits(most_in_flight=asked["in_flight"])
    pool = Pool(model=MODEL, endpoints=(asked["url"],), limits=limits, meter=meter)
    return open_chat(pool, OpenAIChat(model=MODEL))


def engine(asked: dict[str, Any]) -> None:
    """All requests through RemoteChat.answer; what comes is thrown away."""
    for completion in engine_of(asked, Meter()).answer(requests(asked["requests"])):
        assert completion.error is None, completion.error


def stage(asked: dict[str, Any]) -> None:
    """`generate` in `folder` up to the tables."""
    folder = Path(asked["folder"])
    engine_section = {
        "type": "openai",
        "model": MODEL,
        "endpoints": [asked["url"]],
        "max_in_flight": asked["in_flight"],
    }
    recipe = {
        "name": "bench",
        "collect": {"sources": [{"type": "file", "path": str(folder / "problems.jsonl")}]},
        "generate": {"engine": engine_section, "max_tokens": MAX_TOKENS, "cache": str(folder / "cache.db")},
    }
    loaded = LoadedRecipe(load_settings(Recipe, yaml.safe_dump(recipe), name="bench"), folder)
    run_recipe(loaded, folder / "run", until="generate", quiet=True)


def watched(asked: dict[str, Any]) -> dict[str, Any]:
    """The engine for `seconds`, its limit noted every 50 ms: pairs of time and limit, from the first request."""
    meter, began = Meter(), time.monotonic()
    seen: list[tuple[float, int, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen.append((time.monotonic() - began, meter.limit, meter.in_flight))

    opened = engine_of(asked, meter)
    began = time.monotonic()
    watcher = threading.Thread(target=watch)
    watcher.start()
    num_done = 0
    answers = opened.answer(requests(10**9))
    if asked["kind"] == "opening":  # no reply ends in that time
        timer = threading.Timer(asked["seconds"], over.set)
        threading.Thread(target=lambda: next(answers, None), daemon=True).start()
        timer.start()
        timer.join()
    else:
        for _ in answers:
            num_done += 1
            if time.monotonic() - began > asked["seconds"]:
                break
    over.set()
    watcher.join()
    return {"seen": seen, "done": num_done}


def main(asked: dict[str, Any]) -> None:
    """Runs one kind and prints its figures."""
    import pyarrow.parquet  # noqa: F401 - before the clock starts: starting up is measured by itself

    began, cpu = time.monotonic(), time.process_time()
    found: dict[str, Any] = {}
    match asked["kind"]:
        case "bare" | "parsed" as kind:
            asyncio.run(bare(asked, parses=kind == "parsed"))
        case "engine":
            engine(asked)
        case "stage":
            stage(asked)
        case "watched" | "opening":
            found = watched(asked)
    figures = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps({**figures, **found}), flush=True)
    if asked["kind"] == "opening":  # its requests would go on for minutes
        os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
