"""The determinism certificate: of trajectories generated twice, how many came out alike, and where others parted.

The second time the computation is another one on purpose: beside other rows, or alone. What agrees then does not hang
on the batch. A share of a sample says how often, with its Wilson interval: 16 of 16 alike proves no more than that at
most one in five differs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from thinkscale.records import Replay
from thinkscale.statistics.intervals import Estimate, undefined, wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAgreement:
    """The replays that were computed in one way: `alone`, or `shuffled` with the others."""

    batch: str
    num_replayed: int
    num_equal: int
    agreement: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One model under one set of conditions. Positions are tokens of a trajectory."""

    model: str
    engine: str
    conditions: Mapping[str, str]
    num_replayed: int
    num_equal: int
    agreement: Estimate
    """Share of trajectories that came out alike, token for token."""
    batches: tuple[BatchAgreement, ...]
    num_tokens: int
    """Of the first time, over all replays."""
    tokens_before_difference: int
    """Tokens that agreed before the first that did not, over all replays."""
    first_differences: tuple[int, ...]
    """Where those that differ do, smallest first."""

    @property
    def is_repeatable(self) -> bool:
        """Whether nothing differed."""
        return self.num_equal == self.num_replayed

    @property
    def sentence(self) -> str:
        """What the certificate says, in a line."""
        if self.agreement.low is None:
            return f"{self.model}: nothing was generated a second time."
        share = f"{self.num_equal} of {self.num_replayed} trajectories came out alike, token for token"
        bound = f"at least {100 * self.agreement.low:.0f}% of all do (95%)"
        if self.is_repeatable:
            return f"{self.model}: {share}; {bound}."
        first = f"the earliest difference is at token {self.first_differences[0]:,}"
        return f"{self.model}: {share} ({100 * self.num_equal / self.num_replayed:.0f}%); {first}; {bound}."


def certificates(replays: Iterable[Replay]) -> list[Certificate]:
    """One for each model, engine and set of conditions, in order of appearance."""
    groups: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[Replay]] = {}
    for replay in replays:
        groups.setdefault((replay.model, replay.engine, tuple(sorted(replay.conditions.items()))), []).append(replay)
    return [
        Certificate(
            model=model,
            engine=engine,
            conditions=dict(conditions),
            num_replayed=len(members),
            num_equal=_num_equal(members),
            agreement=_agreement(members),
            batches=tuple(_by_batch(members)),
            num_tokens=sum(item.num_tokens for item in members),
            tokens_before_difference=sum(
                item.num_tokens if item.first_difference is None else item.first_difference for item in members
            ),
            first_differences=tuple(
                sorted(item.first_difference for item in members if item.first_difference is not None)
            ),
        )
        for (model, engine, conditions), members in groups.items()
    ]


def _by_batch(replays: list[Replay]) -> Iterable[BatchAgreement]:
    for batch in dict.fromkeys(item.batch for item in replays):
        members = [item for item in replays if item.batch == batch]
        yield BatchAgreement(
            batch=batch,
            num_replayed=len(members),
            num_equal=_num_equal(members),
            agreement=_agreement(members),
        )


def _num_equal(replays: list[Replay]) -> int:
    return sum(item.first_difference is None for item in replays)


def _agreement(replays: list[Replay]) -> Estimate:
    if not replays:
        return undefined("nothing was replayed")
    equal = _num_equal(replays)
    low, high = wilson_interval(equal, len(replays))
    return Estimate(value=equal / len(replays), low=low, high=high)
