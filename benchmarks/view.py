"""How quickly `thinkscale view` answers on a large run: made responses cut from real traces, every request timed.

    python benchmarks/view.py --traces ../shared/data/traces --rows 200000 --out benchmarks/view.json

The rows: windows of 500 to 6,000 characters of the traces in `--traces`, 2,000 problems, two scores each, one in three
with a forced span. Times are those of a client over loopback, the median of `--times` requests after one to warm up.
"""

import argparse
import gzip
import http.client
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from thinkscale.records import Finish, Grade, Problem, Response, Role, Sampling, Score, Verdict
from thinkscale.reporting.traces.inline import inline_traces
from thinkscale.reporting.traces.serving import TraceServer, TraceSite
from thinkscale.store.tables import write_table

NUM_PROBLEMS = 2000
VERDICTS = (Verdict.CORRECT, Verdict.WRONG, Verdict.CUT_OFF)


def texts(folder: Path) -> list[str]:
    """The longest text of every row of the files."""
    found = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found += [
                max((value for value in json.loads(line).values() if isinstance(value, str)), key=len) for line in lines
            ]
    return [text for text in found if len(text) > 1000]


def responses(traces: list[str], num_rows: int) -> Iterator[Response]:
    """Windows of the traces, the same at every run."""
    chance = random.Random(0)
    for number in range(num_rows):
        whole = chance.choice(traces)
        start = chance.randrange(len(whole) - 500)
        text = whole[start : start + chance.randrange(500, 6000)]
        yield Response(
            key=f"{number:032x}",
            role=Role.EVALUATION,
            problem_id=f"p{number % NUM_PROBLEMS}",
            model="student" if number % 2 else "base",
            sample=number // NUM_PROBLEMS,
            thinking=text,
            answer_text=f"Final Answer: {number % 97}",
            thinking_tokens=len(text) // 4,
            answer_tokens=8,
            finish=Finish.END,
            forced=((100, 101),) if number % 3 == 0 else (),
            sampling=Sampling(max_tokens=512),
        )


def scores(num_rows: int) -> Iterator[Score]:
    """Two cells read each response."""
    for number in range(num_rows):
        for budget in (512, None):
            yield Score(
                benchmark=f"made{number % NUM_PROBLEMS % 3}",
                model="student" if number % 2 else "base",
                method="truncation",
                budget_tokens=budget,
                waits=0,
                variant="",
                problem_id=f"p{number % NUM_PROBLEMS}",
                sample=number // NUM_PROBLEMS,
                response_key=f"{number:032x}",
                verdict=VERDICTS[number % 3],
                thinking_tokens=400,
            )


def make(folder: Path, traces: list[str], num_rows: int) -> None:
    """The tables of the made run."""
    problems = (
        Problem(id=f"p{n}", source="made", question=f"Question {n}: {traces[n % len(traces)][:200]}")
        for n in range(NUM_PROBLEMS)
    )
    write_table(folder / "problems.parquet", Problem, problems)
    write_table(folder / "responses.parquet", Response, responses(traces, num_rows))
    write_table(folder / "scores.parquet", Score, scores(num_rows))
    grades = (
        Grade(response_key=f"{n:032x}", problem_id=f"p{n % NUM_PROBLEMS}", grader="made", verdict=VERDICTS[n % 3])
        for n in range(num_rows)
    )
    write_table(folder / "grades.parquet", Grade, grades)


def ask(port: int, target: str) -> tuple[float, bytes]:
    """Seconds of one request, and its body."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", target)
    body = connection.getresponse().read()
    connection.close()
    return time.perf_counter() - started, body


def timed(port: int, target: str, times: int) -> dict[str, float]:
    """Milliseconds: the first request, and the median and most of the others."""
    first, _ = ask(port, target)
    others = [ask(port, target)[0] for _ in range(times)]
    return {
        "first_ms": round(1000 * first, 1),
        "median_ms": round(1000 * statistics.median(others), 1),
        "most_ms": round(1000 * max(others), 1),
    }


def searched(port: int, words: str) -> dict[str, float]:
    """A search from the first request to its end, as the page asks for it."""
    target = f"/api/rows?q={quote(words)}"
    started = time.perf_counter()
    requests: list[float] = []
    first = 0.0
    while True:
        seconds, body = ask(port, target if requests else f"{target}&quick=1")
        requests.append(seconds)
        page = json.loads(body)
        if page["total"] and not first:
            first = time.perf_counter() - started
        if page["complete"]:
            break
    return {
        "hits": page["total"],
        "first_hits_ms": round(1000 * first, 1),
        "complete_ms": round(1000 * (time.perf_counter() - started), 1),
        "requests": len(requests),
        "longest_request_ms": round(1000 * max(requests), 1),
        "again_ms": round(1000 * ask(port, target)[0], 1),
    }


def measure(folder: Path, times: int) -> dict[str, object]:
    """Every figure of docs/viewing.md."""
    started = time.perf_counter()
    site = TraceSite("made", folder, folder / "none", lambda: None)
    opened = time.perf_counter() - started
    made: dict[str, object] = {
        "rows": site.num_rows,
        "responses_parquet_mb": round((folder / "responses.parquet").stat().st_size / 1e6),
        "open_seconds": round(opened, 2),
    }
    with TraceServer(site, 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        made["page"] = timed(port, "/api/rows?offset=150000", times)
        made["filter"] = timed(port, "/api/rows?method=truncation&budget=512&verdict=wrong&benchmark=made1", times)
        made["longest_first"] = timed(port, "/api/rows?order=longest", times)
        made["open_response"] = timed(port, f"/api/trace?key={123456 % site.num_rows:032x}", times)
        made["search_frequent"] = searched(port, "parabola")
        made["search_two_words"] = searched(port, "parabola tangent")
        made["search_nothing"] = searched(port, "zzzqq")
        server.shutdown()
    made["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    started = time.perf_counter()
    packed = inline_traces(folder, None)
    assert packed is not None
    made["inline"] = {
        "rows": packed.num_rows,
        "mb": round(len(packed.packed) / 1e6, 2),
        "seconds": round(time.perf_counter() - started, 1),
    }
    return made


def main() -> None:
    """Makes the run in a folder that goes away, measures, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, texts(options.traces), options.rows)
        figures = measure(folder, options.times)
    options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
