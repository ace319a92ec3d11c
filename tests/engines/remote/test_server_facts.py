"""What a server says of itself, asked of a small one on loopback."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from thinkscale.engines.remote.server_facts import server_facts


@contextmanager
def serving(pages: Mapping[str, object]) -> Iterator[str]:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_in_development_mode_says_all() -> None:
    info = {
        "vllm_config": {"model_config": {"dtype": "torch.bfloat16"}},
        "vllm_env": {"VLLM_BATCH_INVARIANT": True},
        "attention_backend": "FLASH_ATTN",
    }
    with serving({"/version": {"version": "0.11.2"}, "/server_info": info}) as endpoint:
        assert server_facts(endpoint) == {
            "server": "vllm 0.11.2",
            "batch_invariant": "on",
            "dtype": "torch.bfloat16",
            "attention": "FLASH_ATTN",
        }


def test_a_switch_that_is_off_is_said_to_be_off() -> None:
    with serving({"/server_info": {"vllm_env": {"VLLM_BATCH_INVARIANT": "0"}}}) as endpoint:
        assert server_facts(endpoint)["batch_invariant"] == "off"


def test_what_a_server_does_not_say_is_unknown() -> None:
    unknown = {"server": "unknown", "batch_invariant": "unknown", "dtype": "unknown", "attention": "unknown"}
    with serving({"/version": b"<html>no</html>", "/server_info": ["x"]}) as endpoint:
        assert server_facts(endpoint) == unknown
    assert server_facts(endpoint) == unknown  # nobody listens there any more
    assert server_facts("") == unknown
    assert server_facts("file:///etc/hostname") == unknown
