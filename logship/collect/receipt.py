"""Core: the times of receipt: the collector's clock, but for steps back of up to an hour.

Readers go backwards through the journal and stop where nothing newer can come: a frame's time is at least that of the
frame before it. A clock that is set back by a little would break that, and hide the lines received just before. So it
stands still until the clock has caught up; of a clock that was wrong by more than an hour the new time is taken.

Left to others: reading the clock.
"""

from __future__ import annotations

from collections.abc import Callable

BACK_MS_MAX = 3_600_000


class Receipt:
    """Milliseconds since 1970, as ``now_ms`` says; ``newest_ms`` is the newest time that was ever given."""

    def __init__(self, now_ms: Callable[[], int], newest_ms: int) -> None:
        self._now_ms = now_ms
        self._newest_ms = newest_ms

    def __call__(self) -> int:
        """The time of what is received now."""
        now_ms = self._now_ms()
        if not 0 < self._newest_ms - now_ms <= BACK_MS_MAX:
            self._newest_ms = now_ms
        return self._newest_ms
