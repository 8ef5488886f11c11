"""Core: where losses stand among lines.

A loss stands in the order of its stream, just before the first line at or after its offset, where that place is kept;
else by the time it says, or was recorded. Left to others: what its record says (``logship.values.Loss``, ``items``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from logship.values import Loss
from logship.view.items import Item, Mark
from logship.view.select import Identity, Wanted, identify


def concerns(loss: Loss, identities: Mapping[str, Identity], wanted: Wanted) -> bool:
    """Whether a loss is one of a wanted stream. One that says no stream may be of any."""
    if loss.stream is None:
        return True
    return wanted.stream(identities.get(loss.stream) or identify(loss.stream, {}))


def apart(marks: Iterable[Mark], place: Callable[[Mark], int | None]) -> tuple[dict[str, Placed], list[Mark]]:
    """Marks of losses that have a place in their stream, by stream; and the others, by time.

    ``place`` says the last frame of the stream of a mark that has one.
    """
    placed: dict[str, tuple[list[Mark], int]] = {}
    others: list[Mark] = []
    for mark in marks:
        last_lsn = place(mark)
        if last_lsn is None:
            others.append(mark)
        else:
            placed.setdefault(mark.stream, ([], last_lsn))[0].append(mark)
    found = {
        path: Placed(sorted(each, key=lambda mark: (mark.offset, mark.lsn)), last_lsn)
        for path, (each, last_lsn) in placed.items()
    }
    return found, sorted(others, key=lambda mark: mark.time_ms)


@dataclass(frozen=True, slots=True)
class Placed:
    """The losses that stand in a stream, in the order of their offsets; ``last_lsn`` is its last frame that is read.

    A loss stands in the frame with the first byte after it. One between two frames stands in the earlier one, unless a
    line goes on from there into the later one.
    """

    marks: Sequence[Mark]
    last_lsn: int

    def within(self, offset: int, end: int, open_before: bool, open_after: bool) -> list[Mark]:
        """Those in a frame of the bytes from ``offset`` to ``end``; whether a line goes on over either of these."""
        return [
            mark
            for mark in self.marks
            if offset < mark.offset < end
            or (mark.offset == end > offset and not open_after)
            or (mark.offset == offset < end and (open_before or offset == 0))
        ]

    def at_last(self, lsn: int, end: int, open_after: bool) -> list[Mark]:
        """Those at the end of the last frame, where no later one can give them."""
        return [mark for mark in self.marks if mark.offset == end] if open_after and lsn == self.last_lsn else []


NONE_PLACED = Placed((), -1)


def not_given(placed: Mapping[str, Placed], items: Iterable[Item]) -> list[Mark]:
    """The marks that are not among ``items``, by time."""
    given = {id(item.loss) for item in items if isinstance(item, Mark) and item.loss is not None}
    rest = [mark for each in placed.values() for mark in each.marks if id(mark.loss) not in given]
    return sorted(rest, key=lambda mark: mark.time_ms)


class Waiting:
    """Losses that wait for what comes after them: a loss is told at its place, whenever it was recorded."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._latest_ms = 0

    def __bool__(self) -> bool:
        return bool(self._marks)

    def add(self, mark: Mark) -> None:
        """One more."""
        self._marks.append(mark)

    def before(self, time_ms: int | None) -> list[Mark]:
        """Those that stand before what was written at ``time_ms``, with a time between that and what came before."""
        if not self._marks:
            self._latest_ms = max(self._latest_ms, time_ms or 0)
            return []
        found = []
        for mark in self._marks:
            at = max(mark.time_ms, self._latest_ms)
            found.append(replace(mark, time_ms=at if time_ms is None else min(at, time_ms)))
        self._marks = []
        self._latest_ms = max(self._latest_ms, time_ms or 0)
        return found
