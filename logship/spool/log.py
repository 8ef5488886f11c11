"""Edge: spool's own log, JSON lines in the stream ``spool``. The standard library alone; nothing is said in a loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from logship.spool.layout import stamp
from logship.spool.segment import SegmentWriter

OWN = "spool"


class Log:
    """Writes {"time", "event", ...} a line. What a full disk refused is counted in the next line."""

    def __init__(self, spool: Path, segment_bytes_max: int, clock: Callable[[], float] = time.time) -> None:
        self._writer = SegmentWriter(spool / OWN, segment_bytes_max)
        self._clock = clock
        self._told_dropped = 0

    @property
    def end(self) -> int:
        """The end of the stream."""
        return self._writer.offset

    def say(self, event: str, **fields: object) -> None:
        """One line. Never raises OSError."""
        dropped = self._writer.dropped_bytes - self._told_dropped
        if dropped:
            fields["log_dropped_bytes"] = dropped
        before = self._writer.dropped_bytes
        line = {"time": stamp(self._clock()), "event": event, **fields}
        self._writer.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")
        if self._writer.dropped_bytes == before:
            self._told_dropped += dropped
