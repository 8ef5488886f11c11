"""Edge: one program's bytes, from its FIFO into its stream, by splice(2) alone.

splice moves pages from the pipe into the file in one step of the kernel: no moment exists in which they are in this
process and nowhere else, so a SIGKILL at any instant loses nothing and repeats nothing (measured: DOCKER-FACTS 10).

Where the disk refuses (full, over quota, failing), the bytes go to the program's sink instead, since a program must not
wait for a disk; that is one step of the kernel, too, and the sink's size says how far they reached (``sink``). Then the
hole gets its name, that of an empty segment beyond it, so whoever reads the names sees what is missing. A kill between
the two steps loses nothing of the count: the next start finds the sink ahead of the names.

Left to others: who is served when (``run``), the record of the loss (``losses``), syncing (``sync``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import termios

from logship.spool import latest
from logship.spool.layout import segment_name
from logship.spool.ranges import Span
from logship.spool.segment import ActiveSegment
from logship.spool.sink import Sink
from logship.spool.sync import Syncer

TURN_BYTES = 256 * 1024
"""What one program may give in one turn, so that a flooding one does not starve the others."""
FREE_BYTES_MIN = 1024 * 1024
"""Storing begins again when the disk has this much room."""
RETRY_SECONDS = 1.0
"""Wait before storing is tried again; doubled at each try that fails: an hour of full disk makes few segments."""
RETRY_SECONDS_MAX = 30.0


class Drain:
    """A FIFO being emptied into a stream. One call of ``turn`` is one program's turn.

    ``reason`` is empty while bytes are stored, else why they are not (``last_reason`` stays); ``dropped_bytes`` counts
    since the disk last refused. ``cut`` is set when a segment was finished, for whoever looks after the budget.
    """

    def __init__(self, name: str, pipe: int, stream: ActiveSegment, syncer: Syncer, sink: Sink) -> None:
        self.name = name
        self.pipe = pipe
        self.stream = stream
        self.reason = ""
        self.last_reason = ""
        self.dropped_bytes = 0
        self.cut = False
        self._syncer = syncer
        self._sink = sink
        self._unplaced = max(0, sink.end - stream.end)  # bytes thrown away whose hole has no name yet
        self._holes = [Span(stream.end, self._unplaced)] if self._unplaced else []
        self._retry_at = 0.0
        self._retry_seconds = RETRY_SECONDS
        self._stored_bytes = 0  # since storing began again
        self._latest = -1  # the segment that the link says

    @property
    def end(self) -> int:
        """The end of the stream, what was thrown away included."""
        return self.stream.end + self._unplaced

    def waiting(self) -> int:
        """Bytes in the pipe."""
        return int.from_bytes(fcntl.ioctl(self.pipe, termios.FIONREAD, bytes(4)), "little")

    def turn(self, now: float) -> int:
        """Take at most ``TURN_BYTES`` from the pipe, into the stream or away; how many. Raises OSError of the pipe.

        0 means that the pipe is empty. ``now`` is a clock that never goes back, in seconds.
        """
        if self.reason and not self._may_store(now):
            return self._drop()
        try:
            moved = self._store()
        except BlockingIOError:
            return 0
        except OSError as error:
            self._refused(error, now)
            return self._drop()
        if moved:
            self.reason = ""
            self._stored_bytes += moved
        return moved

    def resuming(self, now: float) -> bool:
        """Whether the next turn tries to store again: time for the record of what was not stored before."""
        return bool(self.reason) and self._may_store(now)

    def place(self) -> None:
        """Give the hole its name where it has none yet. A disk that refuses it is asked again with the next bytes."""
        if self._unplaced:
            with contextlib.suppress(OSError):  # the sink's size says it all the same
                self.stream.cut(self._unplaced)
                self._unplaced = 0

    def take_holes(self) -> list[Span]:
        """The ranges thrown away since the last call."""
        holes, self._holes = self._holes, []
        return holes

    def reopen(self, pipe: int) -> None:
        """Go on with a new descriptor of the FIFO."""
        os.close(self.pipe)
        self.pipe = pipe

    def finish(self) -> None:
        """Give the active segment to the syncer."""
        descriptor = self.stream.detach()
        if descriptor is not None:
            self._syncer.add(descriptor, self.stream.folder)

    def close(self) -> None:
        """Let go of pipe and files."""
        os.close(self.pipe)
        self._sink.close()
        self.stream.close()

    def _store(self) -> int:
        stream = self.stream
        if stream.size >= stream.segment_bytes_max:
            self.finish()
            self.cut = True
        if self._unplaced:
            stream.cut(self._unplaced)
            self._unplaced = 0
        target, room = stream.ready()
        if stream.offset != self._latest:
            self._latest = stream.offset
            latest.point(stream.folder, segment_name(stream.offset))
        count = min(room, TURN_BYTES)
        moved = os.splice(self.pipe, target, count, offset_dst=stream.size, flags=os.SPLICE_F_NONBLOCK)
        stream.size += moved
        return moved

    def _refused(self, error: OSError, now: float) -> None:
        """The disk took nothing: throw away from now on, and try again later."""
        if not self.reason:
            self.dropped_bytes = 0
        if self._stored_bytes >= FREE_BYTES_MIN:
            self._retry_seconds = RETRY_SECONDS
        self.reason = self.last_reason = os.strerror(error.errno or 0)
        self._retry_at = now + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS_MAX)
        self._stored_bytes = 0

    def _may_store(self, now: float) -> bool:
        if now < self._retry_at:
            return False
        try:
            facts = os.statvfs(self.stream.folder)
        except OSError:
            return True  # storing will say what is wrong
        if facts.f_bavail * facts.f_frsize >= FREE_BYTES_MIN:
            return True
        self._retry_at = now + RETRY_SECONDS
        return False

    def _drop(self) -> int:
        at = self.end
        moved = self._sink.take(self.pipe, at, TURN_BYTES)
        if moved == 0:
            return 0
        if self._holes and self._holes[-1].end == at:
            at, size = self._holes.pop()
            self._holes.append(Span(at, size + moved))
        else:
            self._holes.append(Span(at, moved))
        self._unplaced += moved
        self.dropped_bytes += moved
        self.place()
        self._sink.forget(self.end - moved, moved)
        return moved
