"""Run: empties the FIFOs when nobody else does, so that no program waits for ever with its output.

Whoever declares ``capture = false`` is taken for the one that reads the FIFOs (``logship spool``). When no such process
has been there for ten seconds (a person stopped it, it was given up), PID 1 takes what comes, drops it and counts it in
the ledger, until such a process is started again. When one is there and takes nothing (``stuck``), it is killed, and
started again by its policy; a process that sleeps on a disk does not die of that: then PID 1 drops what its full FIFOs
hold, and counts that in events until the process is gone and the ledger is free.

Left to others: dropping at its place (``logship.spool.standin``), what being stuck means (``stuck``).
"""

from __future__ import annotations

import fcntl
import select
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

from logship.spool.segment import listed
from logship.spool.standin import StandIn, Thrown
from supervise.init.stuck import LOOK_SECONDS, STUCK_SECONDS, Full, Suspicion

ABSENT_SECONDS = 10.0
"""Longer than spool's own waits between tries, so a spool that is killed again and again loses nothing here."""
BESIDE_SECONDS = 60.0
"""How long the FIFOs that a living reader does not read are emptied before it is given another chance."""
SMALL_BYTES = 16 * 1024
NAP_SECONDS = 0.1
"""After so few bytes a FIFO is left alone for so long: a line at a time would wake PID 1 at each."""
RECORD_SECONDS = 1.0
RECORD_SECONDS_MAX = 60.0
"""How soon what is dropped is written down; twice as long each time."""
ABSENT, STUCK = "not read: no spool was there", "not read: spool hung"
"""Reasons in the ledger."""
ONCE = select.EPOLLIN | select.EPOLLONESHOT
FOREVER = float("inf")

Readers = Mapping[str, int]
"""The programs that read the FIFOs and live, with their processes."""


class Draining:
    """The FIFOs by program, of the spool folder ``spool``; ``total``: bytes dropped. Times are monotonic seconds.

    ``sinks`` are the programs' (``folders.make_sink``); descriptors made here are at ``least`` or above.
    """

    def __init__(
        self,
        fifos: Mapping[str, int],
        sinks: Mapping[str, int],
        spool: Path,
        epoll: select.epoll,
        tell: Callable[..., None],
        least: int = 0,
    ) -> None:
        self._fifos = dict(fifos)
        self._sinks = dict(sinks)
        self._programs = {descriptor: name for name, descriptor in fifos.items()}
        self._spool = spool
        self._epoll = epoll
        self._tell = tell
        self._least = least
        self._room = select.poll()
        for descriptor in self._programs:
            self._room.register(descriptor, select.POLLOUT)
        self._absent_since: float | None = None
        self._suspicion = Suspicion()
        self._killed: Readers = {}
        self._tried: dict[str, Full] = {}  # what a kill was to set going, as it was then
        self._drop: _Drop | None = None
        self.total = 0

    def turn(self, readers: Readers, now: float) -> list[str]:
        """Do what is due; the readers that must be killed, since they do not read."""
        if not self._fifos:
            return []
        if self._drop is not None:
            if readers != self._drop.beside or now >= self._drop.until:
                self.end(now)
            else:
                self._drop.turn(now)
            return []
        if readers:
            self._absent_since = None
        elif self._absent_since is None:
            self._absent_since = now
            self._suspicion.forget(now)
        elif now >= self._absent_since + ABSENT_SECONDS and self._stand_in(now):
            return []
        if (readers or self._is_long_absent(now)) and now >= self._suspicion.look_at:
            return self._look(readers, now)
        return []

    def deadline(self) -> float | None:
        """When the next turn is due."""
        if not self._fifos:
            return None
        if self._drop is not None:
            return self._drop.deadline()
        if self._absent_since is not None:
            return max(self._absent_since + ABSENT_SECONDS, self._suspicion.look_at)
        return self._suspicion.look_at

    def owns(self, descriptor: int) -> bool:
        """Whether the descriptor is one of these FIFOs."""
        return descriptor in self._programs

    def take(self, descriptor: int, now: float) -> None:
        """Drop what waits in the FIFO, up to a bound."""
        if self._drop is not None:
            self.total += self._drop.take(self._programs[descriptor], now)

    def end(self, now: float) -> None:
        """Leave the FIFOs alone, and tell what was dropped."""
        drop, self._drop = self._drop, None
        self._suspicion.forget(now)
        if drop is not None:
            milliseconds = round((now - drop.begun) * 1000)
            for name, thrown in sorted(drop.end().items()):
                fields = {"bytes": thrown.bytes, "unplaced_bytes": thrown.unplaced, "milliseconds": milliseconds}
                self._tell("dropped", program=name, **fields)

    def _is_long_absent(self, now: float) -> bool:
        return self._absent_since is not None and now >= self._absent_since + ABSENT_SECONDS

    def _stand_in(self, now: float) -> bool:
        """Be the reader, when nobody is; False while a spool that was not started here has the folder."""
        if now < self._suspicion.look_at:
            return False
        standin = StandIn(self._spool, self._sinks, ABSENT, self._least)
        if not standin.lock():
            standin.release()
            return False
        self._begin(standin, self._fifos, {}, FOREVER, now)
        return True

    def _look(self, readers: Readers, now: float) -> list[str]:
        """See whether the readers read; those to be killed."""
        with_room = {self._programs[descriptor] for descriptor, _ in self._room.poll(0)}
        full = {name: self._full(name) for name in self._fifos.keys() - with_room}
        stuck = self._suspicion.saw(full, now)
        self._tried = {name: was for name, was in self._tried.items() if name in full and not full[name].moved(was)}
        if not stuck:
            return []
        killed = bool(readers) and readers == self._killed
        if not readers or killed or all(name in self._tried for name in stuck):
            standin = StandIn(self._spool, self._sinks, STUCK, self._least)
            fifos = {name: self._fifos[name] for name in stuck}
            self._begin(standin, fifos, readers, FOREVER if killed else now + BESIDE_SECONDS, now)
            return []
        self._killed = dict(readers)
        self._tried |= {name: full[name] for name in stuck}
        self._suspicion.forget(now)
        text = f"full, and nothing was taken for {STUCK_SECONDS:g} s: {', '.join(sorted(readers))} is killed"
        self._tell("stuck", programs=stuck, readers=sorted(readers), text=text)
        return sorted(readers)

    def _full(self, name: str) -> Full:
        waiting = fcntl.ioctl(self._fifos[name], termios.FIONREAD, bytes(4))
        found = listed(self._spool / name)
        return Full(int.from_bytes(waiting, "little"), found[-1].end if found else 0)

    def _begin(self, standin: StandIn, fifos: Mapping[str, int], beside: Readers, until: float, now: float) -> None:
        self._drop = _Drop(standin, fifos, beside, until, self._epoll, now)
        why = "a reader that was killed lives on" if beside else f"nobody read the FIFOs for {ABSENT_SECONDS:g} s"
        self._tell("dropping", programs=sorted(fifos), text=why)


class _Drop:
    """FIFOs being emptied: ``fifos``, ``beside`` readers that do not read them."""

    def __init__(
        self,
        standin: StandIn,
        fifos: Mapping[str, int],
        beside: Readers,
        until: float,
        epoll: select.epoll,
        now: float,
    ) -> None:
        self.beside = dict(beside)
        self.until = until
        self.begun = now
        self._standin = standin
        self._fifos = dict(fifos)
        self._epoll = epoll
        self._resting: dict[str, float] = {}
        self._record_at = FOREVER
        self._record_seconds = RECORD_SECONDS
        self._lock_at = now
        for descriptor in self._fifos.values():
            epoll.register(descriptor, ONCE)

    def turn(self, now: float) -> None:
        """Do what is due."""
        for name in [name for name, at in self._resting.items() if now >= at]:
            del self._resting[name]
            self._epoll.modify(self._fifos[name], ONCE)
        if now >= self._lock_at:
            self._lock_at = FOREVER if self._standin.lock() else now + LOOK_SECONDS
        if now >= self._record_at:
            self._standin.record()
            self._record_at = FOREVER
            self._record_seconds = min(2 * self._record_seconds, RECORD_SECONDS_MAX)

    def deadline(self) -> float:
        """When the next turn is due."""
        return min([self.until, self._lock_at, self._record_at, *self._resting.values()])

    def take(self, name: str, now: float) -> int:
        """Drop what waits in one FIFO; how many bytes."""
        moved = self._standin.take(name, self._fifos[name])
        if moved >= SMALL_BYTES:
            self._epoll.modify(self._fifos[name], ONCE)
        else:
            self._resting[name] = now + NAP_SECONDS
        self._record_at = min(self._record_at, now + self._record_seconds)
        return moved

    def end(self) -> dict[str, Thrown]:
        """Let go; what was thrown away by program."""
        for descriptor in self._fifos.values():
            self._epoll.unregister(descriptor)
        self._standin.release()
        return self._standin.thrown
