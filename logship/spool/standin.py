"""Edge: throwing away what programs write while no spool takes it, counted at its place: what PID 1 does in need.

It stores nothing: PID 1 must not wait for a disk with each line of each program. It works as spool does on a full disk,
and needs spool's own lock for that, so a stream never has two writers. While a spool that hangs holds the lock, bytes
are thrown away unplaced, and get their hole when the lock is free: what hung wrote before that, if anything, and what
comes later stands behind. PID 1's memory is safe enough for the count between: with PID 1 the pipes are gone, too.

Left to others: when (``supervise.init.draining``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from logship.spool.layout import SEGMENT_BYTES_MAX
from logship.spool.lock import locked
from logship.spool.log import OWN
from logship.spool.losses import LossBook
from logship.spool.ranges import Span, merged
from logship.spool.segment import ActiveSegment

TAKE_BYTES_MAX = 1024 * 1024


@dataclass(slots=True)
class Thrown:
    """What was thrown away of one program's bytes; ``unplaced`` of them have no hole in the stream yet."""

    bytes: int = 0
    unplaced: int = 0
    holes: list[Span] = field(default_factory=list)
    stream: ActiveSegment | None = None


class StandIn:
    """In place of a spool in the folder ``spool``. ``sinks`` are the programs' (``sink``), open for writing.

    Descriptors are at ``descriptor_min`` or above. Nothing here raises OSError, or waits but for the disk's names.
    """

    def __init__(self, spool: Path, sinks: Mapping[str, int], reason: str, descriptor_min: int = 0) -> None:
        self.thrown: dict[str, Thrown] = {}
        self._spool = spool
        self._sinks = sinks
        self._reason = reason
        self._descriptor_min = descriptor_min
        self._null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        self._lock: int | None = None
        self._book: LossBook | None = None

    def lock(self) -> bool:
        """Whether the folder is this process's own, tried now if need be; then all that was thrown away is placed."""
        if self._lock is None:
            try:
                (self._spool / OWN).mkdir(exist_ok=True)
                self._lock = locked(self._spool / OWN, os.O_RDONLY | os.O_DIRECTORY, self._descriptor_min)
            except OSError:
                return False
            if self._lock is not None:
                self._book = LossBook(self._spool)
                for name in self.thrown:
                    self._place(name)
        return self._lock is not None

    def take(self, name: str, pipe: int) -> int:
        """Throw away what waits in the program's pipe, up to a bound; how many bytes."""
        try:
            moved = os.splice(pipe, self._null, TAKE_BYTES_MAX, flags=os.SPLICE_F_NONBLOCK)
        except OSError:
            return 0
        thrown = self.thrown.setdefault(name, Thrown())
        thrown.bytes += moved
        thrown.unplaced += moved
        if moved and self._lock is not None:
            self._place(name)
        return moved

    def record(self) -> None:
        """Write the losses down that have their place."""
        if self._book is None:
            return
        for name, thrown in self.thrown.items():
            self._book.record(name, thrown.holes, self._reason)
            thrown.holes = []
        self._book.retry()

    def release(self) -> None:
        """Let go of everything: a spool may begin. What has no place yet is left to it, where this had the lock."""
        if any(thrown.unplaced for thrown in self.thrown.values()):
            self.lock()
        self.record()
        for name, thrown in self.thrown.items():
            if thrown.stream is not None:
                if thrown.unplaced:
                    self._hand_over(name, thrown.stream.end + thrown.unplaced)
                    thrown.unplaced = 0
                thrown.stream.close()
        os.close(self._null)
        if self._lock is not None:
            os.close(self._lock)

    def _place(self, name: str) -> None:
        """Make the hole for what was thrown away: the name of an empty segment beyond it."""
        thrown = self.thrown[name]
        try:
            if thrown.stream is None:
                folder = self._spool / name
                thrown.stream = ActiveSegment(folder, SEGMENT_BYTES_MAX, self._descriptor_min)
                # What a killed spool threw away last may have no name yet.
                thrown.unplaced += max(0, os.fstat(self._sinks[name]).st_size - thrown.stream.end)
            if thrown.unplaced:
                hole = Span(thrown.stream.end, thrown.unplaced)
                thrown.stream.cut(thrown.unplaced)
                thrown.holes = merged([*thrown.holes, hole])
                thrown.unplaced = 0
        except OSError:
            pass  # a disk that takes no name now; with the next bytes, or by the next spool

    def _hand_over(self, name: str, end: int) -> None:
        """Tell the next spool by the sink's size where the stream ends."""
        if name in self._sinks and os.fstat(self._sinks[name]).st_size < end:
            os.ftruncate(self._sinks[name], end)
