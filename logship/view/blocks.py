"""Core: where in a segment the frames of a stream are: its frames in blocks, and which streams are in each.

A block is up to 256 frames, or 1 MiB of lines or of journal (and one frame more), so a day of ten lines a second from a
hundred programs is a few hundred thousand entries of a few bytes, not 86 million. A block's frames are read anew when
they are wanted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from logship.collect.journal import Frame, Kind
from logship.view.items import start_ms
from logship.view.moment import EARLIER_MS_MAX

BLOCK_FRAMES_MAX = 256
BLOCK_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Frames that lie together, from ``lsn`` to ``end``; received from ``oldest_ms`` to ``newest_ms``.

    ``since_ms``: no line that completes in it, and no start, says an earlier time.
    ``fault``: why there are none to be found from ``lsn`` to the end of the segment.
    """

    segment_lsn: int
    lsn: int
    end: int
    oldest_ms: int
    newest_ms: int
    since_ms: int
    fault: str | None = None


_LATER_MS = 1 << 62
"""When the frames were received that cannot be found: any time after those before them."""


class SegmentBlocks:
    """The blocks of one segment, as far as ``end``, which is all of it when it is ``whole``.

    ``fault``: why there is nothing readable after ``end``.
    """

    def __init__(self, lsn: int) -> None:
        self.lsn = lsn
        self.end = lsn
        self.whole = False
        self.fault: str | None = None
        self._lsns = array("Q")
        self._oldest = array("Q")
        self._newest = array("Q")
        self._since = array("q")
        self._frames = 0
        self._decoded = 0
        self._of: dict[str, array[int]] = {}

    def add(self, frame: Frame) -> None:
        """Take note of the next frame."""
        bytes_so_far = max(self._decoded, frame.lsn - self._lsns[-1]) if self._lsns else 0
        if not self._lsns or self._frames >= BLOCK_FRAMES_MAX or bytes_so_far >= BLOCK_BYTES_MAX:
            self._lsns.append(frame.lsn)
            self._oldest.append(frame.entry.time_ms)
            self._newest.append(frame.entry.time_ms)
            self._since.append(_since_ms(frame))
            self._frames = self._decoded = 0
        self._frames += 1
        self._decoded += frame.entry.length
        self._oldest[-1] = min(self._oldest[-1], frame.entry.time_ms)
        self._newest[-1] = max(self._newest[-1], frame.entry.time_ms)
        self._since[-1] = min(self._since[-1], _since_ms(frame))
        self.end = frame.end
        if frame.kind in (Kind.CREATE, Kind.APPEND, Kind.CLOSE):
            numbers = self._of.get(frame.entry.stream)
            if numbers is None:
                numbers = self._of[frame.entry.stream] = array("I")
            if not numbers or numbers[-1] != len(self._lsns) - 1:
                numbers.append(len(self._lsns) - 1)

    def blocks(self, paths: Iterable[str], start: int, end: int) -> list[Block]:
        """The blocks with frames of the streams ``paths`` between two LSNs, in order; last, where none can be found.

        What cannot be found may be of any stream: whoever reads over the place where that begins is told.
        """
        low = max(0, bisect_right(self._lsns, start) - 1)
        high = bisect_left(self._lsns, end)
        numbers: set[int] = set()
        for path in paths:
            held = self._of.get(path)
            if held is not None:
                numbers.update(held[bisect_left(held, low) : bisect_left(held, high)])
        found = [self._block(number) for number in sorted(numbers)]
        if self.fault is not None and start <= self.end < end:
            since_ms = self._newest[-1] if self._newest else 0
            found.append(Block(self.lsn, self.end, self.end + 1, since_ms, _LATER_MS, since_ms, self.fault))
        return found

    def _block(self, number: int) -> Block:
        end = self._lsns[number + 1] if number + 1 < len(self._lsns) else self.end
        oldest_ms, newest_ms, since_ms = self._oldest[number], self._newest[number], self._since[number]
        return Block(self.lsn, self._lsns[number], end, oldest_ms, newest_ms, since_ms)


def _since_ms(frame: Frame) -> int:
    """The earliest time that anything in a frame can have."""
    received_ms = frame.entry.time_ms
    return min([received_ms - EARLIER_MS_MAX, *(start_ms(said, received_ms) for _, said in frame.entry.starts)])
