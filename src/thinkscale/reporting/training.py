"""What a report knows of one training: its records, the readings of its log, and the account beside its weights."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate, HeldOut, Step
from thinkscale.training.log import Entry, Readings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """One training. Only `steps` is always there: runs of old have nothing else."""

    name: str = "training"
    """Which training of its run it is; figures and sections are named by it."""
    steps: tuple[Step, ...]
    held_out: tuple[HeldOut, ...] = ()
    readings: Mapping[int, Readings] = field(default_factory=dict)
    """By step. Clock readings: they differ from run to run."""
    account: Mapping[str, JSON] = field(default_factory=dict)
    """`training.json`: base model, rows and tokens, hyperparameters in force."""
    fates: tuple[Fate, ...] = ()
    """Of rows that were left out, cut, or held out."""

    @property
    def is_preference(self) -> bool:
        """Whether pairs were trained on."""
        return any(step.chosen_reward is not None for step in self.steps)

    @property
    def hyperparameters(self) -> Mapping[str, JSON]:
        """As the trainer held them; empty where no account was kept."""
        found = self.account.get("hyperparameters")
        return found if isinstance(found, dict) else {}

    @property
    def best(self) -> HeldOut | None:
        """The evaluation with the least loss, the first of equals."""
        return min(self.held_out, key=lambda item: (item.loss, item.step), default=None)

    @property
    def num_tokens(self) -> int:
        """Of all steps, padding left out; 0 where it was not counted."""
        return sum(step.num_tokens for step in self.steps)

    @property
    def padding(self) -> float | None:
        """The share of all computed positions that held no token; None where it was not counted."""
        computed = sum(step.num_tokens / (1 - step.padding) for step in self.steps if step.padding < 1)
        return 1 - self.num_tokens / computed if computed else None

    @property
    def seconds(self) -> float:
        """Of the steps that have readings."""
        return sum(reading.seconds for reading in self._of_steps())

    @property
    def tokens_per_second(self) -> float | None:
        """Over all steps that have readings."""
        tokens = sum(step.num_tokens for step in self.steps if step.step in self.readings)
        return tokens / self.seconds if tokens and self.seconds > 0 else None

    @property
    def mfu(self) -> float | None:
        """Mean over time of the steps whose utilization is known."""
        known = [item for item in self._of_steps() if item.mfu is not None]
        seconds = sum(item.seconds for item in known)
        return sum((item.mfu or 0.0) * item.seconds for item in known) / seconds if seconds > 0 else None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory of any step."""
        return max((item.peak_bytes for item in self._of_steps() if item.peak_bytes is not None), default=None)

    @property
    def epoch_ends(self) -> tuple[int, ...]:
        """The last step of every epoch but the last."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return tuple(one.step for one, next_ in pairs if math.ceil(one.epoch - 1e-9) < math.ceil(next_.epoch - 1e-9))

    def fate_counts(self) -> Counter[tuple[Decision, str]]:
        """Rows by decision and reason."""
        return Counter((fate.decision, fate.reason) for fate in self.fates)

    def _of_steps(self) -> list[Readings]:
        return [self.readings[step.step] for step in self.steps if step.step in self.readings]


def readings_of(entries: Sequence[Entry]) -> dict[int, Readings]:
    """The readings of the steps of a log."""
    return {entry.record.step: entry.readings for entry in entries if isinstance(entry.record, Step) and entry.readings}


def facts_of_log(
    entries: Sequence[Entry], account: Mapping[str, JSON], name: str = "training", fates: Sequence[Fate] = ()
) -> TrainingFacts:
    """What a log alone tells of its training, with the account of the model that it made."""
    records = [entry.record for entry in entries]
    return TrainingFacts(
        name=name,
        steps=tuple(record for record in records if isinstance(record, Step)),
        held_out=tuple(record for record in records if isinstance(record, HeldOut)),
        readings=readings_of(entries),
        account=account,
        fates=tuple(fates),
    )


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Each value as the mean of the `window` values around it, of fewer at the ends."""
    half = window // 2
    return [
        sum(around) / len(around)
        for place in range(len(values))
        if (around := values[max(0, place - half) : place + half + 1])
    ]
