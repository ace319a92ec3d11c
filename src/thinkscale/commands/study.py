"""study: a recipe and variants of it, each a run of its own, and what every change does.

    OUT/base, OUT/VARIANT ...              run directories (with several seeds: OUT/VARIANT-seed43)
    OUT/study.json, study.md, study.svg    each variant against the base, on the benchmarks' headline cells

All differences of a study are one family, so that of ten variants one does not stand out by chance. A run that is
done is not done again: the same command goes on, and takes up what was added to the study.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thinkscale.commands.study_cells import compared_variants
from thinkscale.config.study import BASE, Study, study_source
from thinkscale.errors import ConfigError, SpendCapError, StageError, StoppedError, ThinkscaleError
from thinkscale.pipeline import check_recipe, load_recipe
from thinkscale.reporting.compare_chart import comparison_figure
from thinkscale.reporting.compared import Comparison, comparison_json, comparison_markdown, comparison_text
from thinkscale.reporting.theme import png, svg
from thinkscale.settings import load_settings
from thinkscale.store.atomic import atomic_file, write_json, write_text, writing

REHEARSED = (
    "A rehearsal with the lab's model and a few rows: no number here says anything about the models and data that the "
    "recipe names."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """What of a study is run, and how."""

    only: tuple[str, ...] = ()
    """Variants; empty: all. The base always is."""
    seeds: tuple[int, ...] = ()
    """Empty: the study's."""
    overrides: tuple[str, ...] = ()
    """For the base and every variant."""
    rehearse: bool = False
    local: tuple[str, ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a study."""

    variant: str
    seed: int
    folder: Path
    overrides: tuple[str, ...]


def study(name: str, out: Path | None, options: StudyOptions) -> str:
    """Runs what is not done yet, compares, and returns the comparison for a terminal.

    A variant that fails does not keep the others from running; StageError names those that did, at the end. Raises
    ConfigError before the first run where the study, a variant's settings or an option is wrong.
    """
    found, recipe = load_study(name)
    folder = out or Path("runs") / found.name
    members = members_of(found, folder, options)
    for member in members:
        _checked(recipe, member)
    failed: dict[Path, str] = {}
    for member in members:
        try:
            _run(recipe, member, options)
        except (StoppedError, SpendCapError):
            raise
        except ThinkscaleError as error:
            failed[member.folder] = str(error)
    done = [member for member in members if member.folder not in failed]
    text = _compared(found, folder, done, REHEARSED if options.rehearse else None)
    if failed:
        lines = [f"  {path}: {reason}" for path, reason in failed.items()]
        raise StageError("\n".join([text, "", f"{len(failed)} of {len(members)} runs failed:", *lines]).lstrip())
    return text


def planned(name: str, out: Path | None, options: StudyOptions) -> str:
    """What would be run: each run's folder and what it changes. Checks every variant; runs nothing."""
    found, recipe = load_study(name)
    members = members_of(found, out or Path("runs") / found.name, options)
    lines = [f"{found.name}: {len(members)} runs of {recipe}" + (f". {found.about}" if found.about else "")]
    for member in members:
        _checked(recipe, member)
        about = "the recipe as it is" if member.variant == BASE else found.variants[member.variant].about
        lines.append(f"  {member.folder}: {about}")
        lines += [f"      {change}" for change in member.overrides]
    return "\n".join(lines)


def load_study(name: str) -> tuple[Study, str]:
    """A shipped study or a file, and its recipe: a shipped name, or a path that starts at the study's folder."""
    text, label, folder = study_source(name)
    found = load_settings(Study, text, name=label).value
    if BASE in found.variants:
        raise ConfigError(f"{label}: no variant can be called {BASE!r}, which is the recipe as it is")
    beside = folder / found.recipe
    return found, str(beside) if beside.is_file() else found.recipe


def members_of(found: Study, folder: Path, options: StudyOptions) -> list[Member]:
    """The runs in order: all seeds of the base, then of each variant. Raises ConfigError on an unknown variant."""
    unknown = [name for name in options.only if name not in found.variants]
    if unknown:
        raise ConfigError(f"{found.name} has no variant {unknown[0]!r}; there are {', '.join(found.variants)}")
    seeds = options.seeds or found.seeds
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"the seeds {', '.join(map(str, seeds))} repeat one; a seed counts once")
    wanted = [BASE, *(name for name in found.variants if not options.only or name in options.only)]
    return [
        Member(
            variant,
            seed,
            folder / (variant if len(seeds) == 1 else f"{variant}-seed{seed}"),
            (f"name={json.dumps(f'{found.name}-{variant}')}", *found.overrides(variant, seed), *options.overrides),
        )
        for variant in wanted
        for seed in seeds
    ]


def _checked(recipe: str, member: Member) -> None:
    try:
        check_recipe(load_recipe(recipe, member.overrides))
    except ConfigError as error:
        raise ConfigError(f"the variant {member.variant}: {error}") from error


def _run(recipe: str, member: Member, options: StudyOptions) -> None:
    from thinkscale.commands.run import rehearse_run, run

    if options.rehearse:
        rehearse_run(recipe, member.folder, member.overrides, local=options.local, quiet=options.quiet)
    else:
        run(recipe, member.folder, member.overrides, quiet=options.quiet)


def _compared(found: Study, folder: Path, members: Sequence[Member], notice: str | None) -> str:
    """Compares the runs that are done, writes study.json, study.md and the figure, and returns the text.

    A `notice` stands among the notes of all of them.
    """
    seeds = {member.seed for member in members}
    by_variant = {
        name: [member for member in members if member.variant == name]
        for name in dict.fromkeys(member.variant for member in members)
    }
    whole = {name: runs for name, runs in by_variant.items() if len(runs) == len(seeds)}
    if BASE not in whole or len(whole) < 2:
        return ""
    comparison = compared_variants({name: [member.folder for member in runs] for name, runs in whole.items()})
    if notice:
        comparison = replace(comparison, notes=(notice, *comparison.notes))
    texts = {name: item.about for name, item in found.variants.items() if name in whole}
    _write(comparison, folder, [f"- `{name}`: {about}" for name, about in texts.items()], found)
    return comparison_text(comparison) + f"\n\n{folder / 'study.md'}"


def _write(comparison: Comparison, folder: Path, texts: Sequence[str], found: Study) -> None:
    figure = comparison_figure(comparison)
    assert figure is not None
    drawing = svg(figure)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "study.svg", drawing)
    with atomic_file(folder / "study.png") as stream:
        stream.write(png(drawing))
    write_json(folder / "study.json", comparison_json(comparison))
    body = comparison_markdown(comparison, "study.svg").split("\n", 1)[1]
    head = [f"# {found.name}", "", *([found.about + ".", ""] if found.about else []), "Variants:", "", *texts]
    write_text(folder / "study.md", "\n".join([*head, body]))
