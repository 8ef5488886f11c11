"""Core: filters of tokens, made of the rows of a Parquet file as they are read back; numpy is imported here alone.

A filter is sized by how many different tokens there are about, and bounded by a share of the lines' bytes: of lines
that are nearly all different tokens it lets more through, or there is none and the row group is read. Left to others:
what a token is, and the format (``tokens``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from logship.lake.tokens import (
    BLOCK_BYTES,
    KEY_BYTES,
    LENGTH_MIN,
    LOWER,
    MIX,
    SALTS,
    Group,
    block,
    hashed,
    is_in,
    keys,
    readings,
)

BITS, BITS_MIN = 9, 4
"""Of a filter for each different key; one with fewer than the second would be asked in vain."""
SHARE_MAX = 1 / 50
"""Of the bytes of the lines."""
SAMPLES = 16
"""Lines of a row group that are also cut in the plain way, to see that a filter has their tokens."""
_SLICE_BYTES = 256 << 10
"""What is looked at in one go: so much of it and of what is made of it stays near the processor."""
_HELD_MAX = 1 << 20
_COUNTERS = 1 << 20

Chunk = tuple[memoryview, memoryview, memoryview]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint32]


class Broken(Exception):
    """A filter does not have what it was made of: a fault of this program."""


class Filters:
    """Makes the filters of a file whose row groups have ``rows`` rows each. ``made`` are those that are finished."""

    def __init__(self, rows: Sequence[int]) -> None:
        self.made: list[tuple[Group, bytes]] = []
        self._rows = rows
        self._texts: list[bytes] = []
        self._held = 0

    @property
    def is_whole(self) -> bool:
        """Whether all rows were seen."""
        return len(self.made) == len(self._rows)

    def through(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The chunks as they are, each looked at before it is given: offsets, ends of rows, bytes. Raises Broken."""
        for chunk in chunks:
            offsets, ends, data = chunk
            row = 0
            while row < len(offsets):
                wanted = self._rows[len(self.made)] - self._held
                last = min(len(offsets), row + wanted)
                self._texts.append(_text(ends, data, row, last))
                self._held += last - row
                row = last
                if self._held == self._rows[len(self.made)]:
                    self._finish()
            yield chunk

    def _finish(self) -> None:
        text = b"".join(self._texts)
        content = made(text)
        self.made.append((Group(self._held, len(text), len(content) // BLOCK_BYTES), content))
        self._texts, self._held = [], 0


def made(text: bytes) -> bytes:
    """The filter of the tokens in these lines, with a newline behind each; empty: none. Raises Broken."""
    hashes = _hashes(text + _besides(text))
    blocks = _blocks(_different(hashes), len(text))
    if not blocks:
        return b""
    places = _places(hashes, blocks)
    content = _filter(places, blocks)
    _check(content, places, text)
    return content


def _text(ends: memoryview, data: memoryview, row: int, last: int) -> bytes:
    """Rows as lines, with a newline behind each: two that have no end of their own do not become one token."""
    low, high = ends[row], ends[last]
    found = np.frombuffer(data, np.uint8)[np.frombuffer(ends, np.int32)[row + 1 : last + 1] - 1]
    if (found == ord("\n")).all():
        return bytes(data[low:high])
    lines = (bytes(data[ends[each] : ends[each + 1]]).removesuffix(b"\n") for each in range(row, last))
    return b"\n".join(lines) + b"\n"


def _besides(text: bytes) -> bytes:
    """Other readings of lines that have any."""
    if text.isascii() and b"\\" not in text:
        return b""
    lines = (line for line in text.split(b"\n") if b"\\" in line or not line.isascii())
    return b"\n".join([reading for line in lines for reading in readings(line)])


def _hashes(text: bytes) -> Hashes:
    """Of all keys, some of them several times."""
    found: list[Hashes] = []
    held = start = 0
    while start < len(text):
        end = text.rfind(b"\n", start, start + _SLICE_BYTES) + 1 or text.find(b"\n", start + _SLICE_BYTES) + 1
        end = end if end and len(text) - start > _SLICE_BYTES else len(text)
        found.append(_of(text[start:end].translate(LOWER)))
        held += len(found[-1])
        if held > _HELD_MAX:
            found = [np.unique(np.concatenate(found))]
            held = len(found[0])
        start = end
    return found[0] if len(found) == 1 else np.concatenate([*found, np.empty(0, np.uint64)])


def _of(small: bytes) -> Hashes:
    """``tokens.hashed`` of the keys in a text that is translated."""
    padded = b" " + small + b" " * KEY_BYTES
    is_word = np.frombuffer(padded, np.uint8) != ord(" ")
    # Where five follow: of a run of n, n - 4 places. Two halves that overlap cost less than one after the other.
    two = is_word[1:] & is_word[:-1]
    four = two[2:] & two[:-2]
    five = four[1:] & is_word[:-4]
    edges = np.flatnonzero(five[1:] != five[:-1])
    starts, sizes = edges[::2] + 1, edges[1::2] - edges[::2] + (LENGTH_MIN - 1)
    words: Any = np.ndarray((len(padded) - KEY_BYTES + 1,), "<u8", padded, strides=(1,))
    first = words[starts]
    short = sizes < KEY_BYTES
    first[short] &= (np.uint64(1) << (sizes[short].astype(np.uint64) * np.uint64(8))) - np.uint64(1)
    long = sizes > KEY_BYTES
    found = np.concatenate([first, words[starts[long] + sizes[long] - KEY_BYTES]])
    found *= np.uint64(MIX[0])
    found ^= found >> np.uint64(32)
    found *= np.uint64(MIX[1])
    found ^= found >> np.uint64(29)
    result: Hashes = found
    return result


def _different(hashes: Hashes) -> int:
    """About how many of them are different: by how many of a number of counters they leave at nought."""
    counters = hashes & np.uint64(_COUNTERS - 1)
    if len(hashes) < _COUNTERS >> 8:  # to sort so few is quicker than to look through all counters
        left = _COUNTERS - len(np.unique(counters))
    else:
        seen = np.zeros(_COUNTERS, np.bool_)
        seen[counters] = True
        left = _COUNTERS - int(np.count_nonzero(seen))
    return len(hashes) if not left else min(len(hashes), math.ceil(_COUNTERS * math.log(_COUNTERS / left)))


def _blocks(different: int, raw_bytes: int) -> int:
    """How many blocks the filter has; at least one, so that what has no token is told, too."""
    most = max(1, int(raw_bytes * SHARE_MAX) // BLOCK_BYTES)
    wanted = max(1, math.ceil(different * BITS / (BLOCK_BYTES * 8)))
    return 0 if different * BITS_MIN > most * BLOCK_BYTES * 8 else min(wanted, most)


def _places(hashes: Hashes, blocks: int) -> list[Places]:
    """The number of the bit that each hash has in each of the words of its block."""
    begins = ((hashes >> np.uint64(32)) * np.uint64(blocks) >> np.uint64(32)).astype(np.uint32)
    begins *= np.uint32(BLOCK_BYTES * 8)
    low = hashes.astype(np.uint32)
    return [
        begins + ((low * np.uint32(salt) >> np.uint32(27)) + np.uint32(word * 32)) for word, salt in enumerate(SALTS)
    ]


def _filter(places: list[Places], blocks: int) -> bytes:
    bits = np.zeros(blocks * BLOCK_BYTES * 8, np.bool_)
    for place in places:
        bits[place] = True
    return np.packbits(bits, bitorder="little").tobytes()


def _check(content: bytes, places: list[Places], text: bytes) -> None:
    """Raises Broken where the filter would hide a line."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
    if not all(bits[place].all() for place in places):
        raise Broken("a filter of tokens does not have all that it was made of")
    starts = {text.rfind(b"\n", 0, len(text) * sample // SAMPLES) + 1 for sample in range(SAMPLES)}
    for start in starts:
        line = text[start : text.find(b"\n", start)]
        for key in set().union(*map(keys, [line, *readings(line)])):
            number = hashed(key)
            begin = block(number, len(content) // BLOCK_BYTES) * BLOCK_BYTES
            if not is_in(content[begin : begin + BLOCK_BYTES], number):
                raise Broken(f"a filter of tokens has not {key!r}, which is in a line")
