"""Grading of programs on real data: references pass, mutants fail, and the same verdicts with any number of workers.

python benchmarks/programs.py --data ../shared/data --out benchmarks/programs.json

Parts: `references` (every reference program of the data against its tests), `recorded` (APPS programs whose results
others recorded), `mutants` (references broken on purpose), `codegen` (16,400 HumanEval completions, 1 and 4 workers).
"""

import argparse
import ast
import contextlib
import copy
import gzip
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import ALWAYS_FAIL, MUTATIONS, nodes

from thinkscale.grading.code.fences import parse
from thinkscale.grading.code.verdict import Unsettled
from thinkscale.grading.execution import Limits
from thinkscale.records import Problem, Verdict
from thinkscale.sandbox.isolation import find_isolation
from thinkscale.sources.problems import parse_problem
from thinkscale.verification.code import CodeGrader

WORKERS = 4
SEED = 7
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Item:
    """One response to one problem, with what it is called in a list of exceptions."""

    name: str
    problem: Problem
    text: str


def rows(path: Path) -> list[Any]:
    """The rows of a JSONL file, packed or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def problem_of(row: dict[str, Any], source: str) -> Problem:
    """The problem of a row of the data, which is known to have one."""
    problem = parse_problem(row, source, {})
    assert isinstance(problem, Problem), problem
    return problem


def fenced(source: str) -> str:
    return f"```python\n{source}\n```"


def references(data: Path) -> dict[str, list[Item]]:
    """Every reference program of the data."""
    sets: dict[str, list[Item]] = {"humaneval": [], "humaneval completion": [], "mbpp": [], "apps": []}
    for row in rows(data / "benchmarks/humaneval.jsonl"):
        problem = problem_of(row, "humaneval")
        sets["humaneval"].append(Item(row["task_id"], problem, fenced(row["prompt"] + row["canonical_solution"])))
        sets["humaneval completion"].append(Item(row["task_id"], problem, row["canonical_solution"]))
    for row in rows(data / "benchmarks/mbpp.jsonl"):
        sets["mbpp"].append(Item(f"mbpp {row['task_id']}", problem_of(row, "mbpp"), fenced(row["code"])))
    for row in rows(data / "benchmarks/apps_sample5.jsonl"):
        names = (f"apps {row['problem_id']} solution {number}" for number in range(len(row["solutions"])))
        problem = problem_of(row, "apps")
        sets["apps"] += [Item(name, problem, fenced(text)) for name, text in zip(names, row["solutions"], strict=True)]
    for name, file in (
        ("leetcode test", "benchmarks/leetcode_functional_test.jsonl"),
        ("leetcode train", "pool/leetcode_train.jsonl.gz"),
    ):
        sets[name] = [
            Item(f"{name} {number}", problem_of(row, "leetcode"), fenced(row["solutions"]))
            for number, row in enumerate(rows(data / file))
        ]
    return sets


grader: CodeGrader | None = None


def start(limits: Limits) -> None:
    """One warm grader for each worker process."""
    global grader  # noqa: PLW0603 - a worker's only state, set once when it starts
    grader = CodeGrader(find_isolation(), limits)


def graded(item: Item) -> tuple[str, str]:
    """Verdict and evidence; the verdict is `unsettled` where a limit of wall time was met."""
    assert grader is not None
    found = grader.grade(item.problem, item.text)
    return ("unsettled" if isinstance(found, Unsettled) else found.verdict.value), found.evidence


def grade_all(items: Sequence[Item], workers: int, limits: Limits) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """Verdicts in the order of the items, and how fast. What is unsettled is tried again alone at the end."""
    began, used = time.perf_counter(), cpu_seconds()
    with ProcessPoolExecutor(workers, initializer=start, initargs=(limits,)) as pool:
        found = list(pool.map(graded, items, chunksize=8))
        seconds, processor = time.perf_counter() - began, cpu_seconds() - used
    waited = [number for number, (verdict, _) in enumerate(found) if verdict == "unsettled"]
    with CodeGrader(find_isolation(), limits) as alone:
        for number in waited:
            judgement = alone.grade_alone(items[number].problem, items[number].text)
            found[number] = judgement.verdict.value, judgement.evidence
    return found, {
        "workers": workers,
        "programs": len(items),
        "wall_seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "programs_a_wall_second": round(len(items) / seconds, 1),
        "programs_a_processor_second": round(len(items) / processor, 1),
        "retried_alone": len(waited),
    }


def cpu_seconds() -> float:
    """Processor time of this process, of its descendants, and of those that they waited for: sandboxes included."""
    ticks: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            ticks[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while grown := {pid for pid, (parent, _) in ticks.items() if parent in family and pid not in family}:
        family |= grown
    return sum(ticks[pid][1] for pid in family) / os.sysconf("SC_CLK_TCK")


def run_references(data: Path) -> dict[str, Any]:
    """References against their tests; every one that is not correct is listed."""
    results: dict[str, Any] = {}
    for name, items in references(data).items():
        found, speed = grade_all(items, 1, Limits(cpu_seconds=10.0))
        exceptions = {item.name: f"{v}: {e}" for item, (v, e) in zip(items, found, strict=True) if v != "correct"}
        results[name] = {**speed, "correct": sum(v == "correct" for v, _ in found), "exceptions": exceptions}
        report(f"references {name}", results[name])
    return results


def run_recorded(data: Path) -> dict[str, Any]:
    """Programs that models wrote for APPS, against the results that others recorded (true, false, -1, -2)."""
    items, recorded = [], []
    for row in rows(data / "benchmarks/apps_sample5.jsonl"):
        for number, program in enumerate(row["gen_solutions"]):
            items.append(
                Item(f"apps {row['problem_id']} program {number}", problem_of(row, "apps"), fenced(program["code"]))
            )
            recorded.append("correct" if program["result"] is True else "wrong")
    found, speed = grade_all(items, 1, Limits())
    differ = {i.name: f"{v}: {e}" for i, r, (v, e) in zip(items, recorded, found, strict=True) if r != v}
    return {**speed, "agree": len(items) - len(differ), "differ": differ}


def mutants(items: Sequence[Item], sources: Sequence[str]) -> Iterator[tuple[str, Item]]:
    """One mutant of each kind of each program, the same in every run."""
    for item, source in zip(items, sources, strict=True):
        choose = random.Random(f"{SEED} {item.name}")
        tree = parse(source)
        for kind, mutation in MUTATIONS.items():
            broken = copy.deepcopy(tree)
            if broken is not None and mutation(broken, choose):
                text = ast.unparse(ast.fix_missing_locations(broken))
                yield kind, Item(item.name, item.problem, fenced(text))
        yield "broken syntax", Item(item.name, item.problem, fenced(source + "\n)"))


def run_mutants(data: Path) -> dict[str, Any]:
    """How many mutants of each kind are wrong; those of ALWAYS_FAIL must all be."""
    sets = references(data)
    chosen = [*sets["humaneval"], *sets["mbpp"][:250], *sets["leetcode test"][:100], *sets["apps"][:20]]
    sources = [item.text.removeprefix("```python\n").removesuffix("\n```") for item in chosen]
    whole, _ = grade_all(chosen, WORKERS, Limits(cpu_seconds=10.0))
    passing = [number for number, (verdict, _) in enumerate(whole) if verdict == "correct"]
    made = list(mutants([chosen[number] for number in passing], [sources[number] for number in passing]))
    found, speed = grade_all([item for _, item in made], WORKERS, Limits(cpu_seconds=1.0, wall_seconds=20.0))
    kinds: dict[str, Any] = {}
    for kind in dict.fromkeys(kind for kind, _ in made):
        verdicts = [(item, *result) for (k, item), result in zip(made, found, strict=True) if k == kind]
        survivors = [(item.name, item.text) for item, verdict, _ in verdicts if verdict == Verdict.CORRECT]
        kinds[kind] = {
            "mutants": len(verdicts),
            "verdicts": dict(Counter(verdict for _, verdict, _ in verdicts)),
            "must_all_fail": kind in ALWAYS_FAIL,
            "survivors": [name for name, _ in survivors]
            if kind in ALWAYS_FAIL
            else [name for name, _ in survivors[:SHOWN]],
        }
    return {**speed, "base_programs": len(passing), "kinds": kinds}


def run_codegen(data: Path, limit: int) -> dict[str, Any]:
    """All completions with one worker and with several: speed, pass@1, and whether the verdicts are the same."""
    tasks = {row["entry_point"]: row for row in rows(data / "benchmarks/humaneval.jsonl")}
    items = []
    for row in rows(data / "outputs/humaneval_codegen16b_100samples.jsonl.gz"):
        names = [node.name for node in nodes(ast.parse(row["prompt"] + "    pass\n"), ast.FunctionDef)]
        task = tasks[names[-1]]
        problem = problem_of({**task, "prompt": row["prompt"]}, "humaneval")
        items += [Item(f"{task['task_id']} {n}", problem, text) for n, text in enumerate(row["samples"][:limit])]
    limits = Limits(cpu_seconds=3.0)
    one, first = grade_all(items, 1, limits)
    report("codegen", first)
    several, second = grade_all(items, WORKERS, limits)
    differ = {i.name: [a, b] for i, a, b in zip(items, one, several, strict=True) if a[0] != b[0]}
    correct = Counter(item.problem.id for item, (verdict, _) in zip(items, one, strict=True) if verdict == "correct")
    return {
        "runs": [first, second],
        "verdicts": dict(Counter(verdict for verdict, _ in one)),
        "verdicts_that_differ": differ,
        "pass_at_1": round(sum(correct.values()) / len(items), 4),
        "problems_solved": len(correct),
    }


def report(name: str, found: dict[str, Any]) -> None:
    sys.stdout.write(f"{name}: {json.dumps(found)[:600]}\n")
    sys.stdout.flush()


def main() -> None:
    """Measures the parts asked for; those of an earlier file that are not asked for are kept."""
    parser = argparse.ArgumentParser(description="grading of programs")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", default="references,recorded,mutants,codegen")
    parser.add_argument("--samples", type=int, default=100, help="completions of each problem of the codegen part")
    options = parser.parse_args()
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "references": lambda: run_references(options.data),
        "recorded": lambda: run_recorded(options.data),
        "mutants": lambda: run_mutants(options.data),
        "codegen": lambda: run_codegen(options.data, options.samples),
    }
    for name in options.parts.split(","):
        found[name] = parts[name]()
        report(name, found[name])
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
