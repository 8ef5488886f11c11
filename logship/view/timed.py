"""Core: the lines of a window with their times, found out only for those that matter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from logship.view.items import TimedLine
from logship.view.lines import Line
from logship.view.moment import INHERITED_BYTES_MAX, Said, Times, own_ms

HEAD_BYTES = 4096 + 256
"""What is held of a line in a reading; the rest is read again when somebody wants it whole."""


class LazyTimes:
    """Times of a window's lines. What is not wanted, or came before, is looked at only for a line that says no time.

    ``earlier`` finds the last line before the window that says its time near enough.
    """

    def __init__(self, earlier: Callable[[], Said | None]) -> None:
        self._earlier = earlier
        self._times: Times | None = None
        self._skipped: deque[Line] = deque()

    def forget(self) -> None:
        """The program was started anew."""
        self._times = Times()
        self._skipped.clear()

    def skip(self, line: Line) -> None:
        """Pass over a line that is not wanted."""
        self._skipped.append(line)
        while self._skipped[0].offset < line.offset - INHERITED_BYTES_MAX:
            self._skipped.popleft()

    def of(self, line: Line) -> int:
        """When a line was written."""
        own = own_ms(line.data, line.received_ms)
        if own is None:
            for skipped in reversed(self._skipped):
                earlier = own_ms(skipped.data, skipped.received_ms)
                if earlier is not None:
                    self._times = Times(Said(skipped.offset, earlier, skipped.received_ms))
                    break
            else:
                if self._times is None:
                    self._times = Times(self._earlier())
        elif self._times is None:
            self._times = Times()
        self._skipped.clear()
        return self._times.of(line, own)


def timed(line: Line, time_ms: int, event: int | None = None) -> TimedLine:
    """The line with not more than HEAD_BYTES of its bytes."""
    size, terminator = len(line.data), line.terminator
    if size > HEAD_BYTES:
        line = Line(line.stream, line.offset, line.data[:HEAD_BYTES], line.lsn, line.received_ms, line.flags)
    return TimedLine(time_ms, line, size, terminator, event)
