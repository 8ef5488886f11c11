"""Core: a segment cut into pieces, each a range of LSNs of which one file is made.

A piece ends where it has enough bytes or frames, and where another day of receipt begins, so the name of a file's
folder is the day all its rows were received on. Cuts lie between frames; lines need not end there: each completes at
one LSN, so it is in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from logship.collect.journal import Frame, Kind
from logship.view.moment import DAY_MS

RAW_BYTES_MAX = 64 << 20
FRAMES_MAX = 50_000
"""Frames are held in memory while their piece is made, about 1 KiB each."""


@dataclass(slots=True)
class Piece:
    """The frames with lines from LSN ``start`` to ``end``, by stream. ``day`` is a number of days since 1970."""

    start: int
    end: int
    day: int | None = None
    raw_bytes: int = 0
    frames: dict[str, list[Frame]] = field(default_factory=dict)

    @property
    def is_one_frame(self) -> bool:
        """Whether it cannot be smaller."""
        return sum(map(len, self.frames.values())) <= 1

    @property
    def day_text(self) -> str:
        """The day as in 2026-11-30."""
        return datetime.fromtimestamp((self.day or 0) * DAY_MS / 1000, UTC).date().isoformat()


def piece(start: int, frames: Iterable[Frame], raw_bytes_max: int | None = None) -> Piece:
    """The first piece of what begins at ``start``, where ``frames`` are those from there on.

    ``raw_bytes_max`` bounds it more than usual; a piece has one frame at least.
    """
    most = RAW_BYTES_MAX if raw_bytes_max is None else min(RAW_BYTES_MAX, raw_bytes_max)
    found = Piece(start, start)
    count = 0
    for frame in frames:
        if frame.kind in (Kind.CREATE, Kind.APPEND, Kind.CLOSE):
            day = frame.entry.time_ms // DAY_MS
            full = found.raw_bytes + frame.entry.length > most or count >= FRAMES_MAX
            if count and (full or day != found.day):
                return found
            found.day = day
            found.raw_bytes += frame.entry.length
            found.frames.setdefault(frame.entry.stream, []).append(frame)
            count += 1
        found.end = frame.end
    return found
