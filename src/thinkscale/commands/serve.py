"""serve: the vLLM command that fits a model and this machine's GPUs, with the arithmetic behind it; or its start.

Chosen: print by default, since servers mostly start in a batch job or on another machine; `--run` becomes the server
(exec), so that signals and exit codes are vLLM's own. Rejected: a server as our child process, one more thing that can
die alone.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from thinkscale.engines.catalogue import model_path
from thinkscale.engines.models import ModelCard, find_model
from thinkscale.engines.serving.footprint import Footprint, footprint_of_card, read_footprint
from thinkscale.engines.serving.gpus import gpu_memories
from thinkscale.engines.serving.plan import (
    CONCURRENCY,
    PROMPT_TOKENS,
    Machine,
    ServePlan,
    in_eight_bits,
    plan_server,
    reasons,
)
from thinkscale.engines.serving.vllm import Server, vllm_command
from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.keys import JSON

LOOPBACK = ("127.0.0.1", "::1", "localhost")
HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the caller says of model, machine and server. None means: find out."""

    model: str
    gpus: int | None = None
    gpu_memory_gib: float | None = None
    max_model_len: int | None = None
    concurrency: int = CONCURRENCY
    quantization: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    python: str | None = None
    """The interpreter of vLLM's environment."""
    extra: Sequence[str] = ()
    """Words for vLLM, as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A planned server: the command, why it is so, and what to call it with."""

    plan: ServePlan
    server: Server
    command: tuple[str, ...]
    notes: tuple[str, ...]


def serve(options: ServeOptions) -> Serving:
    """Plans the server. Raises ConfigError on an unknown model, no GPU, or too little memory; starts nothing."""
    footprint, card = _model(options.model)
    if options.quantization:
        if options.quantization != "fp8":
            raise ConfigError(f"--quantization {options.quantization}: vLLM makes only fp8 of 16-bit weights by itself")
        footprint = in_eight_bits(footprint)
    machine = _machine(options)
    plan = plan_server(footprint, machine, max_model_len=options.max_model_len, concurrency=options.concurrency)
    server = Server(
        model=model_path(options.model) if card is None or options.model == "lab" else card.hub,
        served_name=Path(options.model).name if card is None else card.hub,
        host=options.host,
        port=options.port,
        reasoning_parser=card.reasoning_parser if card else None,
        quantization=options.quantization,
    )
    command = vllm_command(plan, server, options.python, options.extra)
    notes = (
        *reasons(plan),
        *_warnings(plan, server),
        *_sampling_notes(card),
        f"then: {_client_line(plan, server, card)}",
    )
    return Serving(plan=plan, server=server, command=tuple(command), notes=notes)


def serve_text(serving: Serving) -> str:
    """The command as a shell reads it."""
    return shlex.join(serving.command)


def serve_row(serving: Serving) -> dict[str, JSON]:
    """The plan for a program to read."""
    plan = serving.plan
    return {
        "command": list(serving.command),
        "model": serving.server.model,
        "served_name": serving.server.served_name,
        "base_url": serving.server.base_url,
        "tensor_parallel": plan.tensor_parallel,
        "data_parallel": plan.data_parallel,
        "idle_gpus": plan.idle_gpus,
        "max_model_len": plan.max_model_len,
        "weight_bytes": plan.footprint.weight_bytes,
        "kv_bytes_per_token": plan.footprint.kv_bytes_per_token(plan.tensor_parallel),
        "cache_tokens": plan.cache_tokens,
        "sequences": plan.sequences,
        "notes": list(serving.notes),
    }


def start(serving: Serving) -> NoReturn:
    """Becomes the server. Raises MissingExtraError where vLLM cannot be found."""
    program = serving.command[0]
    _require_vllm(program, is_python=serving.command[1] == "-m")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(program, list(serving.command))


def _require_vllm(program: str, *, is_python: bool) -> None:
    if shutil.which(program) is None:
        hint = "" if is_python else "; it lives in an environment of its own: name its interpreter with --python PATH"
        raise MissingExtraError(f"there is no program {program!r} on this machine{hint} (docs/serving.md)")
    if is_python and subprocess.run([program, "-c", HAS_VLLM], check=False).returncode:
        raise MissingExtraError(f"vllm is not installed for {program}; docs/serving.md says how to install it")


def _model(name: str) -> tuple[Footprint, ModelCard | None]:
    """What is known of a model: by the catalogue, or by the files of a folder."""
    card = find_model(name)
    if card:
        return footprint_of_card(card), card
    folder = Path(model_path(name))
    if folder.is_dir():
        return read_footprint(folder), None
    raise ConfigError(
        f"{name} is neither in the catalogue (`thinkscale list models`) nor a folder here, so its size is not known; "
        f"fetch it (hf download {name} --local-dir FOLDER) and give the folder"
    )


def _machine(options: ServeOptions) -> Machine:
    """The GPUs that were stated, completed by those that are here."""
    memories = gpu_memories() if options.gpus is None or options.gpu_memory_gib is None else []
    gpus = options.gpus or len(memories)
    memory = options.gpu_memory_gib or min(memories, default=0.0)
    if not gpus or not memory:
        raise ConfigError(
            "nvidia-smi shows no GPU here; to plan for another machine give --gpus N and --gpu-memory-gib X"
        )
    if memories and gpus > len(memories):
        raise ConfigError(
            f"--gpus {gpus}, but there are {len(memories)} here; give --gpu-memory-gib for other machines"
        )
    return Machine(num_gpus=gpus, gpu_memory_gib=memory)


def _warnings(plan: ServePlan, server: Server) -> list[str]:
    lines = []
    if plan.data_parallel > 1:
        lines.append(
            "note: copies behind one port do not share caches; for budget sweeps start one server for each copy "
            "(examples/slurm-teachers.sbatch), so that a continuation finds its prefix"
        )
    if server.host not in LOOPBACK and not os.environ.get("VLLM_API_KEY"):
        lines.append(
            f"note: {server.host} is open to the network and VLLM_API_KEY is not set: anyone may use this server"
        )
    return lines


def _sampling_notes(card: ModelCard | None) -> list[str]:
    """The samplings that are known of the model."""
    known = card.sampling if card else {}
    return [
        f"sampling ({name}): temperature {item.temperature:g}, top_p {item.top_p:g}, {item.max_tokens:,} tokens"
        for name, item in known.items()
    ]


def _client_line(plan: ServePlan, server: Server, card: ModelCard | None) -> str:
    """The command that asks this server, sampled as is stated first for the model, with room for the question."""
    words = ["thinkscale", "generate", "QUESTIONS.jsonl", "--out", "TRACES.jsonl"]
    words += ["--model", server.served_name or server.model, "--endpoint", server.base_url]
    room = max(plan.max_model_len - PROMPT_TOKENS, plan.max_model_len // 2)
    for item in list(card.sampling.values())[:1] if card else []:
        words += ["--temperature", f"{item.temperature:g}", "--top-p", f"{item.top_p:g}"]
        words += ["--max-tokens", str(min(item.max_tokens, room))]
    if card and card.thinking_format != "none":
        words += ["--tokenizer", card.hub, "--thinking-format", card.thinking_format]
    return shlex.join(words)
