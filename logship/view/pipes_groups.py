"""Core: groups of lines, bounded. What is held is a function of the lines, not of the order in which they came.

Beyond the bound whole groups are folded into one, the others, and counted there. Which ones is decided by a hash of
their key: those with the greatest go first, so the groups that are kept are a sample by chance, the same at every
reading, and each of them is exact. From the hash where keeping ends follows about how many groups there were.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import xxhash

from logship.view.pipes_cells import Cell

WEIGHT_MAX = 1_000_000
"""Of all groups: numbers of which percentiles are wanted weigh one each, a line's count one, a group itself more."""
GROUP_WEIGHT = 9
"""Measured: some 80 bytes are one, so that all of it is about 100 MB."""
SPANS_MAX = 10_000
_HASHES = 1 << 64

GroupKey = tuple[str | int | float | None, ...]


class TooMuch(Exception):
    """A question whose answer has no bound; the text says what to ask instead."""


class Groups:
    """Cells by key and span of time (its beginning, or None). ``make`` makes one."""

    def __init__(self, make: Callable[[], Cell], weight_max: int = WEIGHT_MAX, spans_max: int = SPANS_MAX):
        self._make = make
        self._weight_max, self._spans_max = weight_max, spans_max
        self._kept: dict[GroupKey, dict[int | None, Cell]] = {}
        self._by_hash: list[tuple[int, int, GroupKey]] = []
        self._ends: int | None = None  # the least hash of what was folded
        self._others: dict[int | None, Cell] = {}
        self._spans: set[int | None] = set()
        self._weight = 0

    def add(self, key: GroupKey, span: int | None, said: Any, times: int = 1) -> None:
        """One more line, or so many that say the same. Raises TooMuch."""
        cell = self._of(key, span)
        self._weight += cell.add(said, times)
        while self._weight > self._weight_max:
            self._fold()

    def merge(self, key: GroupKey, span: int | None, cell: Cell) -> None:
        """What somebody else holds of some more lines. Raises TooMuch."""
        into = self._of(key, span)
        self._weight += into.merge(cell)
        while self._weight > self._weight_max:
            self._fold()

    def _of(self, key: GroupKey, span: int | None) -> Cell:
        cells = self._kept.get(key)
        if cells is None:
            cells = self._new(key)
        cell = cells.get(span)
        return self._cell(cells, span) if cell is None else cell

    def __len__(self) -> int:
        return len(self._kept)

    def items(self) -> Iterator[tuple[GroupKey, int | None, Cell]]:
        """All that are kept."""
        for key, cells in self._kept.items():
            for span, cell in cells.items():
                yield key, span, cell

    def others(self) -> Iterator[tuple[int | None, Cell]]:
        """What was folded, by span."""
        yield from self._others.items()

    @property
    def about(self) -> int | None:
        """About how many groups there were; None when all are kept."""
        if self._ends is None:
            return None
        return max(len(self._kept) + 1, round(len(self._kept) * _HASHES / (self._ends + 1)))

    def _new(self, key: GroupKey) -> dict[int | None, Cell]:
        order = hash_of(key)
        if self._ends is not None and order >= self._ends:
            return self._others
        heapq.heappush(self._by_hash, (-order, len(self._by_hash), key))
        self._weight += GROUP_WEIGHT
        return self._kept.setdefault(key, {})

    def _cell(self, cells: dict[int | None, Cell], span: int | None) -> Cell:
        if span not in self._spans:
            if len(self._spans) >= self._spans_max:
                raise TooMuch(
                    f"there are more than {self._spans_max:,} spans of this length with lines; take a longer one, or a "
                    "shorter time"
                )
            self._spans.add(span)
        cell = cells[span] = self._make()
        self._weight += cell.weight
        return cell

    def _fold(self) -> None:
        if not self._by_hash:
            raise TooMuch("there is more to be held than fits; take a longer span, or a shorter time")
        order, _, key = heapq.heappop(self._by_hash)
        self._ends = -order
        self._weight -= GROUP_WEIGHT
        for span, cell in self._kept.pop(key).items():
            self._weight -= cell.weight
            into = self._others.get(span)
            if into is None:
                into = self._cell(self._others, span)
            self._weight += into.merge(cell)


def hash_of(key: GroupKey) -> int:
    """64 bits of a key."""
    return xxhash.xxh3_64_intdigest(repr(key).encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=4096)
def key_order(key: GroupKey) -> tuple[tuple[int, Any], ...]:
    """Puts keys in order: numbers, then texts, then what is not there."""
    return tuple([(2, 0) if part is None else (1 if isinstance(part, str) else 0, part) for part in key])
