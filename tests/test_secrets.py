"""Whatever fails, and however the server echoes them, no API key is in anything that a run leaves behind."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

from tests.generating import Terminal, write_problems
from thinkscale import pipeline

KEYS = {
    "environment": "Qm4-environment-7fT2xW9z",
    "dotenv": "Zr8-dotenv-K3vB6nP1",
    "file": "Hx5-keyfile-D9sL2cJ7",
    "provider": "sk-provider-0aG4hT8mE2yU6",
}
"""Shapes that no pattern of keys knows, and one that it does."""

EVENT = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}


def all_headers(handler: BaseHTTPRequestHandler) -> str:
    """What came with the call, and every key that there is: as a careless proxy logs it."""
    return f"{dict(handler.headers.items())} {' '.join(KEYS.values())}"


def chunk(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return "data: " + json.dumps({**EVENT, "choices": [choice]}) + "\n\n"


class Echo(BaseHTTPRequestHandler):
    """Fails in a different way from call to call, with the keys in whatever it says."""

    calls = 0

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.answer(404, "text/plain", all_headers(self))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Echo.calls += 1
        said = all_headers(self)
        broken = chunk({"content": "One"}) + "data: " + json.dumps({"error": {"message": said, "code": 500}}) + "\n\n"
        padded = {"error": {"message": "x" * (290 - Echo.calls % 40) + said, "type": "api_error"}}
        ways = (
            (400, "application/json", json.dumps({"error": {"message": said, "type": "invalid_request_error"}})),
            (500, "text/html", f"<pre>{said}</pre>"),
            (500, "application/json", json.dumps(padded)),
            (200, "text/event-stream", broken),
            (200, "text/event-stream", f"data: {said}\n\n"),
            (200, "application/json", said),
        )
        self.answer(*ways[Echo.calls % len(ways)])

    def answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status, KEYS["environment"])
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.send_header("X-Debug-Authorization", self.headers.get("Authorization", ""))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def echoing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    """In a folder with keys in every place where one may be."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "work" / "cache"))
    monkeypatch.setenv("TEACHER_KEY", KEYS["environment"])
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["provider"])
    monkeypatch.delenv("TEACHER_KEY_2", raising=False)
    for path, text in ((Path(".env"), f"TEACHER_KEY_2={KEYS['dotenv']}\n"), (tmp_path / "keys.txt", KEYS["file"])):
        path.write_text(text)
        path.chmod(0o600)
    return Terminal(monkeypatch, capsys, reports=True)


def texts_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and those of every packed value of a database."""
    yield path.read_bytes()
    if path.suffix != ".db":
        return
    with sqlite3.connect(path) as connection:
        tables = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                for value in row:
                    if isinstance(value, bytes):
                        yield zstandard.ZstdDecompressor().decompressobj().decompress(value)
                    else:
                        yield str(value).encode()
    connection.close()


def found_in(folder: Path, *said: str) -> list[str]:
    """Where a key stands: in any file but `.env`, or in what was said."""
    places: list[tuple[str, bytes]] = [("terminal", text.encode()) for text in said]
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            places += [(path.name, text) for text in texts_of(path)]
    assert len(places) > len(said)
    return [f"{place}: {name}" for place, text in places for name, key in KEYS.items() if key.encode() in text]


VARIABLES, FILE = ("--key-variable", "TEACHER_KEY"), ("--key-file", "../keys.txt")


@pytest.mark.parametrize(
    ("engine", "keys"),
    [("openai", VARIABLES), ("openai", FILE), ("anthropic", VARIABLES)],
    ids=["openai, variables", "openai, file", "anthropic, variables"],
)
def test_a_failing_run_shows_no_key_in_anything_that_it_leaves_behind(
    terminal: Terminal, engine: str, keys: tuple[str, str]
) -> None:
    problems = write_problems(Path("problems.jsonl"), 24)
    with echoing() as url:
        # Those that are not this run's keys are known all the same where the environment has them.
        code, out, err = terminal.type(
            "generate", str(problems), "--engine", engine, "--model", "m", "--endpoint", url, *keys, "--out", "run",
            "--max-failures", "1", "--set", "generate.engine.retries=0",
        )  # fmt: skip
    status = terminal.done("status", "run")
    terminal.done("report", "run") if code == 0 else None
    assert "failed" in status
    assert "**" in status
    leaks = found_in(Path(), out, err, status)
    own = {"--key-variable": ("environment", "dotenv", "provider"), "--key-file": ("file", "provider")}[keys[0]]
    assert [leak for leak in leaks if leak.split(": ")[1] in own] == []


def test_a_refused_key_is_named_and_not_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Echo) -> None:
        self.answer(401, "application/json", json.dumps({"error": {"message": f"Incorrect key: {all_headers(self)}"}}))

    monkeypatch.setattr(Echo, "do_GET", refuse)
    monkeypatch.setattr(Echo, "do_POST", refuse)
    problems = write_problems(Path("problems.jsonl"), 3)
    with echoing() as url:
        arguments = ("generate", str(problems), "--model", "m", "--endpoint", url, "--key-variable", "TEACHER_KEY")
        code, out, err = terminal.type(*arguments, "--out", "run")
    assert code == 1
    assert "key" in err
    own = ("environment", "dotenv", "provider")
    assert [leak for leak in found_in(Path(), out, err) if leak.split(": ")[1] in own] == []


def test_the_traceback_of_a_mistake_of_ours_shows_no_key(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"headers were Authorization: Bearer {KEYS['environment']}")

    monkeypatch.setattr(pipeline, "collect_provenance", broken)
    problems = write_problems(Path("problems.jsonl"), 3)
    with echoing() as url:
        arguments = ("generate", str(problems), "--model", "m", "--endpoint", url, "--key-variable", "TEACHER_KEY")
        code, out, err = terminal.type(*arguments, "--out", "run")
    assert code == 1
    assert "RuntimeError: headers were Authorization: Bearer ***" in err
    assert found_in(Path(), out, err) == []


def test_a_key_in_an_endpoint_is_refused_and_not_repeated(terminal: Terminal) -> None:
    problems = write_problems(Path("problems.jsonl"), 3)
    for url in (f"http://{KEYS['file']}@host/v1", f"http://host/v1?key={KEYS['file']}"):
        message = terminal.refused("generate", str(problems), "--model", "m", "--endpoint", url, "--out", "run")
        assert "keys come from the environment or a file" in message
        assert KEYS["file"] not in message
    assert not Path("run").exists()
