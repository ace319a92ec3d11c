"""What becomes of every row: memory over their number, faults and kills, the spend cap, the salvage of long traces."""

import random
import time
from typing import Any

from queue_command import Ended, Workplace, workplace
from queue_server import MODEL, counts_of, server_process

FAULTS = ("rate_limit", "server_error", "overloaded", "stall", "torn_stream", "malformed", "wrong_counts", "slow_death")
INPUT_USD, OUTPUT_USD = 1.0, 4.0
"""For a million tokens."""
ROW_COUNTS = (10_000, 50_000, 200_000)
TRACE_TOKENS = 30_000
TRACE_TOKENS_PER_SECOND = 1500.0


def memory(*, quick: bool) -> dict[str, Any]:
    """Resident memory of the whole command over the number of rows, with replies of about 16 tokens."""
    found: dict[str, Any] = {}
    for count in (1000, 2000) if quick else ROW_COUNTS:
        options = {"first_token_seconds": 0.2, "tokens_per_second": 100.0, "chunk_tokens": 64}
        served = {"median_tokens": 16, "sigma": 0.3, "options": options}
        with server_process(served) as url, workplace(url, count, "--max-in-flight", "400") as place:
            process = place.start()
            ended = place.finish(process, step=0.5, most_seconds=900)
            stored, (began, over) = place.num_stored(), place.generating()
            most = counts_of(url)["most_running"]
        resident = [size for at, size in ended.memory if began <= at <= over] or [0.0]
        found[str(count)] = {
            "rows_stored": stored,
            "exit_code": ended.code,
            "seconds": ended.seconds,
            "cpu_ms_per_row": 1000 * ended.cpu_seconds / max(1, stored),
            "stage_seconds": over - began,
            "rows_per_second": stored / (over - began),
            "stage_peak_mib": max(resident),
            "command_peak_mib": ended.peak_mib,
            "resident_mib_at_tenths": [resident[min(len(resident) - 1, len(resident) * n // 10)] for n in range(11)],
            "most_in_flight": most,
        }
        print("memory", count, found[str(count)], flush=True)
    return found


def _faulty_server() -> dict[str, Any]:
    return {
        "median_tokens": 200,
        "sigma": 0.4,
        "most_tokens": 800,
        "faults": [*(f"{fault}=0.05" for fault in FAULTS), "bad_request=0.01"],
        "options": {
            "tokens_per_second": 500.0,
            "first_token_seconds": 0.05,
            "chunk_tokens": 16,
            "retry_after_seconds": 0.5,
        },
    }


def faults(*, quick: bool) -> dict[str, Any]:
    """5% of each of eight faults and 1% of lasting refusals: once in one run, once over five kills."""
    count = 500 if quick else 10_000
    found = {}
    for name, kills in (("one_run", 0), ("five_kills", 2 if quick else 5)):
        options = ("--set", "generate.engine.stall_seconds=1", "--max-failures", "0.2", "--max-in-flight", "400")
        with server_process(_faulty_server()) as url, workplace(url, count, *options) as place:
            found[name] = _to_the_end(place, url, kills, count)
        print("faults", name, found[name], flush=True)
    return found


def _to_the_end(place: Workplace, url: str, kills: int, count: int) -> dict[str, Any]:
    """Runs the command until it ends by itself; before that it is killed so often, at random instants."""
    rng, began, killed = random.Random(7), time.monotonic(), []
    for number in range(kills):
        process = place.start()
        # Somewhere in the next share of the rows, and between two looks at a random part of a second.
        at = count * (number + rng.random()) / (kills + 1)
        if place.kill_when(process, lambda at=at: place.num_stored() >= at):  # type: ignore[misc]
            time.sleep(0.5)  # the server notes that the client left
            killed.append({"stored": place.num_stored(), "in_flight": counts_of(url)["endings"].get("disconnected", 0)})
    ended = place.finish(place.start(), step=0.5, most_seconds=900)
    counts = counts_of(url)
    # The endings of calls that a kill left, without those that the client itself gave up.
    return {
        "exit_code": ended.code,
        "said": ended.said.replace(str(place.folder), "")[-300:] if ended.code else "",
        "seconds": time.monotonic() - began,
        "killed_at": killed,
        "journal": place.rows(),
        "server": {
            name: counts[name]
            for name in ("attempts", "requests", "endings", "faults", "answered_whole", "answered_whole_again")
        },
        "expected_rows": count,
    }


def money(*, quick: bool) -> dict[str, Any]:
    """What the server billed against the cap, for several caps and numbers in flight, whole and with three kills."""
    cases = [(0.3, 8, 0, False), (0.3, 64, 0, False), (0.6, 256, 0, False), (0.6, 64, 0, True), (0.6, 64, 3, False)]
    found = []
    for cap, in_flight, kills, faulty in cases[:1] if quick else cases:
        found.append(_one_cap(cap, in_flight, kills, faulty))
        print("money", found[-1], flush=True)
    return {"cases": found}


def _one_cap(cap: float, in_flight: int, kills: int, faulty: bool) -> dict[str, Any]:
    served = _faulty_server() if faulty else {**_faulty_server(), "faults": []}
    max_tokens = 1000
    with server_process(served) as url, workplace(url, 2000) as place:
        prices = place.folder / "prices.yaml"
        prices.write_text(f"models:\n  {MODEL}: {{input: {INPUT_USD}, output: {OUTPUT_USD}}}\n")
        more = ["--max-spend", str(cap), "--prices", str(prices), "--max-in-flight", str(in_flight)]
        more += ["--max-tokens", str(max_tokens), "--set", "generate.engine.stall_seconds=1", "--max-failures", "0.3"]
        rng = random.Random(3)
        for number in range(kills):
            at = 250 * (number + rng.random()) / kills
            place.kill_when(place.start(*more), lambda at=at: place.num_stored() >= at)  # type: ignore[misc]
            time.sleep(0.5)
        ended: Ended = place.finish(place.start(*more), most_seconds=120)
        counts, rows = counts_of(url), place.rows()
    billed = (counts["prompt_tokens"] * INPUT_USD + counts["sent_tokens"] * OUTPUT_USD) / 1e6
    worst = (100 * INPUT_USD + max_tokens * OUTPUT_USD) / 1e6
    return {
        "cap_usd": cap,
        "in_flight": in_flight,
        "kills": kills,
        "faults": faulty,
        "exit_code": ended.code,
        "stopped_by_cap": "spend cap" in ended.said,
        "billed_usd": billed,
        "share_of_cap": billed / cap,
        "over_cap_usd": max(0.0, billed - cap),
        "worst_request_usd": worst,
        "in_journal_usd": rows["usd"],
        "rows": rows["rows"],
        "seconds": ended.seconds,
    }


def salvage(*, quick: bool) -> dict[str, Any]:
    """Traces of 30,000 tokens over token ids, the client killed at half: what the server wrote beyond the traces."""
    traces, tokens = (2, 3000) if quick else (4, TRACE_TOKENS)
    runs = [_one_salvage(traces, tokens, share) for share in ((0.5,) if quick else (0.5, 0.5, 0.5))]
    again = [number for run in runs for number in [run["regenerated_tokens_per_trace"]]]
    print("salvage", runs, flush=True)
    return {"trace_tokens": tokens, "traces_a_run": traces, "regenerated_tokens_per_trace": again, "runs": runs}


def _one_salvage(traces: int, tokens: int, share: float) -> dict[str, Any]:
    served = {
        "median_tokens": 4 * tokens,
        "sigma": 0.0,
        "most_tokens": 4 * tokens,
        "tokenizer": "lab",
        "options": {"tokens_per_second": TRACE_TOKENS_PER_SECOND, "chunk_tokens": 4},
    }
    options = ("--tokenizer", "lab", "--max-tokens", str(tokens))
    # Four characters are more than one token of the lab's, so no reply ends by itself.
    with server_process(served) as url, workplace(url, traces, *options) as place:
        process = place.start()
        while process.poll() is None and counts_of(url)["running"] < traces:
            time.sleep(0.02)
        due = time.monotonic() + share * tokens / TRACE_TOKENS_PER_SECOND
        was_killed = place.kill_when(process, lambda: time.monotonic() >= due)
        time.sleep(1.0)
        first = counts_of(url)
        ended = place.finish(place.start(), most_seconds=90)
        counts, rows = counts_of(url), place.rows()
    return {
        "killed": was_killed,
        "exit_code": ended.code,
        "said": ended.said[-300:] if ended.code else "",
        "sent_before_the_kill": first["sent"],
        "sent_after_it": counts["sent"][len(first["sent"]) :],
        "rows": rows["rows"],
        "failures": rows["failures"],
        "regenerated_tokens_per_trace": counts["sent_tokens"] / traces - tokens,
    }
