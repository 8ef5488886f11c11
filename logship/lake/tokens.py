"""Core: tokens, the filter of those of a row group, and the file that holds the filters of a Parquet file.

A token is a run of LENGTH_MIN letters and digits of ASCII and ``_`` or more with none of them beside it, in small
letters. Every other character stands between tokens, so what it means to be whole is weaker here than for a word of the
language, and no word of that is missed. A filter has of each token its first and its last KEY_BYTES bytes, so that also
a beginning or an end of that length can be asked for. It says "surely not here" or "perhaps": it is the split-block
Bloom filter of Parquet. Left to others: making filters (``filters``), what a query is sure of (``view.certain``), files
(``sidecar``).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

from logship.values import Invalid

LENGTH_MIN = 5
"""Shorter ones are in every row group."""
KEY_BYTES = 8
BLOCK_BYTES = 32
MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)
SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)
"""Of Parquet's filter, one for each of the eight words of a block."""
LOWER = bytes(
    byte if chr(byte) in "_abcdefghijklmnopqrstuvwxyz0123456789" else byte + 32 if 65 <= byte <= 90 else 32
    for byte in range(256)
)
"""For bytes.translate: what is in tokens in small letters, all else a space."""
FOLDED = str.maketrans({"\u017f": "s", "\u212a": "k", "\u0130": "i", "\u0131": "i"})
"""The only characters beyond ASCII that a pattern which ignores case takes for letters of ASCII."""

_MASK = (1 << 64) - 1
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_MAGIC = b"logship-tokens\n\0"
VERSION = 1
_HEAD = struct.Struct("<16sII")
_GROUP = struct.Struct("<IIQ")


def hashed(key: bytes) -> int:
    """The hash of a key: of its bytes as one number, the first byte the lowest."""
    found = int.from_bytes(key, "little") * MIX[0] & _MASK
    found = (found ^ found >> 32) * MIX[1] & _MASK
    return found ^ found >> 29


def block(number: int, blocks: int) -> int:
    """In which block of a filter the bits of a hash are."""
    return (number >> 32) * blocks >> 32


def is_in(content: bytes, number: int) -> bool:
    """Whether a block has all bits of a hash."""
    words = struct.unpack("<8I", content)
    low = number & 0xFFFFFFFF
    return all(word >> ((low * salt & 0xFFFFFFFF) >> 27) & 1 for word, salt in zip(words, SALTS, strict=True))


def keys(text: bytes) -> set[bytes]:
    """The keys of all tokens of a text: each in whole, or its first and its last bytes."""
    found = [token for token in text.translate(LOWER).split() if len(token) >= LENGTH_MIN]
    return {token[:KEY_BYTES] for token in found} | {token[-KEY_BYTES:] for token in found}


def readings(line: bytes) -> Iterator[bytes]:
    """How else a line is read by what looks into it, where tokens come of that which do not stand in its own bytes.

    JSON's escapes are resolved in the values of its keys; and those who ignore case may do so beyond ASCII.
    """
    text = line.decode("utf-8", "replace")
    plain = _ESCAPE.sub(_resolved, text) if text.startswith("{") and "\\" in text else text
    if plain is not text:
        yield plain.encode()
    for each in {text, plain}:
        if not each.isascii():
            yield each.translate(FOLDED).encode()
            yield each.casefold().encode()


def _resolved(match: re.Match[str]) -> str:
    """All escapes but those by number are of characters that are in no token."""
    code = int(match[1], 16) if match[1] else 32
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


# What is asked of filters.


@dataclass(frozen=True, slots=True)
class Has:
    """The line has a token with this key."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Every:
    """Each of the parts holds."""

    parts: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the parts holds."""

    parts: tuple[Need, ...]


Need = Has | Every | Either
"""What is true of every line that a query matches, as far as tokens can tell."""


def every(parts: list[Need | None]) -> Need | None:
    """All that is certain of what is known to hold; None: nothing is."""
    known = tuple(part for part in parts if part is not None)
    return None if not known else known[0] if len(known) == 1 else Every(known)


def either(parts: list[Need | None]) -> Need | None:
    """What is certain where one of the parts holds: nothing, as soon as nothing is of one of them."""
    known = tuple(part for part in parts if part is not None)
    return None if len(known) < len(parts) or not known else known[0] if len(known) == 1 else Either(known)


def answered(need: Need, ask: Callable[[bytes], int]) -> int:
    """The row groups, a bit each, in which the need may be met; ``ask`` says in which ones a key may be."""
    if isinstance(need, Has):
        return ask(need.key)
    found = [answered(part, ask) for part in need.parts]
    return reduce(int.__and__ if isinstance(need, Every) else int.__or__, found)


# The file: a head, a line a row group, and their filters.


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: its rows, the bytes of its lines, and how many blocks its filter has; 0: it has none."""

    rows: int
    raw_bytes: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Directory:
    """The row groups of a Parquet file in order. ``starts`` are where their filters begin in the file."""

    groups: tuple[Group, ...]
    starts: tuple[int, ...]

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        return self.starts[-1]


def directory(groups: tuple[Group, ...]) -> Directory:
    """With the places of the filters, and where the last one ends."""
    starts = [_aligned(_HEAD.size + _GROUP.size * len(groups))]
    for group in groups:
        starts.append(starts[-1] + group.blocks * BLOCK_BYTES)
    return Directory(groups, tuple(starts))


def pack(made: list[tuple[Group, bytes]]) -> bytes:
    """The file of these filters, a row group each."""
    groups = tuple(group for group, _ in made)
    head = _HEAD.pack(_MAGIC, VERSION, len(groups))
    head += b"".join(_GROUP.pack(group.rows, group.blocks, group.raw_bytes) for group in groups)
    return head.ljust(directory(groups).starts[0], b"\0") + b"".join(content for _, content in made)


def parse(content: bytes) -> Directory | Invalid:
    """The directory of a file, which is given whole."""
    if len(content) < _HEAD.size:
        return Invalid("is too short")
    magic, version, count = _HEAD.unpack_from(content)
    if (magic, version) != (_MAGIC, VERSION):
        return Invalid("is of another version")
    if len(content) < _HEAD.size + _GROUP.size * count:
        return Invalid("is too short")
    found = (_GROUP.unpack_from(content, _HEAD.size + _GROUP.size * number) for number in range(count))
    read = directory(tuple(Group(rows, raw_bytes, blocks) for rows, blocks, raw_bytes in found))
    return read if read.size == len(content) else Invalid("has another size than its head says")


def _aligned(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
