"""One trajectory serves every cell: each equals a run of its own."""

import pytest

from thinkscale.records import Message, Sampling
from thinkscale.thinking.budgets import Setting, budget_forcing, class_conditional, truncation
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.sweep import plan_trajectories

pytest.importorskip("torch")

from thinkscale.engines.catalogue import model_path
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.sweep import SweepTask, run_sweep

pytestmark = pytest.mark.lab

LIMIT = 80
BUDGETS = (4, 8, 16, 32, None)
WAITS = (0, 1, 3)


def cells(
    engine: LocalEngine, bound: BoundFormat, settings: list[Setting], temperature: float
) -> tuple[dict[tuple[str, Setting], tuple[object, ...]], int, int]:
    """Everything that each setting reads of each of 5 prompts; and thinking tokens separate and generated."""
    tasks = [
        SweepTask(
            key=f"{index}.{number}",
            prompt=bound.thinking_prompt((Message(role="user", content=f"{plan.prompt_class} start at {index}"),)),
            plan=plan,
            sampling=Sampling(max_tokens=12, temperature=temperature, seed=index),
        )
        for index in range(5)
        for number, plan in enumerate(plan_trajectories(settings, LIMIT))
    ]
    found: dict[tuple[str, Setting], tuple[object, ...]] = {}
    separate = generated = 0
    for result in run_sweep(engine, bound, tasks):
        assert result.error is None
        trajectory = result.trajectory
        separate += trajectory.separate_tokens
        generated += len(trajectory.ids)
        for setting in result.task.plan.settings:
            prefix = trajectory.prefix(setting)
            answer = result.answers[prefix]
            problem = result.task.key.split(".")[0]
            found[problem, setting] = (prefix.end, tuple(trajectory.ids[: prefix.length]), answer.ids, answer.finish)
    return found, separate, generated


@pytest.mark.parametrize("format_name", ["s1", "think_tags", "sky_t1"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_cell_equals_a_run_of_its_own(random_model: str, format_name: str, temperature: float) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format(format_name), engine.tokenizer)
    settings = [*truncation(BUDGETS), *budget_forcing(BUDGETS, WAITS, "Wait"), *class_conditional()]
    shared, separate, generated = cells(engine, bound, settings, temperature)
    assert len(shared) == 5 * len(settings)
    for setting in settings:
        alone, _, _ = cells(engine, bound, [setting], temperature)
        assert {key: shared[key] for key in alone} == alone, setting
    assert separate > generated


def test_no_thinking_exceeds_its_budget_and_waits_are_forced(random_model: str) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    settings = list(budget_forcing(BUDGETS, WAITS, "Wait"))
    shared, _, _ = cells(engine, bound, settings, 1.0)
    wait = bound.encode("Wait")
    ends = set()
    for (_, setting), (end, thinking, _, _) in shared.items():
        assert isinstance(thinking, tuple)
        assert len(thinking) <= (setting.budget_tokens or LIMIT)
        ends.add(end)
        if str(end) == "natural":
            text = bound.decode(thinking)
            assert text.count("Wait") >= setting.waits, (text, wait)
    assert len(ends) == 3, "the random model must show natural, cut and unfinished thinking"


def test_on_the_labs_model_greedy_cells_equal_their_own_runs_and_tokens_are_saved() -> None:
    engine = LocalEngine(model_path("lab"), dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    settings = list(budget_forcing(BUDGETS, WAITS, "Wait"))
    shared, separate, generated = cells(engine, bound, settings, 0.0)
    for setting in settings:
        alone, _, _ = cells(engine, bound, [setting], 0.0)
        assert {key: shared[key] for key in alone} == alone, setting
    print(f"{separate} thinking tokens in separate runs, {generated} generated: {separate / generated:.1f} times fewer")
    assert separate > 2 * generated
