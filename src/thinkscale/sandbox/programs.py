"""Model programs in a warm sandbox: run whole, called, or checked by the test's own code.

    with Sandbox(find_isolation(), Limits()) as sandbox, sandbox.open(source) as program:
        program.run(b"3 4\n")                     # a whole program on standard input
        program.call("Solution().add", [3, 4])    # one function in a fresh process
        program.check("assert add(3, 4) == 7", entry="", candidates=["add"])

One sandbox serves all tests of a program and, emptied in between, further programs. A check has a second sandbox, in
which the test's code runs: expected values never enter the one where the program runs, and what the program returns
reaches the test as plain data. A sandbox that is lost is started again, once for each execution.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.keys import JSON
from thinkscale.sandbox.answers import bounds_of, called, execution_of, unfinished
from thinkscale.sandbox.checks import run_check
from thinkscale.sandbox.inside.decoding import decode
from thinkscale.sandbox.inside.extent import is_writable
from thinkscale.sandbox.inside.frames import Header
from thinkscale.sandbox.inside.wire import MAX_ITEMS, Opaque, WireError, encode
from thinkscale.sandbox.isolation import Isolation
from thinkscale.sandbox.warm import WarmSandbox, with_attempts

MAX_WRITTEN = 3 * MAX_ITEMS
"""Who takes a value may write it out for evidence, or walk through it without looking for what is shared."""


def from_wire(value: JSON) -> object:
    """The plain Python data that a returned `value` stands for; what is no plain data equals nothing but itself.

    Raises WireError on anything malformed, and where the value could not be written out.
    """
    found = decode(value)
    if not is_writable(found, max_items=MAX_WRITTEN):
        raise WireError(f"written out it has more than {MAX_WRITTEN} items")
    return found


class Sandbox:
    """A warm sandbox, and another for the code of checks. For one thread: it ends with the thread that started it."""

    def __init__(self, isolation: Isolation, limits: Limits) -> None:
        self.limits = limits
        self.programs = WarmSandbox(isolation, limits.disk_bytes)
        self.checks = WarmSandbox(isolation, limits.disk_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.programs.kill()
        self.checks.kill()

    @contextlib.contextmanager
    def open(self, source: str) -> Iterator["Program"]:
        """Compiles a program. Where that fails, `error` of the program says how, and nothing needs to be run."""
        try:
            yield Program(self, source)
        finally:
            self.programs.release()


class Program:
    """One program, held by a sandbox. Each execution is a process of its own, on an empty folder."""

    def __init__(self, sandbox: Sandbox, source: str) -> None:
        self._sandbox = sandbox
        self._source = source
        self.error: Execution | None = with_attempts(self._open)
        if self.error.ending is Ending.FINISHED:
            self.error = None

    def run(self, stdin: bytes, limits: Limits | None = None) -> Execution:
        """Runs the whole program on `stdin`; `stdout` of the execution is what it wrote."""
        return self._execute(lambda bounds: self._run(stdin, bounds), limits)

    def call(
        self,
        function: str,
        arguments: Sequence[JSON],
        keywords: Mapping[str, JSON] | None = None,
        limits: Limits | None = None,
    ) -> Execution:
        """Calls a function ("name", "Solution().name") in a fresh process; `value` is its result, for `from_wire`."""
        request = ["call", Opaque(function, "function"), tuple(arguments), dict(keywords or {})]
        return self._execute(lambda bounds: self._call(request, bounds), limits)

    def check(
        self, code: str, *, entry: str, candidates: Sequence[str], context: str = "", limits: Limits | None = None
    ) -> Execution:
        """Runs the test `code` in a sandbox of its own, where `candidates` stand for the program's names.

        `context` fills the test's namespace first; its classes cross by value where the program defines them too. Then
        `entry`, unless it is empty, is called with the first candidate, which is also named `candidate`.
        """
        test: JSON = {"code": code, "entry": entry, "candidates": list(candidates), "context": context}
        sandbox = self._sandbox
        return self._execute(lambda bounds: run_check(sandbox.programs, sandbox.checks, test, bounds), limits)

    def _execute(self, execution: Callable[[Limits], Execution], limits: Limits | None) -> Execution:
        if self.error is not None:
            return self.error

        def again() -> Execution:
            opened = self._open()
            return execution(limits or self._sandbox.limits) if opened.ending is Ending.FINISHED else opened

        return with_attempts(again)

    def _open(self) -> Execution:
        reason = self._sandbox.programs.hold(self._source)
        if reason is None:
            return Execution(ending=Ending.FINISHED)
        return Execution(ending=Ending.COMPILE_ERROR, detail=reason)

    def _run(self, stdin: bytes, limits: Limits) -> Execution:
        return execution_of(*self._sandbox.programs.request({"op": "run", "bounds": bounds_of(limits)}, stdin, limits))

    def _call(self, request: list[object], limits: Limits) -> Execution:
        programs = self._sandbox.programs
        header: Header = {"op": "start", "check": False, "bounds": bounds_of(limits), "classes": []}
        answer, value = programs.request(header, json.dumps(encode(request)).encode(), limits)
        if "reply" not in answer:
            return unfinished(answer)
        ended, _ = programs.request({"op": "stop"}, b"", limits)
        return called(answer, value, ended, limits)
