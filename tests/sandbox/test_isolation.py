"""What a sandbox keeps apart, seen from inside and from outside."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from thinkscale.errors import SandboxError
from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.sandbox import isolation as isolation_module
from thinkscale.sandbox.channel import Channel, LostError
from thinkscale.sandbox.isolation import Isolation, Kind, find_isolation
from thinkscale.sandbox.programs import Sandbox
from thinkscale.sandbox.view import ENVIRONMENT

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


def run(sandbox: Sandbox, source: str, stdin: bytes = b"") -> Execution:
    with sandbox.open(textwrap.dedent(source)) as program:
        return program.run(stdin)


def test_nothing_of_the_environment_is_seen(isolation: Isolation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    with Sandbox(isolation, Limits()) as fresh:
        seen = run(fresh, "import os; print(sorted(os.environ), [v for v in os.environ.values() if 'secret' in v])")
    assert seen.stdout.decode().strip() in (f"{sorted(ENVIRONMENT)} []", f"{sorted([*ENVIRONMENT, 'PWD'])} []")


def test_no_file_of_this_machine_is_seen_but_those_of_python(each_sandbox: Sandbox) -> None:
    project = Path(__file__).resolve()
    hidden = [
        "/proc/self",
        "/sys/kernel",
        "/etc/passwd",
        "/home",
        "/var",
        "/run",
        "/dev/shm",
        "/dev/tty",
        "/mnt",
        "/old",
        "/new",
    ]
    hidden += [
        str(project),
        str(project.parents[2] / "pyproject.toml"),
        str(Path.home() / ".bashrc"),
        str(Path.home() / ".ssh"),
        "/usr/bin/env",
        "/bin/sh",
    ]
    source = f"import os; print([path for path in {hidden!r} if os.path.lexists(path)])"
    assert run(each_sandbox, source).stdout == b"[]\n"


def test_installed_packages_are_not_seen_but_those_for_contests(each_sandbox: Sandbox) -> None:
    source = """
        for name in ("thinkscale", "pytest", "pip", "torch", "polars", "yaml"):
            try:
                __import__(name + ".cli" if name == "thinkscale" else name)
                print(name)
            except ImportError:
                pass
    """
    assert run(each_sandbox, source).stdout == b""


def test_nothing_can_be_written_but_its_own_folder(each_sandbox: Sandbox) -> None:
    source = """
        import os, sys
        written = []
        folders = "/ /usr /dev /dev/shm /harness /packages /lib /root /tmp/.. /etc".split()
        folders += ["/harness/thinkscale/sandbox/inside"]
        for folder in [*folders, os.path.dirname(os.__file__), os.path.dirname(sys.executable)]:
            for attempt in (
                lambda: open(folder + "/x", "w"),
                lambda: os.mkdir(folder + "/y"),
                lambda: os.symlink("a", folder + "/z"),
            ):
                try:
                    attempt()
                    written.append(folder)
                except OSError:
                    pass
        for root, folders, files in os.walk("/"):
            for path in [root] + [os.path.join(root, name) for name in files]:
                if os.access(path, os.W_OK) and not path.startswith("/tmp") and not path.startswith("/dev/"):
                    written.append(path)
        print(written)
    """
    assert run(each_sandbox, source).stdout == b"[]\n"


def test_its_folder_is_empty_for_each_test_and_each_program(each_sandbox: Sandbox) -> None:
    source = (
        "import os\nprint(os.listdir('/tmp'))\nos.makedirs('a/b')\nopen('a/b/x', 'w').close()\nopen('.y', 'w').close()"
    )
    with each_sandbox.open(source) as program:
        assert [program.run(b"").stdout for _ in range(2)] == [b"['main.py']\n"] * 2
    assert run(each_sandbox, source).stdout == b"['main.py']\n"


def test_a_server_of_this_machine_cannot_be_reached(each_sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        source = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)"
        assert run(each_sandbox, source).ending is Ending.EXCEPTION
        with pytest.raises(TimeoutError):
            server.accept()


def descendants(pid: int) -> list[int]:
    children = [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [found for child in children for found in (child, *descendants(child))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_its_processes_are_in_namespaces_of_their_own_without_any_right(isolation: Isolation) -> None:
    others = descendants(os.getpid())
    with Channel(isolation.command(disk_bytes=1 << 20)) as channel:
        assert channel.request({"op": "hello"}, seconds=30)[0]["process"] == 1
        (inner,) = [pid for pid in descendants(os.getpid()) if pid not in others and is_first(pid)]
        for name in NAMESPACES:
            assert Path(f"/proc/{inner}/ns/{name}").readlink() != Path(f"/proc/self/ns/{name}").readlink(), name
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{inner}/status").read_text().splitlines())
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def is_first(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1] == "1"


CLIENT = """
import sys, time
from thinkscale.grading.execution import Limits
from thinkscale.sandbox.isolation import find_isolation
from thinkscale.sandbox.programs import Sandbox
source = "import time\\nwhile True: time.sleep(1)"
with Sandbox(find_isolation(sys.argv[1]), Limits()) as sandbox, sandbox.open(source) as program:
    print("ready", flush=True)
    program.run(b"")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_outlives_a_client_that_is_killed(isolation: Isolation) -> None:
    client = subprocess.Popen([sys.executable, "-c", CLIENT, isolation.kind], stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 20
    while len(inner := descendants(client.pid)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(inner) >= 4
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stdout.close()
    while any(Path(f"/proc/{pid}").exists() for pid in inner) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in inner if Path(f"/proc/{pid}").exists()] == []


def test_a_lost_sandbox_is_started_again(isolation: Isolation) -> None:
    with Sandbox(isolation, Limits()) as sandbox, sandbox.open("print(input())") as program:
        assert program.run(b"1").stdout == b"1\n"
        sandbox.programs._channel._process.kill()  # type: ignore[union-attr]
        assert program.run(b"2").stdout == b"2\n"


def test_a_sandbox_that_cannot_start_is_no_verdict_on_the_program(isolation: Isolation) -> None:
    broken = replace(isolation, kind=Kind.BUBBLEWRAP, bwrap="/bin/false")
    with Sandbox(broken, Limits()) as sandbox, sandbox.open("print(1)") as program:
        assert program.run(b"").ending is Ending.SANDBOX


def test_where_no_isolation_can_be_had_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation_module, "_try", lambda kind: f"no {kind} here")
    with pytest.raises(SandboxError, match="so none is run") as caught:
        find_isolation()
    assert caught.value.exit_code == 2
    assert all(word in str(caught.value) for word in ("no bubblewrap here", "no namespaces here", Kind.NONE))


def test_an_unknown_isolation_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(SandboxError, match="bubblewrap, namespaces, none-i-accept"):
        find_isolation("docker")


def test_without_bubblewrap_our_own_launcher_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    isolation_module._try.cache_clear()
    tried = isolation_module._try(Kind.BUBBLEWRAP), isolation_module._try(Kind.NAMESPACES)
    found = find_isolation() if isinstance(tried[1], Isolation) else None
    isolation_module._try.cache_clear()
    assert tried[0] == "bwrap is not installed"
    assert found is None or found.kind is Kind.NAMESPACES


def test_a_folder_that_holds_anything_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    mode = tmp_path.stat().st_mode
    command = Isolation(kind=Kind.NONE).command(disk_bytes=1 << 20)
    with Channel(command, str(tmp_path)) as channel, pytest.raises(LostError):
        channel.request({"op": "open"}, b"print(1)", seconds=30)
    assert (tmp_path / "kept").read_text() == "mine"
    assert tmp_path.stat().st_mode == mode


def test_no_isolation_runs_only_by_its_frightening_name_and_still_has_limits() -> None:
    unprotected = find_isolation(Kind.NONE)
    assert not unprotected.contained
    limits = Limits(cpu_seconds=0.3, wall_seconds=5.0)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with Sandbox(unprotected, limits) as sandbox:
        assert run(sandbox, "print(sum(map(int, input().split())))", b"1 2").stdout == b"3\n"
        folder = Path(run(sandbox, "import os; open('x', 'w').close(); print(os.getcwd())").stdout.decode().strip())
        assert list(folder.iterdir()) == []
        assert run(sandbox, "while True: pass").ending is Ending.CPU_TIME
        assert run(sandbox, "x = bytearray(6 << 30)").ending is Ending.MEMORY
        with sandbox.open("def f(x): return x + 1") as program:
            assert program.check("assert f(1) == 2", entry="", candidates=["f"]).ending is Ending.FINISHED
    assert not folder.exists()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
