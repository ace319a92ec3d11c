"""select: a training set out of files, by the same measures and rules as the stage of a run."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from thinkscale.commands.selection_files import Inputs, picked_rows
from thinkscale.config import Recipe, SelectSettings
from thinkscale.curation.filters import Objection
from thinkscale.curation.funnel import PAPER_COLLECTED, PAPER_LEFT, Decisions, draw, dropped_fates, fates, sift
from thinkscale.curation.likeness import Against
from thinkscale.curation.measures import Measures
from thinkscale.curation.measuring import graded, measure
from thinkscale.errors import ConfigError, StageError
from thinkscale.keys import JSON
from thinkscale.records import Fate
from thinkscale.settings import load_settings
from thinkscale.sources.files import require_table, write_rows
from thinkscale.stages.measuring import against_of, comparing_of
from thinkscale.stages.selection_rules import rules_of

FATE_COLUMNS = ("problem_id", "decision", "step", "reason", "evidence")
ORIGIN = "the command line"


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
    without grades they need not be correct, unless `overrides` say otherwise.
    """
    _check_files(inputs, out, report)
    recipe = _recipe(inputs, asked, overrides)
    settings = recipe.select
    assert settings is not None
    rules = rules_of(settings)
    measures = measure(
        inputs.read_problems(),
        graded(inputs.read_responses(), inputs.read_grades()),
        inputs.read_labels(),
        _against(settings, recipe.seed),
        comparing_of(settings),
        settings.languages,
        rules.question_rules,
    )
    sifted = sift(measures, rules)
    try:
        decisions = draw(measures, rules, recipe.seed, sifted)
    except StageError:
        if report:  # of what was dropped: who reads why too few are left needs it now
            write_rows(report, _fate_rows(dropped_fates(measures, sifted), sifted.dropped, measures), FATE_COLUMNS)
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
    made = {"name": "select", "seed": seed, "select": given}
    foreign = [item for item in overrides if not item.startswith("select.")]
    if foreign:
        raise ConfigError(f"--set {foreign[0]}: this command has settings of the section `select` only")
    try:
        return load_settings(Recipe, yaml.safe_dump(made), tuple(overrides), name=ORIGIN).value
    except ConfigError as error:  # nobody saw the lines of a recipe that was made here
        raise ConfigError(re.sub(rf"{ORIGIN}:\d+: ", "", str(error))) from None


def _against(settings: SelectSettings, seed: int) -> list[Against]:
    from thinkscale.sources.benchmarks import load_benchmark  # it loads the graders; a replay needs none

    return [against_of(load_benchmark(name, seed)) for name in dict.fromkeys(settings.against)]


def _check_files(inputs: Inputs, out: Path, report: Path | None) -> None:
    taken = {path.resolve() for path in inputs.paths()}
    for option, path in (("--out", out), ("--report", report)):
        if path is None:
            continue
        require_table(path)
        if path.resolve() in taken:
            raise ConfigError(f"{option} {path} is an input, or named twice, and would be overwritten; give another")
        taken.add(path.resolve())


def fate_rows(measures: Measures, decisions: Decisions) -> Iterator[dict[str, JSON]]:
    """A row for each fate, with the step that decided."""
    return _fate_rows(fates(measures, decisions), decisions.dropped, measures)


def _fate_rows(
    made: Iterable[Fate], dropped: Mapping[int, tuple[str, Objection]], measures: Measures
) -> Iterator[dict[str, JSON]]:
    steps = {row: step for row, (step, _) in dropped.items()}
    numbers = dict(measures.rows.select("problem_id", "row").iter_rows())
    for fate in made:
        yield {
            "problem_id": fate.problem_id, "decision": fate.decision.value,
            "step": steps.get(numbers[fate.problem_id], "draw"), "reason": fate.reason, "evidence": fate.evidence,
        }  # fmt: skip


def funnel_json(measures: Measures, decisions: Decisions) -> list[JSON]:
    """Rows left after each step, with the s1 paper's where it states them."""
    rows: list[JSON] = [{"step": "collected", "rows": len(measures.rows), "s1": PAPER_COLLECTED, "dropped": {}}]
    for step in decisions.steps:
        dropped: dict[str, JSON] = dict(step.reasons)
        rows.append({"step": step.name, "rows": step.rows_out, "s1": PAPER_LEFT.get(step.name), "dropped": dropped})
    return rows


def selected_json(selected: Selected) -> JSON:
    """The outcome for a program."""
    return {
        "rows": len(selected.measures.rows),
        "selected": selected.written,
        "seed": selected.decisions.selection.seed,
        "funnel": funnel_json(selected.measures, selected.decisions),
        "notices": list(selected.decisions.notices),
    }


def funnel_text(measures: Measures, decisions: Decisions) -> str:
    """The funnel as a table, the s1 paper's beside it."""
    lines = [f"  {'step':<13} {'rows left':>10} {'in s1':>8}   dropped"]
    for row in funnel_json(measures, decisions):
        assert isinstance(row, dict)
        dropped = row["dropped"]
        assert isinstance(dropped, dict)
        paper = f"{row['s1']:,}" if isinstance(row["s1"], int) else ""
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in dropped.items())
        lines.append(f"  {row['step']!s:<13} {row['rows']:>10,} {paper:>8}   {reasons}".rstrip())
    return "\n".join(lines)


def selected_text(selected: Selected) -> str:
    """The outcome for a person."""
    lines = [f"{len(selected.measures.rows):,} rows: {selected.written:,} selected"]
    lines += [f"note: {notice}" for notice in selected.decisions.notices]
    return "\n".join([*lines, funnel_text(selected.measures, selected.decisions)])
