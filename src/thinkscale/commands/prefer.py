"""train dpo, train simpo: a model trained on pairs of a better and a worse reply, without a recipe.

`SOURCE` is a run directory with pairs, or a table of pairs in one of the shapes of `pair_rows.py`. Where a run has
trained its student, that is what is trained on, else the student that its recipe names. Folder, log and resuming are
as in supervised training; `OUT.fates.jsonl` says of every pair that was dropped, cut or held out, and why.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from pydantic import Field
from rich.console import Console

from thinkscale.commands.example_rows import recipe_of_run
from thinkscale.commands.file_run import settings_of
from thinkscale.commands.pair_rows import read_pairs
from thinkscale.commands.train import (
    TrainOptions,
    Watching,
    check_not_made,
    log_of,
    option_of,
    processes_said,
    run_training,
)
from thinkscale.config import PreferSettings, Recipe, Settings, StudentSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.records import Fate, HeldOut, Step, to_row
from thinkscale.sources.files import write_rows
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.stages.train import common_settings
from thinkscale.thinking.formats import find_format
from thinkscale.training.output import MARKER
from thinkscale.training.pair_tokens import PairTokens, show_pair
from thinkscale.training.pairs import OverLongPair, Unusable, unusable_reason, usable_pairs
from thinkscale.training.preference import PreferenceResult, train_preference
from thinkscale.training.preference_settings import DEFAULT_BETAS, DEFAULT_GAMMA, Method, PreferenceSettings
from thinkscale.training.starting import check_model


class Preference(Settings):
    """What the command line says, typed as a recipe is."""

    seed: int = Field(default=42, ge=0, lt=2**32)
    student: StudentSettings
    prefer: PreferSettings = Field(default_factory=PreferSettings)


def prefer(method: str, source: Path, out: Path, options: TrainOptions) -> str:
    """Trains on the pairs of `source`; returns what was trained, for a person.

    Raises ConfigError, DataError (no pairs, or such as cannot be trained on where that is refused), ModelError,
    StageError.
    """
    check_not_made(out, options)
    wanted = asked(method, source, options)
    section = wanted.prefer
    pairs, unusable = usable_pairs(list(read_pairs(source)), Unusable(section.unusable))
    if not pairs:
        raise DataError(f"{source} has no pairs that can be trained on")
    tokens = _tokens(wanted)
    rows = [tokens.row(pair) for pair in pairs]
    settings = preference_settings(section, model_path(wanted.student.model), wanted.seed)
    watching = Watching(name=method, unit="pairs", section=section, model=wanted.student.model, quiet=options.quiet)
    result = run_training(train_preference, rows, settings, out, watching)
    if result is None:
        return ""
    fates = (*unusable, *result.fates)
    return _said(method, result, fates, log_of(out), _write_fates(out.with_name(out.name + ".fates.jsonl"), fates))


def show_pairs(method: str, source: Path, count: int, options: TrainOptions) -> None:
    """Prints the first pairs as the model will see them: prompt dim, chosen green, rejected red, with their counts."""
    wanted = asked(method, source, options)
    tokens = _tokens(wanted)
    console = Console(highlight=False, soft_wrap=True)
    for pair in islice(read_pairs(source), count):
        row = tokens.row(pair)
        counts = (len(row.prompt_ids), len(row.chosen_ids), len(row.rejected_ids))
        notes = ["{:,} tokens of prompt, {:,} chosen, {:,} rejected".format(*counts)]
        if len(row) > wanted.prefer.max_length:
            notes.append(f"over the {wanted.prefer.max_length:,} that fit")
        if reason := unusable_reason(pair):
            notes.append(f"cannot be trained on: {reason}")
        console.print(f"{row.problem_id}: {', '.join(notes)}{f' ({row.why})' if row.why else ''}", style="bold")
        console.print(show_pair(row, tokens.tokenizer))


def preference_settings(section: PreferSettings, model: str, seed: int) -> PreferenceSettings:
    """The section as the trainer takes it, the method's own defaults filled in."""
    method = Method(section.method)
    default_gamma = DEFAULT_GAMMA if method is Method.SIMPO else 0.0
    return PreferenceSettings(
        **common_settings(section, model, seed),
        method=method,
        beta=DEFAULT_BETAS[method] if section.beta is None else section.beta,
        gamma=default_gamma if section.gamma is None else section.gamma,
        loss_type=section.loss_type,
        label_smoothing=section.label_smoothing,
        sft_weight=section.sft_weight,
        over_long=OverLongPair(section.over_length),
        unusable=Unusable(section.unusable),
    )


def asked(method: str, source: Path, options: TrainOptions) -> Preference:
    """What the options say, with what they leave out from the run. Raises ConfigError."""
    of_run = recipe_of_run(source)
    student = of_run.student if of_run else None
    made: dict[str, JSON] = {
        "seed": of_run.seed if of_run else 42,
        "student": {
            "model": options.model or _model_of(source, of_run),
            "thinking_format": options.thinking_format or (student.thinking_format if student else "s1"),
        },
        "prefer": {"method": method, **options.settings},
    }
    wanted = settings_of(Preference, made, options.overrides, option_of).value
    if wanted.prefer.method != method:
        raise ConfigError(f"train {method} is asked for, and --set prefer.method={wanted.prefer.method}; leave one out")
    return wanted


def _model_of(source: Path, of_run: Recipe | None) -> str:
    if of_run is None or of_run.student is None:
        raise ConfigError("which model is to be trained is not known; name it with --model")
    trained = student_checkpoint(source)
    return str(trained) if (trained / MARKER).is_file() else of_run.student.model


def _tokens(wanted: Preference) -> PairTokens:
    check_model(model_path(wanted.student.model))
    return PairTokens(find_format(wanted.student.thinking_format), open_tokenizer(wanted.student.model))


def _write_fates(path: Path, fates: Sequence[Fate]) -> Path | None:
    if not fates:
        path.unlink(missing_ok=True)
        return None
    write_rows(path, (to_row(fate) for fate in fates))
    return path


def _said(method: str, result: PreferenceResult, fates: Iterable[Fate], log: Path, written: Path | None) -> str:
    steps, found = result.steps, result.statistics
    resumed = f" ({result.resumed_from_step} of them before this start)" if result.resumed_from_step else ""
    divided = processes_said(result.plan).replace(" rows", " pairs")
    counts = Counter(fate.reason for fate in fates)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    lines = [
        f"{result.out}: {len(steps):,} steps of {method}{resumed} on {found.num_pairs:,} pairs{divided}, "
        f"{found.num_trained_tokens:,} of {found.num_tokens:,} tokens in replies; {_change(steps)}",
        *([f"{_measured(result.held_out)}"] if result.held_out else []),
        *([f"{reasons}: see {written}"] if written else []),
        f"Each step stands in {log}",
    ]
    return "\n".join(lines)


def _change(steps: Sequence[Step]) -> str:
    first, last = steps[0], steps[-1]
    return f"loss {first.loss:.3f} -> {last.loss:.3f}, margin {_margin(first):.3f} -> {_margin(last):.3f}"


def _measured(held_out: Sequence[HeldOut]) -> str:
    first, last = held_out[0], held_out[-1]
    return (
        f"{first.num_rows:,} held-out pairs: loss {first.loss:.3f} -> {last.loss:.3f}, margin {_margin(first):.3f} -> "
        f"{_margin(last):.3f}, the chosen reply ahead in {100 * (first.reward_accuracy or 0):.0f}% -> "
        f"{100 * (last.reward_accuracy or 0):.0f}%"
    )


def _margin(record: Step | HeldOut) -> float:
    return (record.chosen_reward or 0.0) - (record.rejected_reward or 0.0)
