"""A run directory whose evaluation is graded by another grader: a copy, since a run is never graded in place.

The journal is copied as a whole (SQLite's online backup, so a run in use can be copied too); in the copy the stage
`evaluate` is made anew of the same responses with other grades, scores and cells. Its identity says by whom, so running
the old recipe into it is refused. Checkpoints are not copied.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

from thinkscale.config import Recipe
from thinkscale.config.scorers import LOGPROB, scorer_name
from thinkscale.errors import DataError, StorageError
from thinkscale.grading.verdicts import Judgement, grade_of
from thinkscale.pipeline import STAGES
from thinkscale.progress import Progress
from thinkscale.records import Cell, Grade, Record, Response, Reward, Score
from thinkscale.reporting.regraded import regraded_scores
from thinkscale.settings import load_settings
from thinkscale.stages.context import StageContext
from thinkscale.stages.report import report
from thinkscale.statistics import cells_from_scores
from thinkscale.statistics.parallel import parallel_cells
from thinkscale.store.atomic import read_json, write_text, writing
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.run import PROVENANCE_NAME, RECIPE_NAME, RunDirectory
from thinkscale.store.states import StoredState
from thinkscale.store.tables import TABLES

STAGE = "evaluate"
ROWS_OF_A_UNIT = 1000


def write_regraded(folder: Path, out: Path, judgements: Mapping[str, Judgement], grader: str) -> None:
    """Makes the run `out` of the run `folder`, with `judgements` by response key. Raises DataError where the
    evaluation of `folder` is not finished, StorageError where `out` cannot be written."""
    with RunDirectory.read(folder) as source:
        stage = source.journal.stage(STAGE)
        if stage is None or stage.state is not StoredState.DONE:
            raise DataError(f"{folder}: its evaluation is not finished; run it to its end before grading it again")
        identity = {**stage.identity, "regraded_by": grader}
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        _copy(folder / JOURNAL_NAME, out / JOURNAL_NAME)
        write_text(out / RECIPE_NAME, source.recipe_yaml)
        recipe = load_settings(Recipe, source.recipe_yaml, name=str(folder / RECIPE_NAME)).value
        with RunDirectory.open_existing(out) as run:
            run.discard_stages([STAGE])
            run.begin_stage(STAGE, identity)
            positions = count()
            for table, records in _tables(source, recipe, judgements, grader):
                left = iter(records)
                while members := list(islice(left, ROWS_OF_A_UNIT)):
                    position = next(positions)
                    run.commit(STAGE, f"{table}-{position}", position, members)
            run.finish_stage(STAGE)
            facts = read_json(folder / PROVENANCE_NAME)
            if isinstance(facts, dict):
                run.write_provenance({**facts, "regraded_by": grader, "regraded_from": folder.name})
            run.export_tables(list(STAGES))
            report(StageContext("report", recipe, folder, run, Progress()))
            run.write_manifest()


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise StorageError(f"{target}: the journal cannot be copied ({error})") from error


def _tables(
    source: RunDirectory, recipe: Recipe, judgements: Mapping[str, Judgement], grader: str
) -> Iterator[tuple[str, Iterable[Record]]]:
    """Every table of the evaluation: what no grader decides as it is, the rest made again."""
    scores = regraded_scores(
        list(source.rows(Score, STAGE)), {key: judgement.verdict for key, judgement in judgements.items()}
    )
    for name, record_type in TABLES.items():
        if record_type is Grade:
            yield name, _grades(source, judgements, grader)
        elif record_type is Score:
            yield name, scores
        elif record_type is Cell:
            yield name, _cells(source, recipe, scores)
        else:
            yield name, source.rows(record_type, STAGE)


def _grades(source: RunDirectory, judgements: Mapping[str, Judgement], grader: str) -> Iterator[Grade]:
    """One of each response; a response that no score reads keeps its own."""
    own = {grade.response_key: grade for grade in source.rows(Grade, STAGE)}
    for response in source.rows(Response, STAGE):
        if response.key in judgements:
            yield grade_of(response, judgements[response.key], grader)
        elif response.key in own:
            yield replace(own[response.key])


def _cells(source: RunDirectory, recipe: Recipe, scores: list[Score]) -> Iterator[Cell]:
    """As `evaluate` makes them; votes and choices only where it made any."""
    resamples, seed = recipe.report.resamples, recipe.seed
    yield from cells_from_scores(scores, resamples, seed)
    if any(cell.k > 1 for cell in source.rows(Cell, STAGE)):
        scorers = recipe.evaluate.scorers if recipe.evaluate else ()
        rewards: dict[str, dict[str, float]] = {scorer_name(scorer): {} for scorer in scorers}
        for reward in source.rows(Reward, STAGE):
            rewards.setdefault(reward.by, {})[reward.response_key] = reward.value
        if LOGPROB in rewards:
            rewards[LOGPROB] = {score.response_key: score.logprob for score in scores if score.logprob is not None}
        yield from parallel_cells(scores, rewards, resamples, seed)
