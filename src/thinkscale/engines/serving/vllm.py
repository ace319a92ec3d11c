"""The vLLM command for a plan. Options are those of vLLM 0.32, each with its reason in docs/serving.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from thinkscale.engines.serving.plan import UTILIZATION, ServePlan

STREAM_TOKENS = 16
"""Tokens in one event of a stream: less JSON on both sides than with one each. Drafts are saved every 512 tokens."""
SEED = 42
MODULE = "vllm.entrypoints.openai.api_server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a server listens, and what it serves under which name."""

    model: str
    """A Hub id or a folder, as vLLM reads it."""
    served_name: str | None = None
    """The name that clients ask for, where it is not `model`."""
    host: str = "127.0.0.1"
    port: int = 8000
    reasoning_parser: str | None = None
    quantization: str | None = None

    @property
    def base_url(self) -> str:
        """What clients call: a server that listens everywhere is called by this machine's loopback address."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def vllm_command(plan: ServePlan, server: Server, python: str | None = None, extra: Sequence[str] = ()) -> list[str]:
    """Words of the command. `python` is the interpreter of vLLM's environment; without it `vllm` is looked for on PATH.

    An API key is never an argument, since every user of a machine can read those: vLLM reads VLLM_API_KEY itself.
    `extra` comes last, so that it overrides what stands before.
    """
    begin = [python, "-m", MODULE, "--model", server.model] if python else ["vllm", "serve", server.model]
    if server.served_name and server.served_name != server.model:
        begin += ["--served-model-name", server.served_name]
    options: dict[str, object] = {
        "--host": server.host,
        "--port": server.port,
        "--dtype": plan.footprint.dtype,
        "--tensor-parallel-size": plan.tensor_parallel,
        "--data-parallel-size": plan.data_parallel,
        "--max-model-len": plan.max_model_len,
        "--gpu-memory-utilization": UTILIZATION,
        "--generation-config": "vllm",
        "--stream-interval": STREAM_TOKENS,
        "--seed": SEED,
    }
    if server.reasoning_parser:
        options["--reasoning-parser"] = server.reasoning_parser
    if server.quantization:
        options["--quantization"] = server.quantization
    words = [str(word) for pair in options.items() for word in pair]
    return [*begin, *words, "--enable-prefix-caching", *extra]
