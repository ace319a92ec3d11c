"""The state of one trajectory: a tree of branches, each generated in one request, and what every setting reads of it.

    trajectory = Trajectory(plan, text)
    while branches := trajectory.begin():      # what can be generated now, all at once
        for branch in branches:
            branch.extend(...)                 # what an engine generated within `branch.room` tokens
    trajectory.reading(setting)

A branch holds all ids of its thinking from the beginning, those of the branches before it included.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thinkscale.thinking.borders import TAIL_TOKENS, sentence_end, step_cut
from thinkscale.thinking.budgets import Setting
from thinkscale.thinking.sweep import Move, Path, Prefix, PrefixEnd, TrajectoryPlan


class Text(Protocol):
    """Between text and token ids. `BoundFormat` is one."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text."""
        ...

    def piece(self, token: int) -> str:
        """The text of one id."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a setting reads, and what a run of its own would have generated beside it."""

    prefix: Prefix
    tries: int = 1
    """How often the thinking was sampled."""
    thrown_tokens: int = 0
    """Generated and not used: rejected attempts, a window of grace in which no sentence ended."""


@dataclass(slots=True, eq=False)
class Branch:
    """One stretch of a trajectory that is generated in one request."""

    path: Path
    ids: list[int]
    """Of the whole thinking: first the branch before, then what was put there, then what was generated."""
    start: int
    """How many of `ids` stand before what is generated here."""
    reach: int
    """How many of `ids` some setting can read at most."""
    min_tokens: int = 0
    """The first so many generated tokens are no end."""
    forced: list[tuple[int, int]] = field(default_factory=list)
    """Spans of `ids` that were put there."""
    logprobs: list[float | None] = field(default_factory=list)
    """Of each of `ids`, None where it was put there; empty where the engine does not say."""
    is_closed: bool = False
    end: int | None = None
    """Where the model ended the thinking; None where it reached `reach`."""

    @property
    def room(self) -> int:
        """Tokens that may be generated."""
        return max(0, self.reach - len(self.ids))

    def extend(self, generated: Sequence[int], *, ended: bool, logprobs: Sequence[float] = ()) -> None:
        """Takes what an engine generated within `room` tokens."""
        self.ids.extend(generated)
        if logprobs:
            self.logprobs += [*[None] * (self.start - len(self.logprobs)), *logprobs]
        self.is_closed = True
        self.end = len(self.ids) if ended else None


class Trajectory:
    """The tree of one plan. Readings are those of a run of its own for each setting."""

    def __init__(self, plan: TrajectoryPlan, text: Text) -> None:
        self.plan = plan
        self.branches: dict[Path, Branch] = {}
        self._text = text
        self._readings: dict[Setting, Reading] = {}
        self._open = list(plan.settings)
        self._moves = {setting: plan.moves(setting) for setting in plan.settings}
        self._wanted: dict[Path, int] = {}

    def begin(self) -> list[Branch]:
        """Branches that can be generated now and were not begun before. Those without room are closed at once."""
        begun: list[Branch] = []
        while True:
            self._wanted = {}
            self._open = [setting for setting in self._open if not self._settle(setting)]
            new = [self._branch(path, reach) for path, reach in self._wanted.items()]
            begun += [branch for branch in new if branch.room]
            for branch in new:
                if not branch.room:
                    branch.extend((), ended=False)
            if all(branch.room for branch in new):
                return begun

    @property
    def is_finished(self) -> bool:
        """Whether every setting is read. Only `begin` brings this forward."""
        return not self._open

    def known(self) -> dict[Setting, Reading]:
        """What is read so far."""
        return dict(self._readings)

    def reading(self, setting: Setting) -> Reading:
        """What `setting` reads of the finished trajectory."""
        return self._readings[setting]

    def prefix(self, setting: Setting) -> Prefix:
        """The part of the thinking that `setting` reads."""
        return self._readings[setting].prefix

    def prefixes(self) -> dict[Prefix, list[Setting]]:
        """The distinct prefixes, shortest first, each with the settings that read it: one answer each."""
        found: dict[Prefix, list[Setting]] = {}
        for setting in self.plan.settings:
            found.setdefault(self.prefix(setting), []).append(setting)
        return dict(sorted(found.items(), key=lambda item: _order(item[0])))

    def thinking(self, prefix: Prefix) -> list[int]:
        """The ids of a prefix."""
        return self.branches[prefix.path].ids[: prefix.length] if prefix.length else []

    def forced_within(self, prefix: Prefix) -> tuple[tuple[int, int], ...]:
        """Spans of a prefix that were put there."""
        if not prefix.length:
            return ()
        spans = self.branches[prefix.path].forced
        return tuple((start, min(end, prefix.length)) for start, end in spans if start < prefix.length)

    def logprobs(self, prefix: Prefix) -> list[float | None]:
        """Of each token of a prefix, None where it was put there or the engine does not say."""
        return self.branches[prefix.path].logprobs[: prefix.length] if prefix.length else []

    @property
    def generated_tokens(self) -> int:
        """Thinking tokens that were generated, stop tokens left out."""
        return sum(len(branch.ids) - branch.start for branch in self.branches.values())

    @property
    def separate_tokens(self) -> int:
        """Thinking tokens that a run of its own for each setting would take."""
        return sum(found.prefix.length + found.thrown_tokens for found in self._readings.values())

    def _settle(self, setting: Setting) -> bool:
        """Whether it is known what `setting` reads; what it still needs is noted."""
        found = self._attempted(setting) if setting.attempts else self._walked(setting)
        if found:
            self._readings[setting] = found
        return found is not None

    def _need(self, path: Path, setting: Setting) -> None:
        if path not in self.branches:
            self._wanted[path] = max(self._wanted.get(path, 0), self.plan.bound(setting))

    def _branch(self, path: Path, reach: int) -> Branch:
        """Begins a branch: where one ended, behind what is put there, or anew."""
        move = path[-1] if path else Move()
        if not path or move.attempt or move.minimum:
            branch = Branch(path, [], 0, reach, min_tokens=min(move.minimum, reach))
        else:
            before = self.branches[path[:-1]]
            assert before.end is not None
            put = self._text.encode(move.text)[: reach - before.end] if move.text else ()
            start = before.end + len(put)
            forced = [*before.forced, *([(before.end, start)] if put else [])]
            least = move.until - before.end if move.until else int(not move.text)
            branch = Branch(
                path, [*before.ids, *put], start, reach, min(least, reach - start), forced, [*before.logprobs]
            )
        self.branches[path] = branch
        return branch

    def _walked(self, setting: Setting) -> Reading | None:
        """Follows the branches of `setting` up to where its thinking ends."""
        if not setting.thinks:
            return Reading(Prefix(0, PrefixEnd.NATURAL))
        path = self.plan.root(setting)
        cap = self.plan.cap(setting)
        for move in (None, *self._moves[setting]):
            if move is not None:
                end = self.branches[path].end
                if end is None or end >= cap:
                    break
                if end < move.until or not move.until:
                    path = (*path, move)
                else:
                    continue
            branch = self.branches.get(path)
            if branch is None:
                self._need(path, setting)
            if branch is None or not branch.is_closed:
                return None
        return self._read(setting, self.branches[path], cap)

    def _read(self, setting: Setting, branch: Branch, cap: int) -> Reading:
        """What `setting` reads of its last branch."""
        if setting.max_steps:
            pieces = map(self._text.piece, branch.ids[: self.plan.limit_tokens])
            cut = step_cut(pieces, setting.condition.partition(":")[0], setting.max_steps)
            if cut is not None and cut < (branch.end if branch.end is not None else self.plan.limit_tokens):
                return Reading(self._prefix(branch, cut, PrefixEnd.CUT))
        if branch.end is not None and branch.end < cap:
            return Reading(self._prefix(branch, branch.end, PrefixEnd.NATURAL))
        if setting.cap_tokens is None or setting.cap_tokens > self.plan.limit_tokens:
            return Reading(self._prefix(branch, cap, PrefixEnd.UNFINISHED))
        return self._graced(setting, branch, cap) if setting.grace_tokens else self._cut(branch, cap)

    def _cut(self, branch: Branch, length: int, thrown_tokens: int = 0) -> Reading:
        return Reading(self._prefix(branch, length, PrefixEnd.CUT), thrown_tokens=thrown_tokens)

    def _graced(self, setting: Setting, branch: Branch, cap: int) -> Reading:
        """The end of the sentence within the window, else the budget itself: half a sentence more helps nobody."""
        last = self.plan.bound(setting)
        natural = branch.end if branch.end is not None and branch.end < last else None
        seen = max(0, cap - TAIL_TOKENS)
        pieces = [self._text.piece(token) for token in branch.ids[seen : last if natural is None else natural - 1]]
        end = sentence_end(pieces, cap - seen, len(pieces))
        if end is not None:
            return self._cut(branch, seen + end)
        if natural is not None:
            return Reading(self._prefix(branch, natural, PrefixEnd.NATURAL))
        return self._cut(branch, cap, thrown_tokens=last - cap)

    def _prefix(self, branch: Branch, length: int, end: PrefixEnd) -> Prefix:
        if len(branch.ids) < length:
            raise AssertionError(f"the branch {branch.path} has {len(branch.ids)} tokens, {length} are read")
        return Prefix(length, end, branch.path)

    def _attempted(self, setting: Setting) -> Reading | None:
        """The first attempt that ends within the budget, else the last one, cut off."""
        bound = self.plan.bound(setting)
        thrown = 0
        for attempt in range(setting.attempts):
            path = (Move(attempt=attempt),) if attempt else ()
            branch = self.branches.get(path)
            if branch is None:
                self._need(path, setting)
            if branch is None or not branch.is_closed:
                return None
            if branch.end is not None and branch.end < bound:
                return Reading(Prefix(branch.end, PrefixEnd.NATURAL, path), attempt + 1, thrown)
            thrown += bound
        return Reading(Prefix(bound, PrefixEnd.UNFINISHED, path), setting.attempts, thrown - bound)


def _order(prefix: Prefix) -> tuple[int, PrefixEnd, tuple[tuple[int, int, int, str], ...]]:
    path = tuple((move.attempt, move.minimum, move.until, move.text) for move in prefix.path)
    return prefix.length, prefix.end, path
