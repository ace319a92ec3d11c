"""What came of running a program once: the noun that sandbox/ makes and code/verdict.py judges.

Everything in it is plain data that crossed a process boundary: no object of a program ever reaches a comparison.
"""

from dataclasses import dataclass
from enum import StrEnum

from thinkscale.keys import JSON


class Ending(StrEnum):
    """How one execution ended."""

    FINISHED = "finished"
    """It ran to its end, with exit status 0 where it is a whole program."""
    COMPILE_ERROR = "compile_error"
    EXCEPTION = "exception"
    """An exception that nothing caught."""
    EXIT = "exit"
    """It left with another status than 0, or before it gave a value."""
    FAILED_CHECK = "failed_check"
    """The test's own code refused what the program returned."""
    CPU_TIME = "cpu_time"
    WALL_TIME = "wall_time"
    """It waited, or the machine was busy: to be tried again alone before it counts."""
    MEMORY = "memory"
    OUTPUT = "output"
    """It wrote, or returned, more than is read."""
    SIGNAL = "signal"
    """It died by a signal: a fault of its own, or something that it killed."""
    BROKEN_TEST = "broken_test"
    """The test itself does not compile or lacks its entry: nothing is known of the program."""
    SANDBOX = "sandbox"
    """The sandbox failed: nothing is known of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution. `stdout` is what a whole program wrote, `value` what a call returned, as wire data."""

    ending: Ending
    stdout: bytes = b""
    value: JSON = None
    detail: str = ""
    """The last lines of its errors, or which limit it met; at most 2,000 characters."""
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one execution may use. Time is CPU time; `wall_seconds` only ends what waits."""

    cpu_seconds: float = 5.0
    wall_seconds: float = 20.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 16 << 20
    disk_bytes: int = 64 << 20
