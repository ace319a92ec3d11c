"""report.md: the document as GitHub-flavoured Markdown, figures by relative path."""

import re

from thinkscale.reporting.data import Piece, Sample
from thinkscale.reporting.document import Alarm, Block, Browser, Bullets, Document, Drawing, Table, Text, Trace
from thinkscale.reporting.wording import count

MOST_CHARACTERS = 8000
"""Of one fenced text; more is cut in the middle, and the cut says so. The HTML report shows everything."""

FORCED_OPEN, FORCED_CLOSE = "⟦", "⟧"


def render_markdown(document: Document) -> str:
    """The whole document as Markdown. Text of models and problems cannot leave its place in it."""
    lines = [f"# {escaped(document.title)}", ""]
    lines += [f"- **{escaped(name)}**: {escaped(value)}" for name, value in document.facts]
    for section in document.sections:
        lines += ["", f"## {escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Plain text on one line that no Markdown reader takes for markup, a link, an image or HTML."""
    line = " ".join(text.split()).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([`*|~])", r"\\\1", line).replace("](", "]\\(").replace("![", "!\\[")


def _block(block: Block) -> list[str]:
    match block:
        case Text(text=text):
            return [escaped(text)]
        case Bullets(items=items):
            return [f"- {escaped(item)}" for item in items]
        case Alarm(items=items, title=title):
            return [f"> **{escaped(title)}**", ">", *(f"> - **{escaped(item)}**" for item in items)]
        case Drawing(figure=figure):
            image = f"![{escaped(figure.alt)}](figures/{figure.name}.png)"
            return [f"**{escaped(figure.title)}**", "", image, "", f"*{escaped(figure.caption)}*"]
        case Table():
            return _table(block)
        case Trace():
            return _trace(block)
        case Browser():
            return [escaped("report.html has them to search and read.")]


def _table(table: Table) -> list[str]:
    lines = [f"### {escaped(table.title)}", ""] if table.title else []
    align = [":--" if column < table.num_words else "--:" for column in range(len(table.headers))]
    lines += [_row(table.headers), "|" + "|".join(align) + "|", *(_row(row) for row in table.rows)]
    return lines + (["", escaped(table.note)] if table.note else [])


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _trace(trace: Trace) -> list[str]:
    sample = trace.sample
    lines = [f"### {escaped(trace.title)}", ""]
    lines += [f"- **{name}**: {escaped(value)}" for name, value in trace.facts]
    lines += ["", "Question:", "", *_fenced(sample.problem.question)]
    spans = f"{count(trace.num_forced)} forced {'span' if trace.num_forced == 1 else 'spans'}"
    thinking = f"Thinking ({count(sample.response.thinking_tokens)} tokens, {spans})"
    lines += _folded(thinking, marked_thinking(sample))
    lines += _folded("Prompt", sample.prompt)
    return [*lines, "", "Answer:", "", *_fenced(sample.response.answer_text)]


def marked_thinking(sample: Sample) -> str:
    """The thinking with forced text in double brackets."""
    return "".join(
        f"{FORCED_OPEN}{piece.text}{FORCED_CLOSE}" if piece.forced else piece.text for piece in pieces_of(sample)
    )


def pieces_of(sample: Sample) -> tuple[Piece, ...]:
    """The pieces of the thinking; one where nobody cut it."""
    return sample.pieces or (Piece(text=sample.response.thinking),)


def _folded(summary: str, text: str) -> list[str]:
    # The empty line ends the HTML block, so that the fence is read as Markdown and holds whatever the text is.
    return ["", f"<details><summary>{summary}</summary>", "", *_fenced(text), "", "</details>"]


def _fenced(text: str) -> list[str]:
    """`text` in a fence longer than any fence in it."""
    if len(text) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        gap = f"[... {count(len(text) - 2 * half)} characters are left out here; report.html shows them ...]"
        text = f"{text[:half]}\n\n{gap}\n\n{text[-half:]}"
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]
