"""The request cache keeps what was paid for, among many processes, on a full disk, and in a damaged file."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thinkscale.engines.remote.cache import RequestCache, default_path, request_key
from thinkscale.errors import EncodingError, StorageError
from thinkscale.keys import JSON

REPLY: dict[str, JSON] = {"text": "42 – ½", "ids": [1, 2, 3], "finish": "end", "prompt_tokens": None, "usd": 0.25}


def opened(folder: Path) -> RequestCache:
    return RequestCache.open(folder / "new" / "requests.db")


def edited(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_a_reply_comes_back_as_it_was_also_after_reopening(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    assert cache.get("k") is None
    cache.put("k", REPLY)
    assert cache.get("k") == REPLY
    cache.close()
    again = opened(tmp_path)
    assert again.get("k") == REPLY
    assert again.count() == 1
    assert stat.S_IMODE(again.path.stat().st_mode) == 0o600
    again.close()


def test_a_reply_with_half_a_surrogate_pair_comes_back(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("k", {"text": "torn \ud83d"})
    assert cache.get("k") == {"text": "torn \ud83d"}
    cache.close()


def test_the_first_reply_to_a_request_stays(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("k", {"text": "first"})
    cache.put("k", {"text": "second"})
    assert cache.get("k") == {"text": "first"}
    cache.close()


def test_each_part_of_a_request_changes_its_key() -> None:
    base = request_key("model", "server", {"prompt": [1], "seed": 0})
    others = {
        request_key("model2", "server", {"prompt": [1], "seed": 0}),
        request_key("model", "server2", {"prompt": [1], "seed": 0}),
        request_key("model", "server", {"prompt": [1], "seed": 1}),
        request_key("modelserver", "", {"prompt": [1], "seed": 0}),
    }
    assert len(others | {base}) == 5
    assert base == request_key("model", "server", {"seed": 0, "prompt": [1]})


@pytest.mark.parametrize(("given", "place"), [("{tmp}", "{tmp}"), ("relative", "{home}/.cache"), ("", "{home}/.cache")])
def test_the_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, place: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", given.format(tmp=tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = Path(place.format(tmp=tmp_path, home=tmp_path / "home"))
    assert default_path() == expected / "thinkscale" / "requests.db"


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE replies SET payload = ? WHERE key = 'bad'", b"(\xb5/\xfd torn"),
        ("UPDATE replies SET checksum = checksum + ? WHERE key = 'bad'", 1),
        ("UPDATE replies SET payload = ? WHERE key = 'bad'", "a text"),
    ],
)
def test_a_damaged_row_is_a_miss_and_makes_room_for_a_sound_one(tmp_path: Path, statement: str, value: object) -> None:
    cache = opened(tmp_path)
    cache.put("bad", REPLY)
    cache.put("good", REPLY)
    edited(cache.path, statement, value)
    assert cache.get("bad") is None
    assert cache.count() == 1
    cache.put("bad", {"text": "again"})
    assert cache.get("bad") == {"text": "again"}
    assert cache.get("good") == REPLY
    cache.close()


def test_a_file_that_is_no_database_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    path.write_bytes(b"these are my notes, and they are longer than a header of SQLite is " * 20)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="Delete it"):
        RequestCache.open(path)
    assert path.read_bytes() == before


def test_a_database_of_others_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    edited(path, "CREATE TABLE notes (text)")
    with pytest.raises(StorageError, match="not a request cache"):
        RequestCache.open(path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.close()
    edited(cache.path, "PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="format 99"):
        opened(tmp_path)


def test_a_torn_file_says_to_delete_it(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    for number in range(200):
        cache.put(f"k{number}", {"text": str(number) * 50})
    cache.close()
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    torn = opened(tmp_path)
    with pytest.raises(StorageError, match="Delete it and run again"):
        torn.get("k7")
    torn.close()


def test_a_full_disk_is_an_error_of_put_and_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("first", REPLY)
    pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")
    noise: JSON = [number * 7919 % 100_003 for number in range(50_000)]
    with pytest.raises(StorageError, match="full"):
        cache.put("second", {"ids": noise})
    assert cache.get("first") == REPLY
    assert cache.get("second") is None
    cache.close()


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file stands in the way")
    with pytest.raises(StorageError, match="cannot be used"):
        opened(tmp_path)


def test_what_has_no_stable_json_is_not_stored(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    with pytest.raises(EncodingError):
        cache.put("k", {"usd": float("nan")})
    assert cache.count() == 0
    cache.close()


def test_pruning_removes_what_was_used_longest_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1e9]
    monkeypatch.setattr("time.time", lambda: clock[0])
    cache = opened(tmp_path)
    for number in range(60):
        clock[0] += 10_000
        noise: JSON = [number * 1_000_003 + index * index * 7919 for index in range(2_000)]
        cache.put(f"k{number:02}", {"ids": noise})
    clock[0] += 10_000
    assert cache.get("k00") is not None  # now the newest
    half = cache.size_bytes() // 2
    cache._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = cache.path.stat().st_size
    removed = cache.prune(half)
    assert 25 <= removed <= 40
    assert cache.size_bytes() <= half
    assert cache.count() == 60 - removed
    assert cache.path.stat().st_size < before
    left = [number for number in range(60) if cache.get(f"k{number:02}") is not None]
    assert left == [0, *range(removed + 1, 60)]
    assert cache.prune(half) == 0
    assert cache.prune(0) == 60 - removed
    assert cache.count() == 0
    cache.close()


def test_a_full_disk_does_not_keep_back_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened(tmp_path)
    cache.put("k", REPLY)
    monkeypatch.setattr("time.time", lambda: 4e9)  # so long after that reading it would note the time
    cache._connection.execute("PRAGMA query_only = 1")
    assert cache.get("k") == REPLY
    cache.close()


def test_a_reply_survives_a_kill_right_after_it_was_put(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom thinkscale.engines.remote.cache import RequestCache\n"
        "RequestCache.open(Path(sys.argv[1])).put('k', {'text': 'paid'})\nos.kill(os.getpid(), 9)"
    )
    path = tmp_path / "requests.db"
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    cache = RequestCache.open(path)
    assert cache.get("k") == {"text": "paid"}
    cache.close()


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = opened(tmp_path)

    def work(number: int) -> bool:
        cache.put(f"k{number % 50}", {"text": str(number % 50)})
        return cache.get(f"k{number % 50}") == {"text": str(number % 50)}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))
    assert cache.count() == 50
    cache.close()


WRITER = """
import sys
from pathlib import Path
from thinkscale.engines.remote.cache import RequestCache
path, me = Path(sys.argv[1]), int(sys.argv[2])
sys.stdin.read()
cache = RequestCache.open(path)
for number in range(150):
    cache.put(f"shared{number}", {"number": number})
    cache.put(f"own{me}-{number}", {"number": number, "by": me})
    assert cache.get(f"shared{(number * 7) % (number + 1)}") is not None
cache.close()
"""


def test_four_processes_open_and_fill_one_cache_at_once(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(me)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for me in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()  # all of them wait for this, so that they also make the file at once
        writer.stdin = None
    complaints = [writer.communicate()[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0], complaints
    cache = RequestCache.open(path)
    assert cache.count() == 150 + 4 * 150
    assert cache.get("shared149") == {"number": 149}
    assert cache.get("own3-149") == {"number": 149, "by": 3}
    cache.close()
