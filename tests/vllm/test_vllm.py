"""A real vLLM behind our engine: the checks that every server must pass, and our command against vLLM's own parser.

vLLM and the local engine both compute in float32 here, so equality is exact (exchanges.plain_prompts says by how much).
"""

import os
import subprocess

import pytest

pytest.importorskip("torch")

from tests.engines.serving import exchanges
from tests.engines.serving.loopback import remote_engine
from tests.vllm.server import BLOCK_TOKENS, ENVIRONMENT, VllmServer
from thinkscale.commands.serve import ServeOptions, serve
from thinkscale.engines.catalogue import model_path
from thinkscale.engines.local import LocalEngine

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

PARSE = """
import sys
from vllm.entrypoints.openai.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
found = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
print(found.tensor_parallel_size, found.data_parallel_size, found.max_model_len, found.stream_interval)
print(found.generation_config, found.enable_prefix_caching, found.seed, found.reasoning_parser, found.dtype)
"""


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine(model_path("lab"), dtype="float32")


def test_token_ids_come_back_as_the_local_engine_makes_them(server: VllmServer, local: LocalEngine) -> None:
    exchanges.check_round_trips(remote_engine(server.base_url, local.tokenizer), local)


def test_budget_forcing_over_http_equals_the_local_engines(server: VllmServer, local: LocalEngine) -> None:
    exchanges.check_budget_forcing(remote_engine(server.base_url, local.tokenizer), local, count=8)


def test_log_probabilities_and_a_minimum_of_tokens_are_the_local_engines(
    server: VllmServer, local: LocalEngine
) -> None:
    exchanges.check_logprobs(remote_engine(server.base_url, local.tokenizer), local)


def test_a_continuation_is_found_in_the_prefix_cache(server: VllmServer, local: LocalEngine) -> None:
    exchanges.check_prefix_cache(remote_engine(server.base_url, local.tokenizer), server.base_url, BLOCK_TOKENS)


def test_a_server_killed_and_restarted_loses_nothing_and_does_nothing_twice(
    server: VllmServer, local: LocalEngine
) -> None:
    exchanges.check_kill(remote_engine(server.base_url, local.tokenizer), local, server, count=48)


def test_vllm_understands_every_option_of_our_command(vllm_python: str) -> None:
    options = ServeOptions(model="QwQ-32B", gpus=8, gpu_memory_gib=80.0, python=vllm_python)
    command = serve(options).command
    assert command[1:3] == ("-m", "vllm.entrypoints.openai.api_server")
    words = [vllm_python, "-c", PARSE, *command[3:]]
    parsed = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, timeout=300, check=False
    )
    assert parsed.returncode == 0, parsed.stderr[-4000:]
    assert parsed.stdout.splitlines()[-2:] == ["2 4 36864 16", "vllm True 42 deepseek_r1 bfloat16"]
