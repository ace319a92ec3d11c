"""Ports of servers that go and come back: of those that the system gives to nobody unasked in the meantime."""

import itertools
import os
import socket

_next = itertools.count(os.getpid() * 7)
FIRST, COUNT = 20_000, 12_000
"""Below the range of ephemeral ports, which starts at 32,768 on Linux."""


def lasting_port() -> int:
    """A port that nothing listens on now, and that no outgoing connection takes."""
    for number in itertools.islice(_next, 1000):
        port = FIRST + number % COUNT
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError("no free port below the ephemeral ones")
