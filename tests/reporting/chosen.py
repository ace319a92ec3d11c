"""A selection as a report shows it: counts that can be checked by hand, and a hostile span."""

from thinkscale.curation.sampling import against_uniform
from thinkscale.records import Score, Verdict
from thinkscale.reporting.selection import (
    Contamination,
    FunnelStep,
    GroupCounts,
    LengthBin,
    SelectionFacts,
)
from thinkscale.statistics import split_accuracy

DROPPED = {"missing": 20, "question": 100, "trace": 380, "contaminated": 60, "duplicate": 240, "difficulty": 700}
PAPER = {"missing": 54_116, "question": 51_581, "difficulty": 24_496, "draw": 1_000}


def selection_facts(span: str) -> SelectionFacts:
    """4,000 rows, 2,500 of which pass; 1,000 are selected, 50 of them kept by rule."""
    left, funnel = 4_000, [FunnelStep(name="collected", rows_left=4_000, paper=59_029, dropped={})]
    for name, number in {**DROPPED, "draw": 1_500}.items():
        left -= number
        funnel.append(FunnelStep(name=name, rows_left=left, paper=PAPER.get(name), dropped={f"{name}_reason": number}))
    counts = {
        "11 Number theory": (1_500, 1_000, 320),
        "51 Geometry": (1_500, 900, 330),
        "05 Combinatorics": (1_000, 600, 350),
    }
    return SelectionFacts(
        sampler="s1",
        seed=42,
        num_kept=50,
        funnel=tuple(funnel),
        domains=tuple(
            GroupCounts(name=name, collected=collected, candidates=candidates, selected=selected)
            for name, (collected, candidates, selected) in counts.items()
        ),
        sources=(GroupCounts(name="math", collected=4_000, candidates=2_500, selected=1_000),),
        lengths=tuple(
            LengthBin(low=100 * 2**place, high=100 * 2 ** (place + 1), candidates=500, selected=100 + 50 * place)
            for place in range(5)
        ),
        quantiles={"candidates": (100, 200, 400, 900, 3_199), "selected": (120, 400, 800, 1_600, 3_199)},
        uniformity=against_uniform([300, 320, 330]),
        other_seed=43,
        other_overlap=0.8125,
        contaminated=60,
        contaminations=(
            Contamination(
                problem_id="math-17", against="aime24", against_id="7", reason="contained", share=0.75, span=span
            ),
        ),
        touched=tuple(split_accuracy(scores(), {("aime24", "0"), ("aime24", "1"), ("math500", "0")})),
    )


def scores() -> list[Score]:
    """Two samples of each item: aime24 has 3 of 4 right on items 0 and 1, 14 of 56 on the 28 others; gpqa 1 of 2."""
    right = {"aime24": {0: 2, 1: 1, **dict.fromkeys(range(2, 16), 1)}, "gpqa": {0: 1}}
    return [
        Score(
            benchmark=benchmark, model="student", method="truncation", budget_tokens=None, waits=0, variant="",
            problem_id=str(item), sample=sample, response_key=f"{benchmark}-{item}-{sample}", thinking_tokens=1,
            verdict=Verdict.CORRECT if sample < right[benchmark].get(item, 0) else Verdict.WRONG,
        )
        for benchmark, items in (("aime24", 30), ("gpqa", 1))
        for item in range(items)
        for sample in range(2)
    ]  # fmt: skip
