"""The scorers of a sweep: each gives rewards to responses, in units of the stage, so that a kill costs one unit.

A scorer sees the question as a user turn and the answer text, without the thinking: reward models are trained on
answers, and a judge that reads thoughts is swayed by them. Responses without an answer are not scored, since no choice
among answers can fall on them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from thinkscale.config.scorers import (
    LOGPROB,
    JudgeScorerSettings,
    RewardScorerSettings,
    ScorerSettings,
    scorer_name,
)
from thinkscale.credentials import redact
from thinkscale.engines.catalogue import model_path, require_local
from thinkscale.errors import ConfigError, ModelError, StageError
from thinkscale.keys import combined_key
from thinkscale.records import Message, Problem, Reward, Score
from thinkscale.stages.asking import Manner, asked_model
from thinkscale.stages.context import StageContext
from thinkscale.thinking.prompts import PLAIN
from thinkscale.verification.assessor import AssessItem, assess

REWARDS_POSITION = 1 << 38
POSITIONS_OF_SCORER = 1 << 32
RESPONSES_PER_UNIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A response to be scored."""

    response_key: str
    problem: Problem
    answer_text: str

    @property
    def question(self) -> str:
        """What the scorer is shown of the problem: the bare question and its options."""
        return PLAIN.render(self.problem)


def check_scorers(scorers: Sequence[ScorerSettings]) -> None:
    """Raises ModelError on a folder that holds no reward model, before hours are spent on what it is to judge."""
    for scorer in scorers:
        if not isinstance(scorer, RewardScorerSettings):
            continue
        config = Path(model_path(scorer.reward)) / "config.json"
        if not config.is_file():
            continue  # a Hub id
        try:
            made_as = str(json.loads(config.read_text(encoding="utf-8")).get("architectures"))
        except (ValueError, AttributeError) as error:
            raise ModelError(f"{config} cannot be read as a model's settings: {error}") from error
        if "SequenceClassification" not in made_as and not scorer.trust_remote_code:
            raise ModelError(
                f"{scorer.reward} is no reward model: its config.json names {made_as}, not a sequence classifier; one "
                "with code of its own needs trust_remote_code: true"
            )


def give_rewards(context: StageContext, scorers: Sequence[ScorerSettings], answered: Sequence[Answered]) -> None:
    """Stores the rewards of every scorer for every response that has none yet. Raises what engines raise."""
    for index, scorer in enumerate(scorers):
        start = REWARDS_POSITION + index * POSITIONS_OF_SCORER
        if isinstance(scorer, RewardScorerSettings):
            _by_model(context, scorer, answered, start)
        elif isinstance(scorer, JudgeScorerSettings):
            _by_judge(context, scorer, answered, start)


def rewards_by_scorer(
    context: StageContext, scorers: Sequence[ScorerSettings], scores: Iterable[Score]
) -> dict[str, dict[str, float]]:
    """Rewards by scorer and response key, those of `logprob` read off the scores."""
    found: dict[str, dict[str, float]] = {scorer_name(scorer): {} for scorer in scorers}
    for reward in context.records(Reward, context.stage):
        if reward.by in found:
            found[reward.by][reward.response_key] = reward.value
    if LOGPROB in found:
        found[LOGPROB] = {score.response_key: score.logprob for score in scores if score.logprob is not None}
        if not found[LOGPROB]:
            raise StageError(
                "evaluate.scorers: the engine tells no log-probabilities, so `logprob` cannot choose; use vLLM or the "
                "model in this process, or leave it out"
            )
    return found


def _by_model(context: StageContext, scorer: RewardScorerSettings, answered: Sequence[Answered], start: int) -> None:
    name = scorer_name(scorer)
    units = [answered[at : at + RESPONSES_PER_UNIT] for at in range(0, len(answered), RESPONSES_PER_UNIT)]
    keys = [f"{name}:{combined_key(item.response_key for item in unit)}" for unit in units]
    stored = context.stored()
    waiting = [(at, key, unit) for at, (key, unit) in enumerate(zip(keys, units, strict=True)) if key not in stored]
    if not waiting:
        return
    require_local()
    from thinkscale.engines.rewards import RewardModel, RewardRequest

    model = RewardModel(
        model_path(scorer.reward),
        dtype=scorer.dtype,
        device=scorer.device,
        batch_tokens=scorer.batch_tokens,
        max_tokens=scorer.max_tokens,
        trust_remote_code=scorer.trust_remote_code,
    )
    num_skipped = 0
    with context.progress.task(
        context.stage, len(answered), name, done=len(answered) - sum(len(unit) for _, _, unit in waiting)
    ) as task:
        for at, key, unit in waiting:
            requests = [RewardRequest(key=item.response_key, messages=_conversation(item)) for item in unit]
            found = model.rewards(requests)
            too_long = [item.num_tokens for item in found if item.value is None]
            if too_long and scorer.over_length == "refuse":
                raise ConfigError(
                    f"evaluate.scorers: {name} reads {model.max_tokens:,} tokens, and an answer with its question has "
                    f"{max(too_long):,}; with over_length: skip such answers have no reward and are chosen last"
                )
            num_skipped += len(too_long)
            rewards = [
                Reward(response_key=item.response_key, problem_id=item.problem.id, by=name, value=one.value)
                for item, one in zip(unit, found, strict=True)
                if one.value is not None
            ]
            context.commit(key, start + at, rewards)
            task.advance(len(unit))
    if num_skipped:
        context.notice(f"{name}: {num_skipped} of {len(answered)} answers are too long for it and have no reward")


def _conversation(item: Answered) -> tuple[Message, ...]:
    return Message(role="user", content=item.question), Message(role="assistant", content=item.answer_text)


def _by_judge(context: StageContext, scorer: JudgeScorerSettings, answered: Sequence[Answered], start: int) -> None:
    """A unit for each answer. One that the engine failed on has none, so a run that goes on asks for it again."""
    name = scorer_name(scorer)
    stored = context.stored()
    positions = {item.response_key: start + at for at, item in enumerate(answered)}
    waiting = {item.response_key: item for item in answered if f"{name}:{item.response_key}" not in stored}
    if not waiting:
        return
    unrated: Counter[str] = Counter()
    manner = Manner(thinking_format=context.recipe.the_student.thinking_format)
    num_done = len(answered) - len(waiting)
    with (
        asked_model(context, scorer.judge, scorer, manner) as model,
        context.progress.task(context.stage, len(answered), name, done=num_done, gauges=model.meter) as task,
    ):
        items = (AssessItem(key=key, question=item.question, answer=item.answer_text) for key, item in waiting.items())
        for found in assess(partial(model.answers, task=task), items, scorer.max_tokens):
            key, rewards = found.item.key, list[Reward]()
            if found.rating is None:
                unrated[redact(found.reason)] += 1
            else:
                problem_id = waiting[key].problem.id
                rewards.append(Reward(response_key=key, problem_id=problem_id, by=name, value=found.rating))
            if not found.is_failed:
                context.commit(f"{name}:{key}", positions[key], rewards, seconds=found.seconds, usd=found.usd)
            task.advance()
    if unrated:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(unrated.items()))
        context.notice(f"{name}: {unrated.total()} of {len(waiting)} answers have no rating ({reasons})")
