"""What a sandbox answered, as executions. What a program's own process says may be forged, and is read as such."""

import json
from dataclasses import asdict

from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.keys import JSON
from thinkscale.sandbox.inside.checker import MALFORMED
from thinkscale.sandbox.inside.frames import Header
from thinkscale.sandbox.inside.wire import MAX_ITEMS, is_bounded

MAX_DETAIL = 2_000
RAISED = {
    "MemoryError": Ending.MEMORY,
    "SystemExit": Ending.EXIT,
    "KeyboardInterrupt": Ending.EXIT,
    "WireError": Ending.OUTPUT,
    MALFORMED: Ending.EXIT,
}
"""Endings of exceptions that a call did not come back from; any other is EXCEPTION."""


def bounds_of(limits: Limits) -> str:
    """Limits as they travel in a frame's header."""
    return json.dumps(asdict(limits))


def execution_of(header: Header, stdout: bytes) -> Execution:
    """The execution that a supervising process described: its words can be trusted, the texts in them cannot."""
    cpu = header.get("cpu_seconds")
    return Execution(
        ending=Ending(str(header.get("ending", Ending.SANDBOX))),
        stdout=stdout,
        detail=printable(str(header.get("detail", ""))),
        cpu_seconds=cpu if isinstance(cpu, float) else 0.0,
    )


def printable(text: str) -> str:
    """The end of a text from a program, without halves of characters, which no file takes."""
    return text[-MAX_DETAIL:].encode(errors="replace").decode()


def unfinished(header: Header) -> Execution:
    """A program that ended before it gave a value: exit status 0 is no success here."""
    ended = execution_of(header, b"")
    if ended.ending is not Ending.FINISHED:
        return ended
    return Execution(ending=Ending.EXIT, detail="it left before it gave a value", cpu_seconds=ended.cpu_seconds)


def called(answer: Header, value: bytes, ended: Header, limits: Limits) -> Execution:
    """A call that was answered with `value`, by a process that used what `ended` says."""
    cpu = execution_of(ended, b"").cpu_seconds
    if cpu > limits.cpu_seconds:
        return Execution(ending=Ending.CPU_TIME, detail=f"{cpu:.2f} s of processor time", cpu_seconds=cpu)
    reply = json.loads(str(answer["reply"]))
    if "raised" in reply:
        return raised(str(reply["raised"]), str(reply.get("message", "")), cpu)
    if not is_bounded(value):
        return Execution(ending=Ending.OUTPUT, detail=f"it returned more than {MAX_ITEMS} items", cpu_seconds=cpu)
    try:
        found: JSON = json.loads(value)
    except (ValueError, RecursionError) as error:
        return Execution(ending=Ending.EXIT, detail=f"its answer is malformed: {error}"[:MAX_DETAIL], cpu_seconds=cpu)
    return Execution(ending=Ending.FINISHED, value=found, cpu_seconds=cpu)


def raised(name: str, message: str, cpu_seconds: float) -> Execution:
    """A call that raised an exception of the built-in class `name`."""
    return Execution(ending=RAISED.get(name, Ending.EXCEPTION), detail=printable(message), cpu_seconds=cpu_seconds)
