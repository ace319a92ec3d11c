"""Patterns of source names."""

import re


def fits(source: str, pattern: str) -> bool:
    """Whether a source's name is `pattern`, in which `*` stands for any characters and nothing else is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), source, re.DOTALL) is not None
