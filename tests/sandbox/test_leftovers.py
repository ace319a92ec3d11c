"""What a program does to processes, files and memory beyond its own: refused, or gone before the next program runs."""

from typing import Any

import pytest

from tests.sandbox.tables import cases, name
from thinkscale.grading.execution import Ending
from thinkscale.sandbox.programs import Sandbox

SEARCH_OF_MEMORY = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
place = top = libc.sbrk(ctypes.c_long(0))
reading, writing = os.pipe()
wanted = bytes([81, 87]) * 8
pages = 0
while True:
    place -= 4096
    try:
        os.write(writing, (ctypes.c_char * 4096).from_address(place))
    except OSError:
        break
    pages += wanted in os.read(reading, 4096)
print(top - place > 100_000, pages)
"""


@pytest.mark.parametrize("length", [500, 10_000, 50_000])
def test_the_text_of_the_last_program_is_not_left_in_memory(each_sandbox: Sandbox, length: int) -> None:
    """A wrong program could run the right one of another answer to the same problem, or copy its output."""
    last = f"text = '{'QW' * length}'\nprint(3)"
    with each_sandbox.open(last) as program:
        assert program.run(b"").stdout == b"3\n"
    with each_sandbox.open(SEARCH_OF_MEMORY) as program:
        assert program.run(b"").stdout == b"True 0\n"
    with each_sandbox.open(f"mark = '{'QW' * length}'\n{SEARCH_OF_MEMORY}") as program:
        assert program.run(b"").stdout.startswith(b"True ")
        assert program.run(b"").stdout != b"True 0\n", "the search finds what is there"


NO_RIGHTS_BY_DEFAULT = """acl = b"".join(struct.pack("<HHI", tag, 0, 2**32 - 1) for tag in (1, 4, 32))
    os.setxattr("/tmp", "system.posix_acl_default", struct.pack("<I", 2) + acl)"""
FOLDER = "import os\nfound = os.stat('/tmp')\nprint(oct(found.st_mode), found.st_atime == 77, os.listxattr('/tmp'))\n"


@pytest.mark.parametrize(
    "spoiling",
    [
        "os.chmod('/tmp', 0o500)",
        "os.chmod('/tmp', 0)",
        "os.utime('/tmp', (77, 77))",
        "os.setxattr('/tmp', 'user.x', b'1')",
        NO_RIGHTS_BY_DEFAULT,
    ],
)
def test_a_spoilt_folder_does_not_reach_the_next_program(each_sandbox: Sandbox, spoiling: str) -> None:
    with each_sandbox.open(FOLDER) as program:
        before = program.run(b"").stdout
    spoiler = f"import os, struct\nos.unlink('main.py')\ntry:\n    {spoiling}\nexcept OSError:\n    pass"
    with each_sandbox.open(spoiler) as program:
        assert [program.run(b"").ending for _ in range(2)] == [Ending.FINISHED] * 2
    with each_sandbox.open(FOLDER + "open('x', 'w').close()") as program:
        after = program.run(b"")
    assert (after.ending, after.stdout) == (Ending.FINISHED, before), after.detail


@pytest.mark.parametrize("case", cases("reaching_out.jsonl"), ids=name)
def test_what_would_reach_beyond_a_program_is_refused(each_sandbox: Sandbox, case: dict[str, Any]) -> None:
    with each_sandbox.open(case["source"]) as program:
        ran = program.run(b"")
    assert ran.stdout == b"refused\n", ran.detail
