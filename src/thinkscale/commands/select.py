"""select: a training set out of files, by the same measures and rules as the stage of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.file_run import option, recipe_of
from thinkscale.commands.selection_files import Inputs, picked_rows
from thinkscale.commands.selection_text import FATE_COLUMNS, dropped_rows, fate_rows, funnel_json, funnel_text
from thinkscale.config import Recipe, SelectSettings
from thinkscale.curation.funnel import Decisions, draw, sift
from thinkscale.curation.likeness import Against
from thinkscale.curation.measures import Measures
from thinkscale.curation.measuring import graded
from thinkscale.errors import ConfigError, StageError
from thinkscale.keys import JSON
from thinkscale.sources.columns import columns_of_files
from thinkscale.sources.files import require_table, write_rows
from thinkscale.stages.measuring import against_of, measured
from thinkscale.stages.selection_rules import rules_of

OPTIONS = {f"select.{name}": option(name) for name in ("count", "sampler", "against", "workers", "memory_mib")}
"""Settings that an option of the command names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a selection from files came to."""

    measures: Measures
    decisions: Decisions
    written: int


def select(
    inputs: Inputs, out: Path, asked: Mapping[str, JSON], overrides: Sequence[str] = (), report: Path | None = None
) -> Selected:
    """Writes the chosen rows of `inputs.problems` to `out`, unchanged, in the order in which they were drawn.

    Where there are responses each row has `response_key` besides. `report` gets a fate for every row. `asked` are
    settings of the section `select`, and `seed`; None is left out. Without responses nothing is asked of traces, and
    without grades they need not be correct, unless `overrides` say otherwise. What is spilled lies beside `out` until
    all is measured.
    """
    _check_files(inputs, out, report)
    recipe = _recipe(inputs, asked, overrides)
    settings = recipe.select
    assert settings is not None
    rules = rules_of(settings)
    measures = measured(
        columns_of_files(inputs.problems),
        graded(inputs.read_responses(), inputs.read_grades()),
        inputs.read_labels(),
        _against(settings, recipe.seed),
        settings,
        out.parent,
        rules.question_rules,
    )
    sifted = sift(measures, rules)
    try:
        decisions = draw(measures, rules, recipe.seed, sifted)
    except StageError:
        if report:  # of what was dropped: who reads why too few are left needs it now
            write_rows(report, dropped_rows(measures, sifted), FATE_COLUMNS)
        raise
    if report:
        write_rows(report, fate_rows(measures, decisions), FATE_COLUMNS)
    return Selected(measures=measures, decisions=decisions, written=write_rows(out, picked_rows(inputs, decisions)))


def _recipe(inputs: Inputs, asked: Mapping[str, JSON], overrides: Sequence[str]) -> Recipe:
    given: dict[str, JSON] = {name: value for name, value in asked.items() if value is not None}
    seed = given.pop("seed", 42)
    if not inputs.responses:
        given.setdefault("need", [])
    if not (inputs.responses and inputs.grades):
        given.setdefault("need_correct", False)
    foreign = [item for item in overrides if not item.startswith("select.")]
    if foreign:
        raise ConfigError(f"--set {foreign[0]}: this command has settings of the section `select` only")
    made: dict[str, JSON] = {"name": "select", "seed": seed, "select": given}
    return recipe_of(made, tuple(overrides), lambda path: OPTIONS.get(path, path)).value


def _against(settings: SelectSettings, seed: int) -> Iterator[Against]:
    from thinkscale.sources.benchmarks import load_benchmark  # it loads the graders; a replay needs none

    return (against_of(load_benchmark(name, seed)) for name in dict.fromkeys(settings.against))


def _check_files(inputs: Inputs, out: Path, report: Path | None) -> None:
    taken = {path.resolve() for path in inputs.paths()}
    for named, path in (("--out", out), ("--report", report)):
        if path is None:
            continue
        require_table(path)
        if path.resolve() in taken:
            raise ConfigError(f"{named} {path} is an input, or named twice, and would be overwritten; give another")
        taken.add(path.resolve())


def selected_json(selected: Selected) -> JSON:
    """The outcome for a program."""
    return {
        "rows": len(selected.measures.rows),
        "selected": selected.written,
        "seed": selected.decisions.selection.seed,
        "funnel": funnel_json(selected.measures, selected.decisions),
        "notices": list(selected.decisions.notices),
    }


def selected_text(selected: Selected) -> str:
    """The outcome for a person."""
    lines = [f"{len(selected.measures.rows):,} rows: {selected.written:,} selected"]
    lines += [f"note: {notice}" for notice in selected.decisions.notices]
    return "\n".join([*lines, funnel_text(selected.measures, selected.decisions)])
