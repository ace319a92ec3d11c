"""How fast the queue is, and how well it finds what a server can do: throughput, capacity, and what idling costs."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from queue_command import workplace, write_problems
from queue_server import counts_of, server_process

from thinkscale.keys import JSON

SCALE = 2
"""Time is so many times faster than at 50 tokens a second: a run takes one minute instead of two."""
CHUNK_TOKENS = 16
CAPACITIES = (16, 64, 200, 500)
SETTLED = 20
"""Looks in a row, 50 ms apart, that must be within 10% of the capacity: passing it on the way up is no finding."""


def client(**asked: JSON) -> dict[str, Any]:
    """The figures of one client process."""
    command = [sys.executable, str(Path(__file__).with_name("queue_client.py")), json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def throughput(*, quick: bool, rounds: int = 2) -> dict[str, Any]:
    """1,000 in flight: bare loop, engine and stage in turn, each against a fresh server, timed by the server."""
    num_requests, in_flight = (300, 100) if quick else (2500, 1000)
    kinds = ("bare", "engine", "stage", "parsed")
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for number in range(1 if quick else rounds):
        order = [kind for kind in kinds if kind != "parsed" or number == 0]
        for kind in order if number % 2 == 0 else order[::-1]:
            runs[kind].append(_one_throughput(kind, num_requests, in_flight))
            print("throughput", kind, runs[kind][-1], flush=True)
    middle = {kind: {name: median(run[name] for run in found) for name in found[0]} for kind, found in runs.items()}
    shares = {
        kind: {
            f"{name}_share_of_bare": median(
                ours[name] / bare[name] for ours, bare in zip(runs[kind], runs["bare"], strict=False)
            )
            for name in ("steady_requests_per_second", "whole_requests_per_second")
        }
        for kind in ("parsed", "engine", "stage")
    }
    settings = {"requests": num_requests, "in_flight": in_flight, "time_scale": SCALE, "chunk_tokens": CHUNK_TOKENS}
    return {"settings": settings, "medians": middle, "shares": shares, "runs": runs}


def _one_throughput(kind: str, num_requests: int, in_flight: int) -> dict[str, float]:
    served = {
        "median_tokens": 1500,
        "sigma": 0.35,
        "most_tokens": 3000,
        "options": {
            "tokens_per_second": 50.0 * SCALE,
            "first_token_seconds": 0.3 / SCALE,
            "chunk_tokens": CHUNK_TOKENS,
        },
    }
    with server_process(served) as url, TemporaryDirectory(prefix="thinkscale-bench-") as folder:
        write_problems(Path(folder), num_requests)
        figures = client(kind=kind, url=url, requests=num_requests, in_flight=in_flight, folder=folder)
        counts = counts_of(url)
    done, tokens = counts["done_seconds"], counts["sent_tokens"]
    if counts["answered_whole"] != num_requests:
        raise RuntimeError(f"{kind}: {counts['answered_whole']} of {num_requests} requests were answered")
    num_events = tokens / CHUNK_TOKENS + 4 * num_requests
    steady = 0.4 * num_requests / (done[13] - done[5])
    return {
        "steady_requests_per_second": steady,
        "steady_tokens_per_second": steady * tokens / num_requests,
        "whole_requests_per_second": num_requests / done[-1],
        "seconds_to_a_quarter": done[5],
        "server_seconds": done[-1],
        "client_seconds": figures["seconds"],
        "cpu_ms_per_request": 1000 * figures["cpu_seconds"] / num_requests,
        "cpu_us_per_event": 1e6 * figures["cpu_seconds"] / num_events,
        "server_cpu_share": counts["cpu_seconds"] / figures["seconds"],
        "most_running": counts["most_running"],
        "peak_mib": figures["peak_mib"],
    }


def capacity(*, quick: bool) -> dict[str, Any]:
    """The limit against servers that answer so many at a time, and refuse the others or let them wait."""
    found = {}
    for mode in ("refuse", "queue"):
        for number in (16,) if quick else CAPACITIES:
            found[f"{mode}_{number}"] = _one_capacity(number, mode == "queue", 8.0 if quick else 15.0)
            print("capacity", mode, number, found[f"{mode}_{number}"], flush=True)
    return found


def capacity_long(*, quick: bool) -> dict[str, Any]:
    """The same for replies as long as reasoning: half a minute each. A line is then long before it is large."""
    found = {}
    for mode in ("refuse", "queue"):
        for number in (16,) if quick else CAPACITIES[:3]:
            case = _one_capacity(number, mode == "queue", 8.0 if quick else 150.0, median_tokens=4000)
            found[f"{mode}_{number}"] = case
            print("capacity_long", mode, number, case, flush=True)
    return found


def _one_capacity(number: int, waits: bool, seconds: float, median_tokens: int = 300) -> dict[str, Any]:
    served = {
        "median_tokens": median_tokens,
        "sigma": 0.4,
        "most_tokens": 4 * median_tokens,
        "options": {
            "tokens_per_second": 150.0,
            "first_token_seconds": 0.1,
            "chunk_tokens": 75,
            "capacity": number,
            "queue": waits,
        },
    }
    with server_process(served) as url:
        figures = client(kind="watched", url=url, in_flight=1024, seconds=seconds)
        counts = counts_of(url)
    seen = figures["seen"]
    near = [abs(limit - number) <= 0.1 * number for _, limit, _ in seen]
    start = next((at for at in range(len(near) - SETTLED) if all(near[at : at + SETTLED])), None)
    found = None if start is None else seen[start][0]
    after = [limit for at, limit, _ in seen if found is not None and at >= found]
    refused = counts["statuses"].get("429", 0)
    return {
        "seconds_until_within_10_percent": found,
        "share_of_time_within_10_percent_since": share(abs(limit - number) <= 0.1 * number for limit in after),
        "lowest_limit_since": min(after, default=None),
        "highest_limit_since": max(after, default=None),
        "refused_calls": refused,
        "refused_share": refused / counts["attempts"],
        "answered": figures["done"],
        "most_running": counts["most_running"],
        "share_of_all_time_within_10_percent": share(near),
        "limits_every_second": [limit for _, limit, _ in seen[::20]],
    }


def share(hits: Iterable[bool]) -> float | None:
    """Share of True; None of nothing."""
    values = list(hits)
    return sum(values) / len(values) if values else None


def ramp(*, quick: bool) -> dict[str, Any]:
    """How long the window takes to open where no reply ends meanwhile, with first tokens after 0.1 s."""
    served = {
        "median_tokens": 20_000,
        "sigma": 0.0,
        "most_tokens": 20_000,
        "options": {"tokens_per_second": 50.0, "first_token_seconds": 0.1, "chunk_tokens": 50},
    }
    with server_process(served) as url:
        seen = client(kind="opening", url=url, in_flight=1000, seconds=4 if quick else 20)["seen"]
    reached = {
        str(wanted): next((at for at, _, running in seen if running >= wanted), None)
        for wanted in (16, 32, 64, 128, 256, 512, 950)
    }
    return {"seconds_until_in_flight": reached, "in_flight_every_second": [running for _, _, running in seen[::20]]}


def idle(*, quick: bool) -> dict[str, Any]:
    """Processor time of an engine that waits for one slow reply, and of a command with one row."""
    seconds = 3 if quick else 10
    served = {"median_tokens": 100, "sigma": 0.0, "options": {"first_token_seconds": float(seconds)}}
    with server_process(served) as url:
        waiting = client(kind="engine", url=url, requests=1, in_flight=1)
    with server_process({"median_tokens": 20}) as url, workplace(url, 1) as place:
        one = place.finish(place.start())
    return {
        "waiting_cpu_ms_per_second": 1000 * waiting["cpu_seconds"] / waiting["seconds"],
        "one_row_seconds": one.seconds,
        "one_row_cpu_seconds": one.cpu_seconds,
        "one_row_peak_mib": one.peak_mib,
    }
