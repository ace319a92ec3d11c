"""Votes and scorers of a sweep, run on the lab's model: tables, resuming, and what is refused before it runs."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from tests.engines.test_rewards import save_reward_model
from thinkscale.config import Recipe
from thinkscale.config.scorers import RewardScorerSettings
from thinkscale.engines.rewards import Rewarded, RewardModel, RewardRequest
from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.server import running_server
from thinkscale.errors import ConfigError, ModelError, StageError, StoppedError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Cell, Reward, Score
from thinkscale.settings import Loaded, load_settings
from thinkscale.stages import scorers
from thinkscale.stages.evaluate_parallel import check_parallel, wants_logprobs
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import read_table

SAMPLES = 3
PROBLEMS = 5
SWEEP: dict[str, JSON] = {
    "benchmarks": [f"lab_numeric:{PROBLEMS}"],
    "methods": ["truncation"],
    "budgets": [6],
    "samples": SAMPLES,
    "temperature": 1.0,
    "max_thinking_tokens": 60,
    "max_answer_tokens": 16,
    "dtype": "float64",
    "device": "cpu",
}


def rating(prompt: str, _seed: int) -> ScriptedReply:
    """Likes answers by their last digit; one in ten it does not rate."""
    ((nonce, answer),) = re.findall(r"<<<ANSWER (\w+)\n(.*?)\n\1 ANSWER>>>", prompt, re.DOTALL)
    digits = re.findall(r"\d", answer)
    if not digits or digits[-1] == "7":
        return ScriptedReply(thinking="", answer_text="I cannot say.")
    return ScriptedReply(thinking="", answer_text=f"Hm.\nRATING {nonce}: {10 * int(digits[-1])}")


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    with running_server(ScriptedBackend(rating, name="judge")) as server:
        yield server.url


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_reward_model(tmp_path_factory.mktemp("models") / "taste")


def recipe(section: dict[str, JSON]) -> Loaded[Recipe]:
    text = yaml.safe_dump(
        {
            "name": "votes",
            "student": {"model": "lab", "thinking_format": "s1"},
            "evaluate": SWEEP | section,
            "report": {"samples": 0, "resamples": 100},
        }
    )
    return load_settings(Recipe, text, (), name="the test")


def run(out: Path, section: dict[str, JSON]) -> Path:
    return run_recipe(LoadedRecipe(recipe(section), out.parent), out, quiet=True)


def all_scorers(judge: str, reward_model: str) -> list[JSON]:
    engine: JSON = {"type": "openai", "model": "judge", "endpoints": [judge]}
    return ["logprob", {"reward": reward_model, "dtype": "float64"}, {"judge": engine, "cache": "none"}]


def hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.parquet")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, judge: str, reward_model: str) -> Path:
    return run(tmp_path_factory.mktemp("run") / "out", {"scorers": all_scorers(judge, reward_model)})


def rows(out: Path, record: type) -> list:  # type: ignore[type-arg]
    names = {Cell: "cells", Score: "scores", Reward: "rewards"}
    return list(read_table(out / f"{names[record]}.parquet", record))


@pytest.mark.lab
def test_every_way_to_make_an_answer_of_k_samples_has_cells_for_every_k_and_budget(finished: Path) -> None:
    cells: list[Cell] = rows(finished, Cell)
    kinds = Counter((cell.method, cell.variant, cell.budget_tokens) for cell in cells if cell.method != "truncation")
    ways = [
        ("majority", ""),
        ("pass", ""),
        *(("best_of_n", name) for name in ("logprob", "reward:taste", "judge:judge")),
    ]
    assert kinds == {(*way, budget): SAMPLES for way in ways for budget in (6, None)}
    sequential = {cell.budget_tokens: cell for cell in cells if cell.method == "truncation"}
    for cell in cells:
        assert cell.accuracy_low <= cell.accuracy <= cell.accuracy_high
        assert cell.num_scores == PROBLEMS * SAMPLES
        alone = sequential[cell.budget_tokens]
        assert cell.mean_generated_tokens == pytest.approx(cell.k * alone.mean_generated_tokens)
        if cell.k == 1:
            assert cell.accuracy == pytest.approx(alone.accuracy)
    for budget in (6, None):
        by_way = {(c.method, c.variant, c.k): c.accuracy for c in cells if c.budget_tokens == budget}
        assert all(by_way["pass", "", c.k] >= c.accuracy - 1e-12 for c in cells if c.budget_tokens == budget)


@pytest.mark.lab
def test_scores_name_classes_and_log_probabilities_and_rewards_are_of_answers_alone(finished: Path) -> None:
    scores: list[Score] = rows(finished, Score)
    assert all(score.logprob is not None and score.logprob < 0 for score in scores)
    assert {score.answer is None for score in scores if score.verdict in ("cut_off", "no_answer")} <= {True}
    answered = {score.response_key for score in scores if score.answer is not None}
    assert answered
    rewards: list[Reward] = rows(finished, Reward)
    by_scorer = Counter(reward.by for reward in rewards)
    assert by_scorer["reward:taste"] == len(answered)
    assert 0 < by_scorer["judge:judge"] <= len(answered)
    assert {reward.response_key for reward in rewards} <= answered
    assert all(
        reward.value in [tenths / 10 for tenths in range(10)] for reward in rewards if reward.by == "judge:judge"
    )
    for one in scores:
        for other in scores:
            if one.problem_id == other.problem_id and one.answer is not None and one.answer == other.answer:
                assert one.verdict is other.verdict


@pytest.mark.lab
def test_killed_among_the_rewards_it_ends_with_the_same_bytes_and_asks_nothing_twice(
    finished: Path, tmp_path: Path, judge: str, reward_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    section: dict[str, JSON] = {"scorers": all_scorers(judge, reward_model)}
    monkeypatch.setattr(scorers, "RESPONSES_PER_UNIT", 5)
    out, plain = tmp_path / "out", tmp_path / "plain"
    undisturbed = run(plain, section)
    given: list[str] = []
    rewards = RewardModel.rewards

    def dying(model: RewardModel, requests: list[RewardRequest]) -> list[Rewarded]:
        if len(given) == 5:
            raise KeyboardInterrupt
        given.extend(request.key for request in requests)
        return rewards(model, requests)

    monkeypatch.setattr(RewardModel, "rewards", dying)
    with pytest.raises(StoppedError):
        run(out, section)

    def counted(model: RewardModel, requests: list[RewardRequest]) -> list[Rewarded]:
        given.extend(request.key for request in requests)
        return rewards(model, requests)

    monkeypatch.setattr(RewardModel, "rewards", counted)
    commits: list[str] = []
    commit = RunDirectory.commit

    def counting(directory: RunDirectory, stage: str, unit: str, *more: object) -> None:
        commits.append(unit)
        if sum(name.startswith("judge:") for name in commits) == 4:
            raise KeyboardInterrupt
        commit(directory, stage, unit, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "commit", counting)
        with pytest.raises(StoppedError):
            run(out, section)
    resumed = run(out, section)
    assert hashes(resumed) == hashes(undisturbed)
    assert max(Counter(given).values()) == 1
    assert hashes(resumed)["scores.parquet"] == hashes(finished)["scores.parquet"]


@pytest.mark.lab
def test_answers_that_are_too_long_for_the_reward_model_are_refused_or_counted(
    tmp_path: Path, reward_model: str
) -> None:
    scorer: dict[str, JSON] = {"reward": reward_model, "max_tokens": 31}
    with pytest.raises(ConfigError, match=r"reward:taste reads 31 tokens, and an answer .* has \d+; with over_length"):
        run(tmp_path / "refused", {"scorers": [scorer]})
    # The refused run goes on from its samples: what to do with long answers is no part of what they are.
    out = run(tmp_path / "refused", {"scorers": [scorer | {"over_length": "skip"}]})
    scores: list[Score] = rows(out, Score)
    rewards: list[Reward] = rows(out, Reward)
    assert len(rewards) < len({score.response_key for score in scores if score.answer is not None})
    assert any(cell.method == "best_of_n" for cell in rows(out, Cell))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"samples": 1, "methods": ["truncation", "majority"]}, "majority"),
        ({"samples": 1, "scorers": ["logprob"]}, "the scorer logprob needs several samples"),
        ({"temperature": 0.0}, "at temperature 0 they are all the same"),
        ({"methods": ["best_of_n"]}, "best_of_n needs evaluate.scorers"),
        ({"scorers": ["logprob", "logprob"]}, "names logprob twice"),
    ],
)
def test_samples_and_scorers_that_do_not_fit_are_refused(section: dict[str, JSON], message: str) -> None:
    settings = recipe(section).value.evaluate
    assert settings is not None
    with pytest.raises(ConfigError, match=message):
        check_parallel(settings)


@pytest.mark.parametrize("scorer", ["logprobs", {"reward": ""}, {"rewards": "x"}, {"reward": "x", "judge": "y"}, 3])
def test_a_scorer_that_is_none_is_refused_with_its_place(scorer: JSON) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.scorers"):
        recipe({"scorers": [scorer]})


def test_what_is_no_reward_model_is_refused_before_anything_is_generated(tmp_path: Path, reward_model: str) -> None:
    scorers.check_scorers([RewardScorerSettings(reward=reward_model), "logprob"])
    scorers.check_scorers([RewardScorerSettings(reward="owner/some-model")])
    with pytest.raises(ModelError, match=r"lab is no reward model: its config\.json names \['Qwen2ForCausalLM'\]"):
        scorers.check_scorers([RewardScorerSettings(reward="lab")])
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ModelError, match="cannot be read as a model's settings"):
        scorers.check_scorers([RewardScorerSettings(reward=str(tmp_path))])
    with pytest.raises(ModelError, match="there is no model folder"):
        scorers.check_scorers([RewardScorerSettings(reward="./nowhere")])


def test_log_probabilities_are_asked_for_only_where_a_scorer_wants_them() -> None:
    for wanted in ([], ["logprob"]):
        settings = recipe({"scorers": list(wanted)}).value.evaluate
        assert settings is not None
        assert wants_logprobs(settings) == bool(wanted)


def test_an_engine_without_log_probabilities_cannot_choose_by_them(finished: Path) -> None:
    from dataclasses import replace

    scores: list[Score] = [replace(score, logprob=None) for score in rows(finished, Score)]

    class NoRewards:
        stage = "evaluate"

        def records(self, *_: object) -> Iterator[Reward]:
            yield from ()

    with pytest.raises(StageError, match="tells no log-probabilities"):
        scorers.rewards_by_scorer(NoRewards(), ["logprob"], scores)  # type: ignore[arg-type]
