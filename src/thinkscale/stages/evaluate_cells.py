"""Which cells a recipe asks for: the settings of every method. Refuses what cannot be meant, before anything is run."""

from collections.abc import Callable, Mapping, Sequence

from thinkscale.config import EvaluateSettings
from thinkscale.errors import ConfigError
from thinkscale.stages.evaluate_parallel import check_parallel
from thinkscale.thinking.budgets import (
    NO_STRING,
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
from thinkscale.thinking.sweep import TrajectoryPlan, plan_trajectories

OF_SAMPLES = ("majority", "pass", "best_of_n")
"""Methods that are computed from several samples of thinking without a budget: that is all that they generate."""


def sweep_settings(settings: EvaluateSettings) -> list[Setting]:
    """Every cell of the recipe for one benchmark, each once. Raises ConfigError on what does not fit together."""
    _check(settings)
    budgets = (*settings.budgets, *((None,) if settings.untruncated else ()))
    strings = tuple(dict.fromkeys(settings.wait_strings))
    grace = settings.grace_tokens
    by_method: Mapping[str, Callable[[], Sequence[Setting]]] = {
        "truncation": lambda: truncation(budgets, grace),
        "budget_forcing": lambda: budget_forcing(budgets, settings.waits, strings, grace),
        "class_conditional": class_conditional,
        "token_conditional": lambda: token_conditional(settings.token_targets, forced=False),
        "token_conditional_forced": lambda: token_conditional(settings.token_targets, forced=True),
        "step_conditional": lambda: step_conditional(settings.step_targets, settings.step_format, forced=False),
        "step_conditional_forced": lambda: step_conditional(settings.step_targets, settings.step_format, forced=True),
        "minimum": lambda: minimum(settings.minimum_thinking_tokens),
        "rejection": lambda: rejection(settings.budgets, settings.rejection_attempts),
        "direct": lambda: (direct(),),
        **dict.fromkeys(OF_SAMPLES, lambda: truncation((None,))),
    }
    made = [setting for method in settings.methods for setting in by_method[method]()]
    if not made:
        raise ConfigError("evaluate: without budgets and with untruncated: false there is nothing to evaluate")
    return list(dict.fromkeys(made))


def sweep_plans(settings: EvaluateSettings) -> tuple[TrajectoryPlan, ...]:
    """The trajectories that serve all cells of a problem."""
    return plan_trajectories(
        sweep_settings(settings), settings.max_thinking_tokens, is_greedy=settings.temperature == 0
    )


def _check(settings: EvaluateSettings) -> None:
    methods: set[str] = set(settings.methods)
    limit = settings.max_thinking_tokens
    asked: list[tuple[str, Sequence[int], int]] = []
    if methods & {"truncation", "budget_forcing"}:
        asked.append(("budgets", settings.budgets, settings.grace_tokens))
    if "rejection" in methods:
        asked.append(("budgets", settings.budgets, 0))
    if methods & {"token_conditional", "token_conditional_forced"}:
        asked.append(("token_targets", settings.token_targets, 0))
    if "minimum" in methods:
        asked.append(("minimum_thinking_tokens", settings.minimum_thinking_tokens, 0))
        if limit in settings.minimum_thinking_tokens:
            raise ConfigError(
                f"evaluate.minimum_thinking_tokens: {limit} leaves no room for an end: so many are the most, by "
                "evaluate.max_thinking_tokens"
            )
    for name, numbers, grace in asked:
        beyond = [number for number in numbers if number + grace > limit]
        if beyond:
            more = f" with evaluate.grace_tokens, {grace}," if grace else ""
            raise ConfigError(f"evaluate.{name}: {beyond[0]}{more} is more than evaluate.max_thinking_tokens, {limit}")
    _check_sampling(settings, methods)
    check_parallel(settings)
    if "budget_forcing" in methods and not all(text.strip() for text in settings.wait_strings):
        raise ConfigError(f"evaluate.wait_strings: an empty string; to put nothing there, write `{NO_STRING}`")


def _check_sampling(settings: EvaluateSettings, methods: set[str]) -> None:
    if "rejection" in methods and settings.temperature == 0:
        raise ConfigError(
            "evaluate.methods: rejection samples a thinking again until it is short enough, and at temperature 0 every "
            "attempt is the same: set evaluate.temperature above 0, or leave rejection out"
        )
    if "rejection" in methods and not settings.budgets:
        raise ConfigError("evaluate.methods: rejection needs evaluate.budgets, which it samples for")
