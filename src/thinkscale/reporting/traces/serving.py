"""The browser as a page of a server on this machine: a handful of addresses, all of them only for reading.

The standard library's server is enough: every answer is made in memory from a fixed table of addresses, so no path of a
request ever reaches the disk. Another site that makes a browser ask here (DNS rebinding) is refused by its Host
header, and a policy keeps the page from running or loading anything but its own files. Rejected: aiohttp, which the
project has for its clients, but which buys nothing where one person reads and adds a loop between them and the tables.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from thinkscale.errors import ConfigError, ThinkscaleError
from thinkscale.keys import JSON
from thinkscale.reporting.traces.details import details, problem_row
from thinkscale.reporting.traces.forced import Tokens
from thinkscale.reporting.traces.index import facets, read_index
from thinkscale.reporting.traces.page import browser_script, browser_style, resource
from thinkscale.reporting.traces.search import ORDERS, Query, TraceSearch

HOST = "127.0.0.1"
MOST_ROWS = 500
"""Of one request."""
SEARCH_SECONDS, QUICK_SECONDS = 0.5, 0.05
"""What one request may take of a search, and the first, which shows that something is found; the page asks again."""
MOST_CHARACTERS = 2000
"""Of an address with its query."""
REQUEST_SECONDS = 30
"""After which a connection that says nothing is closed."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes
    kind: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = POLICY


class TraceSite:
    """The run behind the addresses: `tables` holds its Parquet tables, `report` is its report.html if there is one."""

    def __init__(self, title: str, tables: Path, report: Path, tokens: Callable[[], Tokens | None]) -> None:
        self._title, self._tables, self._report, self._tokens = title, tables, report, tokens
        self._lock = Lock()
        self._read()

    def _read(self) -> None:
        self._stamp = self._table_stamp()
        self._index = read_index(self._tables)
        self._positions = self._index.positions()
        self._search = TraceSearch(self._tables, self._index)

    def _table_stamp(self) -> tuple[int, int, int]:
        """What changes where the run writes its tables again: rows then have other places."""
        found = (self._tables / "responses.parquet").stat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    @property
    def num_rows(self) -> int:
        """Responses of the run."""
        return self._index.rows.height

    def answer(self, target: str) -> Answer:
        """The answer to a GET of `target`."""
        if len(target) > MOST_CHARACTERS:
            return _problem(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
        parts = urlsplit(target)
        addresses: Mapping[str, Callable[[dict[str, str]], Answer]] = {
            "/": lambda _: self._page(),
            "/view.js": lambda _: Answer(browser_script().encode(), "text/javascript; charset=utf-8"),
            "/theme.js": lambda _: Answer(resource("theme.js").encode(), "text/javascript; charset=utf-8"),
            "/view.css": lambda _: Answer(browser_style().encode(), "text/css; charset=utf-8"),
            "/report": lambda _: self._whole_report(),
            "/favicon.ico": lambda _: Answer(b"", "image/x-icon", HTTPStatus.NO_CONTENT),
            "/api/index": lambda _: self._facets(),
            "/api/rows": self._rows,
            "/api/trace": self._trace,
        }
        if parts.path not in addresses:
            return _problem(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        try:
            given = parse_qs(parts.query, max_num_fields=20, errors="replace")
            with self._lock:
                if self._table_stamp() != self._stamp:
                    self._read()
            return addresses[parts.path]({name: values[-1] for name, values in given.items()})
        except ValueError as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))

    def _page(self) -> Answer:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("thinkscale.reporting"), autoescape=True, undefined=StrictUndefined
        )
        text = environment.get_template("view.html").render(title=self._title, has_report=self._report.is_file())
        return Answer(text.encode(), "text/html; charset=utf-8")

    def _whole_report(self) -> Answer:
        """The report as it lies there; it brings a policy of its own, which names its scripts by their hashes."""
        try:
            return Answer(self._report.read_bytes(), "text/html; charset=utf-8", policy="frame-ancestors 'none'")
        except OSError:
            return _problem(HTTPStatus.NOT_FOUND, "this run has no report yet")

    def _facets(self) -> Answer:
        made: dict[str, JSON] = {
            "num_all": self.num_rows,
            "facets": facets(self._index),
            "settings": self._index.setting_rows(),
        }
        return _json(made)

    def _rows(self, given: Mapping[str, str]) -> Answer:
        order = given.get("order", ORDERS[0])
        if order not in ORDERS:
            raise ValueError(f"order is one of {', '.join(ORDERS)}")
        query = Query(
            filters=given,
            text=given.get("q", ""),
            order=order,
            offset=_number(given, "offset", 0, self.num_rows),
            limit=_number(given, "limit", 100, MOST_ROWS),
            find=given.get("find", ""),
        )
        with self._lock:
            return _json(self._search.page(query, QUICK_SECONDS if given.get("quick") else SEARCH_SECONDS))

    def _trace(self, given: Mapping[str, str]) -> Answer:
        position = self._positions.get(given.get("key", ""))
        if position is None:
            return _problem(HTTPStatus.NOT_FOUND, "no response of this run has that key")
        with self._lock:
            row = self._search.row(position)
            (detail,) = details(self._tables, self._index, [position], self._tokens())
        problem = problem_row(self._index, self._index.rows["problem"][position])
        return _json({"row": row, "detail": detail, "problem": problem})


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ValueError(f"{name} is a number of 0 or more")
    return min(int(text), most)


def _json(value: JSON) -> Answer:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Answer(text.encode("utf-8", "replace"))


def _problem(status: HTTPStatus, text: str) -> Answer:
    return Answer(json.dumps({"error": text}).encode(), status=status)


class TraceServer(ThreadingHTTPServer):
    """Serves one site on the loopback interface. ConfigError where the port is taken; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, site: TraceSite, port: int) -> None:
        self.site = site
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(f"--port {port}: {error.strerror or error}; choose another, or 0 for any") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def names(self) -> tuple[str, ...]:
        """What a browser on this machine calls us."""
        return tuple(f"{name}:{self.server_address[1]}" for name in (HOST, "localhost"))


class _Handler(BaseHTTPRequestHandler):
    server: TraceServer
    protocol_version = "HTTP/1.1"
    server_version = "thinkscale"
    sys_version = ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        self._send(self._answered())

    def do_HEAD(self) -> None:
        self._send(self._answered(), with_body=False)

    def _answered(self) -> Answer:
        if self.headers.get_all("Host", []) not in [[name] for name in self.server.names]:
            return _problem(HTTPStatus.FORBIDDEN, "this page is only for this machine: open it by its printed address")
        try:
            return self.server.site.answer(self.path)
        except (ThinkscaleError, OSError) as error:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _send(self, answer: Answer, with_body: bool = True) -> None:
        self.send_response(answer.status)
        for name, value in {**HEADERS, "Content-Security-Policy": answer.policy}.items():
            self.send_header(name, value)
        if answer.status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses (a method that is not ours, a broken request), in our form."""
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._send(_problem(status, message or explain or status.phrase), with_body=self.command != "HEAD")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing: each scroll would be a line."""
