"""Core: which frame holds which bytes of a stream.

Not every frame is kept: one entry for each 64 frames or 64 KiB of a stream (and the first in each segment), since ten
lines a second from a hundred programs are 86 million frames a day. Frames carry the LSN of their predecessor, so the
ones between two entries are found by walking back from the later one (``chunks``). An entry costs 16 bytes: 25 bytes
for 100 tiny frames, 1.6 MB for 100,000 large ones; a stream about 300 bytes besides. Entries go with their segment.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from logship.collect.journal import Kind

RUN_FRAMES_MAX = 64
RUN_BYTES_MAX = 65_536


class Stretch(NamedTuple):
    """An entry, LSN and offset, and the next one of the stream (None: there is none): what lies between is contiguous.

    Its frames are all of the entry's segment, since each segment has an entry of its own.
    """

    lsn: int
    next_lsn: int | None
    offset: int
    next_offset: int | None


class _Run:
    """The entries of one stream, and how much has come since the last one."""

    __slots__ = ("bytes", "frames", "lsns", "offsets")

    def __init__(self) -> None:
        self.offsets = array("Q")
        self.lsns = array("Q")
        self.frames = 0
        self.bytes = 0


class Index:
    """Entries of all streams. ``segment_lsn`` is where the segment begins that is written to."""

    def __init__(self) -> None:
        self.segment_lsn = 0
        self._runs: dict[str, _Run] = {}

    def add(self, kind: Kind, path: str, offset: int, length: int, lsn: int, frame_bytes: int) -> None:
        """Take note of a frame, in the journal's order."""
        if kind is Kind.DELETE:
            self._runs.pop(path, None)
        if not length:
            return
        run = self._runs.get(path)
        if run is None:
            run = self._runs[path] = _Run()
        elif run.frames < RUN_FRAMES_MAX and run.bytes < RUN_BYTES_MAX and run.lsns[-1] >= self.segment_lsn:
            run.frames += 1
            run.bytes += frame_bytes
            return
        run.offsets.append(offset)
        run.lsns.append(lsn)
        run.frames = 1
        run.bytes = frame_bytes

    def first_offset(self, path: str, next_offset: int) -> int:
        """The first byte of the stream that is still kept; its end when none is."""
        run = self._runs.get(path)
        return run.offsets[0] if run else next_offset

    def stretches(self, path: str, start: int, end: int) -> list[Stretch]:
        """Those with the frames that hold the bytes from start to end, in order."""
        run = self._runs.get(path)
        if run is None or start >= end:
            return []
        low = bisect_right(run.offsets, start) - 1
        high = bisect_left(run.offsets, end)
        assert low >= 0, "the caller has asked for the first offset"
        nexts: Iterable[int | None] = [*run.lsns[low + 1 : high + 1], None]
        next_offsets: Iterable[int | None] = [*run.offsets[low + 1 : high + 1], None]
        found = zip(run.lsns[low:high], nexts, run.offsets[low:high], next_offsets, strict=False)
        return [Stretch(*each) for each in found]

    def drop_below(self, lsn: int) -> None:
        """Forget the frames of segments that are deleted: all below ``lsn``, which begins a segment."""
        for path, run in list(self._runs.items()):
            gone = bisect_left(run.lsns, lsn)
            if gone == len(run.lsns):
                del self._runs[path]
            elif gone:
                del run.lsns[:gone], run.offsets[:gone]

    def entries(self) -> int:
        """How many entries there are."""
        return sum(len(run.lsns) for run in self._runs.values())
