"""Core: whether somebody who should read the FIFOs does not: stopped, or stuck on a disk.

Of a pipe it can be seen that it is full, how many bytes are in it, and where the stream ends that they go to. A flooded
pipe is full at most instants, though it is read all the time; so a look now and then asks whether one is full at all,
and only then it is looked at closely: nothing was taken when it was full at each of forty looks, never held less than
before, and its stream did not grow. One look at which that is otherwise begins anew.

Left to others: looking, and what follows (``draining``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

LOOK_SECONDS = 5.0
CLOSE_LOOK_SECONDS = 0.25
STUCK_SECONDS = 10.0


class Full(NamedTuple):
    """A full pipe at one look: bytes in it, and the end of its stream."""

    waiting: int
    end: int

    def moved(self, before: Full) -> bool:
        """Whether something was taken since ``before``."""
        return self.waiting < before.waiting or self.end != before.end


class Suspicion:
    """The pipes in which nothing moves, and since when. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._last: dict[str, Full] = {}
        self.look_at = 0.0

    def saw(self, full: Mapping[str, Full], now: float) -> list[str]:
        """One look at all pipes, with those that are full; the names of those that are stuck. ``look_at``: the next."""
        for name, found in full.items():
            last = self._last.get(name)
            if last is None or found.moved(last):
                self._since[name] = now
        self._since = {name: self._since[name] for name in full}
        self._last = dict(full)
        self.look_at = now + (CLOSE_LOOK_SECONDS if full else LOOK_SECONDS)
        return sorted(name for name, since in self._since.items() if now >= since + STUCK_SECONDS)

    def forget(self, now: float) -> None:
        """Begin anew: somebody else reads, or is about to."""
        self._since.clear()
        self._last.clear()
        self.look_at = now + CLOSE_LOOK_SECONDS
