"""What the teacher's part of a run would take, from the responses that the run has already."""

from pathlib import Path

from thinkscale.config import EndpointSettings, OpenAIEngineSettings, Recipe
from thinkscale.keys import JSON
from thinkscale.records import Finish, Response
from thinkscale.statistics.projection import PilotRow, Projection, project, projection_json, projection_text
from thinkscale.store.run import RunDirectory


def projected(recipe: Recipe, run: RunDirectory, num_gpus: int = 0) -> Projection | None:
    """Tokens, hours and dollars of all responses, from those that are stored; None where there is none.

    Seconds and dollars of a response are in the journal, tokens in its row. Failed ones are left out.
    """
    settings = recipe.generate
    stage = run.journal.stage("generate")
    if settings is None or stage is None:
        return None
    costs = run.journal.unit_costs("generate")
    rows = [
        PilotRow(
            prompt_tokens=response.usage.prompt_tokens,
            completion_tokens=response.usage.completion_tokens,
            seconds=costs[response.key][0],
            usd=costs[response.key][1],
        )
        for response in run.rows(Response, "generate")
        if response.finish is not Finish.ERROR
    ]
    if not rows:
        return None
    total = run.journal.num_rows("problems", ["collect"]) * settings.samples
    at_once = settings.engine.max_in_flight if isinstance(settings.engine, EndpointSettings) else 1
    if isinstance(settings.engine, OpenAIEngineSettings):
        at_once *= len(settings.engine.endpoints)
    return project(
        rows, total, concurrency=min(total, at_once), pilot_concurrency=min(len(rows), at_once), num_gpus=num_gpus
    )


def pilot_text(recipe: Recipe, folder: Path, num_gpus: int = 0) -> str:
    """The projection as lines."""
    with RunDirectory.read(folder) as run:
        found = projected(recipe, run, num_gpus)
    if found is None:
        return f"{folder}: no response of the pilot can be counted on; `thinkscale status {folder}` says why"
    return f"{projection_text(found)}\n{folder}: the pilot is stored; the same command without --pilot goes on from it"


def pilot_json(recipe: Recipe, folder: Path, num_gpus: int = 0) -> dict[str, JSON] | None:
    """The projection for a program."""
    with RunDirectory.read(folder) as run:
        found = projected(recipe, run, num_gpus)
    return None if found is None else projection_json(found)
