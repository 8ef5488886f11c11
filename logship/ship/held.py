"""Core: what a source holds at one look: ranges of its bytes, where its program was started, what is lost and why.

Offsets are the source's own. Left to others: looking (``discover``), what to do about it (``sender``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from logship.spool.ranges import Span
from logship.wire.fields import STARTS_MAX, Start


class Lost(NamedTuple):
    """A range that is nowhere, why, and when that was written down (RFC 3339; "" where it is not known)."""

    span: Span
    reason: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """``spans`` are the ranges that can be read, apart from each other and in order; ``end`` is where the source ends.

    ``any`` says that there is a source at all (an empty segment is one). ``ended`` says that nothing will be written to
    it any more. ``losses`` are the source's own records of ranges that are nowhere. ``path`` is that of a followed
    file, None for a spool. A file may be replaced in place: ``gone`` counts the bytes seen of its former contents,
    whose offsets are not those of the present one. ``vanished`` says why nothing of a file is held at all.
    """

    spans: tuple[Span, ...] = ()
    end: int = 0
    any: bool = False
    ended: bool = False
    starts: tuple[Start, ...] = ()
    losses: tuple[Lost, ...] = ()
    gone: int = 0
    path: str | None = None
    vanished: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a followed file, which may be replaced as a whole."""
        return self.path is not None

    def first(self, offset: int = 0) -> int | None:
        """The first byte held at or after ``offset``."""
        return next((max(span.offset, offset) for span in self.spans if span.end > offset), None)

    def room(self, offset: int) -> int:
        """How many bytes can be read on from ``offset`` without a hole."""
        return next((span.end - offset for span in self.spans if span.offset <= offset < span.end), 0)

    def holds(self, span: Span) -> bool:
        """Whether every byte of ``span`` can be read."""
        return self.room(span.offset) >= span.size

    def bytes_from(self, offset: int) -> int:
        """How many bytes are held at or after ``offset``."""
        if len(self.spans) == 1:  # asked of every source at every turn
            return max(0, self.spans[0].end - max(self.spans[0].offset, offset))
        return sum(span.end - max(span.offset, offset) for span in self.spans if span.end > offset)

    def why(self, hole: Span) -> str:
        """Why the bytes of ``hole`` are not held, as far as the source knows."""
        known = self._known(hole)
        reasons = list(dict.fromkeys(lost.reason for lost in known))
        told = sum(min(lost.span.end, hole.end) - max(lost.span.offset, hole.offset) for lost in known)
        if told < hole.size:
            reasons.append("the collector no longer has what it acknowledged, nor has the source")
        return "; ".join(reasons[:4])

    def when(self, hole: Span) -> tuple[str, str] | None:
        """When the first and the last part of ``hole`` were written down as lost; None where no record says it."""
        times = sorted(lost.time for lost in self._known(hole) if lost.time)
        return (times[0], times[-1]) if times else None

    def _known(self, hole: Span) -> list[Lost]:
        return [lost for lost in self.losses if lost.span.offset < hole.end and lost.span.end > hole.offset]

    def starts_in(self, offset: int, size: int) -> tuple[tuple[Start, ...], int]:
        """The starts within ``size`` bytes from ``offset``, one an offset, and how many of the bytes may go with them.

        That is fewer than ``size`` where one message could not name all the starts.
        """
        last: dict[int, Start] = {}
        for start in self.starts:
            if offset <= start.offset < offset + size:
                last[start.offset] = start
        found = [last[at] for at in sorted(last)]
        if len(found) <= STARTS_MAX:
            return tuple(found), size
        return tuple(found[:STARTS_MAX]), found[STARTS_MAX].offset - offset
