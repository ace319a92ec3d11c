"""Starts copies of a teacher on a Ray cluster and writes their addresses to a file, until it is stopped.

    python examples/ray-teachers.py --model Qwen/QwQ-32B --copies 4 --gpus-per-copy 2 --gpu-memory-gib 80 \\
        --vllm-python VLLM_ENVIRONMENT/bin/python --endpoints endpoints.txt

This file has not been run on a cluster. It needs `pip install ray`, thinkscale on every node, and vLLM in an
environment of its own at the same place on every node. Set VLLM_API_KEY before it starts: it goes to every server.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 1800


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Copies of a teacher on a Ray cluster.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--gpus-per-copy", type=int, default=1)
    parser.add_argument("--gpu-memory-gib", type=float, required=True)
    parser.add_argument("--vllm-python", required=True)
    parser.add_argument("--endpoints", type=Path, default=Path("endpoints.txt"))
    return parser.parse_args()


class Copy:
    """One server on whichever node Ray gives it. Ray shows it only its own GPUs (CUDA_VISIBLE_DEVICES)."""

    def __init__(self, model: str, gpus: int, memory_gib: float, python: str, key: str) -> None:
        with socket.socket() as listener:
            listener.bind(("", 0))
            self.port = int(listener.getsockname()[1])
        self.url = f"http://{socket.gethostbyname(socket.gethostname())}:{self.port}/v1"
        words = ["thinkscale", "serve", model, "--gpus", str(gpus), "--gpu-memory-gib", str(memory_gib)]
        words += ["--host", "0.0.0.0", "--port", str(self.port), "--python", python, "--run"]
        environment = {**os.environ, **({"VLLM_API_KEY": key} if key else {})}
        self.process = subprocess.Popen(words, env=environment, start_new_session=True)

    def wait_until_it_answers(self) -> str:
        """The address of the server, once it answers. Raises RuntimeError where it does not."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url.removesuffix("/v1") + "/health", timeout=5):
                    return self.url
            except (urllib.error.URLError, OSError):
                time.sleep(5)
        raise RuntimeError(f"{self.url} does not answer; the worker's log says why")

    def stop(self) -> None:
        """Ends the server and all that it started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def main() -> None:
    """Starts the copies, writes endpoints, and waits for Ctrl-C or SIGTERM."""
    options = arguments()
    try:
        import ray
    except ImportError:
        sys.exit("ray is not installed here: pip install ray")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ray.init(address="auto")
    actor = ray.remote(num_gpus=options.gpus_per_copy)(Copy)
    key = os.environ.get("VLLM_API_KEY", "")
    copies = [
        actor.remote(options.model, options.gpus_per_copy, options.gpu_memory_gib, options.vllm_python, key)
        for _ in range(options.copies)
    ]
    try:
        urls = ray.get([copy.wait_until_it_answers.remote() for copy in copies])
        options.endpoints.write_text("\n".join(urls) + "\n")
        print(f"{len(urls)} teachers answer; {options.endpoints} names them. Ctrl-C stops them.", file=sys.stderr)
        signal.pause()
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        ray.get([copy.stop.remote() for copy in copies])


if __name__ == "__main__":
    main()
