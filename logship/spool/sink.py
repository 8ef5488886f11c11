"""Edge: where a program's bytes go that cannot be stored: a file in memory that PID 1 holds, so it outlives spool.

Bytes thrown away at an offset of the stream are spliced into this file at the same offset, and then their memory is
given back. Taking them from the pipe and counting them is so one step of the kernel, as it is for bytes that are
stored: the file's size is where the stream ends, what was thrown away included, whatever is killed when. Whoever begins
with a stream that ends before its sink knows that the bytes between are nowhere.

PID 1 makes one for each FIFO, with a link to it beside the FIFO. Without one (a spool that runs by hand) the file is
spool's own, and what was thrown away in the last instant before a SIGKILL is not counted.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from logship.spool.layout import sink_name
from logship.spool.reserve import punch

PAGE_BYTES = 4096


class Sink:
    """The sink of one program."""

    def __init__(self, fifo: Path) -> None:
        try:
            self._descriptor = os.open(fifo.with_name(sink_name(fifo.name)), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._descriptor = os.memfd_create(sink_name(fifo.name), os.MFD_CLOEXEC)

    @property
    def end(self) -> int:
        """The offset after the last byte that was ever thrown away; 0 for none."""
        return os.fstat(self._descriptor).st_size

    def take(self, pipe: int, offset: int, bytes_max: int) -> int:
        """Throw away what waits in the pipe, at most ``bytes_max``, as the bytes from ``offset`` on; how many.

        0 means that nothing waits. Raises OSError of the pipe.
        """
        try:
            return os.splice(pipe, self._descriptor, bytes_max, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0
        except OSError:
            return self._without_memory(pipe, offset, bytes_max)

    def forget(self, offset: int, size: int) -> None:
        """Give back the memory of bytes that were taken."""
        first = offset - offset % PAGE_BYTES
        with contextlib.suppress(OSError):
            punch(self._descriptor, first, offset + size - first + PAGE_BYTES)

    def close(self) -> None:
        """Let go of the file; it stays while PID 1 holds it."""
        os.close(self._descriptor)

    def _without_memory(self, pipe: int, offset: int, bytes_max: int) -> int:
        """The same in two steps, where the file takes no byte (a container at its limit of memory)."""
        null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        try:
            moved = os.splice(pipe, null, bytes_max, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0
        finally:
            os.close(null)
        os.ftruncate(self._descriptor, max(self.end, offset + moved))
        return moved
