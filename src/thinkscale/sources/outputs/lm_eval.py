"""lm-evaluation-harness sample logs: a line for each document and filter, `resps` as the model wrote them.

Read are the unfiltered responses, all repeats of them; the harness's filters are its extraction, not ours. With
several filters (GSM8K: strict-match, flexible-extract) the log holds every document once for each, with the same
responses: a response is one row here, and `recorded_by` has the verdict under each filter. `recorded` is the first
metric of the first filter. A metric counts as a verdict only where it is 0 or 1 and speaks of one response.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Verdict
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.outputs.entries import entries, first_character
from thinkscale.sources.outputs.questions import stated_problem

FRAME = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
     "target_hash"}
)  # fmt: skip
"""Keys of a sample that are no metric."""
MAX_FILTERS = 64


def is_lm_eval(row: JSON) -> bool:
    """Whether a row is a sample of the harness."""
    return isinstance(row, dict) and "doc_id" in row and ("resps" in row or "filtered_resps" in row)


def read_lm_eval(path: Path) -> Iterator[SourceRow]:
    """A row for each response. Raises DataError on samples without text, and on filters that cannot be laid together.

    The file is read once to find its filters, and then once for each of them, side by side, so that memory does not
    grow with its length.
    """
    filters = list(_filters(path))
    streams = [_under_filter(path, name) for name in filters]
    for first, *others in zip_longest(*streams):
        samples = [first, *others]
        if any(row is None or row.values.get("doc_id") != first.values.get("doc_id") for row in samples):
            raise DataError(
                f"{path}: the filters {', '.join(filters)} do not list the same documents in the same order; "
                "keep the lines of one filter"
            )
        yield from _responses(first, samples)


def _samples(path: Path) -> Iterator[SourceRow]:
    """Samples of a file of lines, or of one array as early versions wrote it."""
    if first_character(path) != "[":
        yield from read_rows(path)
        return
    for key, value in entries(path):
        place = f"{path}, entry {int(key) + 1}"
        if not isinstance(value, dict):
            raise DataError(f"{place}: a sample must be a JSON object, this is {type(value).__name__}")
        yield SourceRow(place, value)


def _under_filter(path: Path, name: str) -> Iterator[SourceRow]:
    return (row for row in _samples(path) if _filter(row.values) == name)


def _filter(values: Mapping[str, JSON]) -> str:
    return str(values.get("filter") or "none")


def _filters(path: Path) -> Iterable[str]:
    found: dict[str, None] = {}
    for row in _samples(path):
        found[_filter(row.values)] = None
        if len(found) > MAX_FILTERS:
            raise DataError(f"{row.place}: more than {MAX_FILTERS} filters; `filter` must name the filter of the line")
    return found


def _responses(row: SourceRow, samples: list[SourceRow]) -> Iterator[SourceRow]:
    if not is_lm_eval(dict(row.values)):
        raise DataError(f"{row.place}: there is no `doc_id` with `resps`; it is no sample of lm-eval")
    texts = list(_texts(row))
    doc = row.values.get("doc")
    columns: Mapping[str, JSON] = doc if isinstance(doc, dict) else {}
    problem = stated_problem({**columns, "target": row.values.get("target")}, _prompt(row.values.get("arguments")))
    verdicts = [pair for sample in samples for pair in _metrics(sample.values)] if len(texts) == 1 else []
    recorded = {"recorded": verdicts[0][1] if verdicts else None, "recorded_by": dict(verdicts)}
    name = str(row.values["doc_id"])
    for number, text in enumerate(texts):
        row_id = name if len(texts) == 1 else f"{name}/{number}"
        yield SourceRow(row.place, {"id": row_id, **problem, "response": text, **recorded})


def _texts(row: SourceRow) -> Iterator[str]:
    """The responses: `resps` is a list over requests, each a list over repeats."""
    requests = row.values.get("resps")
    if not isinstance(requests, list) or not requests:
        raise DataError(f"{row.place}: there are no `resps`; filtered answers alone are not what the model wrote")
    for request in requests:
        for text in request if isinstance(request, list) else [request]:
            if not isinstance(text, str):
                raise DataError(
                    f"{row.place}: `resps` holds log-likelihoods, not text; only generated answers can be graded"
                )
            yield text


def _prompt(arguments: JSON) -> str:
    """The prompt: `{"gen_args_0": {"arg_0": prompt}}`, or `[[prompt, settings]]` in early versions."""
    while isinstance(arguments, (dict, list)) and arguments:
        arguments = next(iter(arguments.values())) if isinstance(arguments, dict) else arguments[0]
    return arguments if isinstance(arguments, str) else ""


def _metrics(values: Mapping[str, JSON]) -> Iterator[tuple[str, JSON]]:
    """Pairs of `metric,filter` and a verdict, in the order of the sample."""
    named = values.get("metrics")
    names = [str(name) for name in named] if isinstance(named, list) else [key for key in values if key not in FRAME]
    for name in names:
        value = values.get(name)
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            yield f"{name},{_filter(values)}", (Verdict.CORRECT if value else Verdict.WRONG).value
