"""The token engine over HTTP equals the local engine, also over a server that dies: the checks that vLLM passes too."""

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

from tests.engines.serving import exchanges
from tests.engines.serving.loopback import LoopbackServer, loopback_server, remote_engine
from thinkscale.engines.catalogue import model_path
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.scripted.served import BLOCK_TOKENS

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine(model_path("lab"), dtype="float64")


@pytest.fixture(scope="module")
def server(local: LocalEngine) -> Iterator[LoopbackServer]:
    with loopback_server(LocalEngine(model_path("lab"), dtype="float64")) as running:
        yield running


def test_ids_come_back_as_the_local_engine_makes_them(server: LoopbackServer, local: LocalEngine) -> None:
    exchanges.check_round_trips(remote_engine(server.base_url, local.tokenizer), local, max_tokens=32)


def test_budget_forcing_over_http_equals_the_local_engines(server: LoopbackServer, local: LocalEngine) -> None:
    exchanges.check_budget_forcing(remote_engine(server.base_url, local.tokenizer), local, count=1)


def test_log_probabilities_and_a_minimum_of_tokens_are_the_local_engines(
    server: LoopbackServer, local: LocalEngine
) -> None:
    exchanges.check_logprobs(remote_engine(server.base_url, local.tokenizer), local)


def test_a_continuation_is_found_in_the_servers_cache(server: LoopbackServer, local: LocalEngine) -> None:
    exchanges.check_prefix_cache(remote_engine(server.base_url, local.tokenizer), server.base_url, BLOCK_TOKENS)


def test_a_server_that_dies_and_comes_back_costs_no_completion(local: LocalEngine) -> None:
    with loopback_server(LocalEngine(model_path("lab"), dtype="float64"), tokens_per_second=300) as running:
        exchanges.check_kill(remote_engine(running.base_url, local.tokenizer), local, running, count=8)
