"""Edge: reading a stream folder while its writer appends and spool deletes old segments.

``tail_offset`` says where the last lines begin, ``StreamReader`` reads on from an offset. Neither waits: whoever
follows a stream asks again (``supervise ctl tail``, the copy for ``docker logs``, later the shipper).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from logship.spool.segment import listed

READ_BYTES = 256 * 1024
TAIL_BYTES_MAX = 16 * 1024 * 1024


class StreamReader:
    """Reads the stream in ``folder`` from ``offset`` on.

    It holds the segment it stands in open, so one that is deleted under it is still read to its end. A range that is
    gone is stepped over and counted in ``skipped_bytes``. ``offset`` is that of the next byte it will give.
    """

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self.folder = folder
        self.offset = offset
        self.skipped_bytes = 0
        self._descriptor: int | None = None
        self._start = 0

    def read(self, bytes_max: int = READ_BYTES) -> bytes:
        """The next bytes, at most ``bytes_max``, never across a hole; empty when there are none now."""
        data = self._pread(bytes_max)
        while not data and self._next():
            data = self._pread(bytes_max)
        self.offset += len(data)
        return data

    def seek(self, offset: int) -> None:
        """Go on at ``offset``."""
        if offset < self._start:
            self.close()
        self.offset = offset

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _pread(self, bytes_max: int) -> bytes:
        if self._descriptor is None:
            return b""
        return os.pread(self._descriptor, bytes_max, self.offset - self._start)

    def _next(self) -> bool:
        """Move to the segment that holds the next byte; False when there is none (yet)."""
        for segment in listed(self.folder):
            fresh = self._descriptor is None or segment.offset > self._start
            if not fresh or segment.end <= self.offset or segment.size == 0:
                continue
            # The segment left behind may have grown between its last read and this listing: it comes first.
            if segment.offset > self.offset and self._pread(1):
                return True
            try:
                descriptor = os.open(self.folder / segment.name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            self.close()
            self._descriptor, self._start = descriptor, segment.offset
            if segment.offset > self.offset:
                self.skipped_bytes += segment.offset - self.offset
                self.offset = segment.offset
            return True
        return False


def tail_offset(folder: Path, lines: int, bytes_max: int = TAIL_BYTES_MAX) -> int:
    """The offset where the last ``lines`` lines begin; an unfinished last line counts as one.

    Looks back over at most ``bytes_max`` bytes and not across a hole: then the answer is as far back as it looked.
    """
    found = listed(folder)
    if not found:
        return 0
    end = begin = found[-1].end
    wanted = lines  # newlines to find, not counting the one that ends the last line
    if lines <= 0:
        return end
    for segment in reversed(found):
        if segment.end != begin:
            break
        for at, block in _backwards(folder / segment.name, segment.size):
            ended = block.endswith(b"\n") and segment.offset + at + len(block) == end
            cut = len(block) - 1 if ended else len(block)
            wanted -= block.count(b"\n", 0, cut)
            if wanted <= 0:
                return segment.offset + at + _after_newline(block, 1 - wanted)
            begin = segment.offset + at
            if end - begin >= bytes_max:
                return begin
    return begin


def _after_newline(block: bytes, nth: int) -> int:
    """The position after the ``nth`` newline of ``block``, which has that many."""
    position = 0
    for _ in range(nth):
        position = block.index(b"\n", position) + 1
    return position


def _backwards(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of the file from its end to its beginning, each with its position; nothing when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        while size > 0:
            at = max(0, size - READ_BYTES)
            yield at, os.pread(descriptor, size - at, at)
            size = at
    finally:
        os.close(descriptor)
