"""Edge: one program's bytes, from its FIFO into its stream, by splice(2) alone.

splice moves pages from the pipe into the file in one step of the kernel: no moment exists in which they are in this
process and nowhere else, so a SIGKILL at any instant loses nothing and repeats nothing (measured: DOCKER-FACTS 10).

Where the disk refuses (full, over quota, failing), the bytes go to /dev/null, counted, since a program must not wait
for a disk. The hole is made first, by the name of an empty segment beyond it; then as many bytes are thrown away. So
the offset counts what the program wrote, and whoever reads the names sees what is missing. After a kill between the
two steps those bytes (256 KiB at most) are counted as lost and stored all the same, behind the hole.

Left to others: who is served when (``run``), the record of the loss (``losses``), syncing (``sync``).
"""

from __future__ import annotations

import fcntl
import os
import termios

from logship.spool.ranges import Span, merged
from logship.spool.segment import ActiveSegment
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

    def __init__(self, name: str, pipe: int, stream: ActiveSegment, syncer: Syncer, null: int) -> None:
        self.name = name
        self.pipe = pipe
        self.stream = stream
        self.reason = ""
        self.last_reason = ""
        self.dropped_bytes = 0
        self.cut = False
        self._syncer = syncer
        self._null = null
        self._holes: list[Span] = []
        self._owed = 0  # bytes whose hole is made and that are still in the pipe
        self._unplaced = 0  # bytes thrown away for which the disk took not even a name
        self._retry_at = 0.0
        self._retry_seconds = RETRY_SECONDS
        self._stored_bytes = 0  # since storing began again

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

    def take_holes(self) -> list[Span]:
        """The ranges thrown away since the last call."""
        holes, self._holes = merged(self._holes), []
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
        """Let go of pipe and file."""
        os.close(self.pipe)
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
        if self._owed or now < self._retry_at:
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
        if self._owed == 0:
            self._make_hole(min(self.waiting(), TURN_BYTES))
        if self._owed == 0:
            return 0
        try:
            moved = os.splice(self.pipe, self._null, self._owed, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0
        self._owed -= moved
        self.dropped_bytes += moved
        return moved

    def _make_hole(self, size: int) -> None:
        if size == 0:
            return
        self._holes.append(Span(self.end, size))
        try:
            self.stream.cut(self._unplaced + size)
            self._unplaced = 0
        except OSError:
            self._unplaced += size
        self._owed = size
