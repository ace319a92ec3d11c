"""The section of the report that holds the trace browser."""

from thinkscale.reporting.document import Browser, Section, Text
from thinkscale.reporting.traces.inline import InlineTraces
from thinkscale.reporting.wording import count

NOTE = (
    "Choose a response to read its question, thinking, answer and grade. Forced tokens and the place where a budget "
    "cut are marked. A response that several cells read stands here once; filters for method, budget, waits and "
    "variant find it by any of them, and the verdict is then that of the cell. Every view has a link of its own in the "
    "address."
)
PART = (
    "This page holds {shown} of {all} responses (its limit is {limit} MB): of every benchmark, model, verdict and "
    "setting the first ones. All of them: thinkscale view with this run's folder."
)


def traces_section(traces: InlineTraces | None) -> Section | None:
    """The browser, and what of the run it holds."""
    if traces is None:
        return None
    blocks = [Text(text=NOTE, note=True)]
    if not traces.is_complete:
        limit = f"{traces.most_bytes / 1e6:g}"
        blocks.append(Text(text=PART.format(shown=count(traces.num_rows), all=count(traces.num_all), limit=limit)))
    return Section(anchor="traces", title="All responses", blocks=(*blocks, Browser(traces=traces)))
