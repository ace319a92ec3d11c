"""Partitions over a Ray cluster. Ray is imported when the first partition is asked for, never before.

A partition is a task that Ray may run on any node and runs again, up to RETRIES times, where its worker or its node
dies. The work itself is put into the object store once and kept by each worker process. Every node needs thinkscale
installed, and sees the files that the partitions name under the same paths.

Rejected: actors that hold the work, since Ray gives a dead actor's calls to nobody else; `ray.util.multiprocessing`,
which chunks, and hides which item failed.
"""

import hashlib
import importlib
import pickle
import socket
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from thinkscale.cluster.attempts import Attempt, Failure, Partition, died
from thinkscale.errors import ConfigError, MissingExtraError

Content = TypeVar("Content")
Result = TypeVar("Result")

RETRIES = 3
CONNECT_SECONDS = 10.0
TASKS_PER_CORE = 4
"""Tasks under way for each core of the cluster: room for partitions that take longer than those after them."""

_kept: dict[str, Any] = {}
"""The work that this worker process did last, by the digest of its bytes."""


def over_ray(
    attempt: Attempt[Content, Result], partitions: Iterable[Partition[Content]], address: str, memory_mib: int
) -> Generator[bytes | Failure]:
    """The outcomes of `partitions` in order. Raises MissingExtraError without Ray, ConfigError without a cluster."""
    with connected_to(address) as ray:
        packed = pickle.dumps(attempt)
        stored = ray.put(packed)
        task = ray.remote(_done).options(
            num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD", memory=memory_mib << 20 or None
        )
        digest = hashlib.blake2b(packed, digest_size=16).hexdigest()
        waiting = ((item.name, task.remote(digest, stored, item)) for item in partitions)
        under_way = deque(islice(waiting, _window(ray)))
        try:
            while under_way:
                name, reference = under_way.popleft()
                yield _outcome(ray, name, reference)
                under_way.extend(islice(waiting, 1))
        finally:
            for _, reference in under_way:
                ray.cancel(reference)


def _done(digest: str, packed: bytes, partition: Partition[Any]) -> bytes | Failure:
    """What a worker of Ray runs."""
    if digest not in _kept:
        _kept.clear()
        _kept[digest] = pickle.loads(packed)
    outcome: bytes | Failure = _kept[digest](partition)
    return outcome


def _outcome(ray: Any, name: str, reference: object) -> bytes | Failure:  # noqa: ANN401 (a module without types)
    try:
        outcome: bytes | Failure = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError) as error:
        return died(name, f"its worker died ({str(error).splitlines()[0]})")
    return outcome


def _window(ray: Any) -> int:  # noqa: ANN401
    return TASKS_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextmanager
def connected_to(address: str) -> Iterator[Any]:
    """The module `ray`, connected. A connection that was there before is used and left as it is."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray is not installed here: pip install 'thinkscale[ray]', on every node") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _check(address)
        ray.init(address=address, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"workers ray:{address}: no Ray cluster answers there ({str(error).splitlines()[0]}). Start one with "
            f"`ray start --head`, join nodes with `ray start --address=HOST:6379`, or use local:2"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Raises OSError where nobody listens, ValueError for no address: Ray ends the process that asks in vain."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError("an address is HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
