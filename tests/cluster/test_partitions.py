"""The map over partitions: the same results in this process and in others, whatever happens to a worker."""

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from thinkscale.cluster import HERE, Backend, Partition, backend, connected, map_partitions
from thinkscale.errors import ConfigError, DataError, DriftError, MissingExtraError, StageError

TWO = Backend(workers=2)


def numbered(size: int) -> Iterator[Partition[int]]:
    return (Partition(f"rows {number}", number) for number in range(size))


def square(number: int) -> int:
    return number * number


def where_it_ran(_number: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 3, 20])
def test_results_are_the_same_with_any_number_of_workers(size: int, workers: int) -> None:
    assert list(map_partitions(square, numbered(size), Backend(workers=workers))) == [n * n for n in range(size)]


def test_one_worker_is_this_process_and_two_are_others() -> None:
    assert set(map_partitions(where_it_ran, numbered(3), HERE)) == {os.getpid()}
    assert os.getpid() not in set(map_partitions(where_it_ran, numbered(8), TWO))


def test_a_list_of_one_partition_starts_no_process() -> None:
    assert list(map_partitions(where_it_ran, [Partition("all", 1)], TWO)) == [os.getpid()]
    assert os.getpid() not in list(map_partitions(where_it_ran, list(numbered(2)), Backend(workers=9)))


def test_partitions_are_taken_as_results_are() -> None:
    taken = []

    def endless() -> Iterator[Partition[int]]:
        for partition in numbered(10_000):
            taken.append(partition.name)
            yield partition

    results = map_partitions(square, endless(), TWO)
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert len(taken) < 20


@dataclass(frozen=True)
class DieOnce:
    """Kills the worker that takes partition 3 the first time; `mark` tells the first time from the second."""

    mark: Path

    def __call__(self, number: int) -> int:
        if number == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number


def test_the_partition_of_a_killed_worker_is_done_again(tmp_path: Path) -> None:
    work = DieOnce(tmp_path / "died")
    assert list(map_partitions(work, numbered(8), TWO)) == [n * n for n in range(8)]
    assert work.mark.exists()


def die_on_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_partition_that_no_worker_survives_is_named() -> None:
    results = map_partitions(die_on_three, numbered(8), TWO)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StageError, match=r"^rows 3: the process died on it \(exit code -9\).*smaller"):
        next(results)


def want_too_much(number: int) -> int:
    """A limit of the process's own, as a container sets one, so that the machine is never in danger."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return len(bytearray(1 << 33)) if number == 2 else number


def test_a_partition_that_does_not_fit_into_memory_is_named_with_what_to_do() -> None:
    with pytest.raises(StageError, match=r"^rows 2: out of memory;.*lower the memory setting"):
        list(map_partitions(want_too_much, numbered(4), TWO))


class UnpicklableError(Exception):
    """Holds what no pickle takes, and takes what no pickle gives."""

    def __init__(self, text: str, held: object) -> None:
        super().__init__(text, held)
        self.held = held

    def __str__(self) -> str:
        return str(self.args[0])


class MuteError(Exception):
    """An error that fails while it says what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def refuse(number: int) -> int:
    match number:
        case 0:
            raise DataError("row 17 has no question")
        case 1:
            raise UnpicklableError("the line is dead", threading.Lock())
        case 2:
            raise MuteError
        case 3:
            raise DriftError("settings changed", ("n",))
        case 4:
            raise ValueError("n is at least 1")
    return number


@pytest.mark.parametrize("where", [HERE, TWO])
@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (0, DataError, "rows 0: row 17 has no question"),
        (1, StageError, "rows 1: UnpicklableError: the line is dead"),
        (2, StageError, "rows 2: MuteError"),
        (4, StageError, "rows 4: ValueError: n is at least 1"),
    ],
)
def test_an_error_of_the_work_names_its_partition(
    where: Backend, number: int, kind: type[Exception], message: str
) -> None:
    with pytest.raises(StageError if kind is StageError else kind) as caught:
        list(map_partitions(refuse, iter([Partition(f"rows {number}", number)]), where))
    assert str(caught.value) == message
    assert "refuse" in str(caught.value.__cause__)  # the traceback in the worker


@pytest.mark.parametrize("where", [HERE, TWO])
def test_an_error_with_more_than_a_message_becomes_its_base(where: Backend) -> None:
    with pytest.raises(DriftError.__mro__[1], match="rows 3: settings changed") as caught:
        list(map_partitions(refuse, iter([Partition("rows 3", 3)]), where))
    assert type(caught.value) is DriftError.__mro__[1]


def give_a_function(_number: int) -> Callable[[], None]:
    return lambda: None


@pytest.mark.parametrize("where", [HERE, TWO])
def test_a_result_that_cannot_travel_names_its_partition(where: Backend) -> None:
    with pytest.raises(StageError, match=r"^rows 0: .*give_a_function"):
        list(map_partitions(give_a_function, numbered(1), where))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("local:1", Backend(workers=1)),
        ("local:3", Backend(workers=3)),
        ("local", Backend(workers=os.cpu_count() or 1)),
        ("ray", Backend(address="auto")),
        ("ray:auto", Backend(address="auto")),
        ("ray:head:6379", Backend(address="head:6379")),
        ("ray:ray://head:10001", Backend(address="ray://head:10001")),
    ],
)
def test_a_setting_names_a_backend(setting: str, expected: Backend) -> None:
    assert backend(setting) == expected


@pytest.mark.parametrize("setting", ["", "local:", "local:0", "local:-1", "local:two", "local:²", "ray:", "dask", "3"])
def test_a_setting_that_names_no_backend_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="there is local"):
        backend(setting)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'thinkscale\[ray\]'"):
        list(map_partitions(square, numbered(2), Backend(address="auto")))


def told(_number: int) -> str:
    return os.environ.get("THINKSCALE_TOLD", "")


def tell() -> None:
    os.environ["THINKSCALE_TOLD"] = "yes"


def test_processes_that_are_held_work_for_several_maps() -> None:
    with connected(Backend(workers=3), tell) as held:
        pids = {pid for _ in range(3) for pid in map_partitions(where_it_ran, numbered(20), held)}
        assert {*map_partitions(told, numbered(20), held)} <= {"yes", ""}
    assert os.getpid() in pids
    assert len(pids) <= 3
    assert "THINKSCALE_TOLD" not in os.environ


def die_elsewhere(number: int) -> int:
    """Kills any process but the one that asks, which takes its time, so that others get a number too."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return number


def test_held_processes_that_die_are_replaced_for_the_next_map() -> None:
    with connected(TWO) as held:
        with pytest.raises(StageError, match=r"rows \d+: .* each time"):
            list(map_partitions(die_elsewhere, numbered(20), held))
        assert list(map_partitions(square, numbered(4), held)) == [0, 1, 4, 9]


def test_a_map_that_is_left_early_leaves_its_processes_to_the_next() -> None:
    with connected(TWO) as held:
        results = map_partitions(square, numbered(50), held)
        assert next(results) == 0
        results.close()
        assert list(map_partitions(square, numbered(4), held)) == [0, 1, 4, 9]


def test_held_processes_serve_one_map_at_a_time() -> None:
    with connected(TWO) as held:
        results = map_partitions(square, numbered(50), held)
        next(results)
        with pytest.raises(RuntimeError, match="one map at a time"):
            list(map_partitions(square, numbered(50), held))
        results.close()
