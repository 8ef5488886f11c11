"""Run: how many lines of each stream the lake has, and since when; each file is looked at once, newest first.

As with the journal (``view.counts``) that is done only when somebody asks, for as long as he may wait. Left to others:
files and rows (``reader``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.lake.manifest import File
from logship.lake.reader import Reader, Unreadable


@dataclass(frozen=True, slots=True)
class Tally:
    """Newlines, and when the first of the lines was received, ms since 1970 (None: there is none)."""

    lines: int = 0
    oldest_ms: int | None = None

    def __add__(self, other: Tally) -> Tally:
        both = [each for each in (self.oldest_ms, other.oldest_ms) if each is not None]
        return Tally(self.lines + other.lines, min(both, default=None))


class Tallies:
    """Counts in the lake that ``reader`` reads; for any thread. ``clock`` is in seconds."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._files: dict[tuple[str, int], Mapping[str, Tally] | str] = {}
        self._apart: dict[tuple[str, int, str, int], Tally] = {}

    def count(self, end: int, seconds: float) -> tuple[int, int]:
        """Go on counting what completes below LSN ``end`` for about so long: LSNs that are counted, LSNs in all."""
        deadline = self._clock() + seconds
        with self._lock:
            keys = {self._key(file, end): file for file in self._listed(end)}
            self._files = {key: held for key, held in self._files.items() if key in keys}
            done = total = 0
            for (name, below), file in reversed(keys.items()):
                span = below - file.first_lsn
                total += span
                if (name, below) not in self._files and self._clock() <= deadline:
                    self._files[name, below] = self._of_file(file, below)
                if (name, below) in self._files:
                    done += span
        return done, total

    def of(self, stream: StreamState, end: int) -> Tally | str:
        """What there is of a stream below LSN ``end`` when all is counted; or why that is not known."""
        found = Tally()
        for file in self._listed(end):
            if stream.path not in file.streams or file.end_lsn <= stream.created_lsn:
                continue
            key = self._key(file, end)
            held = self._files.get(key)
            if held is None:
                return "they are being counted; ask again"
            if isinstance(held, str):
                return held
            if file.first_lsn >= stream.created_lsn:
                found += held.get(stream.path, Tally())
                continue
            try:  # an earlier stream of its path may be in the file, too
                found += self._of_life(file, key, stream)
            except Unreadable as error:
                return str(error)
        return found

    def _of_life(self, file: File, key: tuple[str, int], stream: StreamState) -> Tally:
        held = self._apart.get((*key, stream.path, stream.created_lsn))
        if held is None:
            said = self._reader.tallies(file, stream.created_lsn, key[1]).get(stream.path)
            held = Tally() if said is None else Tally(*said)
            self._apart[*key, stream.path, stream.created_lsn] = held
        return held

    def _of_file(self, file: File, below: int) -> Mapping[str, Tally] | str:
        try:
            return {path: Tally(*said) for path, said in self._reader.tallies(file, 0, below).items()}
        except Unreadable as error:
            return str(error)

    def _listed(self, end: int) -> list[File]:
        try:
            return self._reader.files(0, end)
        except Unreadable:
            return []  # what reads on there says why

    def _key(self, file: File, end: int) -> tuple[str, int]:
        return file.name, min(file.end_lsn, end)
