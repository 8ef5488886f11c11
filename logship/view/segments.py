"""Edge: the files of collect's journal, for readers in another process.

Nothing beyond the durable watermark is read. Files are opened when needed and few are kept open; one that retention
deleted meanwhile raises Gone (an open one can still be read: that is Unix's promise, and why readers need no lock).
Left to others: what the bytes mean (``journal_reader``).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from logship.collect.disk import watermark
from logship.collect.folder import DURABLE, FORMAT, JOURNAL, LSN_DIGITS, segment_name

FILES_MAX = 32
_AHEAD_BYTES = 256 * 1024
_NEAR_BYTES = 4096
_WATERMARK_TRIES = 100
LOOK_SECONDS = 1.0
"""How often it is looked whether somebody put another store there."""


class Gone(Exception):
    """Retention deleted the segment."""


class NoStore(Exception):
    """There is no store that can be read; the text says why. It may come: ask again."""


class Replaced(NoStore):
    """There is another store than the one that was read: what comes is not what follows."""


class Segments:
    """The journal in ``folder``, read only; for any thread."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.stores = 0
        self._clock = clock
        self._looked_at = 0.0
        self._files: OrderedDict[int, _File] = OrderedDict()
        self._lock = threading.Lock()
        self._durable = -1

    def durable(self) -> int:
        """The LSN below which all is durable. Raises NoStore.

        ``stores`` goes up when there is another store in the folder than there was: nothing of before holds any more.
        """
        with self._lock:
            try:
                if self._is_another():
                    self.stores += 1
                    self._close()
                if self._durable < 0:
                    if (self.folder / "format").read_bytes() != FORMAT:
                        raise NoStore(f"{self.folder} is a store of another version than this program reads")
                    self._durable = os.open(self.folder / DURABLE, os.O_RDONLY | os.O_CLOEXEC)
                for _ in range(_WATERMARK_TRIES):
                    found = watermark(os.pread(self._durable, 16, 0))
                    if found is not None:
                        return found
            except OSError as error:
                raise NoStore(f"{self.folder} is no store yet: {error.strerror}") from None
        raise NoStore(f"{self.folder / DURABLE} says nothing yet: `logship collect` writes it when it starts")

    def forget(self) -> None:
        """Close everything: another store may be there now."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._durable >= 0:
            os.close(self._durable)
        self._durable = -1
        self._files.clear()

    def _is_another(self) -> bool:
        """Whether the file that is open is not the one of that name any more, looked at once a second at most."""
        now = self._clock()
        if self._durable < 0 or now < self._looked_at + LOOK_SECONDS:
            return False
        self._looked_at = now
        try:
            return not os.path.samestat(os.stat(self.folder / DURABLE), os.fstat(self._durable))  # noqa: PTH116  # compared with os.fstat
        except FileNotFoundError:
            return True

    def listed(self) -> list[int]:
        """The LSNs at which segments begin, in order. Raises NoStore."""
        try:
            names = os.listdir(self.folder / JOURNAL)  # noqa: PTH208  # asked for at each frame: without a path a name
        except OSError as error:
            raise NoStore(f"{self.folder} is no store yet: {error.strerror}") from None
        return sorted([int(name) for name in names if len(name) == LSN_DIGITS and name.isdigit()])

    def read(self, segment_lsn: int, lsn: int, size: int) -> bytes:
        """Bytes from ``lsn`` on of the segment that begins at ``segment_lsn``. Raises Gone."""
        file = self._file(segment_lsn)
        return os.pread(file.descriptor, size, lsn - segment_lsn)

    def reader(self, segment_lsn: int) -> Ahead:
        """Reads of one segment that go on from each other, for one thread."""
        return Ahead(self._file(segment_lsn), segment_lsn)

    def _file(self, segment_lsn: int) -> _File:
        with self._lock:
            found = self._files.get(segment_lsn)
            if found is not None:
                self._files.move_to_end(segment_lsn)
                return found
            try:
                path = self.folder / JOURNAL / segment_name(segment_lsn)
                found = self._files[segment_lsn] = _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                raise Gone(f"the segment at LSN {segment_lsn} was deleted") from None
            while len(self._files) > FILES_MAX:
                self._files.popitem(last=False)
            return found


class _File:
    """A descriptor that is closed when the last who uses it has gone, so that no read meets a number used anew."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class Ahead:
    """A piece of a segment, so that small reads that lie together cost one."""

    def __init__(self, file: _File, segment_lsn: int) -> None:
        self._file = file
        self._segment_lsn = segment_lsn
        self._start = 0
        self._piece = b""

    def read(self, lsn: int, size: int) -> bytes:
        """Bytes from ``lsn`` on; fewer at the end of the file."""
        at = lsn - self._start
        if at >= 0 and at + size <= len(self._piece):
            return self._piece[at : at + size]
        if size > _AHEAD_BYTES:
            return os.pread(self._file.descriptor, size, lsn - self._segment_lsn)
        goes_on = 0 <= at <= len(self._piece) + _NEAR_BYTES
        self._piece = os.pread(
            self._file.descriptor, max(size, _AHEAD_BYTES if goes_on else _NEAR_BYTES), lsn - self._segment_lsn
        )
        self._start = lsn
        return self._piece[:size]


def segment_of(segments: list[int], lsn: int) -> int | None:
    """The segment that holds ``lsn``, None when it is below the first."""
    at = bisect_right(segments, lsn) - 1
    return segments[at] if at >= 0 else None
