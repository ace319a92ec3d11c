"""The map over processes: order, errors, death, and what is done again alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from thinkscale.cluster.pool import CHUNK_ITEMS, CHUNKS_AHEAD, _pool, ordered_map
from thinkscale.cluster.processes import SMALL_BYTES, Chunk, Job, Work
from thinkscale.errors import ConfigError


@dataclass(frozen=True)
class Seen:
    item: int
    pid: int
    alone: bool = False
    lost: str = ""


def look(item: int, alone: bool) -> Seen:
    return Seen(item, os.getpid(), alone)


def look_slowly(item: int, alone: bool) -> Seen:
    time.sleep(0.02 * (item % 3))
    return look(item, alone)


def die_on_seven(item: int, alone: bool) -> Seen:
    if item == 7:
        os.kill(os.getpid(), 9)
    return look(item, alone)


def refuse_seven(item: int, alone: bool) -> Seen:
    if item == 7:
        raise ConfigError("seven is not wanted")
    return look(item, alone)


def doubt_multiples_of_five(seen: Seen) -> bool:
    return seen.alone or seen.item % 5 != 0


def sure(_seen: Seen) -> bool:
    return True


def missing(item: int, how: str) -> Seen:
    return Seen(item, 0, lost=how)


@contextmanager
def opened(work: Work[int, Seen]) -> Iterator[Work[int, Seen]]:
    yield work


def job(work: Work[int, Seen]) -> Job[int, Seen]:
    return Job(open_work=partial(opened, work), settled=sure, lost=missing)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [0, CHUNK_ITEMS, 100])
def test_results_come_in_the_order_of_the_items(workers: int, size: int) -> None:
    found = [seen.item for seen in ordered_map(job(look_slowly), range(size), workers)]
    assert found == list(range(size))


def test_several_processes_share_the_work_and_one_stays_here() -> None:
    assert {seen.pid for seen in ordered_map(job(look), range(50), 1)} == {os.getpid()}
    pids = {seen.pid for seen in ordered_map(job(look_slowly), range(200), 2)}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_an_item_that_kills_its_process_is_the_only_one_lost() -> None:
    found = list(ordered_map(job(die_on_seven), range(60), 2))
    assert [seen.item for seen in found] == list(range(60))
    assert [seen.item for seen in found if seen.lost] == [7]
    assert "-9" in found[7].lost


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ConfigError, match="seven is not wanted"):
        list(ordered_map(job(refuse_seven), range(60), workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_doubtful_results_are_made_again_alone(workers: int) -> None:
    doubting = replace(job(look_slowly), settled=doubt_multiples_of_five)
    found = list(ordered_map(doubting, range(60), workers))
    assert [seen.item for seen in found] == list(range(60))
    assert [seen.item for seen in found if seen.alone] == list(range(0, 60, 5))


def test_only_a_bounded_window_of_items_is_taken() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = ordered_map(job(look), items(), 2)
    assert next(results).item == 0
    assert len(taken) <= (2 * CHUNKS_AHEAD + 1) * CHUNK_ITEMS
    results.close()


def test_a_busy_process_takes_one_small_chunk_ahead() -> None:
    with _pool(job(look_slowly), 1) as pool:
        (process,) = pool.processes
        process.send(Chunk([2]), alone=False)
        assert not process.offer(Chunk([3] * SMALL_BYTES))
        assert process.offer(Chunk([4]))
        assert not process.offer(Chunk([5]))
        results = [process.receive(), process.receive()]
    assert [[seen.item for seen in result or ()] for result in results] == [[2], [4]]


def test_what_was_handed_out_ahead_is_not_lost_with_its_process() -> None:
    def items() -> Iterator[int]:
        for number in range(30):
            time.sleep(0.01)
            yield number

    with _pool(job(die_on_seven), 2, chunk_items=1) as pool:
        pool.ahead = True
        found = list(pool.results(items()))
    assert [seen.item for seen in found] == list(range(30))
    assert [seen.item for seen in found if seen.lost] == [7]


def fall_asleep(item: int, alone: bool) -> Seen:
    time.sleep(0 if item == 0 else 60)
    return look(item, alone)


def answer_at_length(item: int, alone: bool) -> Seen:
    return Seen(item, os.getpid(), alone, lost="x" * (64 << 20))


def test_a_process_that_dies_while_it_sends_is_replaced() -> None:
    with _pool(job(answer_at_length), 2) as pool:
        first, _ = pool.processes
        first.send(Chunk([1]), alone=False)
        time.sleep(2.0)  # its pipe is full by then
        assert first.process.pid is not None
        os.kill(first.process.pid, signal.SIGKILL)
        assert first.receive() is None


PARENT = """
import sys
from tests.cluster.test_pool import fall_asleep, job
from thinkscale.cluster import CHUNK_ITEMS, ordered_map

if __name__ == "__main__":
    results = ordered_map(job(fall_asleep), [0] * CHUNK_ITEMS + [1] * 100, 2)
    print(next(results).pid, flush=True)
    list(results)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_alive(worker)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
