"""The shared-prefix sweep: from the cells of an evaluation to the fewest trajectories and answers.

A trajectory is the thinking of one problem's sample. It ends by itself after T_0 tokens; suppressing the
end and appending the wait string gives T_1, T_2, ... The setting (budget b, waits n) reads the prefix of
length min(b, T_n). Its thinking ended naturally where T_n < b: the token that marks the end needs room of
its own within the budget, as it does where a server is asked for b tokens. So one trajectory, generated as
far as any setting can read, serves them all, and every setting equals a run of its own under an engine that
gives the same tokens for the same prefix (greedy, or random numbers drawn by position).

Rejected: a run for each cell (s1's 51 commands); and one request that carries the whole grid into the
engine, which only an engine of ours could serve.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from thinkscale.thinking.budgets import Setting


class PrefixEnd(StrEnum):
    """How the thinking that a setting reads came to its end."""

    NATURAL = "natural"
    """The model ended it."""
    CUT = "cut"
    """The budget cut it; a forced answer follows."""
    UNFINISHED = "unfinished"
    """The engine's own limit was reached without a budget: cut off, and no answer is asked for."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a trajectory that a setting reads."""

    length: int
    end: PrefixEnd


@dataclass(frozen=True, slots=True)
class TrajectoryPlan:
    """Settings that one trajectory serves: those with one prompt and, where they wait, one wait string."""

    thinks: bool
    prompt_class: str
    wait_string: str
    settings: tuple[Setting, ...]
    limit_tokens: int

    def reach(self, waits: int) -> int:
        """The longest prefix that any setting with at least `waits` waits can read; 0 where there is none."""
        return max((self.bound(setting) for setting in self.settings if setting.waits >= waits), default=0)

    def bound(self, setting: Setting) -> int:
        """The most tokens that `setting` may think."""
        if not setting.thinks:
            return 0
        budget = setting.budget_tokens
        return self.limit_tokens if budget is None else min(budget, self.limit_tokens)


def plan_trajectories(settings: Iterable[Setting], limit_tokens: int) -> tuple[TrajectoryPlan, ...]:
    """The fewest trajectories for `settings`. Settings without waits join a group that waits, if there is one."""
    groups: dict[tuple[bool, str, str], list[Setting]] = {}
    for setting in sorted(set(settings), key=lambda setting: (setting.waits == 0, _order(setting))):
        prompt = (setting.thinks, setting.prompt_class)
        name = (*prompt, setting.wait_string if setting.waits else "")
        if not setting.waits:
            name = next((other for other in groups if other[:2] == prompt), name)
        groups.setdefault(name, []).append(setting)
    return tuple(
        TrajectoryPlan(*name, tuple(sorted(members, key=_order)), limit_tokens)
        for name, members in sorted(groups.items())
    )


def _order(setting: Setting) -> tuple[str, int, int, str]:
    budget = setting.budget_tokens
    return (setting.method, setting.waits, -1 if budget is None else budget, setting.variant)


@dataclass(slots=True)
class Trajectory:
    """The state of one trajectory: ask `room`, generate that much, `extend`, until `room` is 0."""

    plan: TrajectoryPlan
    wait_ids: tuple[int, ...]
    ids: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """T_0, T_1, ... as far as they are known."""
    forced: list[tuple[int, int]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more tokens some setting can read; 0 when the trajectory is finished."""
        return max(0, self.plan.reach(len(self.ends)) - len(self.ids))

    def extend(self, generated: Sequence[int], *, ended: bool) -> None:
        """Adds what an engine generated within `room` tokens, and the wait string where it ended and must go on."""
        self.ids.extend(generated)
        if not ended:
            return
        self.ends.append(len(self.ids))
        if self.room:
            start = len(self.ids)
            self.ids.extend(self.wait_ids[: self.room])
            self.forced.append((start, len(self.ids)))

    def prefix(self, setting: Setting) -> Prefix:
        """What `setting` reads of the finished trajectory."""
        if not setting.thinks:
            return Prefix(0, PrefixEnd.NATURAL)
        bound = self.plan.bound(setting)
        if setting.waits < len(self.ends) and self.ends[setting.waits] < bound:
            return Prefix(self.ends[setting.waits], PrefixEnd.NATURAL)
        if len(self.ids) < bound:
            raise AssertionError(f"the trajectory has {len(self.ids)} tokens, {setting} reads {bound}")
        return Prefix(bound, PrefixEnd.UNFINISHED if setting.budget_tokens is None else PrefixEnd.CUT)

    def prefixes(self) -> dict[Prefix, list[Setting]]:
        """The distinct prefixes, shortest first, each with the settings that read it: one answer each."""
        found: dict[Prefix, list[Setting]] = {}
        for setting in self.plan.settings:
            found.setdefault(self.prefix(setting), []).append(setting)
        return dict(sorted(found.items(), key=lambda item: (item[0].length, item[0].end)))

    def forced_within(self, length: int) -> tuple[tuple[int, int], ...]:
        """Spans of `forced` inside the first `length` tokens."""
        return tuple((start, min(end, length)) for start, end in self.forced if start < length)

    @property
    def separate_tokens(self) -> int:
        """Thinking tokens that a run of its own for each setting would need."""
        return sum(self.prefix(setting).length for setting in self.plan.settings)
