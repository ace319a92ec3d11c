"""What is found out before the first request, and what is refused."""

from pathlib import Path

import pytest

from tests.engines.remote.pools import api_key, backend, pool, requests
from thinkscale.engines.remote import opening
from thinkscale.engines.remote.jobs import Terms
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import Pool, check_endpoints, open_chat, read_endpoints
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.errors import ConfigError, DataError, EngineError, ModelError

CLOSED = "http://127.0.0.1:9/v1"
DIALECT = OpenAIChat(model="toy")


def test_a_model_that_is_not_served_is_named_with_what_is() -> None:
    with running_server(backend()) as server, pytest.raises(ModelError, match="does not serve 'huge'; it serves toy"):
        open_chat(pool(server.url, model="huge"), DIALECT)


def test_the_first_endpoint_that_answers_is_enough() -> None:
    with running_server(backend()) as server:
        engine = open_chat(pool(CLOSED, server.url), DIALECT)
        assert len(list(engine.answer(requests(3)))) == 3


def test_nobody_there_is_an_error_after_the_patience_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "ASK_AGAIN_SECONDS", 0.02)
    notices: list[str] = []
    empty = Pool(model="toy", endpoints=(CLOSED,), terms=Terms(patience_seconds=0.1), notice=notices.append)
    with pytest.raises(EngineError, match=r"no endpoint answers: http://127.0.0.1:9/v1: .*thinkscale serve"):
        open_chat(empty, DIALECT)
    assert len(notices) == 1
    assert notices[0].startswith("waiting up to 0.1 s for an endpoint: ")


def test_an_endpoint_with_a_user_a_password_or_a_key_is_refused_without_showing_it() -> None:
    for url in ("http://me:hidden@host/v1", "https://host/v1?key=hidden"):
        with pytest.raises(ConfigError, match="holds no user, password or key") as caught:
            check_endpoints((url,))
        assert "hidden" not in str(caught.value)
    for url in ("host:8000", "ftp://host", "http://", ""):
        with pytest.raises(ConfigError, match="is no endpoint; give a base URL"):
            check_endpoints((url,))


def test_each_endpoint_counts_once() -> None:
    assert check_endpoints(("http://a/v1/", "http://a/v1", "https://b")) == ("http://a/v1", "https://b")


def test_a_file_of_endpoints_has_one_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.txt"
    path.write_text("# ours\nhttp://a/v1  # first\n\nhttp://b/v1\nhttp://a/v1\n")
    assert read_endpoints(path) == ("http://a/v1", "http://b/v1")
    path.write_text("# none\n")
    with pytest.raises(DataError, match="there is no endpoint in it"):
        read_endpoints(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_endpoints(tmp_path / "absent.txt")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_endpoints(path)


@pytest.mark.parametrize("num_keys", [1, 2])
def test_the_next_key_is_tried_where_the_first_is_refused(monkeypatch: pytest.MonkeyPatch, num_keys: int) -> None:
    from thinkscale.engines.remote import health
    from thinkscale.engines.remote.failures import Failure, FailureKind

    async def served(_session: object, _endpoint: str, headers: dict[str, str], _model: str) -> health.Served:
        if "good" not in headers["Authorization"]:
            raise Failure(FailureKind.REFUSED_KEY, "HTTP 401")
        return health.Served(identity={"host": "a"})

    monkeypatch.setattr(health, "served", served)
    keys = (api_key("sk-bad-secret-1"), api_key("sk-good-secret-2"))[:num_keys]
    asked = Pool(model="toy", endpoints=("http://a/v1",), keys=keys)
    if num_keys == 2:
        assert open_chat(asked, DIALECT).name == "toy"
    else:
        with pytest.raises(EngineError, match="http://a/v1 refuses the key: HTTP 401"):
            open_chat(asked, DIALECT)


def test_the_identity_of_a_served_model_is_owner_and_root_and_its_length_is_read() -> None:
    with running_server(backend(), ServerOptions(max_model_len=4096)) as server:
        engine = open_chat(pool(server.url), DIALECT)
    assert engine.memory.place == '{"owned_by":"thinkscale","root":"toy"}'
