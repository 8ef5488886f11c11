"""Core: the lines of a window by events: where one line of an event is wanted, all of its lines are given.

A line is given with the first wanted line of its event, or when it comes, whichever is later. So windows that adjoin
share no line and miss none, as without events: what came before the window and belongs to the event that goes on in it
is looked at, and given here where the first wanted line is here. Only an event whose beginning is certain is looked at
so: of one that goes on for longer than EVENT_BYTES_MAX it may not be.

All lines of an event have its first line's time, so that nothing of other streams comes between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from logship.view.events import EVENT_BYTES_MAX, Grouping, Look, Place, look
from logship.view.items import LOSS, START, Hidden, Item, Mark
from logship.view.lines import Line
from logship.view.losses import Waiting
from logship.view.moment import INHERITED_BYTES_MAX, Said, Times, own_ms
from logship.view.sought import Fate
from logship.view.timed import LazyTimes, timed

LOOKED_BACK = (2048, 16_384, EVENT_BYTES_MAX)
"""Bytes before the window, until it is certain where its first event begins."""

Back = Callable[[int], tuple[list[Line], set[int], bool]]
"""See ``Windows.before``: lines in so many bytes, starts of the program, whether they are the stream's first."""


class Grouped:
    """Makes items of one window of one stream. ``keep`` says the fate of a line by itself."""

    def __init__(self, keep: Callable[[Line], Fate], back: Back, earlier: Callable[[], Said | None]) -> None:
        self._keep = keep
        self._back = back
        self._grouping = Grouping()
        self._times = LazyTimes(earlier)
        self._losses = Waiting()
        # The event that goes on: lines that are not given yet, whether one was wanted, and of one whose beginning is
        # certain its first line (``before``: that is not of this window) and its time when somebody asked for it.
        self._held: list[Line] = []
        self._hit = False
        self._first: Line | None = None
        self._before = False
        self._time_ms: int | None = None

    def of(self, items: Iterator[Line | Mark]) -> Iterator[Item]:
        """The lines that are given, and marks."""
        looked = False
        for item in items:
            if isinstance(item, Mark):
                looked = looked or item.what != LOSS
                yield from self._mark(item)
                continue
            if not looked:
                looked = True
                self._look_back(item)
            yield from self._line(item, self._grouping.take(item))
        yield from self._losses.before(None)

    def _mark(self, mark: Mark) -> Iterator[Item]:
        if mark.what == LOSS:
            self._losses.add(mark)
            return
        yield from self._losses.before(mark.time_ms)
        self._grouping.restart()
        if mark.what == START:
            self._times.forget()
            self._first = None  # nobody takes its time over a start
        yield mark

    def _line(self, line: Line, place: Place) -> Iterator[Item]:
        if place.begins:
            self._begin(line, place)
        fate = self._keep(line)
        if self._losses:
            yield from self._losses.before(self._time(line))
        if fate is Fate.HIDDEN:
            yield Hidden(self._time(line), line.stream, line.offset)
        elif fate is Fate.GIVEN or self._hit:
            self._hit = True
            for held in self._held:
                yield timed(held, self._time(held), place.start)
            self._held = []
            yield timed(line, self._time(line), place.start)
        else:
            self._held.append(line)

    def _begin(self, line: Line, place: Place) -> None:
        if self._first is not None and self._time_ms is None and not self._before:
            self._times.skip(self._first)  # a later line without a time may have been written with it
        self._held, self._hit, self._before, self._time_ms = [], False, False, None
        self._first = line if place.certain else None

    def _time(self, line: Line) -> int:
        """That of the event's first line; where its beginning is not known, the line's own."""
        if self._first is None:
            return self._times.of(line)
        if self._time_ms is None:
            self._time_ms = self._time_before(self._first, line) if self._before else self._times.of(self._first)
        return self._time_ms

    def _time_before(self, first: Line, line: Line) -> int:
        """The time of a line that completed before the window."""
        own = own_ms(first.data, first.received_ms)
        if own is not None:
            return own
        lines, starts, _ = self._back(line.offset - first.offset + INHERITED_BYTES_MAX)
        times = Times()
        for each in lines:
            if each.offset in starts:
                times = Times()
            found = times.of(each, own_ms(each.data, each.received_ms))
            if each.offset == first.offset:
                return found
        return first.received_ms

    def _look_back(self, line: Line) -> None:
        """Learn what goes on in the window's first line, where that matters."""
        if line.offset == 0:
            self._grouping.restart()
        if line.offset == 0 or look(line.text) in (Look.SAYS_TIME, Look.OTHER):
            return
        for bytes_back in LOOKED_BACK:
            lines, starts, all_there_is = self._back(bytes_back)
            grouping, event, certain = _replayed(lines, starts, all_there_is)
            if certain or all_there_is:
                break
        if line.offset in starts:
            grouping.restart()
            event = []
        self._grouping = grouping
        self._hit = any(self._keep(each) is Fate.GIVEN for each in event)
        if certain and event:
            self._first, self._before = event[0], True
            self._held = [] if self._hit else event


def _replayed(lines: list[Line], starts: set[int], all_there_is: bool) -> tuple[Grouping, list[Line], bool]:
    """What stands behind these lines: the grouping, the event's lines, whether its beginning is certain."""
    grouping, event, certain = Grouping(), list[Line](), False
    if all_there_is:
        grouping.restart()
    for line in lines:
        if line.offset in starts:
            grouping.restart()
        place = grouping.take(line)
        if place.begins:
            event = []
        event.append(line)
        certain = place.certain
    return grouping, event, certain
