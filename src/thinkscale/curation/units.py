"""Units of texts as bytes: where they start and end, and which of them are equal, for millions at once.

A unit is a run of bytes between separators, or a sign. Equal units have equal numbers of 64 bits, and only one of each
is ever looked at as text; the chance that two different ones among a million have one number is 3 in 100 million.
"""

from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MAX_BLOCKS = 64
"""Units of more than 8 times as many bytes are hashed one by one."""
BETWEEN, ORDINARY, SIGN = 0, 1, 2


def scrambled(numbers: Hashes) -> Hashes:
    """Each number mixed so that every bit depends on every other: the finish of splitmix64, one to one."""
    mixed = numbers >> np.uint64(30)
    mixed ^= numbers
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def distinct(numbers: Integers) -> Integers:
    """The different numbers, ascending. `numpy.unique` takes several times as long for integers."""
    ordered = np.sort(numbers)
    return ordered[changes(ordered)]


def changes(*columns: NDArray[np.generic]) -> Integers:
    """Where in columns of one length a row differs from the row before it; the first always does."""
    differs = np.ones(len(columns[0]), np.bool_)
    differs[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(differs)


def class_table(separators: str, signs: str) -> bytes:
    """For each byte: BETWEEN units, ORDINARY within one, SIGN a unit of its own. All of it ASCII."""
    table = bytearray([ORDINARY] * 256)
    for characters, kind in ((separators, BETWEEN), (signs, SIGN)):
        for character in characters.encode():
            table[character] = kind
    return bytes(table)


def bounds(buffer: bytes, table: bytes, stops: str) -> tuple[Integers, Integers]:
    """Where the units of a buffer start and end. Marks in `stops` separate, except before a digit.

    The last byte of the buffer is a separator.
    """
    characters = np.frombuffer(buffer, np.uint8)
    classes = np.zeros(len(buffer) + 2, np.uint8)
    classes[1:-1] = np.frombuffer(buffer.translate(table), np.uint8)
    for mark in stops.encode():
        places = np.flatnonzero(characters == mark)
        after = characters[places + 1]
        classes[1:-1][places[(after < ord("0")) | (after > ord("9"))]] = BETWEEN
    ordinary = classes == ORDINARY
    signs = classes[1:-1] == SIGN
    starts = np.flatnonzero(signs | (ordinary[1:-1] & ~ordinary[:-2]))
    return starts, np.flatnonzero(signs | (ordinary[1:-1] & ~ordinary[2:])) + 1


def unit_keys(buffer: bytes, starts: Integers, ends: Integers) -> Hashes:
    """A number for the bytes of each unit: eight bytes at a time, mixed. `buffer` has 8 bytes after the last unit."""
    words = np.ndarray((len(buffer) - 7,), np.dtype("<u8"), buffer, strides=(1,))
    masks = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
    lengths = ends - starts
    keys = scrambled(lengths.astype(np.uint64))
    keys *= MULTIPLIER
    keys += words[starts] & masks[np.minimum(lengths, 8)]
    keys = scrambled(keys)
    left = np.flatnonzero(lengths > 8)
    for block in range(1, MAX_BLOCKS):
        size = np.minimum(lengths[left] - 8 * block, 8)
        keys[left] = scrambled(keys[left] * MULTIPLIER + (words[starts[left] + 8 * block] & masks[size]))
        left = left[lengths[left] > 8 * block + 8]
    for place in left.tolist():
        whole = blake2b(buffer[starts[place] : ends[place]], digest_size=8).digest()
        keys[place] = int.from_bytes(whole, "little")
    return keys


def grouped(keys: Hashes) -> tuple[Integers, Integers]:
    """For each key the number of its group, and for each group the position of one member.

    A table of slots finds most; keys that lose their slot to another are few and are sorted.
    """
    bits = max(1, (4 * len(keys)).bit_length())
    slots = (keys >> np.uint64(64 - bits)).astype(np.int64)
    table = np.zeros(1 << bits, np.int32)
    table[slots] = np.arange(len(keys), dtype=np.int32)
    member = table[slots].astype(np.int64)
    lost = np.flatnonzero(keys[member] != keys)
    if len(lost):
        _, firsts, inverse = np.unique(keys[lost], return_index=True, return_inverse=True)
        member[lost] = lost[firsts][inverse]
    chosen = np.zeros(len(keys), np.bool_)
    chosen[member] = True
    return (np.cumsum(chosen) - 1)[member], np.flatnonzero(chosen)
