"""Core: which numbers of a worker's lines were seen, and how many are missing up to any of them.

HAProxy numbers a worker's lines 1, 2, 3 ...; with several threads near ones may be written in another order. What is
kept are the holes, few or none. What is judged is folded into one count. Bounded by HOLES_MAX.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

HOLES_MAX = 65_536
WRAP = 1 << 32
"""HAProxy counts lines in 32 bits."""


@dataclass(slots=True)
class Numbers:
    """Those above ``base``; ``end`` is the highest seen.

    ``holes`` are (first, last, place) below it, in order; ``place`` is an offset near which the hole shows: of the
    first hole in the same chunk. Up to ``folded_to`` only how many are missing is known: ``folded``. ``twice`` counts
    what was seen again, ``late`` what was seen after it had been folded.
    """

    base: int = 0
    end: int = 0
    folded_to: int = 0
    folded: int = 0
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    twice: int = 0
    late: int = 0

    def take(self, raw: Sequence[int], locate: Callable[[int], int]) -> None:
        """Numbers as lines carried them, in the order of the lines; ``locate`` tells the offset of a number's line."""
        numbers = self._unwrapped(raw)
        first, last = numbers[0], numbers[-1]
        # Nearly always they follow on each other without a hole; then nothing is done for each of them in Python.
        if first == self.end + 1 and last - first + 1 == len(numbers) and numbers == list(range(first, last + 1)):
            self.end = last
            return
        place: int | None = None
        for low, high in runs(numbers):
            if place is None and low > self.end + 1:
                place = locate(low % WRAP)
            self._run(low, high, place or 0)

    def missing(self, number: int) -> int:
        """How many up to ``number`` (not below ``folded_to``) were not seen; beyond ``end`` all are missing."""
        assert number >= self.folded_to
        found = self.folded + max(0, number - self.end)
        for low, high, _ in self.holes:
            if low > number:
                break
            found += min(high, number) - low + 1
        return found

    def is_missing(self, number: int) -> bool:
        """Whether this one was not seen; False of those that are folded."""
        if number > self.end:
            return True
        at = bisect_left(self.holes, (number + 1,)) - 1
        return at >= 0 and self.holes[at][0] <= number <= self.holes[at][1]

    @property
    def place(self) -> int | None:
        """Where the first hole that is not folded shows."""
        return self.holes[0][2] if self.holes else None

    def fold(self, number: int) -> None:
        """Forget which ones are missing up to ``number``, and keep how many."""
        if number > self.end:
            self.holes.append((self.end + 1, number, 0))
            self.end = number
        kept = []
        for low, high, place in self.holes:
            if low <= number:
                self.folded += min(high, number) - low + 1
            if high > number:
                kept.append((max(low, number + 1), high, place))
        self.holes = kept
        self.folded_to = max(self.folded_to, number)

    def _unwrapped(self, raw: Sequence[int]) -> Sequence[int]:
        """The numbers as if HAProxy counted without end."""
        if self.end < WRAP // 2 and max(raw) < WRAP - 1:
            return raw
        around = self.end - WRAP // 2
        return [around + (number - around) % WRAP for number in raw]

    def _run(self, low: int, high: int, place: int) -> None:
        if low > self.end + 1:
            self.holes.append((self.end + 1, low - 1, place))
            if len(self.holes) > HOLES_MAX:
                self.fold(self.holes[HOLES_MAX // 2][1])
        elif low <= self.end:
            self._again(low, min(high, self.end))
        self.end = max(self.end, high)

    def _again(self, low: int, high: int) -> None:
        """A run below the end: it fills holes, comes too late, or is there twice."""
        late = max(0, min(high, self.folded_to) - low + 1)
        self.late += late
        low += late
        filled = 0
        begin = bisect_left(self.holes, (low,))
        if begin and self.holes[begin - 1][1] >= low:
            begin -= 1
        end, kept = begin, list[tuple[int, int, int]]()
        while end < len(self.holes) and self.holes[end][0] <= high:
            first, last, place = self.holes[end]
            filled += min(last, high) - max(first, low) + 1
            if first < low:
                kept.append((first, low - 1, place))
            if last > high:
                kept.append((high + 1, last, place))
            end += 1
        self.holes[begin:end] = kept
        self.twice += max(0, high - low + 1) - filled

    def state(self) -> dict[str, Any]:
        """It as JSON values."""
        return {
            "base": self.base,
            "end": self.end,
            "folded_to": self.folded_to,
            "folded": self.folded,
            "holes": [list(hole) for hole in self.holes],
            "twice": self.twice,
            "late": self.late,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Numbers:
        """It again."""
        return cls(**{**state, "holes": [(low, high, place) for low, high, place in state["holes"]]})


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of the numbers that follow on each other, in order; one that is there twice begins a run."""
    ordered = sorted(numbers)
    low = high = ordered[0]
    for number in ordered[1:]:
        if number != high + 1:
            yield low, high
            low = number
        high = number
    yield low, high
