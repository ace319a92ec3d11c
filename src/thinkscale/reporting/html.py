"""report.html: one file that loads nothing, works offline and runs no script but ours."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from thinkscale.reporting.document import Browser, Document
from thinkscale.reporting.markdown import pieces_of
from thinkscale.reporting.theme import Figure, javascript_bundle
from thinkscale.reporting.traces.page import browser_script, resource

if TYPE_CHECKING:
    from markupsafe import Markup

INTERVAL = re.compile(r" (\[−?[\d,.]+, −?[\d,.]+\])")
REASON = re.compile(r" (\([^()]*\))$")
"""What stands in brackets behind a number: a share, or why there is no number."""


def render_html(document: Document, figures: Mapping[str, Figure], drawings: Mapping[str, str]) -> str:
    """The whole page. `drawings` holds each figure's SVG by name: it shows until, or unless, scripts run.

    The script of Vega is embedded once (0.9 MB), the figures' specifications as JSON, the responses packed. A content
    security policy names the hashes of our own scripts, so that text of a model could not run even if escaping failed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("thinkscale.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["interval"] = _with_interval
    environment.tests["block"] = lambda block, name: type(block).__name__ == name
    browsers = [block for section in document.sections for block in section.blocks if isinstance(block, Browser)]
    sources = [javascript_bundle(), resource("report.js")] if figures else []
    scripts = [_inline(source) for source in (*sources, *([browser_script()] if browsers else []))]
    theme = _inline(resource("theme.js"))
    return environment.get_template("report.html").render(
        document=document,
        drawings={name: base64.b64encode(svg.encode()).decode() for name, svg in drawings.items()},
        specs={name: _json_text(figure.spec) for name, figure in figures.items()},
        style=resource("report.css") + (resource("traces.css") if browsers else ""),
        theme=theme,
        scripts=scripts,
        policy=_policy([theme, *scripts]),
        pieces_of=pieces_of,
        has_browser=bool(browsers),
    )


def _inline(script: str) -> str:
    """A script that cannot end its own element."""
    return script.replace("</script", "<\\/script")


def _policy(scripts: list[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}; "
        "base-uri 'none'; form-action 'none'"
    )


def _json_text(value: object) -> str:
    """JSON that is safe inside a script element: nothing in it can close the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _with_interval(text: str) -> "Markup":
    """Escaped text with ` [low, high]` and a last ` (...)` set apart, so that the estimate is read first."""
    from markupsafe import Markup, escape

    marked = REASON.sub(r' <span class="reason">\1</span>', str(escape(text)))
    return Markup(INTERVAL.sub(r' <span class="interval">\1</span>', marked))
