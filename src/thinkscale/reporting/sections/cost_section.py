"""The section on what accuracy costs: tokens, seconds, joules, dollars."""

from collections.abc import Callable, Mapping, Sequence

from thinkscale.reporting.costs import CellCost, Rates, cell_costs, rates
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Block, Bullets, Drawing, Section, Table
from thinkscale.reporting.sections import notes
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import accuracy, count, method_name, setting, significant

ROWS_SHOWN = 20
"""Longer tables are folded."""
SOURCES = {"rapl": "processor packages, by RAPL", "nvml": "GPUs, by NVML"}


def costs_section(data: ReportData, figures: Mapping[str, Figure]) -> Section | None:
    """What the sweep took, what an answer of each cell on the frontier takes, and all cells in a folded table."""
    items = sorted(
        (item for item in cell_costs(data) if item.cell.model == data.main_model),
        key=lambda item: (data.benchmarks.index(item.cell.benchmark), item.cell.mean_generated_tokens),
    )
    if not items and data.cost is None:
        return None
    blocks: list[Block] = [Bullets(items=tuple(_totals(data)))]
    if "costs" in figures:
        blocks.append(Drawing(figure=figures["costs"]))
    best = [item for item in items if item.on_frontier]
    if best:
        blocks.append(
            _table(
                f"On the frontier ({count(len(best))})",
                best,
                rates(data.cost),
                notes.FRONTIER,
                folded=len(best) > ROWS_SHOWN,
            )
        )
        note = notes.COSTS.format(sources=_sources(data))
        blocks.append(_table(f"Every cell ({count(len(items))})", items, rates(data.cost), note, folded=True))
    return Section(anchor="costs", title="What accuracy costs", blocks=tuple(blocks))


def _totals(data: ReportData) -> list[str]:
    cost = data.cost
    if cost is None:
        return ["Nobody measured what this evaluation took beside its tokens."]
    told = [f"The evaluation generated {count(cost.generated_tokens)} tokens, each shared prefix once."]
    if cost.seconds is None:
        told.append("How long that took was not measured.")
    else:
        rate = f", {count(cost.generated_tokens / cost.seconds)} tokens a second" if cost.seconds else ""
        told.append(f"It took {cost.seconds:,.1f} seconds of the clock{rate}, grading included.")
    for name, joules in cost.joules.items():
        told.append(f"Energy of the {SOURCES.get(name, name)}: {joules:,.0f} joules ({joules / 3.6e6:.4f} kWh).")
    if not cost.joules:
        told.append("Energy: this machine shows no counter of it (no readable RAPL, no NVML).")
    told.append(f"Engines charged ${cost.usd:,.4f}." if cost.usd else "Engines charged nothing.")
    if cost.usd_per_hour and cost.seconds is not None:
        own = cost.seconds / 3600 * cost.usd_per_hour
        told.append(f"The machine, at ${cost.usd_per_hour:,.2f} an hour: ${own:,.4f}.")
    return told


def _sources(data: ReportData) -> str:
    names = data.cost.joules if data.cost else {}
    return "; ".join(SOURCES.get(name, name) for name in names) or "not measured here"


def _table(title: str, items: Sequence[CellCost], known: Rates, note: str, folded: bool = False) -> Table:
    columns: list[tuple[str, Callable[[CellCost], float | None]]] = []
    if known.seconds is not None:
        columns.append(("seconds", lambda item: item.seconds))
    if known.joules is not None:
        columns.append(("joules", lambda item: item.joules))
    if known.usd is not None:
        columns.append(("US dollars", lambda item: item.usd))
    rows = tuple(
        (
            item.cell.benchmark,
            method_name(item.cell.method),
            setting(item.cell),
            accuracy(item.cell),
            f"{item.cell.mean_thinking_tokens:,.1f}",
            f"{item.cell.mean_generated_tokens:,.1f}",
            *(significant(value(item) or 0.0) for _, value in columns),
        )
        for item in items
    )
    headers = (
        "benchmark", "method", "setting", "accuracy", "thinking tokens (mean)", "generated tokens (mean)",
        *(f"{name} an answer" for name, _ in columns),
    )  # fmt: skip
    return Table(title=title, headers=headers, rows=rows, num_words=3, note=note, folded=folded)
