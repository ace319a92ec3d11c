"""A vLLM server on loopback that serves the lab's model on CPU, and can be killed like one that loses its power."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from thinkscale.engines.catalogue import model_path

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("THINKSCALE_VLLM", PROJECT / ".venv-vllm")) / "bin" / "python"
START_SECONDS = 300
BLOCK_TOKENS = 32
"""vLLM's attention on CPU wants a multiple of 32; its default of 128 would cache hardly any prompt of the lab."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TORCH_COMPILE_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
OPTIONS = {
    "--served-model-name": "lab",
    "--dtype": "float32",
    "--max-model-len": "1024",
    "--max-num-seqs": "128",
    "--block-size": str(BLOCK_TOKENS),
    "--generation-config": "vllm",
    "--stream-interval": "16",
    "--seed": "42",
    "--host": "127.0.0.1",
    "--uvicorn-log-level": "warning",
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class VllmServer:
    """One server and the processes that it starts, always on the same port."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """What clients call."""
        return f"http://127.0.0.1:{self.port}/v1"

    def command(self) -> Sequence[str]:
        """The module form, since the `vllm` program of this build asks for a package name that it has not."""
        words = [word for pair in OPTIONS.items() for word in pair]
        module = ["-m", "vllm.entrypoints.openai.api_server", "--model", model_path("lab")]
        return [str(PYTHON), *module, *words, "--port", str(self.port), "--enforce-eager", "--enable-prefix-caching"]

    def start(self) -> None:
        """Returns when the server answers. Raises RuntimeError with the end of its log where it does not."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT}, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"vLLM did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to the server and all that it started: nobody can say goodbye."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it died before
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False
