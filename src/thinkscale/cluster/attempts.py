"""One try of the work on one partition, wherever that is: its pickled result, or a failure that says which and why."""

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from thinkscale.errors import StageError, ThinkscaleError

Content = TypeVar("Content")
Result = TypeVar("Result")

MEMORY = "the work needs more memory than there is: make the partitions smaller or lower the memory setting"


@dataclass(frozen=True, slots=True)
class Partition(Generic[Content]):
    """A share of the work with the name that errors call it by."""

    name: str
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is left of an error of the work: only texts and a class, so that it survives any way between processes."""

    kind: type[ThinkscaleError]
    message: str
    trace: str = ""


class WorkerTrace(Exception):  # noqa: N818 (it is the cause that a traceback shows, never raised on its own)
    """The traceback of an error in another process."""


@dataclass(frozen=True, slots=True)
class Attempt(Generic[Content, Result]):
    """The work on one partition, never raising: its pickled result, or what went wrong."""

    work: Callable[[Content], Result]

    def __call__(self, partition: Partition[Content]) -> bytes | Failure:
        """Pickled here, so that a result that cannot be is an error of this partition too."""
        try:
            return pickle.dumps(self.work(partition.content), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 (raised again, with the partition's name, in the process that asked)
            return _failure(partition.name, error)


def died(name: str, how: str) -> Failure:
    """The failure of a partition whose workers died each time."""
    return Failure(kind=StageError, message=f"{name}: {how}, each time that it was tried. Most likely {MEMORY}")


def _failure(name: str, error: Exception) -> Failure:
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return Failure(kind=StageError, message=f"{name}: out of memory; {MEMORY}", trace=trace)
    if isinstance(error, ThinkscaleError):
        return Failure(kind=_made_of_a_message(type(error)), message=f"{name}: {error}", trace=trace)
    return Failure(kind=StageError, message=f"{name}: {_said(error)}", trace=trace)


def _said(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 (an error whose own text raises)
        return type(error).__name__


def _made_of_a_message(kind: type[ThinkscaleError]) -> type[ThinkscaleError]:
    """`kind`, or its nearest base that a message alone makes."""
    known: Any
    for known in kind.__mro__:
        if known.__init__ is Exception.__init__ and known.__module__ == ThinkscaleError.__module__:
            return StageError if known is ThinkscaleError else known
    return StageError
