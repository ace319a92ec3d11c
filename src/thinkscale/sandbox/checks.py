"""A check: the test's code in one sandbox, the program in another, and this process between them.

The two never share a process, a file or a pipe. What they say to each other passes here as bytes that are not read:
requests are made by the test's side, answers by the program's, and each side reads the other's with suspicion.

Chosen over running the test beside the program, as most harnesses do, where a program can read what is expected or
return an object that claims to equal it.
"""

import json
from dataclasses import replace
from typing import Any

from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.keys import JSON
from thinkscale.sandbox.answers import bounds_of, execution_of, printable, raised, unfinished
from thinkscale.sandbox.inside.frames import Header
from thinkscale.sandbox.inside.wire import is_bounded
from thinkscale.sandbox.warm import WarmSandbox

CHECKER_SHARE = 2.0
"""A test may use this many times the limits of a program: what it reads of a value, the program made before."""
MAX_ASKS = 10_000
"""Calls of one test, and steps of what a call gave to iterate over: that need not end."""
VERDICTS = {"passed": Ending.FINISHED, "failed": Ending.FAILED_CHECK, "broken": Ending.BROKEN_TEST}


def run_check(programs: WarmSandbox, checks: WarmSandbox, test: JSON, limits: Limits) -> Execution:
    """Runs `test` against the program that `programs` holds. Raises LostError."""
    checks.hold("")
    cpu, wall = limits.cpu_seconds * CHECKER_SHARE, limits.wall_seconds * CHECKER_SHARE
    ample = replace(limits, cpu_seconds=cpu, wall_seconds=wall)
    start: Header = {"op": "start", "check": True, "bounds": bounds_of(ample)}
    said = checks.request(start, json.dumps(test).encode(), ample)
    running = False
    asks = 0
    while (asked := _asked(said)) is not None:
        header, blob = asked
        asks += 1
        if asks > MAX_ASKS:
            programs.request({"op": "stop"}, b"", limits)
            checks.request({"op": "stop"}, b"", limits)
            return Execution(ending=Ending.OUTPUT, detail=f"the test asked more than {MAX_ASKS} things of it")
        first: Header = {"op": "start", "check": False, "bounds": bounds_of(limits)} if not running else {"op": "ask"}
        answer, value = programs.request(first | header, blob, limits)
        if "reply" not in answer:
            checks.request({"op": "stop"}, b"", limits)
            return unfinished(answer)
        running = True
        if not is_bounded(value):
            answer, value = {"reply": json.dumps({"raised": "WireError", "message": "it returned too much"})}, b""
        said = checks.request({"op": "ask"} | json.loads(str(answer["reply"])), value, ample)
    cpu = execution_of(*programs.request({"op": "stop"}, b"", limits)).cpu_seconds if running else 0.0
    return _verdict(said[0], cpu, checks, limits)


def _asked(said: tuple[Header, bytes]) -> tuple[Header, bytes] | None:
    reply = said[0].get("reply")
    header: dict[str, Any] = json.loads(reply) if isinstance(reply, str) else {}
    return ({"classes": header["classes"]}, said[1]) if "classes" in header else None


def _verdict(said: Header, cpu: float, checks: WarmSandbox, limits: Limits) -> Execution:
    if "reply" not in said:
        ended = unfinished(said)
        ending = Ending.WALL_TIME if ended.ending is Ending.WALL_TIME else Ending.BROKEN_TEST
        return Execution(ending=ending, detail=f"the test itself: {ended.ending}, {ended.detail}", cpu_seconds=cpu)
    checks.request({"op": "stop"}, b"", limits)
    outcome: dict[str, Any] = json.loads(str(said["reply"]))
    if cpu > limits.cpu_seconds:
        return Execution(ending=Ending.CPU_TIME, detail=f"{cpu:.2f} s of processor time", cpu_seconds=cpu)
    if outcome.get("done") == "raised":
        return raised(str(outcome.get("raised")), str(outcome.get("detail")), cpu)
    ending = VERDICTS.get(str(outcome.get("done")), Ending.BROKEN_TEST)
    return Execution(ending=ending, detail=printable(str(outcome.get("detail"))), cpu_seconds=cpu)
