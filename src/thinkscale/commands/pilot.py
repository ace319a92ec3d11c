"""What the teacher's part of a run would take, from the responses that the run has already."""

from dataclasses import replace
from pathlib import Path

from thinkscale.config import EndpointSettings, GenerateSettings, OpenAIEngineSettings, Recipe
from thinkscale.records import Finish, Response
from thinkscale.statistics.projection import PilotRow, Projection, project, projection_text
from thinkscale.store.run import RunDirectory


def projected(recipe: Recipe, run: RunDirectory, num_gpus: int = 0) -> Projection | None:
    """Tokens, hours and dollars of all responses, from those that are stored; None where none can be counted on.

    Seconds and dollars of a response are in the journal, tokens in its row. Failed ones are left out, and so are those
    that came from the request cache: they took no time and cost nothing, which says nothing of the rest.
    """
    settings = recipe.generate
    if settings is None or run.journal.stage("generate") is None:
        return None
    rows, num_cached = _rows(run, cached=_may_be_cached(settings))
    total = run.journal.num_rows("problems", ["collect"]) * settings.samples - num_cached
    if not 1 <= len(rows) <= total:
        return None
    at_once = settings.engine.max_in_flight if isinstance(settings.engine, EndpointSettings) else 1
    if isinstance(settings.engine, OpenAIEngineSettings):
        at_once *= len(settings.engine.endpoints)
    return project(
        rows, total, concurrency=min(total, at_once), pilot_concurrency=min(len(rows), at_once), num_gpus=num_gpus
    )


def _may_be_cached(settings: GenerateSettings) -> bool:
    return isinstance(settings.engine, EndpointSettings) and settings.cache != "none" and not settings.batch


def _rows(run: RunDirectory, *, cached: bool) -> tuple[list[PilotRow], int]:
    """What the responses took that an engine gave, and how many the cache gave."""
    costs = run.journal.unit_costs("generate")
    is_priced = any("spent_usd" in item.gauges for item in run.journal.progress() if item.stage == "generate")
    rows: list[PilotRow] = []
    num_cached = 0
    for response in run.rows(Response, "generate"):
        seconds, usd = costs[response.key]
        if response.finish is Finish.ERROR:
            continue
        if cached and not seconds and not usd:
            num_cached += 1
            continue
        usage = response.usage
        rows.append(
            PilotRow(
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                seconds=seconds,
                usd=usd if is_priced else None,
            )
        )
    if rows and not any(row.seconds for row in rows):
        rows = [replace(row, seconds=_elapsed(run) / len(rows)) for row in rows]
    return rows, num_cached


def _elapsed(run: RunDirectory) -> float:
    """Seconds that the stage worked, for engines that answer in a batch and time no single response."""
    found = [item for item in run.journal.progress() if item.stage == "generate"]
    return found[0].updated - found[0].started if found else 0.0


def pilot_text(recipe: Recipe, folder: Path, num_gpus: int = 0) -> str:
    """The projection as lines."""
    with RunDirectory.read(folder) as run:
        found = projected(recipe, run, num_gpus)
    if found is None:
        return (
            f"{folder}: no response of the pilot can be counted on: all failed, or came from the request cache; "
            f"`thinkscale status {folder}` says more"
        )
    return f"{projection_text(found)}\n{folder}: the pilot is stored; the same command without --pilot goes on from it"
