"""Edge: the end of a stream on disk, and appending to it.

``ActiveSegment`` is the last segment of a stream, open for writing: the drain splices into it. ``SegmentWriter``
appends bytes that a process makes itself (PID 1's events, supervisord's log, spool's own lines) and is made for PID 1:
it never raises for a disk that is full or gone, it counts. One process writes a stream; files are never opened with
O_APPEND (splice refuses such a file) and every write says its position.

Left to others: deleting segments (``budget``), recording what is lost (``losses``), making it durable (``sync``; of the
streams written here the kernel's write-back alone does that, so a host crash can cost their last half minute).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from logship.spool.layout import FOLDER_MODE, SEGMENT_BYTES_MAX, SEGMENT_MODE, segment_name
from logship.spool.ranges import Segment, segments


def listed(folder: Path) -> list[Segment]:
    """The segments in ``folder`` in order; none when there is no such folder. Raises OSError for other failures."""
    pairs: list[tuple[str, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                pairs.append((entry.name, size))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return segments(pairs)


class ActiveSegment:
    """The last segment of the stream in ``folder``, found anew from the names; the file is made when first needed.

    ``offset`` is that of its first byte, ``size`` what it holds. ``descriptor_min`` keeps the descriptor at or above a
    number (PID 1: supervisord closes those below its minfds at a reload). Raises OSError; after a failed ``ready``
    nothing is changed and it may be asked again.
    """

    def __init__(self, folder: Path, segment_bytes_max: int, descriptor_min: int = 0) -> None:
        assert segment_bytes_max > 0
        self.folder = folder
        self.segment_bytes_max = segment_bytes_max
        self._descriptor_min = descriptor_min
        self._descriptor: int | None = None
        found = listed(folder)
        self.offset, self.size = found[-1] if found else (0, 0)

    @property
    def end(self) -> int:
        """The end of the stream: the offset of the next byte."""
        return self.offset + self.size

    def ready(self) -> tuple[int, int]:
        """A descriptor to write to at ``size``, and how many bytes (at least 1) still fit. Opens or cuts as needed."""
        if self.size >= self.segment_bytes_max:
            self.cut()
        if self._descriptor is None:
            self._descriptor = self._open(self.offset)
        return self._descriptor, self.segment_bytes_max - self.size

    def cut(self, gap: int = 0) -> None:
        """Begin a new segment at the end, or ``gap`` bytes beyond it: those bytes of the stream are nowhere.

        An empty segment is moved instead: a hole grows by one rename, which needs no space on the disk.
        """
        offset = self.end + gap
        if self.size == 0:
            self.ready()
            (self.folder / segment_name(self.offset)).rename(self.folder / segment_name(offset))
            self.offset = offset
            return
        descriptor = self._open(offset)
        self.close()
        self._descriptor, self.offset, self.size = descriptor, offset, 0

    def detach(self) -> int | None:
        """Give the open descriptor away (to be synced and closed); it is opened again when needed."""
        descriptor, self._descriptor = self._descriptor, None
        return descriptor

    def close(self) -> None:
        """Close the file; the stream can be written again by asking ``ready``."""
        descriptor = self.detach()
        if descriptor is not None:
            os.close(descriptor)

    def _open(self, offset: int) -> int:
        self.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        path = self.folder / segment_name(offset)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, SEGMENT_MODE)
        if descriptor >= self._descriptor_min:
            return descriptor
        try:
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, self._descriptor_min)
        finally:
            os.close(descriptor)


class SegmentWriter:
    """Appends to the stream in ``folder``, from the end found on disk, cutting where a segment is full.

    ``write`` never raises for what the disk answers: what could not be stored is counted in ``dropped_bytes`` and the
    answer kept in ``last_error``. A line torn by that is ended by a newline before the next bytes, so that one line is
    spoilt and not two. Of one stream there may be one writer.
    """

    def __init__(self, folder: Path, segment_bytes_max: int = SEGMENT_BYTES_MAX, *, descriptor_min: int = 0) -> None:
        self.folder = folder
        self.dropped_bytes = 0
        self.last_error: OSError | None = None
        self._segment_bytes_max = segment_bytes_max
        self._descriptor_min = descriptor_min
        self._active: ActiveSegment | None = None
        self._torn = False

    @property
    def offset(self) -> int:
        """The end of the stream; 0 while the folder cannot be read."""
        try:
            return self._stream().end
        except OSError as error:
            self.last_error = error
            return 0

    def write(self, data: bytes) -> None:
        """Append ``data``. Never raises OSError, never waits for more than the disk itself."""
        whole = b"\n" + data if self._torn else data
        done = 0
        try:
            done = self._append(whole)
        except OSError as error:
            self.last_error = error
        if done > 0:
            self._torn = False
        if done < len(whole):
            self.dropped_bytes += min(len(data), len(whole) - done)
            self._torn = self._torn or done > 0

    def close(self) -> None:
        """Close the file. A later ``write`` opens it again."""
        if self._active is not None:
            self._active.close()
            self._active = None

    def _stream(self) -> ActiveSegment:
        if self._active is None:
            self._active = ActiveSegment(self.folder, self._segment_bytes_max, self._descriptor_min)
        return self._active

    def _append(self, data: bytes) -> int:
        """Store what can be stored, and say how much: less than all when the disk refused the rest."""
        stream = self._stream()
        done = 0
        while done < len(data):
            try:
                descriptor, room = stream.ready()
                stored = os.pwrite(descriptor, data[done : done + room], stream.size)
            except OSError as error:
                self.last_error = error
                break
            stream.size += stored
            done += stored
        return done
