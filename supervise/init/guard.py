"""PID 1 survives its own mistakes: what runs under the guard may raise, is told and counted, and the loop goes on."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable

LINES_A_MINUTE = 20
TEXT_MAX = 2000

Report = Callable[[str, str, int], None]


class Guard:
    """Runs functions; an exception becomes a report (where, traceback, count), at most 20 a minute.

    ``clock`` is monotonic, in seconds. ``total`` counts all exceptions, told or not; the caller bounds what it does
    with it (an ordered stop ends when too much of it fails).
    """

    def __init__(self, clock: Callable[[], float], report: Report) -> None:
        self._clock = clock
        self._report = report
        self._told: deque[float] = deque(maxlen=LINES_A_MINUTE)
        self.total = 0

    def run(self, where: str, function: Callable[[], object]) -> bool:
        """Call ``function``; False when it raised."""
        try:
            function()
        except Exception:
            self.failed(where)
            return False
        return True

    def failed(self, where: str) -> None:
        """Count and report the exception that is being handled."""
        self.total += 1
        now = self._clock()
        if len(self._told) == LINES_A_MINUTE and now - self._told[0] < 60:
            return
        self._told.append(now)
        try:
            self._report(where, traceback.format_exc()[-TEXT_MAX:], self.total)
        except Exception:
            # Telling of it failed as well (a full disk counts by itself and does not raise); nobody is left to tell.
            self.total += 1
