"""The determinism certificate: some trajectories of a sweep are generated a second time, and compared with the first.

A seeded sample of `evaluate.replays` trajectories of each model. Half of them run in one batch, in another order and
beside other rows than the first time; the others run alone, one after another. The first time's tokens are not stored,
their texts and counts are, for every prefix that a cell reads and the answer behind it: a replay agrees where all of
them do, text for text and count for count. Where they do not, the position is counted on the text that both share.

Units: one for the batch, since what a row is computed beside may be what decides, and one for each replay alone. So a
killed run ends in the same rows.

Rejected: storing the ids of all trajectories for this (a third more of the journal), and comparing verdicts (two
different texts often have one verdict).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from thinkscale.config import EvaluateSettings
from thinkscale.engines.remote.server_facts import server_facts
from thinkscale.engines.sweep import SweepResult
from thinkscale.engines.tokens import TokenEngine
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Finish, Replay, Response, from_row
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate_jobs import Job, run_jobs
from thinkscale.stages.evaluate_records import responses_of
from thinkscale.thinking.formats import BoundFormat

REPLAYS_POSITION = 1 << 39
"""Units behind trajectories and scores, before the cells."""
SHUFFLED, ALONE = "shuffled", "alone"
LOCAL = "local"
"""The engine in this process. Records name the kind of an engine and no model's folder, so that two runs of one recipe
in two folders hold the same bytes."""
UNKNOWN = "unknown"


def replays_missing(context: StageContext, settings: EvaluateSettings, jobs: Sequence[Job]) -> bool:
    """Whether `certify` has anything to do for these jobs of one model."""
    stored = context.stored()
    return any(unit not in stored for unit, *_ in _units(context, settings, jobs))


def certify(
    context: StageContext, settings: EvaluateSettings, engine: TokenEngine, bound: BoundFormat, jobs: Sequence[Job]
) -> None:
    """Generates the sample of `jobs` (all of one model) again, as far as it is not stored, and stores what agrees.

    Does nothing where `evaluate.replays` is 0. A replay that the engine fails on is said and left out.
    """
    units = _units(context, settings, jobs)
    if not units or not replays_missing(context, settings, jobs):
        return
    conditions = conditions_of(engine, settings)
    stored = context.stored()
    context.progress.say(f"{context.stage}: generating a sample of {jobs[0].model}'s trajectories again")
    for unit, position, batch, members in units:
        if unit not in stored:
            found = list(_replayed(context, settings, engine, bound, members, batch, conditions))
            context.commit(unit, position, found)


def _units(
    context: StageContext, settings: EvaluateSettings, jobs: Sequence[Job]
) -> list[tuple[str, int, str, list[Job]]]:
    """Key, position, batch and jobs of each unit of the sample."""
    if not settings.replays or not jobs:
        return []
    draw = random.Random(seed_from(context.recipe.seed, "replays", jobs[0].model))
    sample = draw.sample(list(jobs), min(settings.replays, len(jobs)))
    together, alone = sample[::2], sample[1::2]
    key = content_key("replays", [job.key for job in together])
    first = min(jobs, key=lambda job: job.position)
    units = [(key, REPLAYS_POSITION + 2 * first.position, SHUFFLED, together)]
    return units + [
        (content_key("replay", job.key), REPLAYS_POSITION + 2 * job.position + 1, ALONE, [job])
        for job in sorted(alone, key=lambda job: job.position)
    ]


def _replayed(
    context: StageContext,
    settings: EvaluateSettings,
    engine: TokenEngine,
    bound: BoundFormat,
    jobs: Sequence[Job],
    batch: str,
    conditions: Mapping[str, str],
) -> Iterator[Replay]:
    """In the order of `jobs`, whatever finishes first."""
    results: dict[str, SweepResult] = {job.key: result for job, result in run_jobs(engine, bound, jobs)}
    for job in sorted(jobs, key=lambda job: job.position):
        rows = context.run.journal.rows_at("responses", context.stage, job.position)
        first = [from_row(Response, row) for row in rows]
        result = results[job.key]
        if result.error or any(response.finish is Finish.ERROR for response in first):
            context.notice(f"{job.problem.id}: cannot be compared with a replay: the engine failed ({result.error})")
            continue
        yield Replay(
            model=job.model,
            benchmark=job.benchmark,
            problem_id=job.problem.id,
            sample=job.sample,
            num_tokens=max(item.thinking_tokens for item in first) + sum(item.answer_tokens for item in first),
            first_difference=first_difference(first, responses_of(job, result, bound), bound),
            batch=batch,
            engine=LOCAL if settings.engine is None else settings.engine.type,
            conditions=conditions,
        )


def first_difference(first: Sequence[Response], again: Sequence[Response], bound: BoundFormat) -> int | None:
    """Where two generations of one trajectory part: the token of thinking, or behind it of an answer. None: nowhere.

    Both are the responses to all prefixes. Of several places the earliest counts.
    """
    same = {_content(response) for response in again}
    places = [_parting(response, again, bound) for response in first if _content(response) not in same]
    if places or len(first) == len(again):
        return min(places, default=None)
    # The second time has prefixes that the first has not: it went on where the first had ended.
    return max(response.thinking_tokens for response in first)


def _content(response: Response) -> tuple[object, ...]:
    return (
        response.thinking,
        response.thinking_tokens,
        response.answer_text,
        response.answer_tokens,
        response.finish,
        response.forced,
    )


def _parting(response: Response, again: Sequence[Response], bound: BoundFormat) -> int:
    """Where `response` leaves the one of `again` that it shares most with."""
    twins = [item for item in again if item.thinking == response.thinking]
    if twins:
        shared = max((_shared(response.answer_text, item.answer_text) for item in twins), key=len)
        return response.thinking_tokens + len(bound.encode(shared))
    shared = max((_shared(response.thinking, item.thinking) for item in again), key=len, default="")
    return min(response.thinking_tokens, len(bound.encode(shared)))


def _shared(first: str, second: str) -> str:
    """The text that both begin with."""
    length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    return first[:length]


def conditions_of(engine: TokenEngine, settings: EvaluateSettings) -> dict[str, str]:
    """What the second time was computed with, as far as it can be known: `unknown` where a server does not say."""
    if settings.engine is not None:
        return server_facts(str(settings.engine.endpoints[0]) if settings.engine.endpoints else "")
    import torch

    device = getattr(engine, "device", None)
    config = getattr(getattr(engine, "model", None), "config", None)
    kind = getattr(device, "type", UNKNOWN)
    return {
        "attention": str(getattr(config, "_attn_implementation", UNKNOWN)),
        # Rounding in float64 is far below what tells two tokens apart, whatever the batch; no kernel of ours is bound.
        "batch_invariant": "on" if settings.dtype == "float64" else "off",
        "batch_size": str(settings.batch_size),
        "deterministic_algorithms": "on" if torch.are_deterministic_algorithms_enabled() else "off",
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else str(kind),
        "dtype": settings.dtype,
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }
