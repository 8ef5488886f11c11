"""Run: how many lines of each stream are kept: newlines, counted a segment at a time, each segment once; since when.

Counting reads every body, so it is done only when somebody asks, for as long as he may wait, newest segments first;
whoever asks again goes on where it stopped. What retention took from the journal is counted in the lake
(``lake.tallies``). Left to others: the bytes (``journal_reader``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from logship.collect.journal import Kind
from logship.collect.stream import StreamState
from logship.lake.reader import Reader
from logship.lake.tallies import Tallies, Tally
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.segments import Gone, segment_of


@dataclass(slots=True)
class _Segment:
    """Newlines by stream up to LSN ``upto``; ``oldest``: when the first bytes of each came, ms since 1970."""

    upto: int
    lines: dict[str, int] = field(default_factory=dict)
    oldest: dict[str, int] = field(default_factory=dict)
    damaged: bool = False


class LineCounts:
    """The counts; for any thread."""

    def __init__(
        self, journal: Journal, tallies: Tallies | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._tallies = tallies or Tallies(Reader(journal.folder), clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._segments: dict[int, _Segment] = {}
        self._store = 0

    def count(self, picture: Picture, seconds: float) -> float:
        """Go on counting for about so long; the share of journal and lake that is counted, from 0.0 to 1.0."""
        with self._lock:
            kept = [lsn for lsn in self._journal.segments() if lsn < picture.end]
            held_before = self._segments if picture.store == self._store else {}
            self._segments = {lsn: held for lsn, held in held_before.items() if lsn in kept}
            self._store = picture.store
            deadline = self._clock() + seconds
            done = 0
            for number in range(len(kept) - 1, -1, -1):
                end = kept[number + 1] if number + 1 < len(kept) else picture.end
                held = self._segments.setdefault(kept[number], _Segment(kept[number]))
                self._count(held, kept[number], end, deadline)
                done += held.upto - kept[number]
            total = picture.end - kept[0] if kept else 0
            older = self._tallies.count(kept[0], deadline - self._clock()) if kept else (0, 0)
            return 1.0 if (done, older[0]) >= (total, older[1]) else (done + older[0]) / (total + older[1])

    def of(self, stream: StreamState) -> Tally | str:
        """What is kept of a stream, when all is counted; or why that is not known."""
        with self._lock:
            segments = sorted(self._segments)
        found = self._tallies.of(stream, segments[0]) if segments else Tally()
        if isinstance(found, str):
            return f"some are in the lake: {found}"
        first = segment_of(segments, stream.created_lsn)
        for lsn in segments if not stream.retired else ():
            held = self._segments.get(lsn)
            if held is None or (first is not None and lsn < first):
                continue
            if held.damaged:
                return "damage in the journal hides some"
            found += Tally(held.lines.get(stream.path, 0), held.oldest.get(stream.path))
        return found

    def _count(self, held: _Segment, segment_lsn: int, end: int, deadline: float) -> None:
        if held.upto >= end:
            return
        try:
            for frame in self._journal.walk(segment_lsn, held.upto, end):
                path = frame.entry.stream
                if frame.kind is Kind.CREATE:
                    held.lines[path] = 0
                    held.oldest.pop(path, None)
                if frame.kind in (Kind.CREATE, Kind.APPEND, Kind.CLOSE) and frame.entry.length:
                    found = self._journal.body(frame).count(b"\n")
                    held.lines[path] = held.lines.get(path, 0) + found
                    held.oldest.setdefault(path, frame.entry.time_ms)
                held.upto = frame.end
                if self._clock() > deadline:
                    return
        except Gone:
            held.upto = end  # deleted meanwhile: nothing of it is kept
        except Damage:
            held.damaged, held.upto = True, end
