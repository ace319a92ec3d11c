"""What the queue of `thinkscale generate` does and costs, against the scripted server in a process of its own.

    python benchmarks/queue_run.py --out benchmarks/queue.json [--part throughput ...] [--quick]

Each part replaces its own figures in the file. The client and the server share this machine, so throughput is stated as
a share of what a bare loop gets in the same run. (The file is not called queue.py: that would hide Python's own module
of the name from every script beside it.)
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from queue_rates import capacity, capacity_long, idle, ramp, throughput
from queue_rows import faults, memory, money, salvage

from thinkscale.keys import JSON

PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "idle": idle,
    "ramp": ramp,
    "throughput": throughput,
    "capacity": capacity,
    "capacity_long": capacity_long,
    "salvage": salvage,
    "money": money,
    "faults": faults,
    "memory": memory,
}


def rounded(value: JSON) -> JSON:
    """Numbers with four significant digits at most."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Runs the parts that were asked for, all if none was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--quick", action="store_true", help="small numbers: whether it works, not what it costs")
    asked = parser.parse_args()
    figures = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for name in asked.part or PARTS:
        load, began = os.getloadavg()[0], time.monotonic()
        found = PARTS[name](quick=asked.quick)
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load_before": load}
        figures[name] = {**found, "machine": machine, "seconds": time.monotonic() - began, "quick": asked.quick}
        asked.out.write_text(json.dumps(rounded(figures), indent=1) + "\n")


if __name__ == "__main__":
    main()
