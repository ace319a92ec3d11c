"""Budget policies: each method is a list of settings, and a setting says which prefix of a trajectory it reads."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One policy. `budget_tokens` None means that the thinking is not truncated."""

    method: str
    budget_tokens: int | None = None
    waits: int = 0
    wait_string: str = ""
    prompt_class: str = ""
    thinks: bool = True
    """False where the thinking is never opened: the model answers at once."""

    @property
    def variant(self) -> str:
        """What tells settings of one method apart beside budget and waits."""
        return self.prompt_class or (self.wait_string.strip() if self.waits else "")


def truncation(budgets: Sequence[int | None]) -> tuple[Setting, ...]:
    """Thinking cut at each budget, then a forced answer."""
    return tuple(Setting(method="truncation", budget_tokens=budget) for budget in budgets)


def budget_forcing(budgets: Sequence[int | None], waits: Sequence[int], wait_string: str) -> tuple[Setting, ...]:
    """Every budget with every number of times that the end of thinking is suppressed (s1, section 3.1)."""
    return tuple(
        Setting(method="budget_forcing", budget_tokens=budget, waits=number, wait_string=wait_string)
        for number in waits
        for budget in budgets
    )


def class_conditional() -> tuple[Setting, ...]:
    """Asked for short and for long thinking, not truncated (s1, section 4)."""
    return tuple(Setting(method="class_conditional", prompt_class=name) for name in ("short", "long"))


def direct() -> Setting:
    """An answer at once: the thinking is never opened. The baseline of an ordinary instruct model."""
    return Setting(method="direct", thinks=False)
