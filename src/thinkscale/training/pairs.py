"""Preference pairs as token ids: a shared prompt, two replies, and what happens to pairs that cannot be trained on as
they are.

The prompt is one sequence for both replies, so that they differ in nothing but themselves, and a cut of it is the same
for both. An answer is never cut: trainers that keep the first `max_length` tokens teach replies without an end, and
often make both replies equal. Rejected: a row for each reply, which could then be cut differently.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Decision, Fate, Pair

STAGE = "prefer"
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One pair as ids. Both replies follow `prompt_ids` directly and end with the end of the turn."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]
    chosen_thinking: Span | None = None
    """Half-open span of the thinking in `chosen_ids`, its opening left out; None where there is none."""
    rejected_thinking: Span | None = None
    asked: Span = (0, 0)
    """Half-open span of `prompt_ids` that holds the conversation: behind the system turn and the first turn's opening,
    up to where the assistant's turn begins."""
    why: str = ""

    def __len__(self) -> int:
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))

    @property
    def num_tokens(self) -> int:
        """Tokens that are computed: the prompt stands before each reply."""
        return 2 * len(self.prompt_ids) + self.num_trained

    @property
    def num_trained(self) -> int:
        """Tokens whose log-probability the loss is made of."""
        return len(self.chosen_ids) + len(self.rejected_ids)

    @property
    def sequences(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the model reads: the prompt with the chosen reply, and with the rejected one."""
        return (*self.prompt_ids, *self.chosen_ids), (*self.prompt_ids, *self.rejected_ids)


class OverLongPair(StrEnum):
    """What to do with pairs whose prompt and longer reply exceed the limit. The answer is cut by none of them."""

    REFUSE = "refuse"
    """Stop before training and say how many there are."""
    DROP = "drop"
    """Leave them out, each with a Fate."""
    TRUNCATE_PROMPT = "truncate_prompt"
    """Take the first tokens of the conversation: system turn, last tokens and both replies stay; each with a Fate."""
    TRUNCATE_MIDDLE = "truncate_middle"
    """Cut the middle of the thinking of each reply that is too long; each with a Fate."""


class Unusable(StrEnum):
    """What to do with pairs that teach nothing: equal replies, no answer, or no room for the answer."""

    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPairs:
    """Pairs within the limit, in their order, and a Fate for each that was dropped or cut."""

    rows: tuple[PairRow, ...]
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatistics:
    """Counts over pairs, in tokens."""

    num_pairs: int
    num_tokens: int
    """Computed in one epoch: each prompt twice."""
    num_trained_tokens: int
    median_chosen_tokens: int
    median_rejected_tokens: int
    longest_tokens: int


class _UnusableError(Exception):
    """One pair cannot be used: the reason as a Fate has it, and the evidence."""

    def __init__(self, reason: str, evidence: str) -> None:
        super().__init__(reason, evidence)
        self.reason = reason
        self.evidence = evidence


def unusable_reason(pair: Pair) -> str | None:
    """Why nothing can be learned from `pair`: `empty_chosen`, `empty_rejected`, `identical`; None where it can."""
    if not pair.chosen.content.strip():
        return "empty_chosen"
    if not pair.rejected.content.strip():
        return "empty_rejected"
    same = pair.chosen.content == pair.rejected.content and pair.chosen.thinking == pair.rejected.thinking
    return "identical" if same else None


def usable_pairs(pairs: Sequence[Pair], policy: Unusable) -> tuple[tuple[Pair, ...], tuple[Fate, ...]]:
    """The pairs that something can be learned from, and a Fate for each other one. DataError under REFUSE."""
    reasons = [unusable_reason(pair) for pair in pairs]
    lost = [(pair.problem_id, reason, "") for pair, reason in zip(pairs, reasons, strict=True) if reason]
    _refuse(lost, len(pairs), policy)
    kept = tuple(pair for pair, reason in zip(pairs, reasons, strict=True) if not reason)
    return kept, tuple(_dropped(*what) for what in lost)


def fit_pairs(
    rows: Sequence[PairRow],
    max_length: int,
    policy: OverLongPair = OverLongPair.REFUSE,
    unusable: Unusable = Unusable.REFUSE,
) -> FittedPairs:
    """`rows` with none longer than `max_length` tokens, by `policy`.

    A pair that the policy cannot make fit without cutting an answer, or whose replies are equal then, is unusable.
    Raises DataError under a REFUSE with the number of such pairs.
    """
    if max_length < 2:
        raise ConfigError(f"max_length is {max_length}; a pair has at least 2 tokens")
    too_long = [row for row in rows if len(row) > max_length]
    if too_long and policy is OverLongPair.REFUSE:
        raise DataError(_too_long(too_long, len(rows), max_length))
    kept: list[PairRow] = []
    fates: list[Fate] = []
    lost: list[tuple[str, str, str]] = []
    for row in rows:
        if len(row) > max_length and policy is OverLongPair.DROP:
            fates.append(_dropped(row.problem_id, "over_long", f"{len(row)} tokens, max_length {max_length}"))
            continue
        try:
            fitted = _fitted(row, max_length, policy)
        except _UnusableError as error:
            lost.append((row.problem_id, error.reason, error.evidence))
            fates.append(_dropped(*lost[-1]))
            continue
        kept.append(fitted)
        if fitted is not row:
            fates.append(_cut(row, fitted, max_length, policy))
    _refuse(lost, len(rows), unusable)
    return FittedPairs(rows=tuple(kept), fates=tuple(fates))


def cut_prompt(row: PairRow, max_length: int) -> PairRow:
    """`row` at `max_length` tokens, those too many taken from the beginning of the conversation; one at least stays."""
    excess, (start, end) = len(row) - max_length, row.asked
    if end - start <= excess:
        raise _UnusableError(
            "no_room",
            f"{len(row)} tokens, {excess} too many, but the conversation before the replies has {end - start}",
        )
    prompt = row.prompt_ids[:start] + row.prompt_ids[start + excess :]
    return replace(row, prompt_ids=prompt, asked=(start, end - excess))


def cut_thinking(row: PairRow, max_length: int) -> PairRow:
    """`row` with each reply that is too long at `max_length` less the prompt, without the middle of its thinking."""
    room = max_length - len(row.prompt_ids)
    chosen, chosen_thinking = _cut_reply(row.chosen_ids, row.chosen_thinking, room, "chosen")
    rejected, rejected_thinking = _cut_reply(row.rejected_ids, row.rejected_thinking, room, "rejected")
    return replace(
        row,
        chosen_ids=chosen,
        rejected_ids=rejected,
        chosen_thinking=chosen_thinking,
        rejected_thinking=rejected_thinking,
    )


_CUTS: Mapping[OverLongPair, Callable[[PairRow, int], PairRow]] = {
    OverLongPair.TRUNCATE_PROMPT: cut_prompt,
    OverLongPair.TRUNCATE_MIDDLE: cut_thinking,
}


def _cut_reply(
    ids: tuple[int, ...], thinking: Span | None, room: int, which: str
) -> tuple[tuple[int, ...], Span | None]:
    excess = len(ids) - room
    if excess <= 0:
        return ids, thinking
    start, end = thinking or (0, 0)
    if end - start < excess + 2:
        raise _UnusableError(
            "no_room", f"the {which} reply has {excess} tokens too many, and {end - start} tokens of thinking"
        )
    first = start + (end - start - excess) // 2
    return ids[:first] + ids[first + excess :], (start, end - excess)


def _fitted(row: PairRow, max_length: int, policy: OverLongPair) -> PairRow:
    fitted = _CUTS[policy](row, max_length) if len(row) > max_length else row
    if fitted.chosen_ids == fitted.rejected_ids:
        raise _UnusableError("identical" if fitted is row else "identical_when_cut", f"{len(row.chosen_ids)} tokens")
    return fitted


def _too_long(too_long: Sequence[PairRow], num_rows: int, max_length: int) -> str:
    longest = max(too_long, key=len)
    return (
        f"{len(too_long)} of {num_rows} pairs are longer than max_length {max_length}; the longest is "
        f"{longest.problem_id} with {len(longest)} tokens of prompt and longer reply. Nothing is cut silently: raise "
        f"max_length to {len(longest)}, or choose over_length=drop (leaves them out), truncate_prompt (cuts the "
        f"conversation before the replies) or truncate_middle (cuts the middle of the thinking)"
    )


def _refuse(lost: Sequence[tuple[str, str, str]], num_rows: int, policy: Unusable) -> None:
    if not lost or policy is Unusable.DROP:
        return
    reasons = sorted({reason for _, reason, _ in lost})
    counts = ", ".join(f"{reason} {sum(item[1] == reason for item in lost)}" for reason in reasons)
    name, reason, evidence = lost[0]
    said = f" ({evidence})" if evidence else ""
    raise DataError(
        f"{len(lost)} of {num_rows} pairs cannot be trained on: {counts}. The first is {name}: {reason}{said}. Mend "
        f"them, or leave them out with unusable=drop"
    )


def _dropped(problem_id: str, reason: str, evidence: str) -> Fate:
    return Fate(problem_id=problem_id, stage=STAGE, decision=Decision.DROPPED, reason=reason, evidence=evidence)


def _cut(row: PairRow, fitted: PairRow, max_length: int, policy: OverLongPair) -> Fate:
    reason = "prompt_cut" if policy is OverLongPair.TRUNCATE_PROMPT else "thinking_cut"
    parts = {
        "prompt": len(row.prompt_ids) - len(fitted.prompt_ids),
        "chosen": len(row.chosen_ids) - len(fitted.chosen_ids),
        "rejected": len(row.rejected_ids) - len(fitted.rejected_ids),
    }
    said = ", ".join(f"{count} of {name}" for name, count in parts.items() if count)
    evidence = f"{said} cut from {len(row)} tokens, max_length {max_length}"
    return Fate(problem_id=row.problem_id, stage=STAGE, decision=Decision.KEPT, reason=reason, evidence=evidence)


def pair_statistics(rows: Sequence[PairRow]) -> PairStatistics:
    """Counts over `rows`. Raises DataError where there are none."""
    if not rows:
        raise DataError("there are no pairs to train on")
    return PairStatistics(
        num_pairs=len(rows),
        num_tokens=sum(row.num_tokens for row in rows),
        num_trained_tokens=sum(row.num_trained for row in rows),
        median_chosen_tokens=statistics.median_low(len(row.chosen_ids) for row in rows),
        median_rejected_tokens=statistics.median_low(len(row.rejected_ids) for row in rows),
        longest_tokens=max(len(row) for row in rows),
    )
