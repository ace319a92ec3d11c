"""The parts of a page with the browser: its script, joined from files that share one scope."""

from importlib.resources import files

SCRIPTS = ("traces_words.js", "traces_rows.js", "traces_list.js", "traces_opened.js", "traces_page.js")


def resource(name: str) -> str:
    """A file of the templates."""
    return files("thinkscale.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def browser_script() -> str:
    """The browser's script, closed in itself."""
    return "(() => {\n" + "\n".join(resource(name) for name in SCRIPTS) + "})();\n"


def browser_style() -> str:
    """The style of a page that holds only the browser."""
    return resource("report.css") + resource("traces.css")
