"""Frames over a pipe: two lengths, a JSON header, and bytes that are carried as they are."""

import json
import os
import struct

LENGTHS = struct.Struct(">II")

Header = dict[str, "str | int | float | bool | list[str] | None"]
"""Flat facts about the bytes: which operation, how it ended, what it used."""

MAX_HEADER = 1 << 20
"""A header is read as JSON at once, which may take 30 times its size: a program must not choose how much."""


def pack(header: Header, blob: bytes = b"") -> bytes:
    """The frame as bytes."""
    text = json.dumps(header).encode()
    return b"".join((LENGTHS.pack(len(text), len(blob)), text, blob))


def unpack(data: bytes | bytearray) -> tuple[Header, bytes, int] | None:
    """The first frame of `data` with its length, or None while it is not whole. Raises ValueError on a bad header."""
    if len(data) < LENGTHS.size:
        return None
    text_length, blob_length = LENGTHS.unpack_from(data)
    start, end = LENGTHS.size + text_length, LENGTHS.size + text_length + blob_length
    if text_length > MAX_HEADER:
        raise ValueError("a frame's header is short")
    if len(data) < end:
        return None
    return _header(bytes(data[LENGTHS.size : start])), bytes(data[start:end]), end


def _header(text: bytes) -> Header:
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("a frame's header is an object")
    return header


def announced(data: bytes | bytearray) -> int:
    """How long the first frame of `data` says that it is; 0 while that cannot be told."""
    return LENGTHS.size + sum(LENGTHS.unpack_from(data)) if len(data) >= LENGTHS.size else 0


def write_frame(fd: int, header: Header, blob: bytes = b"") -> None:
    """Writes a whole frame to a blocking descriptor."""
    write_bytes(fd, pack(header, blob))


def write_bytes(fd: int, data: bytes) -> None:
    """Writes all of `data` to a blocking descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_frame(fd: int) -> tuple[Header, bytes] | None:
    """Reads one frame from a blocking descriptor; None at its end."""
    head = read_header(fd)
    if head is None:
        return None
    header, length = head
    blob = read_bytes(fd, length)
    return None if blob is None else (header, blob)


def read_header(fd: int) -> tuple[Header, int] | None:
    """Reads the header of a frame and leaves its bytes, so many, in the pipe; None at its end."""
    lengths = read_bytes(fd, LENGTHS.size)
    if lengths is None:
        return None
    text_length, blob_length = LENGTHS.unpack(lengths)
    text = read_bytes(fd, text_length)
    if text is None:
        return None
    return _header(text), blob_length


def read_bytes(fd: int, length: int) -> bytes | None:
    """Reads so many bytes from a blocking descriptor; None where it ends before."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(fd, min(length - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
