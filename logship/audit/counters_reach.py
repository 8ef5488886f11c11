"""Edge: up to which offset of its stream a program has written: what is in its segments and what is still in its pipe.

So a line at the collector can be told from one that has not come yet without any clock: all that was written before a
moment lies below the reach of that moment.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios
from pathlib import Path

from logship.spool.segment import listed

TRIES = 20


class Reach:
    """Of the stream whose segments are in ``folder`` and whose pipe is ``fifo``."""

    def __init__(self, folder: Path, fifo: Path) -> None:
        self._folder = folder
        self._fifo = fifo

    def now(self) -> int | None:
        """The offset after all that is written by now; more while bytes move, None when it cannot be told.

        Bytes that are on their way from the pipe to the file may be seen in both, so two looks have to agree.
        """
        last: int | None = None
        for _ in range(TRIES):
            try:
                before = self._end()
                found = before + self._waiting()
                moved = self._end() != before
            except OSError:
                return None
            if not moved and found == last:
                break
            last = found
        return found

    def _end(self) -> int:
        found = listed(self._folder)
        return found[-1].end if found else 0

    def _waiting(self) -> int:
        descriptor = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            count = array.array("i", [0])
            fcntl.ioctl(descriptor, termios.FIONREAD, count)
            return count[0]
        finally:
            os.close(descriptor)
