"""The server of `view`: what it answers, and whom."""

import http.client
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.reporting.traces.small_run import HOSTILE, Characters, write_many, write_tables
from thinkscale.errors import ConfigError
from thinkscale.reporting.traces.serving import TraceServer, TraceSite


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TraceServer]:
    tables = write_tables(tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("<h1>the report</h1>")
    (tmp_path / "secret.txt").write_text("secret")
    with TraceServer(TraceSite("A <run>", tables, tables / "report.html", Characters), 0) as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class Reply:
    def __init__(self, server: TraceServer, target: str, method: str = "GET", host: str | None = None) -> None:
        port = server.server_address[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest(method, target, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{port}")
        connection.endheaders()
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


def test_the_page_names_the_run_and_loads_only_its_own_files(server: TraceServer) -> None:
    page = Reply(server, "/")
    assert page.status == 200
    assert b"A &lt;run&gt;" in page.body
    assert b'href="/report"' in page.body
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    for name, kind in (("/view.js", "text/javascript"), ("/theme.js", "text/javascript"), ("/view.css", "text/css")):
        file = Reply(server, name)
        assert file.status == 200
        assert file.headers["Content-Type"].startswith(kind)
        assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert Reply(server, "/report").body == b"<h1>the report</h1>"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_site_that_points_its_name_here_is_refused(server: TraceServer, host: str) -> None:
    reply = Reply(server, "/api/rows", host=host)
    assert reply.status == 403
    assert b"e1" not in reply.body


def test_localhost_is_this_machine_too(server: TraceServer) -> None:
    assert Reply(server, "/api/rows", host=f"localhost:{server.server_address[1]}").status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/report/../../secret.txt",
        "//etc/passwd",
        "/responses.parquet",
        "/templates/view.html",
        "/api",
    ],
)
def test_no_path_reaches_the_disk(server: TraceServer, target: str) -> None:
    reply = Reply(server, target)
    assert reply.status == 404
    assert reply.json == {"error": "there is nothing at this address"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_but_reading_is_allowed(server: TraceServer, method: str) -> None:
    assert Reply(server, "/api/rows", method).status == 405


def test_head_has_the_headers_of_get_and_no_body(server: TraceServer) -> None:
    head = Reply(server, "/api/rows", "HEAD")
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(Reply(server, "/api/rows").body))


def test_rows_are_filtered_searched_and_paged(server: TraceServer) -> None:
    rows = Reply(server, "/api/rows?verdict=correct&q=wait&limit=1").json
    assert (rows["total"], [row["key"] for row in rows["rows"]]) == (1, ["e1"])
    assert [row["key"] for row in Reply(server, "/api/rows?offset=4").json["rows"]] == ["e4", "e5"]
    assert Reply(server, "/api/rows?offset=99999999999").json["rows"] == []
    assert Reply(server, "/api/index").json["num_all"] == 6


def test_a_trace_comes_whole(server: TraceServer) -> None:
    trace = Reply(server, "/api/trace?key=e3").json
    assert trace["detail"]["answer"] == f"B {HOSTILE}"
    assert trace["problem"]["reference"] == "B"
    assert trace["row"]["verdicts"] == ["correct", "wrong"]
    assert Reply(server, "/api/trace?key=e1").json["detail"]["thinking"] == ["First 3.\n", "Wait", "\nThen 4."]
    assert Reply(server, "/api/trace?key=e1").headers["Content-Type"] == "application/json"
    assert Reply(server, "/api/trace?key=nobody").status == 404
    assert Reply(server, "/api/trace").status == 404


@pytest.mark.parametrize("query", ["limit=-1", "offset=x", "order=random", "limit=1e9", "&".join(["a=b"] * 30)])
def test_a_request_that_makes_no_sense_is_said_to_be_one(server: TraceServer, query: str) -> None:
    assert Reply(server, f"/api/rows?{query}").status == 400


def test_addresses_are_bounded(server: TraceServer) -> None:
    assert Reply(server, "/api/rows?q=" + "x" * 5000).status == 414


def test_no_more_rows_are_given_at_once_than_a_page_needs(tmp_path: Path) -> None:
    site = TraceSite("many", write_many(tmp_path, 1000), tmp_path / "report.html", lambda: None)
    assert len(json.loads(site.answer("/api/rows?limit=100000").body)["rows"]) == 500
    assert site.answer("/report").status == 404
    assert b"/report" not in site.answer("/").body


def test_tables_that_the_run_wrote_again_are_read_again(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "run")
    site = TraceSite("t", tables, tmp_path / "none", lambda: None)
    assert site.num_rows == 6
    shutil.rmtree(tables)
    write_many(tables, 20)
    assert json.loads(site.answer("/api/rows").body)["total"] == 20
    assert json.loads(site.answer("/api/trace?key=t19").body)["detail"]["thinking"] == ["row 19 of all"]


def test_a_port_that_is_taken_is_the_callers_mistake(server: TraceServer, tables: Path) -> None:
    site = TraceSite("t", tables, tables / "none", lambda: None)
    with pytest.raises(ConfigError, match="--port"):
        TraceServer(site, server.server_address[1])
