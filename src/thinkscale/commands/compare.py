"""compare: two runs, or two models of one run, on the same items at equal cells.

Cells are equal where benchmark, method, budget, waits, variant and samples are. All that are compared are one family.
With several runs on a side (the same recipe under other seeds) the interval is over problems and seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thinkscale.commands.compared_cells import RunCells, over_problems, over_seeds
from thinkscale.commands.scored_runs import ScoredRun, read_scored, shared_items
from thinkscale.commands.voted_cells import VOTED, voted_outcomes
from thinkscale.errors import ConfigError
from thinkscale.records import Score
from thinkscale.reporting.compare_chart import comparison_figure
from thinkscale.reporting.compared import (
    Comparison,
    Side,
    comparison_json,
    comparison_markdown,
)
from thinkscale.reporting.theme import png, svg
from thinkscale.statistics import (
    RESAMPLES,
    SEED,
    CellKey,
    cell_key,
    outcomes_of,
    setting_order,
)
from thinkscale.statistics.parallel import SAMPLED_METHODS
from thinkscale.store.atomic import atomic_file, write_json, write_text, writing

TRUNCATION, BUDGET_FORCING = "truncation", "budget_forcing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What is compared. Empty lists mean everything."""

    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    """Runs of each side; without a second side two models of the first are compared."""
    models: tuple[str, ...] = ()
    """One for both sides, or one for each; without any, the last of each side's runs."""
    benchmarks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    shared: bool = False
    """Compare on the items that both sides have, where they differ."""
    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class _Read:
    """One side: its runs, each with the scores that are compared."""

    side: Side
    runs: tuple[tuple[ScoredRun, tuple[Score, ...]], ...]


def compare(options: CompareOptions, out: Path | None = None) -> Comparison:
    """Compares, and writes compare.json, compare.md and the figure into `out`.

    Raises ConfigError where the sides have different items (and not `shared`), no cell in common, or are the same.
    """
    first, second = _sides(options)
    shared, notes = _items(first, second, options.shared)
    before, after = (_outcomes(side, shared, options.methods) for side in (first, second))
    keys = [key for key in before[0][0] if all(key in cells for cells, _ in (*before, *after))]
    if not keys:
        raise ConfigError(
            f"{first.side.label} and {second.side.label} have no cell in common: a benchmark, method, budget, waits "
            "and variant that both were evaluated at; majority and pass need several samples of each problem"
        )
    num_shared = len(keys)
    keys, more = _without_doubles(keys)
    keys.sort(key=lambda key: (list(shared).index(key.benchmark), key.method, setting_order(key)))
    several = len(before) > 1 or len(after) > 1
    cells, resolutions, said = (
        over_seeds(keys, before, after)
        if several
        else over_problems(keys, before[0], after[0], options.resamples, options.seed)
    )
    found = Comparison(
        first=first.side,
        second=second.side,
        over_seeds=several,
        resolutions=resolutions,
        cells=cells,
        notes=(*notes, *more, *_left_out(before, after, num_shared), *said),
    )
    if out is not None:
        write_comparison(found, out)
    return found


def write_comparison(found: Comparison, out: Path) -> None:
    """compare.json, compare.md, compare.svg and compare.png, each whole or not at all. Raises StorageError."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    figure = comparison_figure(found)
    if figure is not None:
        drawing = svg(figure)
        write_text(out / "compare.svg", drawing)
        with atomic_file(out / "compare.png") as stream:
            stream.write(png(drawing))
    write_json(out / "compare.json", comparison_json(found))
    write_text(out / "compare.md", comparison_markdown(found, "compare.svg" if figure else None))


def _sides(options: CompareOptions) -> tuple[_Read, _Read]:
    if not options.first:
        raise ConfigError("no run is named to compare")
    for names in (options.first, options.second):
        twice = [name for name in names if sum(Path(other).resolve() == Path(name).resolve() for other in names) > 1]
        if twice:
            raise ConfigError(f"{twice[0]} is named twice on one side; a run counts once")
    if len(options.models) > 2:
        raise ConfigError(f"--model is given {len(options.models)} times; one for both sides, or one for each")
    first_runs = [read_scored(name) for name in options.first]
    second_runs = [read_scored(name) for name in options.second] or first_runs
    models = _models(options, first_runs, second_runs)
    first, second = (_side(runs, model, options) for runs, model in zip((first_runs, second_runs), models, strict=True))
    places = [{Path(name).resolve() for name in side.side.runs} for side in (first, second)]
    if models[0] == models[1] and places[0] & places[1]:
        raise ConfigError(
            f"both sides are {models[0]} of {', '.join(options.first)}; name a second run, or two models of one run "
            f"with --model FIRST --model SECOND (there are {', '.join(first_runs[0].models)})"
        )
    return first, second


def _models(options: CompareOptions, first: Sequence[ScoredRun], second: Sequence[ScoredRun]) -> tuple[str, str]:
    if options.models:
        return options.models[0], options.models[-1]
    if not options.second:
        if len(first[0].models) != 2:
            raise ConfigError(
                f"{first[0].name} has the models {', '.join(first[0].models)}: name a second run, or two models with "
                "--model FIRST --model SECOND"
            )
        return first[0].models[0], first[0].models[1]
    return first[0].models[-1], second[0].models[-1]


def _side(runs: Sequence[ScoredRun], model: str, options: CompareOptions) -> _Read:
    votes = any(name in VOTED for name in options.methods)

    def wanted(score: Score) -> bool:
        return (not options.benchmarks or score.benchmark in options.benchmarks) and (
            not options.methods
            or score.method in options.methods
            or (votes and score.method in SAMPLED_METHODS and not score.waits)
        )

    chosen = []
    for run in runs:
        scores = tuple(score for score in run.of_model(model) if wanted(score))
        if not scores:
            raise ConfigError(f"{run.name}: {model} has no scores of these benchmarks and methods; {_what(run, model)}")
        chosen.append((run, scores))
    return _Read(Side(runs=tuple(run.name for run in runs), model=model), tuple(chosen))


def _what(run: ScoredRun, model: str) -> str:
    scores = run.of_model(model)
    benchmarks, methods = (
        ", ".join(dict.fromkeys(names))
        for names in ((score.benchmark for score in scores), (score.method for score in scores))
    )
    return f"there are the benchmarks {benchmarks} and the methods {methods}"


def _items(first: _Read, second: _Read, take_shared: bool) -> tuple[dict[str, set[str]], list[str]]:
    """The items to compare on by benchmark, and what is to be said of the choice. ConfigError where they differ."""
    shared, differing = shared_items(first.runs, second.runs)
    if not shared:
        raise ConfigError(f"{first.side.label} and {second.side.label} have no benchmark in common")
    if differing and not take_shared:
        raise ConfigError(
            "the sides were not evaluated on the same items, so a difference would be one of items:\n  "
            + "\n  ".join(differing)
            + "\nEvaluate both on the same ones, or compare on those that both have with --shared. A set whose items "
            "the run's seed draws has others under another seed: pin them, as in `math500~100@7`, or give a file"
        )
    empty = [name for name, items in shared.items() if not items]
    if empty:
        raise ConfigError(f"{empty[0]}: the sides have no item in common; leave it out with --benchmark")
    notes = [f"On shared items alone ({name}: {len(items)})." for name, items in shared.items()] if differing else []
    return shared, [*notes, *(f"Left out of it: {line}." for line in differing)]


def _outcomes(side: _Read, shared: dict[str, set[str]], methods: tuple[str, ...]) -> list[RunCells]:
    made = []
    for _, scores in side.runs:
        used = [
            replace(score, model="")
            for score in scores
            if score.benchmark in shared and score.problem_id in shared[score.benchmark]
        ]
        voted, voted_tokens = voted_outcomes(used, methods)
        plain = [score for score in used if not methods or score.method in methods]
        tokens: dict[CellKey, list[int]] = {}
        for score in plain:
            tokens.setdefault(cell_key(score), []).append(score.thinking_tokens)
        means = {key: sum(values) / len(values) for key, values in tokens.items()}
        made.append(({**outcomes_of(plain), **voted}, {**means, **voted_tokens}))
    return made


def _without_doubles(keys: Sequence[CellKey]) -> tuple[list[CellKey], list[str]]:
    """Keys without those that are another one by definition, which would count twice in the correction."""
    plain = {(key.benchmark, key.budget_tokens) for key in keys if key.method == TRUNCATION}
    doubles = [
        key
        for key in keys
        if key.method == BUDGET_FORCING and not key.waits and (key.benchmark, key.budget_tokens) in plain
    ]
    notes = [f"Budget forcing without waits is truncation: {len(doubles)} cells count once."] if doubles else []
    return [key for key in keys if key not in doubles], notes


def _left_out(before: list[RunCells], after: list[RunCells], num: int) -> list[str]:
    left = [len(set().union(*(cells for cells, _ in side))) - num for side in (before, after)]
    if not any(left):
        return []
    return [f"Cells without a counterpart are left out: {left[0]} of the first side, {left[1]} of the second."]
