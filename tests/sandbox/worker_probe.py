"""What test_workers.py asks of a killable worker: each request is the name of a deed and its argument."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from thinkscale.keys import JSON
from thinkscale.sandbox.serving import Handler, serve

DONE: list[JSON] = []


def remember(argument: JSON) -> JSON:
    """How many requests this process has served before."""
    DONE.append(argument)
    return len(DONE)


def spin(_argument: JSON) -> JSON:
    while True:
        pass


def large_power(_argument: JSON) -> JSON:
    """One bytecode that does not end: no signal handler of Python's would run within it."""
    return str(9 ** (9**9 * 9))[:1]


def allocate(_argument: JSON) -> JSON:
    held = [bytearray(1 << 26) for _ in range(100)]
    return len(held)


def swallow(_argument: JSON) -> JSON:
    """A library that catches everything."""
    while True:
        try:
            spin(None)
        except BaseException:  # noqa: BLE001 (what is tested)
            continue


def sleep(argument: JSON) -> JSON:
    time.sleep(float(str(argument)))
    return "slept"


def evaluate(argument: JSON) -> JSON:
    return str(eval(str(argument)))


def write(argument: JSON) -> JSON:
    Path(str(argument)).write_text("x")
    return "written"


def connect(_argument: JSON) -> JSON:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
    return "connected"


def spawn(_argument: JSON) -> JSON:
    return subprocess.run(["true"], check=False).returncode


def recurse(_argument: JSON) -> JSON:
    return recurse(None)


def descriptors(_argument: JSON) -> JSON:
    found: list[JSON] = []
    for number in range(64):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def crash(argument: JSON) -> JSON:
    os._exit(int(str(argument)))


def signalled(argument: JSON) -> JSON:
    signal_number = int(str(argument))
    signal.raise_signal(signal_number)
    return "alive"


DEEDS: Mapping[str, Callable[[JSON], JSON]] = {
    "remember": remember, "spin": spin, "large_power": large_power, "allocate": allocate, "swallow": swallow,
    "sleep": sleep, "evaluate": evaluate, "write": write, "connect": connect, "spawn": spawn, "recurse": recurse,
    "descriptors": descriptors, "crash": crash, "signal": signalled, "pid": lambda _: os.getpid(),
    "echo": lambda argument: argument, "many": lambda argument: "x" * int(str(argument)),
    "not_json": lambda _: sys,  # type: ignore[dict-item, return-value]
    "environment": lambda _: " ".join(sorted(os.environ)),
}  # fmt: skip


def load() -> Handler:
    def handle(body: JSON) -> JSON:
        assert isinstance(body, list)
        return DEEDS[str(body[0])](body[1])

    return handle


if __name__ == "__main__":
    serve(load)
