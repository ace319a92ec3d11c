"""Budget policies: each method is a list of settings, and a setting says which prefix of a trajectory it reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from thinkscale.thinking.conditioning import CLASS_PROMPTS, STEP_KINDS, STEP_TOKENS, numbered

NO_STRING = "none"
"""A wait string that puts nothing there: the end is suppressed, and the model draws another token."""
ROTATE = "rotate"
ROTATION = ("Wait", "Hmm", "Alternatively")
"""What `rotate` puts behind the first end, the second, the third, and so on from the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One policy. `budget_tokens` None means that the thinking is compared with nothing."""

    method: str
    budget_tokens: int | None = None
    """What the thinking is compared with, and cut at where `is_cut`."""
    is_cut: bool = True
    waits: int = 0
    """How often an end within the budget is suppressed."""
    wait_string: str = ""
    condition: str = ""
    """What the model is told about the length of its thinking (conditioning.py)."""
    thinks: bool = True
    """False where the thinking is never opened: the model answers at once."""
    grace_tokens: int = 0
    """How far beyond the budget a sentence may end."""
    minimum_tokens: int = 0
    """The end cannot be drawn before so many tokens."""
    max_steps: int = 0
    """The thinking is cut behind so many steps; 0 leaves it."""
    attempts: int = 0
    """How often the thinking is sampled until it ends within the budget; 0 where it is taken as it comes."""

    @property
    def cap_tokens(self) -> int | None:
        """Where the thinking is cut, None where it is not; grace may go beyond."""
        return self.budget_tokens if self.is_cut else None

    @property
    def variant(self) -> str:
        """What tells settings of one method apart beside budget and waits."""
        if self.condition in CLASS_PROMPTS:
            return self.condition
        if self.minimum_tokens:
            return str(self.minimum_tokens)
        kind, _, number = self.condition.partition(":")
        if kind in STEP_KINDS.values():
            return number
        return _spelled(self.wait_string) if self.waits else ""


def _spelled(text: str) -> str:
    """A wait string as a name: in quotes where a table would lose what is white in it (`"\\nWait"`)."""
    return text if text.isprintable() and text == text.strip() else json.dumps(text, ensure_ascii=False)


def wait_text(wait_string: str, index: int) -> str:
    """What stands behind the end number `index` (from 0), empty for nothing."""
    if wait_string == ROTATE:
        return ROTATION[index % len(ROTATION)]
    return "" if wait_string == NO_STRING else wait_string


def truncation(budgets: Sequence[int | None], grace_tokens: int = 0) -> tuple[Setting, ...]:
    """Thinking cut at each budget, then a forced answer."""
    return tuple(
        Setting(method="truncation", budget_tokens=budget, grace_tokens=grace_tokens if budget else 0)
        for budget in budgets
    )


def budget_forcing(
    budgets: Sequence[int | None], waits: Sequence[int], wait_strings: Sequence[str], grace_tokens: int = 0
) -> tuple[Setting, ...]:
    """Every budget with every number of times that the end of thinking is suppressed (s1, section 3.1).

    Without waits all wait strings are one setting, under the first."""
    return tuple(
        Setting(
            method="budget_forcing",
            budget_tokens=budget,
            waits=number,
            wait_string=wait_string,
            grace_tokens=grace_tokens if budget else 0,
        )
        for position, wait_string in enumerate(wait_strings)
        for number in waits
        for budget in budgets
        if number or not position
    )


def class_conditional() -> tuple[Setting, ...]:
    """Asked for short and for long thinking, not truncated (s1, section 4)."""
    return tuple(Setting(method="class_conditional", condition=name) for name in ("short", "long"))


def token_conditional(targets: Sequence[int], *, forced: bool) -> tuple[Setting, ...]:
    """Told each number of tokens; where `forced` the thinking is cut there too (s1, table 12)."""
    return tuple(
        Setting(
            method="token_conditional_forced" if forced else "token_conditional",
            budget_tokens=target,
            is_cut=forced,
            condition=numbered("tokens", target),
        )
        for target in targets
    )


def step_conditional(targets: Sequence[int], step_format: str, *, forced: bool) -> tuple[Setting, ...]:
    """Told each number of steps; where `forced` the thinking is cut behind the last of them (s1, table 13)."""
    return tuple(
        Setting(
            method="step_conditional_forced" if forced else "step_conditional",
            budget_tokens=STEP_TOKENS * target,
            is_cut=False,
            condition=numbered(STEP_KINDS[step_format], target),
            max_steps=target if forced else 0,
        )
        for target in targets
    )


def minimum(minimums: Sequence[int]) -> tuple[Setting, ...]:
    """Thinking whose end cannot be drawn before each number of tokens, with nothing put in its place."""
    return tuple(Setting(method="minimum", minimum_tokens=number) for number in minimums)


def rejection(budgets: Sequence[int], attempts: int) -> tuple[Setting, ...]:
    """Thinking sampled until it ends within the budget (s1, section 3.1), at most `attempts` times.

    Where none does, the last attempt counts as cut off: no answer is forced."""
    return tuple(Setting(method="rejection", budget_tokens=budget, attempts=attempts) for budget in budgets)


def direct() -> Setting:
    """An answer at once: the thinking is never opened. The baseline of an ordinary instruct model."""
    return Setting(method="direct", thinks=False)
