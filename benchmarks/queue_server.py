"""The scripted server of the queue's benchmarks, in a process of its own: replies of given lengths, and a count of all.

    python benchmarks/queue_server.py '{"median_tokens": 1500, "options": {"tokens_per_second": 100}}'

It prints its base URL and serves until SIGTERM. `/bench` on the same port gives the counts as JSON. Times are taken
here, at the server, so that every client is timed alike.
"""

import asyncio
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist
from typing import Any

from aiohttp import web

from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.faults import FaultPlan, parse_shares
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.script import Script, ScriptedReply
from thinkscale.engines.scripted.served import Ending, Served, ServerLog
from thinkscale.engines.scripted.server import ReplayServer, serve

MODEL = "bench"
LETTERS = "abcdefghijklmnoprstuvw"
LISTED_ATTEMPTS = 200


def lengths_script(median_tokens: int, sigma: float, most_tokens: int) -> Script:
    """Replies with log-normal lengths in tokens of four characters; four fifths are thinking. No two are alike."""
    rng = random.Random(0)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(2, 8))) for _ in range(4096)]
    text = " ".join(rng.choices(words, k=most_tokens * 2))
    normal = NormalDist()

    def script(prompt: str, seed: int) -> ScriptedReply:
        number = int.from_bytes(hashlib.blake2b(f"{prompt}\n{seed}".encode(), digest_size=6).digest())
        share = (number + 0.5) / 2**48
        tokens = min(most_tokens, max(8, round(median_tokens * math.exp(sigma * normal.inv_cdf(share)))))
        num_thinking = tokens * 4 // 5
        head = f"{number:x} "
        start = number % 1024
        return ScriptedReply(
            thinking=(head + text[start:])[: num_thinking * 4],
            answer_text=text[start : start + 4 * (tokens - num_thinking)].strip().rjust(4, "x"),
        )

    return script


class TimedLog(ServerLog):
    """Also when requests came and when whole replies ended."""

    def __init__(self) -> None:
        super().__init__()
        self.first_at: float | None = None
        self.done_at: list[float] = []

    def next_attempt(self, request: str) -> int:
        """See ServerLog."""
        if self.first_at is None:
            self.first_at = time.monotonic()
        return super().next_attempt(request)

    def add(self, served: Served) -> None:
        """See ServerLog."""
        super().add(served)
        if served.ending is Ending.DONE:
            self.done_at.append(time.monotonic())

    def counts(self) -> dict[str, Any]:
        """Everything that a benchmark reads."""
        whole = Counter(item.request for item in self.attempts if item.ending is Ending.DONE)
        began = self.first_at or 0.0
        num_done = len(self.done_at)
        return {
            "attempts": sum(self.endings.values()),
            "requests": self.num_requests,
            "endings": {str(key): value for key, value in self.endings.items()},
            "statuses": {str(key): value for key, value in self.statuses.items()},
            "faults": {str(key): value for key, value in self.faults.items()},
            "prompt_tokens": self.prompt_tokens,
            "sent_tokens": self.sent_tokens,
            "running": self.running,
            "most_running": self.most_running,
            "answered_whole": len(whole),
            "answered_whole_again": sum(whole.values()) - len(whole),
            "done_seconds": [
                self.done_at[min(num_done - 1, num_done * part // 20)] - began for part in range(21) if num_done
            ],
            "cpu_seconds": time.process_time(),
            "sent": [item.sent_tokens for item in self.attempts] if len(self.attempts) < LISTED_ATTEMPTS else [],
        }


class BenchServer(ReplayServer):
    """The loopback server with one more route."""

    def __init__(self, backend: ScriptedBackend, options: ServerOptions) -> None:
        super().__init__(backend, options)
        self.timed = TimedLog()
        self.service.log = self.timed

    def application(self) -> web.Application:
        """See ReplayServer."""
        app = super().application()
        app.router.add_get("/bench", self._bench)
        return app

    async def _bench(self, _request: web.Request) -> web.Response:
        return web.json_response(self.timed.counts())


async def _serve(server: BenchServer) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(server, stop, lambda: print(server.url, flush=True))


def main(settings: dict[str, Any]) -> None:
    """Serves until SIGTERM."""
    tokenizer = open_tokenizer(settings["tokenizer"]) if settings.get("tokenizer") else None
    script = lengths_script(
        settings.get("median_tokens", 200), settings.get("sigma", 0.6), settings.get("most_tokens", 8000)
    )
    faults = FaultPlan(shares=parse_shares(settings.get("faults", [])), seed=settings.get("seed", 42))
    backend = ScriptedBackend(script, name=MODEL, tokenizer=tokenizer)
    asyncio.run(_serve(BenchServer(backend, ServerOptions(faults=faults, **settings.get("options", {})))))


@contextmanager
def server_process(settings: Mapping[str, Any]) -> Iterator[str]:
    """A server in a process of its own; gives its base URL."""
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(dict(settings))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the server did not start")
        yield url
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()


def counts_of(url: str) -> dict[str, Any]:
    """What the server at `url` has counted."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/bench", timeout=60) as response:
        found: dict[str, Any] = json.load(response)
    return found


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
