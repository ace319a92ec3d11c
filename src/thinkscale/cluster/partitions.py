"""One map over partitions, wherever they are worked on; the results, in order, are the same everywhere.

    map_partitions(work, partitions, backend("local:2"))

`work` is a pure function of a partition's content: made of functions at the top of modules and frozen records, so that
it can be pickled; what it needs beside (an index) travels inside it, once for each process. A partition is a lot of
work (seconds), described in few bytes (a file and its row groups), with a narrow result. Then three rules hold:

- Results come in the order of the partitions, and only a window of partitions is under way, so there can be any number.
- A worker that is killed takes nothing along: its partition is done again by another, a bounded number of times. A
  partition that its workers never survive is an error with its name, since it is most likely too large for the memory.
- An error of the work is raised with the partition's name, as the same kind of error where it is one of ours.

Rejected: a queue of our own on each node, which would be a scheduler; Ray Data, whose plan decides block sizes and
order, and which has no in-process form that is the same code.
"""

import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

from thinkscale.cluster.attempts import Attempt, Failure, Partition, WorkerTrace, died
from thinkscale.cluster.backends import HERE, Backend
from thinkscale.cluster.pool import crew, ordered_map
from thinkscale.cluster.processes import Job, Work
from thinkscale.cluster.ray import connected_to, over_ray

Content = TypeVar("Content")
Result = TypeVar("Result")


def map_partitions(
    work: Callable[[Content], Result],
    partitions: Iterable[Partition[Content]],
    where: Backend = HERE,
    worker_memory_mib: int = 0,
) -> Generator[Result]:
    """`work` of each partition's content, in order. `worker_memory_mib` is what Ray reserves for each.

    Of local processes no more are started than a list has partitions; a single one is worked on in this process, unless
    there are processes that are held (`connected`): then this process holds none of the work.

    Raises the work's own ThinkscaleError with the partition's name before its message, StageError for any other error
    and for a partition whose workers died, and with Ray MissingExtraError or ConfigError where it is not to be had.
    """
    attempt = Attempt(work)
    if where.is_ray:
        outcomes = over_ray(attempt, partitions, where.address, worker_memory_mib)
    else:
        job: Job[Partition[Content], bytes | Failure] = Job(
            open_work=partial(_opened, attempt), settled=_stands, lost=_lost
        )
        if where.crew is not None:
            outcomes = where.crew.map(job, partitions, where.workers, chunk_items=1)
        else:
            # To start a process costs half a second, so a list of two partitions has no third one waiting.
            workers = min(where.workers, len(partitions)) if isinstance(partitions, Sized) else where.workers
            outcomes = ordered_map(job, partitions, workers, chunk_items=1)
    with closing(outcomes):  # an error ends the workers now, not when somebody collects the generator
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                raise outcome.kind(outcome.message) from (WorkerTrace(outcome.trace) if outcome.trace else None)
            result: Result = pickle.loads(outcome)
            yield result


@contextmanager
def connected(where: Backend, prepare: Callable[[], object] | None = None) -> Iterator[Backend]:
    """Holds the processes, or the connection to a Ray cluster, over several maps; they begin here, not with the first.

    Each process of this machine calls `prepare` (picklable, such as a function that imports) before its first work.
    """
    if where.is_ray:
        with connected_to(where.address):
            yield where
    elif where.workers > 1 and where.crew is None:
        with crew(where.workers, prepare) as members:
            yield replace(where, crew=members)
    else:
        yield where


def _work_on(attempt: Attempt[Content, Result], partition: Partition[Content], _alone: bool) -> bytes | Failure:
    return attempt(partition)


def _opened(
    attempt: Attempt[Content, Result],
) -> AbstractContextManager[Work[Partition[Content], bytes | Failure]]:
    return nullcontext(partial(_work_on, attempt))


def _stands(_outcome: bytes | Failure) -> bool:
    return True


def _lost(partition: Partition[Content], how: str) -> Failure:
    return died(partition.name, how)
