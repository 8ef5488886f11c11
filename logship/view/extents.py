"""Run: the bytes of a stream between two offsets, from the disk as it is now, each frame checked; and what cannot be.

Nothing is taken from memory but where things are: whoever asks wants to know what is stored. Frames that do not follow
on each other are damage, too. What retention took from the journal comes out of the lake (``lake.exact``), up to the
byte where the journal begins. Left to others: lines (``window``), digests (``digests``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from logship.collect.journal import Frame
from logship.collect.stream import StreamState
from logship.lake.exact import Exact
from logship.lake.reader import Unreadable
from logship.view.blocks import Block
from logship.view.digests import DAMAGED, NOT_KEPT, Hole, Piece
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.segments import Gone


@dataclass(slots=True)
class _Walk:
    """How far a reading is: the next offset, why the bytes there may be missing, the LSN of the frame before."""

    position: int
    what: str = DAMAGED
    why: str = ""
    seeking: bool = True
    previous: int | None = None

    def hole(self, end: int) -> Hole:
        """The bytes up to ``end`` are not there; the reading goes on behind them."""
        text = self.why or "no frame of the journal holds them"
        found = Hole(self.position, end, self.what, text)
        self.position, self.what, self.why, self.previous = end, DAMAGED, "", None
        return found


class Extents:
    """Reads ``journal``, and ``exact``, the lake; for any thread."""

    def __init__(self, journal: Journal, exact: Exact) -> None:
        self._journal = journal
        self._exact = exact

    def first_offset(self, stream: StreamState) -> int:
        """The first byte that is still kept, here or there; 0 where that cannot be read."""
        kept = self._kept(stream)
        try:
            first = self._exact.first_offset(stream) if kept else None
        except Unreadable:
            return 0  # who reads from there is told why
        return kept if first is None else min(kept, first)

    def read(self, picture: Picture, stream: StreamState, start: int, end: int) -> Iterator[Piece | Hole | None]:
        """All bytes from ``start`` to ``end``, in order, in pieces and holes; None now and then while it looks."""
        for one in self._of_journal(picture, stream, start, min(end, stream.next_offset)):
            if isinstance(one, Hole) and one.end > one.start:
                yield from self._elsewhere(stream, one)
            else:
                yield one

    def _elsewhere(self, stream: StreamState, hole: Hole) -> Iterator[Piece | Hole | None]:
        """What of a hole of the journal the lake has: all that retention took, be it while it was looked for."""
        begins = hole.end if hole.what == NOT_KEPT else min(hole.end, max(hole.start, self._kept(stream)))
        if begins > hole.start:
            yield from self._exact.read(stream, hole.start, begins)
        if hole.end > begins:
            yield replace(hole, start=begins)

    def _kept(self, stream: StreamState) -> int:
        """The first byte that the journal keeps; 0 where that cannot be read."""
        try:
            return self._journal.first_offset(stream)
        except (Gone, Damage):
            return 0

    def _of_journal(self, picture: Picture, stream: StreamState, start: int, end: int) -> Iterator[Piece | Hole | None]:
        first = min(self._kept(stream), end)
        if start < first:
            yield Hole(start, first, NOT_KEPT, "they are older than what is kept")
        walk = _Walk(max(start, first))
        if walk.position >= end:
            return
        blocks: list[Block] = []
        for segment_lsn in self._segments(stream, picture.end):
            blocks += self._blocks(segment_lsn, stream, picture.end)
            yield None
        for block in blocks[self._begin(blocks, stream, walk.position) :]:
            yield from self._of_block(block, stream, walk, end)
            if walk.position >= end:
                return
        yield walk.hole(end)

    def _of_block(self, block: Block, stream: StreamState, walk: _Walk, end: int) -> Iterator[Piece | Hole]:
        for frame in self._frames(block, stream, walk):
            if walk.position >= end:
                return
            entry = frame.entry
            frame_end = entry.offset + entry.length
            if walk.seeking and frame_end <= walk.position:
                walk.previous = frame.lsn
                continue
            if entry.offset > walk.position:
                yield walk.hole(min(entry.offset, end))
                if walk.position >= end:
                    return
            if not walk.seeking and entry.offset < walk.position:
                yield Hole(walk.position, walk.position, DAMAGED, f"the frame at LSN {frame.lsn} does not follow on it")
                continue
            if walk.previous is not None and entry.previous != walk.previous:
                text = f"the frame at LSN {frame.lsn} does not name the one before it"
                yield Hole(walk.position, walk.position, DAMAGED, text)
            walk.seeking = False
            try:
                body = self._journal.body_anew(frame)
            except (Gone, Damage, OSError) as error:
                walk.what, walk.why = NOT_KEPT if isinstance(error, Gone) else DAMAGED, str(error)
                yield walk.hole(min(frame_end, end))
            else:
                yield Piece(walk.position, body[walk.position - entry.offset : end - entry.offset])
                walk.position = min(frame_end, end)
                walk.what, walk.why = DAMAGED, ""
            walk.previous = frame.lsn

    def _frames(self, block: Block, stream: StreamState, walk: _Walk) -> Iterator[Frame]:
        """The stream's frames with bytes in a block, their heads read anew, as far as they check."""
        if block.fault is not None:
            walk.why = walk.why or block.fault
            return
        try:
            for frame in self._journal.walk(block.segment_lsn, block.lsn, block.end):
                if frame.entry.stream == stream.path and frame.lsn >= stream.created_lsn and frame.entry.length:
                    yield frame
        except Gone as gone:
            walk.what, walk.why = NOT_KEPT, str(gone)
        except (Damage, OSError) as damage:
            walk.why = walk.why or str(damage)

    def _segments(self, stream: StreamState, end: int) -> list[int]:
        """The segments that may hold bytes of the stream."""
        listed = self._journal.segments()
        return [
            lsn
            for number, lsn in enumerate(listed)
            if lsn < end and (number + 1 == len(listed) or listed[number + 1] > stream.created_lsn)
        ]

    def _blocks(self, segment_lsn: int, stream: StreamState, end: int) -> list[Block]:
        try:
            return self._journal.blocks(segment_lsn, end).blocks([stream.path], 0, end)
        except Gone:
            return []

    def _begin(self, blocks: list[Block], stream: StreamState, offset: int) -> int:
        """The last block that begins at or before ``offset``, as far as that can be told; 0 is always right."""
        low, high = 0, len(blocks)
        while high - low > 1:
            middle = (low + high) // 2
            begins = self._begins(blocks[middle], stream)
            if begins is None:
                return 0
            low, high = (middle, high) if begins <= offset else (low, middle)
        return low

    def _begins(self, block: Block, stream: StreamState) -> int | None:
        """The offset of the stream's first frame in a block; None where it cannot be read, or is an older stream's."""
        try:
            frames = self._journal.frames(block)
        except (Gone, Damage, OSError):
            return None
        found = (one for one in frames if one.entry.stream == stream.path and one.lsn >= stream.created_lsn)
        first = next(found, None)
        return None if first is None else first.entry.offset
