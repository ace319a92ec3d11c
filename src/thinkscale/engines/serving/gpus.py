"""The NVIDIA GPUs of this machine, as nvidia-smi lists them: no torch is needed to plan a server."""

import os
import shutil
import subprocess

QUERY = ("--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")


def gpu_memories() -> list[float]:
    """Memory in GiB of each GPU that this process may use; empty where there is none, or no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run([program, *QUERY], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []  # a driver that does not answer is no GPU to plan for; vLLM would fail on it as well
    return parse_gpus(listed, os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse_gpus(listed: str, visible: str | None = None) -> list[float]:
    """Memory in GiB from `index, uuid, MiB` lines. `visible` is CUDA_VISIBLE_DEVICES: indices or starts of uuids."""
    wanted = None if visible is None else [item.strip() for item in visible.split(",") if item.strip()]
    memories = []
    for line in listed.splitlines():
        index, uuid, mebibytes = (field.strip() for field in line.split(","))
        shown = wanted is None or any(
            item == index or (not item.isdigit() and uuid.startswith(item)) for item in wanted
        )
        if shown and mebibytes.isdigit():
            memories.append(int(mebibytes) / 1024)
    return memories
