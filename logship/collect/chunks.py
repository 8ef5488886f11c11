"""Edge: bytes of streams out of the journal: finds the frames between two index entries, checks and decodes them.

A frame is believed only after its head, its stream and its body have been checked, at every read: bit rot shows here.
It costs what it hit: a body that does not check the bytes of its frame, a head those of the frames that are found
neither from before nor from behind it. What lies before is given, what lies behind can be asked for.
Decoded bodies are kept in a small cache, bounded in bytes, since followers of one stream read the same ones.
Left to others: which entries (``index``), how far a reader may see (``reader``).
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from logship import zstd
from logship.collect.damage import Place
from logship.collect.disk import Disk
from logship.collect.index import Stretch
from logship.collect.journal import ZSTD, Frame, ReadAt, frame_at
from logship.values import Invalid

_DECODED_BYTES_MAX = 1 << 30
"""Only a bound for what a checksum vouches for: intake had its own, which may have been changed since."""
_WALKS_MAX = 64
"""Walks to a broken head that are remembered: each may go over a whole segment."""


class Gone(Exception):
    """Retention deleted the segment while it was being read."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked for: the bytes ``start`` to ``end`` of a stream that ends at ``tail``, ``last_lsn`` its last frame.

    ``stretches`` are the index's. ``missing``: a segment whose file is not there is damage; else it is ``Gone``.
    """

    stream: str
    start: int
    end: int
    tail: int
    last_lsn: int
    stretches: list[Stretch]
    missing: bool = False


class Chunks:
    """Reads streams' bytes; for any thread. ``cache_bytes_max`` bounds the decoded bytes that are kept."""

    def __init__(self, disk: Disk, cache_bytes_max: int) -> None:
        self._disk = disk
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._cache_bytes = 0
        self._cache_bytes_max = cache_bytes_max
        self._walks: OrderedDict[tuple[int, int], tuple[list[Frame], int]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, asked: Range) -> tuple[bytes, Place | None]:
        """The bytes that are asked for, or those up to a damaged place and that place.

        Raises Gone when retention was quicker.
        """
        try:
            with self._disk.reader() as read:
                return _Reading(self, read, asked).gather()
        except FileNotFoundError as error:
            raise Gone(str(error)) from error

    def body(self, read: ReadAt, frame: Frame) -> bytes | Invalid:
        """The bytes that a frame adds to its stream."""
        with self._lock:
            found = self._cache.get(frame.lsn)
            if found is not None:
                self._cache.move_to_end(frame.lsn)
                return found
        body = read(frame.body_lsn, frame.body_bytes)
        if not frame.holds(body):
            return Invalid("the body of the frame does not check")
        decoded = zstd.decode(body, _DECODED_BYTES_MAX) if frame.flags & ZSTD else body
        if isinstance(decoded, Invalid) or len(decoded) != frame.entry.length:
            return Invalid("the body of the frame does not decode to what it says")
        if len(decoded) <= self._cache_bytes_max // 4:
            self._keep(frame.lsn, decoded)
        return decoded

    def walk(self, read: ReadAt, stream: str, lsn: int, broken_lsn: int) -> tuple[list[Frame], int]:
        """The stream's frames from the one at ``lsn`` on, and where no frame can be made out any more.

        That is at ``broken_lsn``, at the end of the segment, or before: wherever a head does not check.
        """
        key = lsn, broken_lsn
        with self._lock:
            known = self._walks.get(key)
            if known is not None:
                self._walks.move_to_end(key)
                return known
        segments = self._disk.segments
        at = bisect_right(segments, lsn, key=lambda segment: segment.lsn)
        end = min(broken_lsn, segments[at].lsn if at < len(segments) else self._disk.end)
        frames: list[Frame] = []
        while lsn < end:
            try:
                frame = frame_at(read, lsn, self._disk.end)
            except FileNotFoundError:
                raise
            except OSError:
                break
            if isinstance(frame, Invalid):
                break
            if frame.entry.stream == stream and frame.entry.length:
                frames.append(frame)
            lsn = frame.end
        with self._lock:
            self._walks[key] = frames, lsn
            while len(self._walks) > _WALKS_MAX:
                self._walks.popitem(last=False)
        return frames, lsn

    def end(self) -> int:
        """The end of the journal."""
        return self._disk.end

    def where(self, lsn: int) -> str:
        """The segment that holds ``lsn``, and where in it, for people."""
        return self._disk.path_of(lsn)

    def _keep(self, lsn: int, decoded: bytes) -> None:
        with self._lock:
            if lsn in self._cache:
                return
            self._cache[lsn] = decoded
            self._cache_bytes += len(decoded)
            while self._cache_bytes > self._cache_bytes_max:
                _, oldest = self._cache.popitem(last=False)
                self._cache_bytes -= len(oldest)


class _Reading:
    """One read."""

    def __init__(self, chunks: Chunks, read: ReadAt, asked: Range) -> None:
        self._chunks = chunks
        self._read = read
        self._asked = asked
        self._position = asked.start

    def gather(self) -> tuple[bytes, Place | None]:
        """The bytes up to the first damaged place, and that, if there is one."""
        asked, parts = self._asked, list[bytes]()
        damage: Place | None = None
        for found in self._found():
            if isinstance(found, Frame):
                body = self._body(found)
                if isinstance(body, bytes):
                    low = self._position - found.entry.offset
                    parts.append(body[low : asked.end - found.entry.offset])
                    self._position += len(parts[-1])
                    continue
                end = found.entry.offset + found.entry.length
                damage = self._place(found.entry.offset, end, found.lsn, body.reason)
            else:
                damage = found
            break
        else:
            if self._position < asked.end:
                reason = "the bytes are not where the index says"
                damage = self._place(self._position, asked.end, asked.stretches[0].lsn, reason)
        return parts[0] if len(parts) == 1 else b"".join(parts), damage

    def _found(self) -> Iterator[Frame | Place]:
        """The frames that are wanted, in order, with the places between them where there are none."""
        for stretch in self._asked.stretches:
            for found in self._between(stretch):
                if isinstance(found, Place):
                    start, end = found.start, found.end
                else:
                    start, end = found.entry.offset, found.entry.offset + found.entry.length
                if start <= self._position < min(end, self._asked.end):
                    yield found

    def _between(self, stretch: Stretch) -> Iterator[Frame | Place]:
        """The stream's frames of a stretch: found from the later end, and where a head is broken from both."""
        asked = self._asked
        frames: list[Frame] = []
        lsn: int | None = asked.last_lsn if stretch.next_lsn is None else stretch.next_lsn
        while lsn is not None and lsn >= stretch.lsn:
            frame = self._frame(lsn)
            if isinstance(frame, Invalid):
                end = asked.tail if stretch.next_offset is None else stretch.next_offset
                yield from self._before(stretch, lsn, frames[-1].entry.offset if frames else end, frame.reason)
                break
            if lsn != stretch.next_lsn:
                frames.append(frame)
            lsn = frame.entry.previous
        yield from reversed(frames)

    def _before(self, stretch: Stretch, broken_lsn: int, end: int, reason: str) -> Iterator[Frame | Place]:
        """What lies before the offset ``end``, where no frame is found from behind: the head at an LSN is broken."""
        if self._position >= end:
            return
        try:
            frames, lsn = self._chunks.walk(self._read, self._asked.stream, stretch.lsn, broken_lsn)
        except FileNotFoundError:
            if not self._asked.missing:
                raise
            frames, lsn = [], stretch.lsn
        yield from frames
        start = frames[-1].entry.offset + frames[-1].entry.length if frames else stretch.offset
        if start < end:
            yield self._place(start, end, lsn, reason)

    def _frame(self, lsn: int) -> Frame | Invalid:
        try:
            frame = frame_at(self._read, lsn, self._chunks.end())
        except OSError as error:
            return self._unread(error)
        if isinstance(frame, Frame) and frame.entry.stream != self._asked.stream:
            return Invalid(f"the frame is of {frame.entry.stream}, not of {self._asked.stream}")
        return frame

    def _body(self, frame: Frame) -> bytes | Invalid:
        try:
            return self._chunks.body(self._read, frame)
        except OSError as error:
            return self._unread(error)

    def _unread(self, error: OSError) -> Invalid:
        """What the disk does not give back. Raises the error where it may be retention's doing."""
        if not isinstance(error, FileNotFoundError):
            return Invalid(f"it cannot be read ({error.strerror})")
        if not self._asked.missing:
            raise error
        return Invalid("the segment is missing")

    def _place(self, start: int, end: int, lsn: int, reason: str) -> Place:
        return Place(self._asked.stream, start, end, lsn, self._chunks.where(lsn), reason)
