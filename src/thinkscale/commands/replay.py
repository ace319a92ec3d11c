"""select RUN --replay: the same measures decided again under other thresholds or another seed, in seconds.

Nothing in the run is changed: what is decided is printed, and written where it is asked for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.run_rows import exported
from thinkscale.commands.selection_text import FATE_COLUMNS, fate_rows, funnel_json, funnel_text
from thinkscale.config import Recipe
from thinkscale.config.select import MEASURED
from thinkscale.curation.funnel import Decisions, decide
from thinkscale.curation.measures import Measures
from thinkscale.curation.sampling import jaccard
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate
from thinkscale.settings import load_settings
from thinkscale.sources.files import write_rows
from thinkscale.stages.selection_rules import rules_of
from thinkscale.stages.stored_measures import stored_measures
from thinkscale.store.run import RunDirectory

PICK_COLUMNS = ("order", "problem_id", "domain", "reason", "rank", "rows_left", "domains_left", "response_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A second choice beside the first one."""

    measures: Measures
    decisions: Decisions
    first: frozenset[str]
    """Ids of the rows that the run selected."""
    entered: Counter[str]
    """Rows that are selected now: what became of them before, with counts."""
    left: Counter[str]
    """Rows that were selected before: what becomes of them now."""

    @property
    def again(self) -> frozenset[str]:
        """Ids of the rows that are selected now."""
        return frozenset(pick.problem_id for pick in self.decisions.selection.picks)

    @property
    def overlap(self) -> float:
        """Jaccard: ids in both choices over ids in either."""
        return jaccard(self.first, self.again)


def replay(folder: Path, overrides: Sequence[str] = (), seed: int | None = None, out: Path | None = None) -> Replayed:
    """Decides again on the rows of a run. `out` is a folder for fates.jsonl and picks.jsonl, outside of the run.

    Raises ConfigError for a setting that does not belong to the decision, RunDirectoryError where nothing was selected.
    """
    _check(folder, overrides, out)
    with RunDirectory.read(folder) as run:
        recipe = load_settings(Recipe, run.recipe_yaml, tuple(overrides), name=str(folder / "recipe.yaml")).value
        if recipe.select is None:
            raise ConfigError(f"{folder}: its recipe has no section `select`")
        measures = _measures(run, recipe, folder)
        before = _first_reasons(run)
    decisions = decide(measures, rules_of(recipe.select), recipe.seed if seed is None else seed)
    made = _compared(measures, decisions, before)
    if out:
        write_rows(out / "fates.jsonl", fate_rows(measures, decisions), FATE_COLUMNS)
        write_rows(out / "picks.jsonl", _pick_rows(decisions), PICK_COLUMNS)
    return made


def _check(folder: Path, overrides: Sequence[str], out: Path | None) -> None:
    for item in overrides:
        name = item.partition("=")[0]
        if not name.startswith("select."):
            raise ConfigError(f"--set {item}: a replay changes settings of the section `select` only")
        if name.split(".")[1] in MEASURED:
            raise ConfigError(
                f"--set {item}: this decides what is measured, and a replay only decides; "
                "run the recipe with it and --fresh"
            )
    if out and out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"--out {out} lies in the run, which a replay leaves as it is; give another folder")


def _measures(run: RunDirectory, recipe: Recipe, folder: Path) -> Measures:
    """The run's, or measured anew where its files are missing or of another state; nothing is written."""
    stored = stored_measures(run)
    if stored is not None:
        return stored
    from thinkscale.stages.measuring import measure_run  # who finds measures needs nothing that measures

    return measure_run(run, recipe, folder)


SELECTED = "selected"


def _first_reasons(run: RunDirectory) -> dict[str, str]:
    """The reason of every row's first fate in the selection; of those that were kept, SELECTED."""
    if exported(run, Fate):
        import polars as pl

        table = pl.read_parquet(run.path / "fates.parquet", columns=["problem_id", "stage", "reason"])
        return dict(table.filter(pl.col("stage") == "select").select("problem_id", "reason").iter_rows())
    fates = (fate for fate in run.rows(Fate, "select"))
    return {fate.problem_id: SELECTED if fate.decision is Decision.KEPT else fate.reason for fate in fates}


def _compared(measures: Measures, decisions: Decisions, before: dict[str, str]) -> Replayed:
    first = frozenset(name for name, reason in before.items() if reason == SELECTED)
    again = {pick.problem_id for pick in decisions.selection.picks}
    names = dict(measures.rows.select("problem_id", "row").iter_rows())
    entered = Counter(before.get(name, "no fate before") for name in again - first)
    left = Counter(decisions.dropped[names[name]][1].reason for name in first - again)
    return Replayed(measures=measures, decisions=decisions, first=first, entered=entered, left=left)


def _pick_rows(decisions: Decisions) -> list[dict[str, JSON]]:
    return [
        {
            "order": pick.order, "problem_id": pick.problem_id, "domain": pick.domain, "reason": pick.reason,
            "rank": pick.rank, "rows_left": pick.rows_left, "domains_left": pick.domains_left,
            "response_key": decisions.chosen.key.get(row),
        }
        for row, pick in decisions.picks.items()
    ]  # fmt: skip


def replay_json(replayed: Replayed) -> JSON:
    """The outcome for a program."""
    entered: dict[str, JSON] = dict(replayed.entered.most_common())
    left: dict[str, JSON] = dict(replayed.left.most_common())
    return {
        "rows": len(replayed.measures.rows),
        "seed": replayed.decisions.selection.seed,
        "first": len(replayed.first),
        "again": len(replayed.again),
        "in_both": len(replayed.first & replayed.again),
        "jaccard": replayed.overlap,
        "entered": entered,
        "left": left,
        "funnel": funnel_json(replayed.measures, replayed.decisions),
        "notices": list(replayed.decisions.notices),
    }


def replay_text(replayed: Replayed) -> str:
    """The outcome for a person."""
    both = len(replayed.first & replayed.again)
    lines = [
        f"{len(replayed.again):,} of {len(replayed.measures.rows):,} rows selected, seed "
        f"{replayed.decisions.selection.seed}; the run selected {len(replayed.first):,}",
        f"in both {both:,}; overlap (Jaccard) {replayed.overlap:.3f}",
    ]
    lines += [f"note: {notice}" for notice in replayed.decisions.notices]
    for title, counts, words in (
        ("entered", replayed.entered, "before"),
        ("left", replayed.left, "now"),
    ):
        lines.append(f"{title}: {counts.total():,}")
        lines += [f"  {number:>7,}  {words}: {reason}" for reason, number in counts.most_common()]
    return "\n".join([*lines, funnel_text(replayed.measures, replayed.decisions)])
