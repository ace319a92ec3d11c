"""The cells of a study: every variant against the base, in the cell that stands for each benchmark.

That is the headline cell of the base's model (statistics/headline.py): asked once, not interfered with. A study of many
cells would be many comparisons more, of which each then shows less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from thinkscale.commands.compared_cells import RunCells, over_problems, over_seeds
from thinkscale.commands.scored_runs import ScoredRun, read_scored, shared_items
from thinkscale.config.study import BASE
from thinkscale.errors import ConfigError
from thinkscale.records import Cell
from thinkscale.reporting.compared import Comparison, Side
from thinkscale.statistics import CellKey, cell_key, outcomes_of
from thinkscale.statistics.headline import headline
from thinkscale.store.run import RunDirectory


def compared_variants(folders: Mapping[str, Sequence[Path]]) -> Comparison:
    """BASE and the variants by name, each with its run directories: one a seed, in the same order.

    The model of a run is the last that it evaluated. In the comparison a cell's key has the variant in the place of the
    model. Raises ConfigError where runs were not evaluated on the same items, or have no headline cell in common.
    """
    read = {name: [read_scored(str(folder)) for folder in of_variant] for name, of_variant in folders.items()}
    bases = read.pop(BASE)
    wanted = _headline_keys(folders[BASE][0], bases[0].models[-1])
    base_cells = [_cells(run) for run in bases]
    before: list[RunCells] = [({}, {}) for _ in bases]
    after: list[RunCells] = [({}, {}) for _ in bases]
    keys: list[CellKey] = []
    for name, runs in read.items():
        _check_items(name, bases, runs)
        for plain in wanted:
            pairs = [(base_cells, before), ([_cells(run) for run in runs], after)]
            if all(plain in outcomes for side, _ in pairs for outcomes, _ in side):
                keys.append(replace(plain, model=name))
                for side, gathered in pairs:
                    for (outcomes, tokens), (all_outcomes, all_tokens) in zip(side, gathered, strict=True):
                        all_outcomes[keys[-1]], all_tokens[keys[-1]] = outcomes[plain], tokens[plain]
    if not keys:
        raise ConfigError("the runs have no headline cell in common; evaluate them with the method truncation")
    benchmarks = [key.benchmark for key in wanted]
    keys.sort(key=lambda key: benchmarks.index(key.benchmark))
    several = len(bases) > 1
    cells, resolutions, notes = over_seeds(keys, before, after) if several else over_problems(keys, before[0], after[0])
    return Comparison(
        first=Side(runs=tuple(run.name for run in bases), model=BASE),
        second=Side(runs=tuple(read), model="variants"),
        over_seeds=several,
        resolutions=resolutions,
        cells=cells,
        notes=tuple(notes),
    )


def _headline_keys(folder: Path, model: str) -> list[CellKey]:
    with RunDirectory.read(folder) as run:
        return [replace(cell_key(cell), model="") for cell in headline(run.rows(Cell), model).values()]


def _check_items(name: str, bases: Sequence[ScoredRun], runs: Sequence[ScoredRun]) -> None:
    first, second = ([(run, run.of_model(run.models[-1])) for run in side] for side in (bases, runs))
    _, differing = shared_items(first, second)
    if differing:
        raise ConfigError(
            f"{name} was not evaluated on the items of the base, so a difference would be one of items:\n  "
            + "\n  ".join(differing)
            + "\nPin items that the run's seed draws, as in `math500~100@7`"
        )


def _cells(run: ScoredRun) -> RunCells:
    """Outcomes and mean thinking tokens of the run's last model, by cell."""
    scores = [replace(score, model="") for score in run.of_model(run.models[-1])]
    tokens: dict[CellKey, list[int]] = {}
    for score in scores:
        tokens.setdefault(cell_key(score), []).append(score.thinking_tokens)
    return outcomes_of(scores), {key: sum(values) / len(values) for key, values in tokens.items()}
