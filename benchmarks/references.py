"""Is every reference of every benchmark readable by the grader? Each is graded as if it were a model's answer.

    python benchmarks/references.py --data ../shared/data/benchmarks --out benchmarks/references.json

The answer of a problem is what its set calls right: the reference in the form that the benchmark's template asks for
(a box, or `Answer: B`), of a program the set's own solution. A reference that is not graded correct against itself
would count as wrong whatever a model says.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from thinkscale.records import Finish, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.sources.benchmarks import EVERY, Shelf, load_benchmark
from thinkscale.verification.verifier import Verifier, VerifierSettings

NAMES = ("math500", "aime24", "amc23", "gsm8k", "olympiadbench", "mmlu", "apps", "humaneval", "mbpp")


def answer_of(problem: Problem) -> str:
    """What the set itself would answer."""
    if problem.kind is Kind.CODE:
        solution = problem.solution or ""
        opening = problem.question if problem.source == "humaneval" else ""
        return f"```python\n{opening}{solution}\n```"
    if problem.kind is Kind.CHOICE:
        return f"Answer: {problem.reference}"
    return f"\\boxed{{{problem.reference}}}"


def response_of(problem: Problem) -> Response:
    return Response(
        key=problem.id,
        role=Role.EVALUATION,
        problem_id=problem.id,
        model="reference",
        sample=0,
        thinking="",
        answer_text=answer_of(problem),
        thinking_tokens=0,
        answer_tokens=1,
        finish=Finish.END,
        sampling=Sampling(max_tokens=1),
    )


def measured(names: tuple[str, ...], data: Path) -> Iterator[tuple[str, dict[str, object]]]:
    shelf = Shelf(local={EVERY: data})
    with Verifier(VerifierSettings()) as verifier:
        for name in names:
            benchmark = load_benchmark(name, 42, Path(), shelf)
            grades = [(item, verifier.grade(item, response_of(item))) for item in benchmark.problems]
            others = [
                {
                    "id": item.id,
                    "reference": item.reference,
                    "verdict": grade.verdict.value,
                    "tier": grade.tier,
                    "evidence": grade.evidence[:200],
                }
                for item, grade in grades
                if grade.verdict is not Verdict.CORRECT
            ]
            yield name, {"problems": len(grades), "not_correct": len(others), "which": others}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--name", nargs="*", default=NAMES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    for name, row in measured(tuple(options.name), options.data):
        found[name] = row
        print(f"{name}: {row['not_correct']} of {row['problems']} not graded correct", flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
