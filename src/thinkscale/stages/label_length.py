"""The length of each problem's trace in tokens: as the response states it, or of a tokenizer that is named.

With a tokenizer the thinking of each trace that counts is tokenized again, in batches, so that traces of several
teachers, or of one that does not count, are measured alike (s1 counts with Qwen2.5-32B-Instruct's).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, cast

from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.errors import DataError
from thinkscale.records import Label
from thinkscale.stages.label_traces import Chosen, Trace, read_traces
from thinkscale.stages.label_work import Work

PLACE = 1 << 38
TRACES_PER_UNIT = 256
TRACES_AT_ONCE = 32
"""Tokenized together: a thousand pages of ids at most, whatever the number of traces."""


class BatchTokenizer(Protocol):
    """A Hugging Face tokenizer over several texts."""

    def __call__(
        self, text: list[str], *, add_special_tokens: bool, verbose: bool
    ) -> Mapping[str, Sequence[Sequence[int]]]: ...


def label_lengths(work: Work) -> None:
    """Counts the tokens of traces, where a tokenizer is named. Raises ModelError where it cannot be had."""
    name, context = work.settings.tokenizer, work.context
    if name is None:
        return
    stored = context.stored()
    wanted = [number for number in range(_num_units(work)) if _unit(number) not in stored]
    if not wanted:
        return
    tokenizer = cast(BatchTokenizer, open_tokenizer(name))
    traces = _that_count(work)
    with context.progress.task(context.stage, len(work.traces), "traces counted") as task:
        for number in range(_num_units(work)):
            unit = list(islice(traces, TRACES_PER_UNIT))
            if number in wanted:
                context.commit(_unit(number), PLACE + number, _labels(unit, name, tokenizer))
            task.advance(len(unit))


def _num_units(work: Work) -> int:
    return -(-len(work.traces) // TRACES_PER_UNIT)


def _unit(number: int) -> str:
    return f"trace_tokens:{number}"


def _that_count(work: Work) -> Iterator[Trace]:
    """The trace that counts of each problem, in their order."""
    waiting = {name: chosen.key for name, chosen in work.traces.items()}
    for trace in read_traces(work.context, work.settings):
        if waiting.get(trace.problem_id) == trace.key:
            del waiting[trace.problem_id]
            yield trace


def _labels(traces: list[Trace], name: str, tokenizer: BatchTokenizer) -> Iterator[Label]:
    for start in range(0, len(traces), TRACES_AT_ONCE):
        batch = traces[start : start + TRACES_AT_ONCE]
        texts = [trace.thinking for trace in batch]
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        for trace, tokens in zip(batch, ids, strict=True):
            yield _label(trace.problem_id, str(len(tokens)), name, trace.key)


def stated_length(work: Work, problem_id: str, chosen: Chosen) -> Label:
    """The length that the response states. Raises DataError where it states none."""
    if chosen.thinking_tokens is None:
        raise DataError(
            f"{work.settings.responses}: the response to {problem_id} states no `thinking_tokens`; name a tokenizer "
            "that counts them (label.tokenizer, --tokenizer)"
        )
    return _label(problem_id, str(chosen.thinking_tokens), chosen.model, chosen.key)


def _label(problem_id: str, value: str, by: str, key: str) -> Label:
    return Label(problem_id=problem_id, name="trace_tokens", value=value, by=by, evidence=f"response {key}")
