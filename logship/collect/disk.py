"""Edge: the journal's files: one locked folder, segments named by the LSN of their first byte, the durable watermark.

Writes are positional and whole batches at a time; a batch that does not fit is cut off again (``NoRoom``); any other
failure to write, and every failure to sync, is final: the file may hold anything, and only a recovery may say what.
Left to others: what the bytes mean (``journal``), when to write (``commit``), what to do after a crash (``recover``).
"""

from __future__ import annotations

import contextlib
import errno
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from logship.collect.folder import DURABLE, FILE_MODE, JOURNAL, Segment, prepare, segment_name, sync_folder, take
from logship.collect.journal import ReadAt
from logship.errors import Fault
from logship.files import replace

_BUFFERS_MAX = 1024
"""IOV_MAX of Linux."""
_ONES = (1 << 64) - 1
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoRoom(Exception):
    """The disk had no room for a batch; the journal is as it was before."""


class Disk:
    """The folder of a store, locked. Used by one thread at a time, but for ``read`` and ``reading``.

    ``segments`` are in order and without holes; the last one is written to, from ``end`` on.
    """

    def __init__(self, folder: Path, first_segment: bytes) -> None:
        """Lock and list ``folder``; one that is new or empty becomes a store with ``first_segment``. Raises Fault."""
        self.folder = folder
        self._journal = folder / JOURNAL
        self._file = self._durable = -1
        self._lock = take(folder)
        try:
            self.segments = prepare(folder, first_segment)
            self._durable = os.open(folder / DURABLE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except BaseException:
            self.close()
            raise

    @property
    def end(self) -> int:
        """The LSN of the next byte to be written."""
        return self.segments[-1].end

    @property
    def journal_bytes(self) -> int:
        """The size of the journal."""
        return self.end - self.segments[0].lsn

    def free_bytes(self) -> int:
        """What an unprivileged process may still write on this file system."""
        status = os.statvfs(self._journal)
        return status.f_bavail * status.f_frsize

    def append(self, buffers: Sequence[bytes]) -> None:
        """Write a batch at the end, not synced yet. Raises NoRoom (nothing is changed) or Fault (final)."""
        segment = self.segments[-1]
        start = segment.end - segment.lsn
        try:
            segment.end += _write(self._writable(), buffers, start)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise self._broken("write to", error) from error
            try:
                os.ftruncate(self._writable(), start)
            except OSError as second:
                raise self._broken("cut a batch off that did not fit in", second) from second
            raise NoRoom(error.strerror) from error

    def sync(self) -> None:
        """Make all that was written durable, and say so. Raises Fault, finally: a failed sync is never tried again."""
        try:
            os.fdatasync(self._writable())
        except OSError as error:
            raise self._broken("sync", error) from error
        self.publish()

    def publish(self) -> None:
        """Write the durable watermark: the end. Not synced: it is for readers, and a hint after a crash."""
        end = self.end
        try:
            os.pwrite(self._durable, end.to_bytes(8, "little") + (end ^ _ONES).to_bytes(8, "little"), 0)
        except OSError as error:
            raise self._broken("say in store/durable how far", error) from error

    def published(self) -> int | None:
        """The watermark that ``store/durable`` holds; None when it holds nothing that makes sense."""
        return watermark(os.pread(self._durable, 16, 0))

    @property
    def published_bytes(self) -> int:
        """How long ``store/durable`` is, whether it makes sense or not."""
        return os.fstat(self._durable).st_size

    def rotate(self, first_frame: bytes) -> None:
        """Begin a new segment with this frame. All before must be synced. Raises NoRoom (nothing changed) or Fault."""
        lsn = self.end
        try:
            os.fsync(self._writable())
        except OSError as error:
            raise self._broken("sync", error) from error
        path = self._journal / segment_name(lsn)
        try:
            replace(path, first_frame, FILE_MODE)
        except OSError as error:
            if error.errno in _NO_ROOM and not path.exists():
                raise NoRoom(error.strerror) from error
            raise self._broken("begin a segment after", error) from error
        os.close(self._file)
        self._file = -1
        self.segments.append(Segment(lsn, lsn + len(first_frame)))
        self.publish()

    def settle(self, lsn: int, proven: int) -> None:
        """Cut the last segment off at ``lsn`` and make it durable (after a crash, before anything else is written).

        What lies beyond ``proven``, the newest watermark that was found, is written once more: after a sync that failed
        the kernel takes such pages for clean, and a sync now would succeed without writing them.
        """
        segment = self.segments[-1]
        try:
            os.ftruncate(self._writable(), lsn - segment.lsn)
            segment.end = lsn
            for at in range(max(proven, segment.lsn), lsn, 1 << 20):
                piece = os.pread(self._file, min(1 << 20, lsn - at), at - segment.lsn)
                _write(self._file, [piece], at - segment.lsn)
            os.fsync(self._file)
            sync_folder(self._journal)
        except OSError as error:
            raise self._broken("recover", error) from error
        self.publish()

    @contextlib.contextmanager
    def reader(self) -> Iterator[ReadAt]:
        """Reads by LSN, for any thread, each within one segment and fewer bytes at its end.

        What is read raises FileNotFoundError when retention deleted the segment.
        """
        window = Window(self)
        try:
            yield window.read
        finally:
            window.close()

    def delete_oldest(self, count: int) -> None:
        """Delete the ``count`` oldest segments, never the last. Raises Fault; it may be tried again."""
        assert count < len(self.segments)
        for segment in self.segments[:count]:
            path = self._journal / segment_name(segment.lsn)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise Fault("delete the segment", str(path), str(error), "see to the file system") from error
            self.segments = self.segments[1:]
        sync_folder(self._journal)

    def close(self) -> None:
        """Close the files and give the lock back."""
        for file in (self._file, self._durable, self._lock):
            if file >= 0:
                os.close(file)

    def path_of(self, lsn: int) -> str:
        """The segment that holds ``lsn``, and where in it, for people."""
        segment = next((segment for segment in reversed(self.segments) if segment.lsn <= lsn), self.segments[0])
        return f"{self._journal / segment_name(segment.lsn)} at byte {lsn - segment.lsn}"

    def _writable(self) -> int:
        if self._file < 0:
            path = self._journal / segment_name(self.segments[-1].lsn)
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return self._file

    def _broken(self, operation: str, error: OSError) -> Fault:
        hint = "nothing more was acknowledged; see to the disk, then start again: what is whole is recovered"
        return Fault(operation, str(self._journal / segment_name(self.segments[-1].lsn)), str(error), hint)


class Segmented(Protocol):
    """A journal that can be read: where it lies, and its segments in order, as they are now."""

    folder: Path
    segments: list[Segment]


class Window:
    """One open segment and a piece of it, so that small reads that lie together cost one."""

    _NEAR = 4096
    _AHEAD = 256 * 1024

    def __init__(self, journal: Segmented) -> None:
        self._journal = journal
        self._file = -1
        self._base = self._end = 0
        self._start = 0
        self._piece = b""

    def read(self, lsn: int, size: int) -> bytes:
        """Bytes from ``lsn`` on, within its segment. Raises OSError: FileNotFoundError where the segment is deleted."""
        at = lsn - self._start
        if at >= 0 and at + size <= len(self._piece):
            return self._piece[at : at + size]
        if lsn < self._base or lsn >= self._end:
            self._open(lsn)
        if size > self._AHEAD:
            return os.pread(self._file, size, lsn - self._base)
        goes_on = 0 <= at <= len(self._piece) + self._NEAR
        self._piece = os.pread(self._file, max(size, self._AHEAD if goes_on else self._NEAR), lsn - self._base)
        self._start = lsn
        return self._piece[:size]

    def close(self) -> None:
        """Close the segment that is open."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self, lsn: int) -> None:
        segments = self._journal.segments
        at = bisect_right(segments, lsn, key=lambda segment: segment.lsn) - 1
        if at < 0:
            raise FileNotFoundError(errno.ENOENT, "retention deleted the segment of LSN", str(lsn))
        self.close()
        self._base, self._start, self._piece = segments[at].lsn, 0, b""
        self._end = segments[at + 1].lsn if at + 1 < len(segments) else 1 << 64
        self._file = os.open(self._journal.folder / JOURNAL / segment_name(self._base), os.O_RDONLY | os.O_CLOEXEC)


def watermark(content: bytes) -> int | None:
    """The LSN in ``store/durable``, None when its two halves do not agree (read it again) or it is not written yet."""
    low, high = int.from_bytes(content[:8], "little"), int.from_bytes(content[8:16], "little")
    return None if len(content) < 16 or low ^ _ONES != high else low


def _write(file: int, buffers: Sequence[bytes], position: int) -> int:
    """Write all the buffers from ``position`` on and say how many bytes they are. Raises OSError, perhaps half done."""
    views = [memoryview(buffer) for buffer in buffers if buffer]
    total = 0
    first = 0
    while first < len(views):
        written = os.pwritev(file, views[first : first + _BUFFERS_MAX], position + total)
        total += written
        while first < len(views) and written >= len(views[first]):
            written -= len(views[first])
            first += 1
        if written:
            views[first] = views[first][written:]
    return total
