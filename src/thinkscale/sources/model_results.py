"""The results of an evaluation on a model's card: the Hub's model index, and a table with intervals."""

from collections.abc import Iterator, Sequence

from thinkscale.records import Cell
from thinkscale.sources.benchmark_catalogue import shipped_benchmarks

MOST_CELLS = 60
"""Rows of the table; of more, each curve's last stands in it."""


def model_index(cells: Sequence[Cell]) -> Iterator[dict[str, object]]:
    """The last cell of each curve, by benchmark, as the Hub's model index has it."""
    for benchmark, last in by_benchmark(_last_of_curves(cells)).items():
        entry = shipped_benchmarks().get(benchmark)
        yield {
            "task": {"type": "text-generation"},
            "dataset": {
                "type": entry.hub if entry and entry.hub else benchmark,
                "name": entry.title if entry else benchmark,
            },
            "metrics": [
                {
                    "type": "accuracy",
                    "value": round(100 * cell.accuracy, 2),
                    "name": f"accuracy in %, {setting_of(cell)}, 95% interval {interval_of(cell)}",
                }
                for cell in last
            ],
        }


def by_benchmark(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each benchmark, in order."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.benchmark, []).append(cell)
    return found


def _last_of_curves(cells: Sequence[Cell]) -> list[Cell]:
    """Of cells that differ in the budget alone, the one with the largest; no budget is the largest."""
    last: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        key = (cell.benchmark, cell.method, cell.waits, cell.variant, cell.k)
        known = last.get(key)
        if known is None or _budget(cell) > _budget(known):
            last[key] = cell
    return list(last.values())


def _budget(cell: Cell) -> float:
    return float("inf") if cell.budget_tokens is None else cell.budget_tokens


def setting_of(cell: Cell) -> str:
    """`budget forcing, 4,000 tokens, 2 × Wait`."""
    method = cell.method.replace("_", " ")
    if cell.method.startswith("step_conditional"):
        return f"{method}, {cell.variant} steps"
    parts = [method, "no budget" if cell.budget_tokens is None else f"{cell.budget_tokens:,} tokens"]
    if cell.waits:
        parts.append(f"{cell.waits} × {'no string' if cell.variant in ('', 'none') else cell.variant}")
    elif cell.variant:
        parts.append(f"at least {cell.variant} tokens" if cell.method == "minimum" else cell.variant)
    return ", ".join([*parts, *([f"k = {cell.k}"] if cell.k > 1 else [])])


def interval_of(cell: Cell) -> str:
    """In percent: `[41.0, 55.2]`."""
    return f"[{100 * cell.accuracy_low:.1f}, {100 * cell.accuracy_high:.1f}]"


def evaluation_section(cells: Sequence[Cell], base_cells: Sequence[Cell]) -> str:
    """Each point with its interval, beside the same point of the base model where it was measured."""
    if not cells:
        return "## Evaluation\n\nThis model was not evaluated by the run that made it.\n"
    shown = cells if len(cells) <= MOST_CELLS else _last_of_curves(cells)
    base = {key_of(cell): cell for cell in base_cells}
    rows = [_row(cell, base.get(key_of(cell)), has_base=bool(base)) for cell in shown]
    titles = ["benchmark", "setting", "problems", "accuracy"]
    titles += ["base model"] if base else []
    titles += ["thinking tokens", "cut off"]
    text = (
        "In percent, in brackets the 95% bootstrap interval over problems; an answer that was cut off counts as wrong. "
        "Thinking tokens are a mean."
    )
    if len(shown) < len(cells):
        text += f" Of {len(cells):,} points these are the largest budgets."
    rule = "|---|---|" + "---:|" * (len(titles) - 2)
    return "\n".join(["## Evaluation", "", text, "", "| " + " | ".join(titles) + " |", rule, *rows, ""])


def key_of(cell: Cell) -> tuple[object, ...]:
    """What tells the points of one model apart."""
    return (cell.benchmark, cell.method, cell.budget_tokens, cell.waits, cell.variant, cell.k)


def _row(cell: Cell, base: Cell | None, *, has_base: bool) -> str:
    accuracy = f"{100 * cell.accuracy:.1f} {interval_of(cell)}"
    columns = [cell.benchmark, setting_of(cell), f"{cell.num_problems:,}", accuracy]
    if has_base:
        columns.append(f"{100 * base.accuracy:.1f} {interval_of(base)}" if base else "–")
    share = cell.cut_off / cell.num_scores if cell.num_scores else 0.0
    columns += [f"{cell.mean_thinking_tokens:,.0f}", f"{100 * share:.1f}%"]
    return "| " + " | ".join(columns) + " |"
