"""From token ids to training rows: which tokens carry the loss, what happens to rows that are too long.

Only ids come in: chat template and thinking markers are `thinking/formats.py`'s. Masks are explicit, one bool
for each token, rather than found again by searching for a response template as s1 does (TRL's
DataCollatorForCompletionOnlyLM): a template that tokenizes differently in context then trains on nothing.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.text import Text

from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Decision, Fate
from thinkscale.thinking.formats import Tokenizer

STAGE = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One sequence and which of its tokens carry the loss."""

    problem_id: str
    input_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """As long as `input_ids`. Where True, the model is trained to predict this token from those before it."""
    thinking: tuple[int, int] | None = None
    """Half-open span of the thinking in `input_ids`, its markers left out; None where it is not known."""

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def num_trained(self) -> int:
        """Tokens that carry the loss."""
        return sum(self.trained)


class OverLong(StrEnum):
    """What to do with rows longer than the limit."""

    REFUSE = "refuse"
    """Stop before training and say how many there are."""
    DROP = "drop"
    """Leave them out, each with a Fate."""
    TRUNCATE_MIDDLE = "truncate_middle"
    """Cut the middle of the thinking, so that its beginning, its end and the answer stay; each with a Fate."""
    TRUNCATE_END = "truncate_end"
    """Keep the first tokens, as trainers do unasked: most cut rows then have no answer, and none says where thinking
    ends. Only there to repeat s1's ablation of the sequence length; each with a Fate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRows:
    """Rows within the limit, in their order, and a Fate for each that was dropped or cut."""

    rows: tuple[TrainingRow, ...]
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatistics:
    """Counts over rows, in tokens."""

    num_rows: int
    num_tokens: int
    num_trained_tokens: int
    shortest_tokens: int
    median_tokens: int
    longest_tokens: int


def build_row(
    problem_id: str, prompt_ids: Sequence[int], completion_ids: Sequence[int], *, thinking_tokens: int | None = None
) -> TrainingRow:
    """A row that is trained on its completion alone: thinking, answer and the end-of-turn token it ends with.

    `thinking_tokens` says how many ids of the completion, from its first, are thinking. Raises DataError where
    prompt or completion is empty, since a first token has nothing it could be predicted from.
    """
    if not prompt_ids or not completion_ids:
        lack = "completion" if prompt_ids else "prompt"
        raise DataError(f"training row {problem_id}: the {lack} has no tokens; drop the row before training")
    if thinking_tokens is not None and not 0 <= thinking_tokens <= len(completion_ids):
        raise DataError(
            f"training row {problem_id}: {thinking_tokens} thinking tokens in a completion of {len(completion_ids)}"
        )
    start = len(prompt_ids)
    return TrainingRow(
        problem_id=problem_id,
        input_ids=(*prompt_ids, *completion_ids),
        trained=(False,) * start + (True,) * len(completion_ids),
        thinking=None if thinking_tokens is None else (start, start + thinking_tokens),
    )


def fit_rows(rows: Sequence[TrainingRow], max_length: int, policy: OverLong = OverLong.REFUSE) -> FittedRows:
    """`rows` with none longer than `max_length` tokens, by `policy`.

    Raises DataError under REFUSE where any is longer, under TRUNCATE_MIDDLE where cutting the thinking does not make
    room, and under TRUNCATE_END where nothing that is trained would be left. s1's ablation is why nothing is cut by
    default: cutting 74% of the rows at 4,096 tokens took AIME24 from 50% to 30% while the thinking tripled (arXiv
    2501.19393, sequence length ablation).
    """
    if max_length < 2:
        raise ConfigError(f"max_length is {max_length}; a training row has at least 2 tokens")
    too_long = [row for row in rows if len(row) > max_length]
    if too_long and policy is OverLong.REFUSE:
        raise DataError(_refusal(too_long, len(rows), max_length))
    if policy is OverLong.DROP:
        kept = tuple(row for row in rows if len(row) <= max_length)
        return FittedRows(rows=kept, fates=tuple(_dropped(row, max_length) for row in too_long))
    cut = cut_end if policy is OverLong.TRUNCATE_END else cut_middle
    return FittedRows(
        rows=tuple(cut(row, max_length) if len(row) > max_length else row for row in rows),
        fates=tuple(_cut(row, max_length, policy) for row in too_long),
    )


def cut_end(row: TrainingRow, max_length: int) -> TrainingRow:
    """The first `max_length` tokens of `row`. Raises DataError where none of them is trained."""
    if not any(row.trained[:max_length]):
        raise DataError(
            f"training row {row.problem_id}: its prompt alone has {row.trained.index(True)} tokens, so of the first "
            f"{max_length} none would be trained; raise max_length, or drop over-long rows (over_length=drop)"
        )
    thinking = None
    if row.thinking is not None:
        start, end = row.thinking
        thinking = (min(start, max_length), min(end, max_length))
    return replace(row, input_ids=row.input_ids[:max_length], trained=row.trained[:max_length], thinking=thinking)


def cut_middle(row: TrainingRow, max_length: int) -> TrainingRow:
    """`row` at exactly `max_length` tokens, those too many taken from the middle of its thinking.

    Raises DataError where the thinking is not known or has too few tokens; one is left on either side.
    """
    excess = len(row) - max_length
    if row.thinking is None:
        raise DataError(f"training row {row.problem_id}: its thinking span is not known, so it cannot be cut")
    start, end = row.thinking
    if end - start < excess + 2:
        raise DataError(
            f"training row {row.problem_id} has {len(row)} tokens, {excess} more than max_length {max_length}, but "
            f"only {end - start} of them are thinking; raise max_length, or drop over-long rows (over_length=drop)"
        )
    first = start + (end - start - excess) // 2
    last = first + excess
    return replace(
        row,
        input_ids=row.input_ids[:first] + row.input_ids[last:],
        trained=row.trained[:first] + row.trained[last:],
        thinking=(start, end - excess),
    )


def _refusal(too_long: Sequence[TrainingRow], num_rows: int, max_length: int) -> str:
    longest = max(too_long, key=len)
    return (
        f"{len(too_long)} of {num_rows} training rows are longer than max_length {max_length}; the longest is "
        f"{longest.problem_id} with {len(longest)} tokens. Nothing is cut silently: raise max_length to "
        f"{len(longest)}, or choose over_length=drop (leaves them out) or over_length=truncate_middle (cuts the middle "
        f"of the thinking)"
    )


def _dropped(row: TrainingRow, max_length: int) -> Fate:
    evidence = f"{len(row)} tokens, max_length {max_length}"
    return Fate(
        problem_id=row.problem_id, stage=STAGE, decision=Decision.DROPPED, reason="over_long", evidence=evidence
    )


def _cut(row: TrainingRow, max_length: int, policy: OverLong) -> Fate:
    is_end = policy is OverLong.TRUNCATE_END
    evidence = (
        f"{'the last ' if is_end else ''}{len(row) - max_length} of {len(row)} tokens cut, max_length {max_length}"
    )
    reason = "end_cut" if is_end else "thinking_cut"
    return Fate(problem_id=row.problem_id, stage=STAGE, decision=Decision.KEPT, reason=reason, evidence=evidence)


def token_statistics(rows: Sequence[TrainingRow]) -> TokenStatistics:
    """Counts over `rows`. Raises DataError where there are none."""
    if not rows:
        raise DataError("there are no training rows")
    lengths = [len(row) for row in rows]
    return TokenStatistics(
        num_rows=len(rows),
        num_tokens=sum(lengths),
        num_trained_tokens=sum(row.num_trained for row in rows),
        shortest_tokens=min(lengths),
        median_tokens=statistics.median_low(lengths),
        longest_tokens=max(lengths),
    )


def show(row: TrainingRow, tokenizer: Tokenizer) -> Text:
    """The row's text, special tokens included: trained tokens green, the others dim.

    Whole runs are decoded, not single tokens, so that a character of several tokens stays whole.
    """
    text = Text()
    start = 0
    while start < len(row):
        end = start
        while end < len(row) and row.trained[end] == row.trained[start]:
            end += 1
        run = tokenizer.decode(row.input_ids[start:end], skip_special_tokens=False)
        text.append(run, style="green" if row.trained[start] else "dim")
        start = end
    return text
