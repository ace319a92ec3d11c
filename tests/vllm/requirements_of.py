"""Prints what the one wheel in a folder requires, without what has no CPU build. Runs in any Python, on its own."""

import re
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

NOT_NEEDED = ("torch", "torchvision", "torchaudio", "torchcodec", "triton")
"""torch is installed before, from a pin; the others are for images, sound and GPUs."""


def requirements(metadata: str) -> list[str]:
    """Lines of Requires-Dist that no extra asks for, but for NOT_NEEDED."""
    lines = Parser().parsestr(metadata).get_all("Requires-Dist") or []
    kept = [line for line in lines if "extra ==" not in line.partition(";")[2]]
    return [line for line in kept if re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() not in NOT_NEEDED]


def metadata_of(wheel: Path) -> str:
    """The METADATA file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return archive.read(name).decode()


if __name__ == "__main__":
    (found,) = Path(sys.argv[1]).glob("*.whl")
    sys.stdout.write("\n".join(requirements(metadata_of(found))) + "\n")
