"""The shared-prefix sweep: from the cells of an evaluation to the fewest trajectories and answers.

A trajectory is the thinking of one problem's sample. It ends by itself after T_0 tokens; suppressing the
end and appending the wait string gives T_1, T_2, ... The setting (budget b, waits n) reads the prefix of
length min(b, T_n). Its thinking ended naturally where T_n < b: the token that marks the end needs room of
its own within the budget, as it does where a server is asked for b tokens. So one trajectory, generated as
far as any setting can read, serves them all, and every setting equals a run of its own under an engine that
gives the same tokens for the same prefix (greedy, or random numbers drawn by position).

What is done at an end (a `Move`) makes the trajectory a tree (tree.py): all wait strings share everything up to the
first end, a rotation shares with its first string up to the second, and a sampled thinking that rejection tries again
stands beside the first.

Rejected: a run for each cell (s1's 51 commands); a trajectory for each wait string, which generates T_0 each time; and
one request that carries the whole grid into the engine, which only an engine of ours could serve.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from thinkscale.thinking.budgets import Setting, wait_text


class PrefixEnd(StrEnum):
    """How the thinking that a setting reads came to its end."""

    NATURAL = "natural"
    """The model ended it."""
    CUT = "cut"
    """The budget cut it; a forced answer follows."""
    UNFINISHED = "unfinished"
    """A limit was reached that no budget of the setting is: cut off, and no answer is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What begins a branch. At most one of `attempt`, `minimum` and the moves at an end is set."""

    attempt: int = 0
    """Begins the thinking anew, with random numbers of its own."""
    minimum: int = 0
    """Begins the thinking anew, with no end among so many tokens."""
    until: int = 0
    """An end before so many tokens is suppressed, and so is every other before that."""
    text: str = ""
    """Put where the end was suppressed; where it is empty nothing is, and the next token is not an end."""


Path: TypeAlias = tuple[Move, ...]
"""How a branch came about; empty for the first thinking, as far as its first end."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a trajectory that a setting reads: the first `length` tokens of a branch."""

    length: int
    end: PrefixEnd
    path: Path = ()


@dataclass(frozen=True, slots=True)
class TrajectoryPlan:
    """Settings with one prompt, which one trajectory serves."""

    thinks: bool
    condition: str
    settings: tuple[Setting, ...]
    limit_tokens: int
    is_greedy: bool = False
    """Whether suppressing an end that is not drawn changes nothing: then minimums share a branch."""

    def bound(self, setting: Setting) -> int:
        """The most tokens that are generated for `setting`, grace included."""
        if not setting.thinks:
            return 0
        cap = setting.cap_tokens
        return self.limit_tokens if cap is None else min(cap + setting.grace_tokens, self.limit_tokens)

    def cap(self, setting: Setting) -> int:
        """Where the thinking of `setting` must have ended: beyond that no end is suppressed."""
        cap = setting.cap_tokens
        return self.limit_tokens if cap is None else min(cap, self.limit_tokens)

    @property
    def reach(self) -> int:
        """The longest thinking that any setting can read."""
        return max((self.bound(setting) for setting in self.settings), default=0)

    @property
    def capped_reach(self) -> int:
        """The longest that a setting must be able to read: its budget with grace, its minimum."""
        caps = (
            setting.cap_tokens + setting.grace_tokens for setting in self.settings if setting.cap_tokens is not None
        )
        minimums = (setting.minimum_tokens for setting in self.settings)
        return max((*caps, *minimums), default=0) if self.thinks else 0

    @property
    def greatest_tokens(self) -> int:
        """The most thinking tokens that can be generated: every branch goes as far as a setting can read it."""
        leaves: dict[Path, int] = {}
        for setting in self.settings:
            bound = self.bound(setting)
            paths = [
                (*self.root(setting), *self.moves(setting)),
                *((Move(attempt=n),) for n in range(1, setting.attempts)),
            ]
            for path in paths:
                leaves[path] = max(leaves.get(path, 0), bound)
        # What begins another path is generated along with it, but for what only it can read.
        for path in sorted(leaves, key=len):
            longer = [other for other in leaves if _goes_on(other, path)]
            if longer:
                bound = leaves.pop(path)
                first = min(longer, key=len)
                leaves[first] = max(leaves[first], bound)
        return sum(leaves.values())

    def root(self, setting: Setting) -> Path:
        """The branch with which `setting` begins."""
        return (Move(minimum=setting.minimum_tokens),) if setting.minimum_tokens and not self.is_greedy else ()

    def moves(self, setting: Setting) -> Path:
        """What `setting` does at the ends of its thinking, one after the other."""
        if setting.minimum_tokens and self.is_greedy:
            # Those below it come first, so that all minimums go along one branch.
            minimums = {
                item.minimum_tokens for item in self.settings if 0 < item.minimum_tokens <= setting.minimum_tokens
            }
            return tuple(Move(until=number) for number in sorted(minimums))
        return tuple(Move(text=wait_text(setting.wait_string, index)) for index in range(setting.waits))


def _goes_on(path: Path, before: Path) -> bool:
    """Whether `path` begins with what `before` is."""
    is_anew = not before and bool(path) and bool(path[0].attempt or path[0].minimum)
    return len(path) > len(before) and path[: len(before)] == before and not is_anew


def plan_trajectories(
    settings: Iterable[Setting], limit_tokens: int, *, is_greedy: bool = False
) -> tuple[TrajectoryPlan, ...]:
    """The fewest trajectories for `settings`: one for each prompt."""
    groups: dict[tuple[bool, str], list[Setting]] = {}
    for setting in sorted(set(settings), key=_order):
        groups.setdefault((setting.thinks, setting.condition), []).append(setting)
    return tuple(
        TrajectoryPlan(*name, tuple(members), limit_tokens, is_greedy) for name, members in sorted(groups.items())
    )


def _order(setting: Setting) -> tuple[str, int, int, str]:
    budget = setting.budget_tokens
    return (setting.method, setting.waits, -1 if budget is None else budget, setting.variant)
