"""Edge: collect's journal, read by another process up to the durable watermark, and followed.

The newest segment's checkpoint and the frames after it say which streams there are, by collect's own ``State``; where
their bytes are is found out a segment at a time, when somebody asks that far back. Everything is checked at every
read. For any thread. Left to others: files (``segments``), lines (``window``).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logship import zstd
from logship.collect.journal import ZSTD, Frame, Kind, frame_at
from logship.collect.recovery import Walk
from logship.collect.state import State, load
from logship.collect.stream import StreamState
from logship.values import Invalid, Loss
from logship.view.blocks import Block, SegmentBlocks
from logship.view.bodies import Bodies
from logship.view.recent import Recent
from logship.view.segments import Gone, NoStore, Segments, segment_of
from logship.view.select import Identity, identify

DECODED_BYTES_MAX = 1 << 30
"""Only a bound for what a checksum vouches for; intake had its own."""
CACHED_BLOCKS_MAX = 64


class Damage(Exception):
    """Bytes of the journal are not what was written; the text names the place."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What was known when the journal ended at ``end``: all streams, and the losses, with the LSNs of their frames.

    ``forgotten`` losses are older than those the ledger keeps. ``store`` differs when it is another store's.
    """

    end: int
    streams: dict[str, StreamState]
    identities: dict[str, Identity]
    losses: list[tuple[int, Loss]]
    forgotten: int = 0
    store: int = 0

    def losses_between(self, start: int, end: int) -> list[tuple[int, Loss]]:
        """Those whose frames lie between two LSNs."""
        low = bisect_left(self.losses, start, key=lambda pair: pair[0])
        return self.losses[low : bisect_left(self.losses, end, key=lambda pair: pair[0])]


class Journal:
    """The journal of the store in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments = Segments(folder)
        self._lock = threading.Lock()
        self._blocks: dict[int, SegmentBlocks] = {}
        self._state: State | None = None
        self._picture: Picture | None = None
        self._first: tuple[int, State] | None = None
        self._indexing: dict[int, threading.Lock] = {}  # by segment
        self._walking: tuple[SegmentBlocks, int, int] | None = None
        self._frames: OrderedDict[tuple[int, int], list[Frame]] = OrderedDict()
        self._bodies = Bodies()
        self.recent = Recent(0)

    # What there is.

    def durable(self) -> int:
        """How far the journal goes at this moment. Raises NoStore."""
        return self._segments.durable()

    def picture(self) -> Picture:
        """Everything up to the durable end. Raises NoStore, and Damage when not even that can be read."""
        with self._lock:
            # Asked for under the lock: an end from before another reader's picture would look like another store's.
            end = self._segments.durable()
            if self._picture is not None and end < self._picture.end:
                self._segments.stores += 1
            if self._picture is not None and self._segments.stores != self._picture.store:
                self._reset()
                end = self._segments.durable()
            if self._picture is None or end > self._picture.end:
                self._picture = self._advance(end)
            return self._picture

    def share(self) -> float | None:
        """How much of what ``picture`` has to read is read, from 0.0 to 1.0; None while it reads nothing."""
        walking = self._walking
        if walking is None:
            return None
        blocks, start, end = walking
        return min(1.0, max(0, blocks.end - start) / max(1, end - start))

    def first_offset(self, stream: StreamState) -> int:
        """The first byte of the stream that is still kept: its end when the oldest segment kept began."""
        oldest = self._segments.listed()[0]
        with self._lock:
            if self._first is None or self._first[0] != oldest:
                self._first = (oldest, self._checkpoint(oldest, self._segments.durable()))
            before = self._first[1].streams.get(stream.path)
        if stream.retired:
            return stream.next_offset
        return before.next_offset if before is not None and before.created_lsn == stream.created_lsn else 0

    def segments(self) -> list[int]:
        """LSNs at which segments begin, in order. Raises NoStore."""
        return self._segments.listed()

    def began_ms(self, segment_lsn: int) -> int | None:
        """When a segment was begun; None when it is gone or cannot be read."""
        try:
            frame = frame_at(self._segments.reader(segment_lsn).read, segment_lsn, self.durable())
        except Gone:
            return None
        return None if isinstance(frame, Invalid) else frame.entry.time_ms

    def blocks(self, segment_lsn: int, end: int) -> SegmentBlocks:
        """Where things are in a segment, up to ``end`` at least. Raises Gone."""
        with self._lock:
            found = self._blocks.get(segment_lsn)
            if found is None:
                found = SegmentBlocks(segment_lsn)
                self._blocks[segment_lsn] = found
                kept = set(self._segments.listed())
                self._blocks = {
                    lsn: blocks for lsn, blocks in self._blocks.items() if lsn in kept or lsn == segment_lsn
                }
                self._indexing = {lsn: lock for lsn, lock in self._indexing.items() if lsn in self._blocks}
            # The newest segment is indexed by `_advance` alone, which follows the state with it.
            if self._picture is None:
                self._index(found, end, None)
            if self._picture is None or segment_lsn == max(self._blocks):
                return found
            lock = self._indexing.setdefault(segment_lsn, threading.Lock())
        with lock:  # its own: who asks for the present does not wait for who searches the past
            self._index(found, end, None)
        return found

    # What is in it.

    def frames(self, block: Block) -> list[Frame]:
        """The frames of a block. Raises Gone and Damage."""
        if block.fault is not None:
            raise Damage(f"{block.fault}; nothing behind it in its segment can be found")
        key = (block.lsn, block.end)
        with self._lock:
            found = self._frames.get(key)
            if found is not None:
                self._frames.move_to_end(key)
                return found
        found = []
        reader = self._segments.reader(block.segment_lsn)
        lsn = block.lsn
        while lsn < block.end:
            frame = frame_at(reader.read, lsn, block.end)
            if isinstance(frame, Invalid):
                raise Damage(f"the journal at LSN {lsn}: {frame.reason}")
            found.append(frame)
            lsn = frame.end
        with self._lock:
            self._frames[key] = found
            while len(self._frames) > CACHED_BLOCKS_MAX:
                self._frames.popitem(last=False)
        return found

    def frame(self, lsn: int) -> Frame:
        """The frame that begins at ``lsn``. Raises Gone and Damage."""
        segment_lsn = segment_of(self._segments.listed(), lsn)
        if segment_lsn is None:
            raise Gone(f"the segment with LSN {lsn} was deleted")
        frame = frame_at(self._segments.reader(segment_lsn).read, lsn, self.durable())
        if isinstance(frame, Invalid):
            raise Damage(f"the journal at LSN {lsn}: {frame.reason}")
        return frame

    def body(self, frame: Frame) -> bytes:
        """The bytes that a frame adds to its stream. Raises Gone and Damage."""
        if not frame.entry.length:
            return b""
        held = self._bodies.get(frame.lsn)
        if held is None:
            held = self.body_anew(frame)
            self._bodies.keep(frame.lsn, held)
        return held

    def body_anew(self, frame: Frame) -> bytes:
        """The same, from the disk as it is now, whatever is held. Raises Gone and Damage."""
        segment_lsn = segment_of(self._segments.listed(), frame.lsn)
        if segment_lsn is None:
            raise Gone(f"the segment with LSN {frame.lsn} was deleted")
        body = self._segments.read(segment_lsn, frame.body_lsn, frame.body_bytes)
        if not frame.holds(body):
            raise Damage(f"the journal at LSN {frame.lsn}: the body of the frame does not check")
        decoded = zstd.decode(body, DECODED_BYTES_MAX) if frame.flags & ZSTD else body
        if isinstance(decoded, Invalid) or len(decoded) != frame.entry.length:
            raise Damage(f"the journal at LSN {frame.lsn}: the body does not decode to what the frame says")
        return decoded

    def walk(self, segment_lsn: int, start: int, end: int) -> Iterator[Frame]:
        """The frames of a segment between two LSNs, where ``start`` is that of one. Raises Gone and Damage."""
        reader = self._segments.reader(segment_lsn)
        while start < end:
            frame = frame_at(reader.read, start, end)
            if isinstance(frame, Invalid):
                raise Damage(f"the journal at LSN {start}: {frame.reason}")
            yield frame
            start = frame.end

    # Going on.

    def _advance(self, end: int) -> Picture:
        try:
            listed = self._segments.listed()
            if self._state is None:
                last = segment_of(listed, end - 1)
                if last is None:
                    raise NoStore("the journal has no segment yet")
                self._state = self._checkpoint(last, end)
                self._blocks = {last: SegmentBlocks(last)}
                self.recent = Recent(self.began_ms(last) or 0)
            newest = max(self._blocks)
            position = self._blocks[newest].end
            for segment_lsn in [lsn for lsn in listed if newest <= lsn < end]:
                if segment_lsn not in (newest, position):
                    raise Gone(f"the journal from LSN {position} to {segment_lsn} was deleted, or cannot be read")
                blocks = self._blocks.setdefault(segment_lsn, SegmentBlocks(segment_lsn))
                self._index(blocks, end, self._state)
                position = blocks.end
        except Gone:
            self._reset()  # this reader slept through the life of a segment: the newest checkpoint knows it all
            return self._advance(end)
        known = self._picture.identities if self._picture else {}
        streams = dict(self._state.streams)
        identities = {
            path: known.get(path) or identify(path, stream.source.fields() if stream.source else {})
            for path, stream in streams.items()
        }
        ledger = self._state.ledger
        return Picture(end, streams, identities, ledger.records(), ledger.dropped, self._segments.stores)

    def _index(self, blocks: SegmentBlocks, end: int, state: State | None) -> None:
        if blocks.fault is not None or blocks.whole or blocks.end >= end:
            return
        following = next((lsn for lsn in self._segments.listed() if lsn > blocks.lsn), None)
        end = end if following is None else min(end, following)
        if state is not None:
            self._walking = blocks, blocks.end, end
        try:
            for frame in self.walk(blocks.lsn, blocks.end, end):
                blocks.add(frame)
                if state is not None and frame.kind is not Kind.CHECKPOINT:
                    state.apply(frame, self.body_of_losses(frame))
                    self.recent.add(frame.entry.stream, frame.entry.time_ms, frame.entry.length)
            blocks.whole = blocks.end == following
        except Damage as damage:
            blocks.fault = str(damage)
        finally:
            if state is not None:
                self._walking = None

    def body_of_losses(self, frame: Frame) -> bytes:
        """What ``State.apply`` wants besides a frame."""
        if frame.kind is not Kind.LOSSES:
            return b""
        segment_lsn = segment_of(self._segments.listed(), frame.lsn)
        return b"" if segment_lsn is None else self._segments.read(segment_lsn, frame.body_lsn, frame.body_bytes)

    def _checkpoint(self, segment_lsn: int, end: int) -> State:
        reader = self._segments.reader(segment_lsn)
        for frame in Walk(reader.read, segment_lsn, end, bodies=True):
            state = load(reader.read(frame.body_lsn, frame.body_bytes))
            if isinstance(state, State):
                return state
            break
        raise Damage(f"the checkpoint of the segment at LSN {segment_lsn} cannot be read; run `logship fsck`")

    def _reset(self) -> None:
        self._segments.forget()
        self._blocks, self._state, self._picture, self._first = {}, None, None, None
        self._frames.clear()
        self._bodies.clear()
