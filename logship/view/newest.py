"""Core: the newest lines of what is read backwards, a block at a time; held is only what may still be among them.

In a reading of events it is those that are counted, with all their lines.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from logship.view.items import START, Hidden, Item, Mark, TimedLine
from logship.view.merge import merged

HELD_MAX = 20_000
HELD_BYTES_MAX = 64 * 1024 * 1024
HIDDEN_MAX = 1_000_000
"""Of hidden lines only their times are held, 8 bytes each; beyond so many it is said "at least"."""


_OTHERS = "\0others"
"""In place of a stream: marks that have times of their own, and are no part of a stream's order."""


class Newest:
    """The last ``count`` lines by time, with the marks among them, and how many hidden lines.

    ``enough_ms``: the time of the oldest line that would be given; what was received before it cannot matter. None:
    there are not enough lines yet.
    """

    def __init__(self, count: int) -> None:
        self.enough_ms: int | None = None
        self._count = count
        self._held: dict[str, list[list[Item]]] = {}
        self._lines = self._units = 0
        self._bytes = 0
        self._hidden = array("q")
        self._hidden_more = False

    def add(self, found: dict[str, list[Item]]) -> None:
        """What an older block holds, by stream."""
        for path, items in found.items():
            kept: list[Item] = [item for item in items if not isinstance(item, Hidden)]
            if kept:
                self._held.setdefault(path, []).append(kept)
            unit: tuple[str, int] | None = None
            for item in items:
                if isinstance(item, TimedLine):
                    self._lines += 1
                    latest, unit = unit, item.unit
                    self._units += unit != latest
                    self._bytes += len(item.line.data)
                elif isinstance(item, Hidden):
                    self._hide(item.time_ms)
        over = self._lines > self._count + HELD_MAX or self._bytes > HELD_BYTES_MAX
        if self._units >= self._count and (self.enough_ms is None or over):
            last = _last(in_order(self._held), self._count)
            lines = [item for item in last if isinstance(item, TimedLine)]
            self._units = len({item.unit for item in lines})  # an event of two blocks was counted in both
            if self._units >= self._count:
                self.enough_ms = lines[0].time_ms if lines else 0
            if over:
                self._held = _by_stream(last)
                self._lines, self._bytes = len(lines), sum(len(item.line.data) for item in lines)

    def first(self, path: str) -> Item | None:
        """The oldest that is held of a stream."""
        held = self._held.get(path)
        return held[-1][0] if held else None

    def result(self, others: list[Item]) -> list[Item]:
        """All of it, in order, with marks that are no part of a stream's order; hidden lines as one item at the end."""
        last = _last(in_order({**self._held, _OTHERS: [others]}), self._count)
        lines = len({item.unit for item in last if isinstance(item, TimedLine)})
        # Fewer lines than were asked for: what is hidden before the first one would have been among them.
        first_ms = (
            next((item.time_ms for item in last if isinstance(item, TimedLine)), 0) if lines >= self._count else 0
        )
        hidden = sum(time_ms >= first_ms for time_ms in self._hidden)
        if hidden:
            last.append(Hidden(first_ms, "", 0, hidden, self._hidden_more))
        return last

    def _hide(self, time_ms: int) -> None:
        if len(self._hidden) >= HIDDEN_MAX and self.enough_ms is not None:
            enough_ms = self.enough_ms
            self._hidden = array("q", [held for held in self._hidden if held >= enough_ms])
        if len(self._hidden) < HIDDEN_MAX:
            self._hidden.append(time_ms)
        else:
            self._hidden_more = True


def in_order(held: dict[str, list[list[Item]]]) -> Iterator[Item]:
    """Merged; the lists of a stream were gathered newest first."""
    return merged([item for items in reversed(lists) for item in items] for lists in held.values())


def _by_stream(items: list[Item]) -> dict[str, list[list[Item]]]:
    found: dict[str, list[list[Item]]] = {}
    for item in items:
        found.setdefault(item.stream, [[]])[0].append(item)
    return found


def _last(items: Iterable[Item], count: int) -> list[Item]:
    """The last ``count`` lines and the marks from the first of them on; when there are fewer, all marks but starts."""
    found = list(items)
    if count <= 0:
        return []
    unit, first = None, len(found)
    for at in range(len(found) - 1, -1, -1):
        item = found[at]
        if isinstance(item, TimedLine):
            if item.unit != unit:
                if count == 0:
                    return found[first:]
                unit = item.unit
                count -= 1
            first = at
    if count == 0:
        return found[first:]
    return [item for item in from_first_line(found) if item is not None]


def from_first_line(items: Iterable[Item | None]) -> Iterator[Item | None]:
    """All of it but the starts of programs before the first line: of a search that finds nothing they would be all.

    A start from which the first line itself goes on stays before it.
    """
    latest: dict[str, Mark] = {}
    began = False
    for item in items:
        if not began and isinstance(item, Mark) and item.what == START:
            latest[item.stream] = item
            continue
        if not began and isinstance(item, TimedLine):
            began = True
            start = latest.get(item.stream)
            if start is not None and start.offset == item.line.offset:
                yield start
        yield item
