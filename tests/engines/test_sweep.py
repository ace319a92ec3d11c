"""One trajectory serves every cell: each equals a run of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from thinkscale.records import Message, Sampling
from thinkscale.thinking.budgets import (
    ROTATION,
    Setting,
    budget_forcing,
    class_conditional,
    direct,
    minimum,
    rejection,
    step_conditional,
    token_conditional,
    truncation,
)
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.sweep import PrefixEnd, TrajectoryPlan, plan_trajectories

pytest.importorskip("torch")

from thinkscale.engines.catalogue import model_path
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.sweep import SweepTask, run_sweep

pytestmark = pytest.mark.lab

LIMIT = 80
BUDGETS = (4, 8, 16, 32, None)
FINITE = (4, 8, 16, 32)
WAITS = (0, 1, 3)
STRINGS = ("Wait", "Hmm", "none", "rotate")
PROBLEMS = 4
METHODS: dict[str, Callable[[], Sequence[Setting]]] = {
    "truncation": lambda: truncation(BUDGETS),
    "grace": lambda: truncation(BUDGETS, grace_tokens=6),
    "budget_forcing": lambda: budget_forcing(BUDGETS, WAITS, STRINGS),
    "forcing_with_grace": lambda: budget_forcing((8, 16), (1, 2), ("Wait", "none"), grace_tokens=5),
    "class_conditional": class_conditional,
    "token_conditional": lambda: (*token_conditional(FINITE, forced=False), *token_conditional(FINITE, forced=True)),
    "step_conditional": lambda: (
        *step_conditional((1, 2, 4), "lines", forced=False),
        *step_conditional((1, 2, 4), "lines", forced=True),
    ),
    "minimum": lambda: minimum((4, 16, 40)),
    "rejection": lambda: rejection(FINITE, attempts=4),
    "direct": lambda: (direct(),),
}


@dataclass(frozen=True)
class Read:
    """What a setting reads of one prompt."""

    end: PrefixEnd
    thinking: tuple[int, ...]
    forced: tuple[tuple[int, int], ...]
    answer: tuple[int, ...]
    finish: str
    tries: int
    generated: int


@dataclass
class Swept:
    """Everything that settings read, and what it took."""

    cells: dict[tuple[str, Setting], Read] = field(default_factory=dict)
    separate: int = 0
    generated: int = 0


def swept(engine: LocalEngine, bound: BoundFormat, settings: Sequence[Setting], temperature: float) -> Swept:
    """One sweep over the prompts."""
    return run_plans(engine, bound, plan_trajectories(settings, LIMIT, is_greedy=temperature == 0), temperature)


def one_by_one(engine: LocalEngine, bound: BoundFormat, settings: Sequence[Setting], temperature: float) -> Swept:
    """A trajectory of its own for each setting; all in one queue, which spares time and nothing else."""
    plans = [plan_trajectories([item], LIMIT, is_greedy=temperature == 0)[0] for item in settings]
    return run_plans(engine, bound, plans, temperature)


def run_plans(engine: LocalEngine, bound: BoundFormat, plans: Sequence[TrajectoryPlan], temperature: float) -> Swept:
    """Every plan on every prompt."""
    tasks = [
        SweepTask(
            key=f"{index}.{number}",
            prompt=(bound.thinking_prompt if plan.thinks else bound.direct_prompt)(
                (Message(role="user", content=f"{plan.condition} start at {index}"),)
            ),
            plan=plan,
            sampling=Sampling(max_tokens=12, temperature=temperature, seed=index),
        )
        for index in range(PROBLEMS)
        for number, plan in enumerate(plans)
    ]
    found = Swept()
    for result in run_sweep(engine, bound, tasks):
        assert result.error is None
        trajectory = result.trajectory
        found.separate += trajectory.separate_tokens
        found.generated += trajectory.generated_tokens
        for setting in result.task.plan.settings:
            reading = trajectory.reading(setting)
            answer = result.answers[reading.prefix]
            found.cells[result.task.key.split(".")[0], setting] = Read(
                end=reading.prefix.end,
                thinking=tuple(trajectory.thinking(reading.prefix)),
                forced=trajectory.forced_within(reading.prefix),
                answer=answer.ids,
                finish=answer.finish,
                tries=reading.tries,
                generated=reading.prefix.length + len(answer.ids) + reading.thrown_tokens,
            )
    return found


def every_setting(temperature: float) -> list[Setting]:
    """The settings of every method; rejection needs chance."""
    made = [item for name, method in METHODS.items() if temperature or name != "rejection" for item in method()]
    return list(dict.fromkeys(made))


@pytest.mark.parametrize("format_name", ["s1", "think_tags", "sky_t1"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_cell_equals_a_run_of_its_own(random_model: str, format_name: str, temperature: float) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format(format_name), engine.tokenizer)
    settings = every_setting(temperature)
    shared = swept(engine, bound, settings, temperature)
    assert len(shared.cells) == PROBLEMS * len(settings)
    alone = one_by_one(engine, bound, settings, temperature)
    for (problem, setting), read in alone.cells.items():
        assert shared.cells[problem, setting] == read, setting
    assert shared.separate == alone.separate > shared.generated


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_thinking_exceeds_its_budget_and_what_was_forced_counts(random_model: str, temperature: float) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    shared = swept(engine, bound, every_setting(temperature), temperature)
    ends = set()
    for (_, setting), read in shared.cells.items():
        ends.add(read.end)
        cap = setting.cap_tokens
        assert len(read.thinking) <= (LIMIT if cap is None else cap + setting.grace_tokens), setting
        if setting.method == "budget_forcing" and read.end is PrefixEnd.NATURAL and len(read.thinking) < (cap or LIMIT):
            strings = ROTATION if setting.wait_string == "rotate" else (setting.wait_string,)
            put = [bound.decode(read.thinking[start:end]) for start, end in read.forced]
            expected = (
                [] if setting.wait_string == "none" else [strings[i % len(strings)] for i in range(setting.waits)]
            )
            assert put == expected, setting
        if setting.minimum_tokens and read.end is PrefixEnd.NATURAL:
            assert len(read.thinking) >= setting.minimum_tokens
        if setting.attempts:
            assert 1 <= read.tries <= setting.attempts
            assert (read.end is PrefixEnd.NATURAL) == (len(read.thinking) < (setting.budget_tokens or 0))
            assert read.generated >= len(read.thinking) + len(read.answer)
    assert ends == set(PrefixEnd), "the random model must show natural, cut and unfinished thinking"


def test_a_rejected_attempt_is_paid_for_and_shared(random_model: str) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    shared = swept(engine, bound, rejection(FINITE, attempts=4), 1.0)
    tried_again = [(setting, read) for (_, setting), read in shared.cells.items() if read.tries > 1]
    assert tried_again, "the random model must think too long at least once"
    for setting, read in tried_again:
        assert setting.budget_tokens is not None
        rejected = (read.tries - 1) * setting.budget_tokens
        assert read.generated == rejected + len(read.thinking) + len(read.answer)
    assert shared.generated < shared.separate


def test_branches_that_say_the_same_are_told_apart(random_model: str) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    # Nearly cold: attempts and minimums draw the same tokens as the first thinking, under other names.
    settings = [*truncation((6, None)), *minimum((1, 2)), *rejection((6, 7), attempts=3)]
    shared = swept(engine, bound, settings, 1e-9)
    assert shared.cells == one_by_one(engine, bound, settings, 1e-9).cells
    plain, *others = (shared.cells["0", item].thinking for item in (truncation((6,))[0], *rejection((6,), attempts=3)))
    assert others == [plain]


def test_wait_strings_share_the_thinking_up_to_the_first_end(random_model: str) -> None:
    engine = LocalEngine(random_model, dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    together = swept(engine, bound, budget_forcing((None,), (1,), STRINGS), 1.0)
    apart = [swept(engine, bound, budget_forcing((None,), (1,), (text,)), 1.0) for text in STRINGS]
    first = swept(engine, bound, truncation((None,)), 1.0)
    # `rotate` begins with Wait, so with one wait its branch is that of Wait, too.
    only_wait = apart[STRINGS.index("Wait")]
    behind = sum(found.generated - first.generated for found in apart) - (only_wait.generated - first.generated)
    assert together.generated == first.generated + behind


def test_on_the_labs_model_greedy_cells_equal_their_own_runs_and_tokens_are_saved() -> None:
    engine = LocalEngine(model_path("lab"), dtype="float64")
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    settings = [*budget_forcing((8, 32, None), (0, 2), ("Wait", "none")), *minimum((16,))]
    shared = swept(engine, bound, settings, 0.0)
    for setting in settings:
        alone = swept(engine, bound, [setting], 0.0)
        assert {key: shared.cells[key] for key in alone.cells} == alone.cells, setting
    assert shared.separate > 2 * shared.generated
