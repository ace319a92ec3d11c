"""push --what model: a trained model with a card of its own, as a model on the Hub.

A folder is written first: links to the weights (they may be large), and beside them the card, the recipe, the account
of the training and its figures, without folders of this machine. Weights keep their names and bytes, so an upload that
was cut off goes on when the command is given again. A card that lies in the model's folder already is a person's, and
is kept.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from thinkscale.commands.card_facts import card_facts, recipe_of_folder
from thinkscale.commands.push_options import PushOptions, dry_folder
from thinkscale.credentials import redact
from thinkscale.engines.catalogue import model_path
from thinkscale.errors import DataError, StorageError
from thinkscale.keys import JSON
from thinkscale.records import Cell, Fate, HeldOut, Record, Step
from thinkscale.reporting.figures.training_charts import loss_figure, rewards_figure, speed_figure
from thinkscale.reporting.markdown import escaped
from thinkscale.reporting.sections.training_section import hyperparameter_rows, training_told
from thinkscale.reporting.theme import png, svg
from thinkscale.reporting.training import TrainingFacts
from thinkscale.sources.cards import CardFacts
from thinkscale.sources.hub import HUB, upload
from thinkscale.sources.model_cards import ModelCardFacts, model_card
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.stages.evaluate_jobs import BASE, STUDENT
from thinkscale.stages.training_facts import account_of, facts_of_model, logged_readings, training_log
from thinkscale.store.atomic import read_json
from thinkscale.store.run import RECIPE_NAME
from thinkscale.store.tables import TABLE_OF, read_table
from thinkscale.thinking.formats import ThinkingFormat, find_format
from thinkscale.training.output import MARKER

R = TypeVar("R", bound=Record)

CARD = "README.md"
UNTOLD = ". Its card does not say how to prompt it; --thinking-format does"
LARGE = 64 * 1024**2
"""Bytes from which a dry run links a file instead of copying it; a small one may be edited there."""
OF_TRAINING = ("optimizer", "scheduler", "rng_state", "trainer_state", "training_args", "scaler")
"""Beginnings of files that a resume needs and a user does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A model folder, and the run that made it, if one did."""

    model: Path
    run: Path | None


def push_model(folder: Path, to: str, options: PushOptions) -> str:
    """Uploads the model of a run, or of a model folder, to `to`; returns a line that says where it is.

    Raises DataError where there is no model, or the Hub refuses.
    """
    origin = _origin(folder)
    if options.dry_run:
        out = dry_folder(to, options)
        size = _write(out, origin, to, options, hard=True)
        said = f"{out} holds what would be uploaded to {HUB}/{to}: {size} of a model and a card. Nothing was sent"
        is_untold = not (origin.run or options.thinking_format or (origin.model / CARD).is_file())
        return said + UNTOLD if is_untold else said
    with TemporaryDirectory(prefix="thinkscale-push-") as written:
        size = _write(Path(written), origin, to, options, hard=False)
        address = upload(
            Path(written),
            to,
            private=options.private,
            revision=options.revision,
            message="model by thinkscale",
            kind="model",
        )
    return f"{size} of a model and a card are at {HUB}/{to} ({address})"


def is_model(folder: Path) -> bool:
    """Whether `folder` holds a configuration and weights."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _origin(folder: Path) -> Origin:
    if is_model(folder):
        above = folder.resolve().parent.parent
        is_of_run = (above / RECIPE_NAME).is_file() and student_checkpoint(above) == folder.resolve()
        return Origin(model=folder, run=above if is_of_run else None)
    if is_model(student_checkpoint(folder)):
        return Origin(model=student_checkpoint(folder), run=folder)
    raise DataError(
        f"{folder} holds no model: neither config.json with *.safetensors, nor the checkpoints/student of a run"
    )


def _write(out: Path, origin: Origin, to: str, options: PushOptions, *, hard: bool) -> str:
    """Writes the folder that is uploaded; returns the size of what is not text of ours."""
    facts = _training_facts(origin)
    try:
        out.mkdir(parents=True, exist_ok=True)
        size = sum(_placed(path, out / path.name, hard=hard) for path in _files(origin.model))
        figures = dict(_figures(out, facts))
        card = _card_facts(origin, to, options, facts, figures)
        if not (origin.model / CARD).is_file():
            (out / CARD).write_text(redact(model_card(card)), encoding="utf-8")
        if card.data.recipe:
            (out / RECIPE_NAME).write_text(redact(card.data.recipe), encoding="utf-8")
        if account := account_of(origin.model):
            text = json.dumps(_public(account, (origin.model,)), indent=2, sort_keys=True)
            (out / MARKER).write_text(redact(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out} could not be written: {error.strerror or error}") from error
    return f"{size / 1024**3:,.1f} GiB" if size >= 1024**3 / 10 else f"{size / 1024**2:,.1f} MiB"


def _files(model: Path) -> Iterator[Path]:
    """What belongs to the model: no hidden files, no state of an optimizer, no account with folders in it."""
    for path in sorted(model.iterdir()):
        is_ours = path.name == MARKER or path.name.startswith((".", *OF_TRAINING))
        if path.is_file() and not is_ours:
            yield path


def _placed(path: Path, target: Path, *, hard: bool) -> int:
    """Puts a link to `path`, or for a dry run the file itself, at `target`; returns its size."""
    size = path.stat().st_size
    if not hard:
        target.symlink_to(path.resolve())
        return size
    try:
        if size >= LARGE:
            os.link(path.resolve(), target)
            return size
    except OSError:  # another disk
        pass
    shutil.copyfile(path, target)
    return size


def _training_facts(origin: Origin) -> TrainingFacts | None:
    """Of the training that made the weights: the run's, or that of the log beside the folder."""
    if origin.run is not None:
        steps = tuple(_table(origin.run, Step))
        return TrainingFacts(
            steps=steps,
            held_out=tuple(_table(origin.run, HeldOut)),
            readings=logged_readings(training_log(origin.run, "train"), steps),
            account=account_of(origin.model),
            fates=tuple(fate for fate in _table(origin.run, Fate) if fate.stage == "train"),
        )
    return facts_of_model(origin.model)


def _figures(out: Path, facts: TrainingFacts | None) -> Iterator[tuple[str, str]]:
    """Draws what is known of the training; path and words of each."""
    for make in (loss_figure, rewards_figure, speed_figure) if facts and facts.steps else ():
        assert facts is not None
        if figure := make(facts):
            path = Path("figures") / f"{figure.name}.png"
            (out / path).parent.mkdir(exist_ok=True)
            (out / path).write_bytes(png(svg(figure)))
            yield path.as_posix(), f"{figure.title}. {figure.caption}"


def _card_facts(
    origin: Origin, to: str, options: PushOptions, facts: TrainingFacts | None, figures: dict[str, str]
) -> ModelCardFacts:
    recipe = recipe_of_folder(origin.run) if origin.run else {}
    account = account_of(origin.model)
    cells = list(_table(origin.run, Cell))
    return ModelCardFacts(
        data=_data(origin.run, to),
        base_model=_base_model(recipe, account),
        licence=options.licence or "",
        method=str(account.get("method") or ("dpo" if facts and facts.is_preference else "sft")),
        format=_format(recipe, options),
        notice=_notice(recipe),
        told=[escaped(placeless(item, (origin.model,))) for item in training_told(facts)]
        if facts and facts.steps
        else (),
        hyperparameters=tuple(hyperparameter_rows(facts.hyperparameters)) if facts else (),
        figures=figures,
        cells=[cell for cell in cells if cell.model == STUDENT],
        base_cells=[cell for cell in cells if cell.model == BASE],
        context_tokens=_context_tokens(origin.model),
    )


def _data(run: Path | None, to: str) -> CardFacts:
    if run is None:
        return CardFacts(repository=to, tables={})
    tables = {name: path for name in ("examples", "pairs") if (path := run / f"{name}.parquet").is_file()}
    rows = {name: _num_rows(path) for name, path in tables.items()}
    return card_facts(run, to, rows or {"examples": 0}, tables)


def _num_rows(table: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)


def _table(run: Path | None, kind: type[R]) -> Iterator[R]:
    """The rows of a run's table; none where it has no such table."""
    path = run / f"{TABLE_OF[kind]}.parquet" if run else None
    return read_table(path, kind) if path and path.is_file() else iter(())


def _base_model(recipe: dict[str, JSON], account: dict[str, JSON]) -> str:
    """As the recipe names it, else as the training did; a folder by its last part alone."""
    student = recipe.get("student")
    named = student.get("model") if isinstance(student, dict) else None
    text = str(named or account.get("base_model") or "not known")
    if text == model_path("lab"):
        return "lab"
    return Path(text).name if Path(text).is_absolute() or Path(text).is_dir() else text


def _told(model: Path, facts: TrainingFacts | None) -> list[str]:
    """What happened in the training, without folders of this machine and without markup of its texts."""
    told = training_told(facts) if facts and facts.steps else ()
    return [escaped(placeless(item, (model,))) for item in told]


def _notice(recipe: dict[str, JSON]) -> tuple[str, ...]:
    report = recipe.get("report")
    found = report.get("notice") if isinstance(report, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _format(recipe: dict[str, JSON], options: PushOptions) -> ThinkingFormat | None:
    student = recipe.get("student")
    named = options.thinking_format or (student.get("thinking_format", "s1") if isinstance(student, dict) else None)
    return find_format(str(named)) if named else None


def _context_tokens(model: Path) -> int | None:
    try:
        found = read_json(model / "config.json")
    except ValueError as error:
        raise DataError(f"{model / 'config.json'} is not JSON: {error}") from error
    number = found.get("max_position_embeddings") if isinstance(found, dict) else None
    return number if isinstance(number, int) else None


def _public(value: JSON, places: Sequence[Path] = ()) -> JSON:
    """The value with each absolute path in its texts cut to the last part."""
    if isinstance(value, dict):
        return {key: _public(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [_public(item, places) for item in value]
    return placeless(value, places) if isinstance(value, str) else value


def placeless(text: str, places: Sequence[Path]) -> str:
    """A text without the folders that `places` lie in, and with every other absolute path cut to its last part."""
    for place in places:
        text = text.replace(f"{place.resolve().parent}{os.sep}", "").replace(f"{place.parent}{os.sep}", "")
    return _ABSOLUTE.sub(r"\1", text)


_ABSOLUTE = re.compile(r"(?<![\w./:~-])~?/(?:[^\s/\"'`]+/)+([^\s/\"'`]+)")
"""An absolute path in a text; what follows a word, a colon or a slash is part of an address or a rate."""
