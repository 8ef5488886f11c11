"""Core: when an orphan, a spool folder whose PID 1 is gone, is to be adopted, and what becomes of one that was.

Those come first who are nearest: the next life of the same container at once, a container of the same service a few
seconds after it saw the orphan (spread by chance, so that a hundred siblings do not all try), anybody else, at last the
collector, after half a minute. An order of politeness alone: that one adopts is the locks' work (``folder``).

Left to others: looking (``places``), locking and shipping (``adopter``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

SIBLING_SECONDS = 3.0
OTHER_SECONDS = 30.0
SPREAD = 1.0
"""By chance up to so many times as long."""
BUSY_SECONDS = 5.0
"""Somebody else held one of its locks: tried again after this."""
ASIDE_SECONDS = 600.0
"""What could not be shipped is left to others, and tried again after this."""
STALLED_SECONDS = 300.0
AWAY_SECONDS = 30.0
"""When the collector has not answered for so long, orphans are given back: only what nobody holds can be trimmed."""
ADOPTED_MAX = 8
"""So many are adopted at a time, which bounds memory and requests; the others wait, the oldest first."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A folder that nobody holds."""

    path: PurePath
    service: str
    host: str


class Queue:
    """The orphans in sight and when their turn comes. ``at_once``: nobody is waited for."""

    def __init__(self, service: str, host: str, at_once: bool = False) -> None:
        self._service = service
        self._host = host
        self._at_once = at_once
        self._due: dict[PurePath, float] = {}
        self._aside: dict[PurePath, float] = {}

    @property
    def waiting(self) -> int:
        """How many are in sight and not set aside."""
        return len(self._due)

    def aside(self, now: float) -> set[PurePath]:
        """Those that are not to be looked at for now."""
        self._aside = {path: until for path, until in self._aside.items() if now < until}
        return set(self._aside)

    def saw(self, orphans: Iterable[Orphan], now: float, chance: float) -> None:
        """All that are in sight now. One that was held by somebody in between begins to wait anew."""
        self._due = {
            orphan.path: self._due.get(orphan.path, now + self._wait(orphan) * (1 + SPREAD * chance))
            for orphan in orphans
        }

    def due(self, now: float, room: int) -> list[PurePath]:
        """Those whose turn it is, at most ``room``, in the order in which they were seen."""
        return [path for path, at in self._due.items() if at <= now][: max(0, room)]

    def taken(self, path: PurePath) -> None:
        """It is adopted."""
        self._due.pop(path, None)

    def busy(self, path: PurePath, now: float) -> None:
        """It could not be adopted: somebody holds one of its locks."""
        self._due[path] = now + BUSY_SECONDS

    def set_aside(self, path: PurePath, now: float) -> None:
        """It could not be shipped."""
        self._due.pop(path, None)
        self._aside[path] = now + ASIDE_SECONDS

    def _wait(self, orphan: Orphan) -> float:
        if self._at_once or orphan.host == self._host:
            return 0.0
        return SIBLING_SECONDS if orphan.service == self._service else OTHER_SECONDS


@dataclass(slots=True)
class Progress:
    """How an adopted folder comes along: what is left of it, and when that last changed."""

    moved_at: float
    left: tuple[int, int] | None = None

    def stalled(self, streams_left: int, bytes_left: int, calm: bool, now: float) -> bool:
        """Whether nothing has changed for long, though the collector answers (``calm``)."""
        left = (streams_left, bytes_left)
        if left != self.left or not calm:
            self.left, self.moved_at = left, now
        return now - self.moved_at > STALLED_SECONDS
