"""What planning and bookkeeping of a sweep cost at real lengths: recorded traces through the scripted engine.

    python benchmarks/sweep_replay.py [--problems 60] [--out benchmarks/sweep_replay.json]

Traces of DeepSeek-R1-Distill-Qwen-32B on LIMO's questions (THINKSCALE_DATA/traces), whole grid: 7 budgets x 5 counts of
waits. Behind a wait string the scripted engine tells the trace again, as far as there is room. Tokens are those of the
lab's tokenizer, about one for two characters, so that sequences are longer than a large model's.

Counted as bookkeeping, all in processor time of this process, over cells x problems:
- `plan`: plan_trajectories, prompts and tasks.
- `sweep`: everything in `run_sweep` but the engine: which branch is generated how far, requests with their prompts and
  keys, what each cell reads, answers.
- `records`: responses, grades by the rules (symbolic grader off), scores, and their commit to a journal on disk.
"""

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from thinkscale.config import EvaluateSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.replay import read_replay
from thinkscale.engines.scripted.tokens import ScriptedTokens
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest
from thinkscale.records import Problem, to_row
from thinkscale.sources.benchmarks import Benchmark
from thinkscale.sources.files import read_rows
from thinkscale.stages.evaluate_cells import sweep_plans
from thinkscale.stages.evaluate_jobs import EvaluatedModel, jobs_of, run_jobs
from thinkscale.stages.evaluate_records import outcome_of
from thinkscale.store.notes import Notes
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.verification.verifier import Verifier, VerifierSettings

DATA = Path(os.environ.get("THINKSCALE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TRACES = "traces/limo_r1_distill_qwen32b.jsonl.gz"
BUDGETS = (500, 1000, 2000, 4000, 8000, 16000)
WAITS = (0, 1, 2, 4, 6)
LIMIT = 60_000


class Timed:
    """The scripted engine, and how much processor time it takes."""

    def __init__(self, engine: ScriptedTokens) -> None:
        self.engine = engine
        self.name, self.tokenizer, self.context_tokens = engine.name, engine.tokenizer, engine.context_tokens
        self.seconds = 0.0
        self.requests = 0
        self.tokens = 0

    def complete(self, queue: deque[TokenRequest], drafts: Drafts = NO_DRAFTS) -> Iterator[TokenCompletion]:
        """See TokenEngine."""
        begun = time.process_time()
        for completion in self.engine.complete(queue, drafts):
            self.seconds += time.process_time() - begun
            self.requests += 1
            self.tokens += len(completion.ids)
            yield completion
            begun = time.process_time()
        self.seconds += time.process_time() - begun


def problems_of(path: Path, count: int) -> list[Problem]:
    """The recorded questions."""
    rows = [row.values for row in read_rows(path)][:count]
    return [
        Problem(id=str(row["id"]), source="limo", question=str(row["question"]), reference=str(row["gold_answer"]))
        for row in rows
    ]


def measured(data: Path, count: int) -> dict[str, object]:
    """One sweep."""
    path = data / TRACES
    tokenizer = open_tokenizer(str(model_path("lab")))
    backend = ScriptedBackend(read_replay(path), name="replay", tokenizer=tokenizer, thinking_format="think_tags")
    engine = Timed(ScriptedTokens(name="replay", backend=backend, tokenizer=tokenizer))
    bound = BoundFormat(find_format("think_tags"), tokenizer)
    problems = problems_of(path, count)
    settings = EvaluateSettings(
        benchmarks=("limo",), methods=("budget_forcing",), budgets=BUDGETS, waits=WAITS, max_thinking_tokens=LIMIT
    )
    begun = time.process_time()
    plans = sweep_plans(settings)
    model = EvaluatedModel("replay", "replay", plans)
    jobs = list(
        jobs_of([model], [Benchmark(name="limo", reference="limo", problems=tuple(problems))], settings, seed=42)
    )
    planning = time.process_time() - begun
    cells = sum(len(plan.settings) for plan in plans) * len(problems)
    lengths, separate, generated = [], 0, 0
    records = 0.0
    with (
        TemporaryDirectory() as folder,
        Verifier(VerifierSettings(symbolic=False)) as verifier,
        RunDirectory.create_or_open(Path(folder) / "run", "name: replay\n") as run,
    ):
        run.begin_stage("evaluate", {"rules": 1})
        notes = Notes(run.journal, "evaluate")
        begun = time.process_time()
        for job, result in run_jobs(engine, bound, jobs):
            assert result.error is None, result.error
            started = time.process_time()
            outcome = outcome_of(job, result, bound, verifier)
            notes.save(f"scores:{job.key}", [to_row(score) for score in outcome.scores])
            run.commit("evaluate", job.key, job.position, outcome.records, 0.0, 0.0)
            records += time.process_time() - started
            lengths.append(max(score.thinking_tokens for score in outcome.scores))
            separate += sum(score.generated_tokens for score in outcome.scores)
            generated += result.cost.completion_tokens
        sweep = time.process_time() - begun - engine.seconds - records
    return {
        "traces": TRACES,
        "problems": len(problems),
        "cells_a_problem": cells // len(problems),
        "longest_thinking_tokens": {"mean": round(mean(lengths)), "median": median(lengths), "most": max(lengths)},
        "requests": engine.requests,
        "tokens": {"generated": generated, "separate_runs": separate, "saving": round(separate / generated, 2)},
        "milliseconds_a_cell_and_problem": {
            "plan": round(1000 * planning / cells, 4),
            "sweep": round(1000 * sweep / cells, 4),
            "plan_and_sweep": round(1000 * (planning + sweep) / cells, 4),
            "records": round(1000 * records / cells, 4),
        },
        "engine_seconds": round(engine.seconds, 1),
    }


def main() -> None:
    """Prints and stores the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = json.dumps(measured(asked.data, asked.problems), indent=2)
    print(found)
    if asked.out:
        asked.out.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
