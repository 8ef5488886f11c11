"""Edge: empties the FIFOs when nobody else does, so that no program waits for ever with its output.

Whoever declares ``capture = false`` is taken for the one that reads the FIFOs (``logship spool``). When no such process
has been there for ten seconds (a person stopped it, it was given up), PID 1 takes what comes, drops it and counts it,
until such a process is started again. A reader that is there and does not read is not noticed.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Mapping

ABSENT_SECONDS = 10.0
"""Longer than spool's own waits between tries, so a spool that is killed again and again loses nothing here."""
TAKE_BYTES_MAX = 1048576
"""What is taken from one FIFO in one turn: the loop has more to do."""


class Draining:
    """The FIFOs by program; ``total`` counts the bytes dropped. Times are monotonic seconds."""

    def __init__(self, fifos: Mapping[str, int], epoll: select.epoll, tell: Callable[..., None]) -> None:
        self._fifos = dict(fifos)
        self._programs = {descriptor: name for name, descriptor in fifos.items()}
        self._epoll = epoll
        self._tell = tell
        self._absent_since: float | None = None
        self._begun: float | None = None
        self._null: int | None = None
        self._dropped: dict[str, int] = {}
        self.total = 0

    def turn(self, reader_there: bool, now: float) -> None:
        """Begin or end as the reader comes and goes."""
        if reader_there:
            self._absent_since = None
            self.end(now)
        elif self._absent_since is None:
            self._absent_since = now
        elif self._begun is None and now >= self._absent_since + ABSENT_SECONDS:
            self._begin(now)

    def deadline(self) -> float | None:
        """When the next turn is due."""
        if self._absent_since is None or self._begun is not None or not self._fifos:
            return None
        return self._absent_since + ABSENT_SECONDS

    def owns(self, descriptor: int) -> bool:
        """Whether the descriptor is one of these FIFOs."""
        return descriptor in self._programs

    def take(self, descriptor: int) -> None:
        """Drop what waits in the FIFO, up to a bound."""
        if self._begun is None or self._null is None:
            return
        name = self._programs[descriptor]
        with contextlib.suppress(BlockingIOError):
            taken = os.splice(descriptor, self._null, TAKE_BYTES_MAX)
            self._dropped[name] = self._dropped.get(name, 0) + taken
            self.total += taken

    def end(self, now: float) -> None:
        """Leave the FIFOs alone, and tell what was dropped."""
        if self._begun is None:
            return
        for descriptor in self._fifos.values():
            self._epoll.unregister(descriptor)
        if self._null is not None:
            os.close(self._null)
        milliseconds = round((now - self._begun) * 1000)
        self._begun = self._null = None
        for name, count in sorted(self._dropped.items()):
            self._tell("dropped", program=name, bytes=count, milliseconds=milliseconds)
        self._dropped.clear()

    def _begin(self, now: float) -> None:
        if not self._fifos:
            return
        self._null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        self._begun = now
        for descriptor in self._fifos.values():
            self._epoll.register(descriptor, select.EPOLLIN)
        self._tell("dropping", programs=sorted(self._fifos), text=f"nobody read the FIFOs for {ABSENT_SECONDS:g} s")
