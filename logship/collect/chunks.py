"""Edge: bytes of streams out of the journal: finds the frames between two index entries, checks and decodes them.

A frame is believed only after its head, its stream and its body have been checked, at every read: bit rot shows here.
Decoded bodies are kept in a small cache, bounded in bytes, since followers of one stream read the same ones.
Left to others: which entries (``index``), how far a reader may see (``store``).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

from logship import zstd
from logship.collect.disk import Disk
from logship.collect.journal import ZSTD, Frame, ReadAt, frame_at
from logship.values import Invalid

_DECODED_BYTES_MAX = 1 << 30
"""Only a bound for what a checksum vouches for: intake had its own, which may have been changed since."""


class Damage(Exception):
    """Bytes of the journal are not what was written; the text names the segment and the place."""


class Gone(Exception):
    """Retention deleted the segment while it was being read."""


class Chunks:
    """Reads streams' bytes; for any thread. ``cache_bytes_max`` bounds the decoded bytes that are kept."""

    def __init__(self, disk: Disk, cache_bytes_max: int) -> None:
        self._disk = disk
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._cache_bytes = 0
        self._cache_bytes_max = cache_bytes_max
        self._lock = threading.Lock()

    def read(self, path: str, spans: list[tuple[int, int | None]], last_lsn: int, start: int, end: int) -> bytes:
        """The bytes ``start`` to ``end`` of the stream ``path``.

        ``spans`` are the index's (LSN of an entry, of the next one), ``last_lsn`` the stream's newest frame with bytes.
        Raises Damage, and Gone when retention was quicker.
        """
        parts: list[bytes] = []
        position = start
        try:
            with self._disk.reader() as read:
                for frame in self._frames(read, path, spans, last_lsn):
                    offset, length = frame.entry.offset, frame.entry.length
                    if offset <= position < min(offset + length, end):
                        parts.append(self._body(read, frame)[position - offset : end - offset])
                        position = min(offset + length, end)
        except FileNotFoundError as error:
            raise Gone(str(error)) from error
        if position != end:
            raise Damage(f"bytes {position} to {end} of {path} are not where the index says")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _frames(self, read: ReadAt, path: str, spans: list[tuple[int, int | None]], last_lsn: int) -> Iterator[Frame]:
        """The stream's frames of the spans, in order."""
        for lsn, next_lsn in spans:
            yield from self._between(read, path, lsn, next_lsn, last_lsn)

    def _between(self, read: ReadAt, path: str, first_lsn: int, next_lsn: int | None, last_lsn: int) -> Iterator[Frame]:
        """The stream's frames from ``first_lsn`` up to ``next_lsn`` (or its last), found from the later end."""
        frames: list[Frame] = []
        lsn: int | None = last_lsn if next_lsn is None else next_lsn
        while lsn is not None and lsn >= first_lsn:
            frame = self._frame(read, path, lsn)
            if lsn != next_lsn:
                frames.append(frame)
            lsn = frame.entry.previous
        return reversed(frames)

    def _frame(self, read: ReadAt, path: str, lsn: int) -> Frame:
        frame = frame_at(read, lsn, self._disk.end)
        if isinstance(frame, Invalid):
            raise Damage(f"{self._disk.path_of(lsn)}: {frame.reason}")
        if frame.entry.stream != path:
            raise Damage(f"{self._disk.path_of(lsn)}: the frame is of {frame.entry.stream}, not of {path}")
        return frame

    def _body(self, read: ReadAt, frame: Frame) -> bytes:
        with self._lock:
            found = self._cache.get(frame.lsn)
            if found is not None:
                self._cache.move_to_end(frame.lsn)
                return found
        body = read(frame.body_lsn, frame.body_bytes)
        if not frame.holds(body):
            raise Damage(f"{self._disk.path_of(frame.lsn)}: the body of the frame does not check")
        decoded = zstd.decode(body, _DECODED_BYTES_MAX) if frame.flags & ZSTD else body
        if isinstance(decoded, Invalid) or len(decoded) != frame.entry.length:
            raise Damage(f"{self._disk.path_of(frame.lsn)}: the body of the frame does not decode to what it says")
        if len(decoded) <= self._cache_bytes_max // 4:
            self._keep(frame.lsn, decoded)
        return decoded

    def _keep(self, lsn: int, decoded: bytes) -> None:
        with self._lock:
            if lsn in self._cache:
                return
            self._cache[lsn] = decoded
            self._cache_bytes += len(decoded)
            while self._cache_bytes > self._cache_bytes_max:
                _, oldest = self._cache.popitem(last=False)
                self._cache_bytes -= len(oldest)
