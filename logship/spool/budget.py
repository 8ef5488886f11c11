"""Run: what is deleted from the spool, and when: what the collector holds, and what is over a budget.

Three budgets: a program's, the container's, the volume's. The loss is written down first, then the segment goes. Only
bytes that are not acknowledged are lost. A program over its own budget pays itself; over the container's, the program
that holds most; over the volume's, first what was left behind by others, the oldest first (``volume``), then whoever
goes on writing: at most twice what it wrote since it last looked, so that a container that says little does not pay for
one that says much.

Left to others: which segments that is (``ranges``), when a segment was finished (``drain``), the record (``losses``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from logship.spool import acked, streams
from logship.spool.log import OWN
from logship.spool.losses import LossBook
from logship.spool.ranges import Segment, over_budget
from logship.spool.segment import listed
from logship.spool.volume import Volume

ACKED_SECONDS = 5.0
"""How often it is looked whether segments have been acknowledged, while there are some that may go then."""


@dataclass(frozen=True)
class Limits:
    """The budgets in bytes; 0: no bound. Segments that are being written are counted and never deleted."""

    program: int
    container: int = 0
    volume: int = 0


class Budget:
    """Keeps one spool folder, and its volume, within ``limits``. ``say`` is told of each deletion that is a loss.

    ``starved`` says whether the disk refuses bytes: while it does, it is looked again and again what may go.
    """

    def __init__(
        self,
        spool: Path,
        limits: Limits,
        book: LossBook,
        say: Callable[..., None],
        starved: Callable[[], bool] = lambda: False,
    ) -> None:
        self._spool = spool
        self._limits = limits
        self._book = book
        self._say = say
        self._starved = starved
        self._found: dict[str, list[Segment]] = {}
        self._paid_to: dict[str, int] = {}  # ends of the streams when the volume was last looked at
        self._acked_at: float | None = None
        self._volume = Volume(spool, limits.volume, say)

    def keep(self, name: str) -> int:
        """Look after one stream that grew by a segment or was changed by others; its end. Raises OSError."""
        folder = self._spool / name
        before = self._found.get(name)
        found = self._found[name] = acked.delete(folder, listed(folder))
        end = found[-1].end if found else 0
        self._paid_to.setdefault(name, end)
        if found and self._acked_at is None and acked.deletable(found, end):
            self._acked_at = time.monotonic() + ACKED_SECONDS
        self._delete(over_budget({name: found}, self._limits.program), "over budget")
        if self._limits.container and self._held() > self._limits.container:
            self._delete_acknowledged()
            self._delete(over_budget(self._found, self._limits.container), "over the container's budget")
        if before is not None and found and (not before or found[-1].offset > before[-1].offset):
            self._volume.grew()
        return end

    def press(self, now: float) -> None:
        """The disk refuses bytes: look soon for what may go, whatever was seen when a segment was finished last."""
        if self._acked_at is None:
            self._acked_at = now + ACKED_SECONDS

    def turn(self, now: float) -> bool:
        """Do what is due, a small step of it; whether there is more to do at once. Raises OSError."""
        if self._acked_at is not None and now >= self._acked_at:
            self._acked_at = now + ACKED_SECONDS if self._starved() else None
            for name in [*streams.folders(self._spool), OWN]:
                self.keep(name)
        more = self._volume.turn(now)
        if self._volume.over:
            self._pay(self._volume.over)
            self._volume.over = 0
        return more

    def deadline(self) -> float | None:
        """When the next turn is due, by the clock of ``turn``."""
        due = [at for at in (self._acked_at, self._volume.deadline()) if at is not None]
        return min(due, default=None)

    def close(self) -> None:
        """Leave what is being done."""
        self._volume.close()

    def _held(self) -> int:
        return sum(segment.size for found in self._found.values() for segment in found)

    def _delete_acknowledged(self) -> None:
        for name in self._found:
            folder = self._spool / name
            self._found[name] = acked.delete(folder, listed(folder))

    def _pay(self, over: int) -> None:
        """Delete own segments, since the volume is over its budget by so many bytes."""
        ends = {name: found[-1].end for name, found in self._found.items() if found}
        written = sum(end - self._paid_to.get(name, end) for name, end in ends.items())
        self._paid_to = ends
        before = self._held()
        self._delete_acknowledged()
        over -= before - self._held()
        bytes_max = self._held() - max(0, min(over, 2 * written))
        self._delete(over_budget(self._found, bytes_max), "over the volume's budget")

    def _delete(self, victims: Iterable[tuple[str, Segment]], reason: str) -> None:
        for name, segment in victims:
            lost = self._book.delete(name, segment, reason)
            self._found[name] = [other for other in self._found[name] if other != segment]
            if lost:
                self._say(reason, program=name, offset=segment.offset, deleted_bytes=segment.size, lost_bytes=lost)
