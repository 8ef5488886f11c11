"""Core: since when the oldest byte waits that the collector does not hold yet, told from looks at a source's end.

A byte is as old as the first look that found it. Looks are kept only while what they found waits; beyond MARKS_MAX
every second one is forgotten, in favour of the older time: an age may be said too long, never too short.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MARKS_MAX = 256


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest byte that waits was found at ``since`` (seconds, the clock of the looks).

    ``at_least``: it was there at the first look already, so it waits longer than that.
    """

    since: float
    at_least: bool


class Age:
    """The looks at one source."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()  # (end that was found, when), both rising
        self._first_end: int | None = None
        self._end = 0

    def found(self, end: int, now: float) -> None:
        """A look found that the source ends at ``end``."""
        if self._first_end is None:
            self._first_end = end
        if end < self._end:  # shorter than it was: other bytes than before
            self._marks.clear()
            self._first_end = 0
        if end > self._end or (end < self._end and end):
            self._marks.append((end, now))
        self._end = end
        if len(self._marks) > MARKS_MAX:
            pairs = list(self._marks)
            thinned = [(later[0], earlier[1]) for earlier, later in zip(pairs[::2], pairs[1::2], strict=False)]
            self._marks = deque([*thinned, *pairs[len(thinned) * 2 :]])

    def waiting(self, acknowledged: int) -> Waiting | None:
        """How old the oldest byte at or after the offset ``acknowledged`` is; None when there is none."""
        while self._marks and self._marks[0][0] <= acknowledged:
            self._marks.popleft()
        if not self._marks:
            return None
        return Waiting(self._marks[0][1], acknowledged < (self._first_end or 0))
