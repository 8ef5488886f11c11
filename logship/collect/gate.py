"""Edge: who may come in, and how much of what they send and take is held at once (PROTOCOL.md 10).

One gate for all connections: it counts them, their bodies and those who wait for more of a stream, and says which
connection makes room for a new one. What a connection does about it is ``connection``'s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from logship.wire import Code, Refusal


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and bytes of PROTOCOL.md 10; the connections are in ``wire.Limits``."""

    head_bytes_max: int = 16 * 1024
    head_seconds: float = 10
    body_pause_seconds: float = 30
    body_seconds: float = 600
    idle_seconds: float = 75
    stall_seconds: float = 60
    bodies_bytes_max: int = 64 * 1024 * 1024
    linger_seconds: float = 2
    lingering_max: int = 256
    discard_seconds: float = 30
    pipelined_max: int = 8
    reading_bytes_max: int = 64 * 1024 * 1024


class Guest(Protocol):
    """A connection, as the gate sees it."""

    def make_room(self) -> None:
        """Close: another connection needs the place."""

    def check(self, now: float) -> None:
        """Look whether a time is over."""


READ_BYTES_MAX = 1024 * 1024
"""What one answer to a GET carries at most, and so what is held for a reader that does not read."""
READ_BYTES_MIN = 64 * 1024


class Gate:
    """The counts, and the order in which idle connections make room: silent ones first, then the one idle longest."""

    def __init__(self, bounds: Bounds, connections_max: int) -> None:
        self.bounds = bounds
        self.connections_max = connections_max
        self.connections: set[Guest] = set()
        self.lingering: set[Guest] = set()
        self.bodies_bytes = 0
        self.reading_bytes = 0
        self.live: set[asyncio.Future[None]] = set()
        self._silent: dict[Guest, None] = {}
        self._idle: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> Refusal | None:
        """A new connection; beyond the bound an idle one is closed for it, else it is refused."""
        if len(self.connections) >= self.connections_max:
            resting = next(iter(self._silent), None) or next(iter(self._idle), None)
            if resting is None:
                reason = f"all {self.connections_max} connections are busy; try again in a moment"
                return Refusal(Code.CONNECTIONS, reason)
            self.leave(resting)
            resting.make_room()
        self.connections.add(guest)
        self._silent[guest] = None
        return None

    def leave(self, guest: Guest) -> None:
        """The connection is gone, or as good as gone."""
        self.connections.discard(guest)
        self.lingering.discard(guest)
        self.busy(guest)

    def linger(self, guest: Guest) -> bool:
        """It has been turned away and only waits until that was read; False: there are too many such already."""
        self.leave(guest)
        if len(self.lingering) >= self.bounds.lingering_max:
            return False
        self.lingering.add(guest)
        return True

    def busy(self, guest: Guest) -> None:
        """A request has begun on it."""
        self._silent.pop(guest, None)
        self._idle.pop(guest, None)

    def idle(self, guest: Guest) -> None:
        """All its requests are answered."""
        if guest in self.connections:
            self._idle[guest] = None

    def hold(self, body_bytes: int) -> Refusal | None:
        """Count bytes of a body that have come; they stay counted until ``let_go``, refused or not."""
        self.bodies_bytes += body_bytes
        if self.bodies_bytes <= self.bounds.bodies_bytes_max:
            return None
        return Refusal(Code.BUSY, "too many bodies are being received at once; try again in a moment")

    def let_go(self, body_bytes: int) -> None:
        """Their request is answered."""
        self.bodies_bytes -= body_bytes

    def read_bytes(self) -> int:
        """How much the next answer may carry: less while many readers are slow to take theirs."""
        return READ_BYTES_MAX if self.reading_bytes < self.bounds.reading_bytes_max else READ_BYTES_MIN

    def follow(self, wake: asyncio.Future[None]) -> Refusal | None:
        """A reader that waits for more begins; ``wake`` ends it. At most half of the connections may be such."""
        if len(self.live) >= self.connections_max // 2:
            reason = f"{len(self.live)} readers wait already, as many as may; read without live, or try again"
            return Refusal(Code.CONNECTIONS, reason)
        self.live.add(wake)
        return None

    def wake_all(self) -> None:
        """Every reader that waits shall end."""
        for wake in self.live:
            if not wake.done():
                wake.set_result(None)

    def sweep(self, now: float) -> None:
        """Look at every connection's time; to be called every second or so."""
        for guest in (*self.connections, *self.lingering):
            guest.check(now)
