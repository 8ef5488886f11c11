"""Run: a file is believed when what was read back from it is what the journal holds, to the byte.

Compared are, for each stream, which rows are its own, that they follow on each other without hole, and the digest of
their exact bytes with that of the journal's frames, read anew; and that the journal holds no further line: behind the
last row no newline, between two and before the first nothing but damaged places. How lines were made plays no part.
What was read back goes through the makers of filters on its way: they are of what is proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from logship.collect.journal import Frame
from logship.errors import Fault
from logship.lake.filters import Broken, Filters
from logship.lake.manifest import Damaged
from logship.lake.parquet import Parquet
from logship.view.journal_reader import Damage, Journal
from logship.view.segments import Gone
from logship.view.window import Sealed


@dataclass(slots=True)
class Expected:
    """What a file should hold of a stream: so many rows, of these frames, with these places that could not be read.

    ``starts`` of its program are kept in the manifest alone (``manifest.Starts``).
    """

    stream: str
    frames: Sequence[Frame]
    rows: int = 0
    damaged: list[Damaged] = field(default_factory=list)
    starts: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Run:
    """Rows that follow on each other: their bytes are those from ``start`` to ``end`` of their stream."""

    start: int
    end: int
    digest: xxhash.xxh3_128


class Proof:
    """Compares files with ``journal``; ``sealed`` knows how lines begin that it has no more."""

    def __init__(self, journal: Journal, parquet: Parquet, sealed: Sealed) -> None:
        self._journal = journal
        self._parquet = parquet
        self._sealed = sealed

    def check(self, path: Path, expected: Sequence[Expected], filters: Filters) -> dict[str, tuple[int, int]]:
        """By stream where its first row begins and its last one ends; ``filters`` are made of all rows.

        Raises Fault where the file does not hold what it should, OSError, and Gone when the journal's segment went.
        """
        with_rows = [one for one in expected if one.rows]
        wanted, row = [], 0
        for one in with_rows:
            wanted.append((one.stream, row, one.rows))
            row += one.rows
        if self._parquet.places(path) != wanted:
            raise _differs(path, "its rows are not those that were written")
        found: dict[str, tuple[int, int]] = {}
        chunks = filters.through(self._parquet.contents(path))
        try:
            runs = dict(_runs(chunks, [(one.stream, one.rows) for one in with_rows]))
        except Broken as broken:
            raise _differs(path, str(broken)) from None
        for one in expected:
            reason = self._compare(one, runs.get(one.stream, []))
            if reason:
                raise _differs(path, f"stream {one.stream}: {reason}")
            if one.rows:
                found[one.stream] = runs[one.stream][0].start, runs[one.stream][-1].end
        return found

    def _compare(self, one: Expected, runs: list[_Run]) -> str:
        """What differs; nothing for a stream that is as it should be."""
        holes = [(place.offset, place.offset + place.bytes) for place in one.damaged]
        at = one.frames[0].entry.offset
        for run in runs:
            if run.start > at and not _covered(holes, at, run.start):
                return f"no row has the bytes from {at} to {run.start}"
            if run.digest.digest() != self._digest(one.frames, run.start, run.end):
                return f"the bytes from {run.start} to {run.end} are not the journal's"
            at = max(at, run.end)
        last = one.frames[-1].entry
        for data in self._bodies(one.frames, at, last.offset + last.length, skip=True):
            if b"\n" in data:
                return f"no row has the line after {at}"
        return ""

    def _digest(self, frames: Sequence[Frame], start: int, end: int) -> bytes:
        digest = xxhash.xxh3_128()
        for data in self._bodies(frames, start, end):
            digest.update(data)
        return digest.digest()

    def _bodies(self, frames: Sequence[Frame], start: int, end: int, *, skip: bool = False) -> Iterator[bytes]:
        """The bytes of a stream from the journal; ``skip`` those that cannot be read."""
        earlier: list[Frame] = []
        first = frames[0]
        while first.entry.offset > start and (previous := first.entry.previous) is not None:
            try:
                first = self._journal.frame(previous)
            except Gone:
                known = self._sealed(first.entry.stream, previous, first.entry.offset)
                if known is None:
                    raise
                yield known[2][max(0, start - known[0]) : max(0, end - known[0])]
                break
            earlier.append(first)
        for frame in [*reversed(earlier), *frames]:
            offset, length = frame.entry.offset, frame.entry.length
            if length and offset < end and offset + length > start:
                try:
                    body = self._journal.body(frame)
                except Damage:
                    if not skip:
                        raise
                    continue
                yield body[max(0, start - offset) : end - offset]


def _runs(
    chunks: Iterator[tuple[memoryview, memoryview, memoryview]], rows: Sequence[tuple[str, int]]
) -> Iterator[tuple[str, list[_Run]]]:
    """The runs of each stream; ``rows`` are how many each has, in order."""
    order = iter(rows)
    stream, left = next(order, ("", 0))
    runs: list[_Run] = []
    for offsets, ends, data in chunks:
        row = 0
        while row < len(offsets):
            if not left:
                yield stream, runs
                stream, left = next(order)
                runs = []
            count = min(left, len(offsets) - row)
            _gather(runs, offsets, ends, data, row, row + count)
            row += count
            left -= count
    if stream:
        yield stream, runs


def _gather(runs: list[_Run], offsets: memoryview, ends: memoryview, data: memoryview, row: int, last_row: int) -> None:
    """Add rows ``row`` to ``last_row``, whose bytes lie together, to the runs."""
    begin = row
    while row < last_row:
        base = offsets[row] - ends[row]
        # Rows that follow on each other are as far from their offset as the first one.
        pairs = zip(offsets[row:last_row], ends[row:last_row], strict=True)
        row = next((row + n for n, (offset, end) in enumerate(pairs) if offset - end != base), last_row)
        start, size = offsets[begin], ends[row] - ends[begin]
        if not runs or runs[-1].end != start:
            runs.append(_Run(start, start, xxhash.xxh3_128()))
        runs[-1].digest.update(data[ends[begin] : ends[row]])
        runs[-1].end += size
        begin = row


def _covered(holes: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    for low, high in sorted(holes):
        if low <= start < high:
            start = high
    return start >= end


def _differs(path: Path, cause: str) -> Fault:
    hint = "nothing was published; run `logship fsck`, and start again: it is made anew"
    return Fault("seal", str(path), cause, hint)
