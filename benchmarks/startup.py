"""How long `thinkscale --help` takes, beside a Python that does nothing, in one run.

python benchmarks/startup.py --out benchmarks/startup.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15


def seconds(command: list[str]) -> float:
    """Wall seconds of one process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measures in turns, so that a busy machine slows both alike."""
    parser = argparse.ArgumentParser(description="start-up time")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    ours = [str(Path(sys.executable).with_name("thinkscale")), "--help"]
    nothing = [sys.executable, "-c", "pass"]
    pairs = [(seconds(ours), seconds(nothing)) for _ in range(RUNS)]
    found = {
        "help_milliseconds_median": round(1000 * statistics.median(pair[0] for pair in pairs)),
        "help_milliseconds_min": round(1000 * min(pair[0] for pair in pairs)),
        "python_milliseconds_median": round(1000 * statistics.median(pair[1] for pair in pairs)),
        "runs": RUNS,
    }
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    sys.stdout.write(options.out.read_text())


if __name__ == "__main__":
    main()
