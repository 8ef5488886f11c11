"""Core: how long to wait before trying again: doubling bounds, the whole of each left to chance ("full jitter").

A hundred shippers that lost one collector come back spread over the time, not all at once (the idea: AWS Architecture
Blog, "Exponential Backoff And Jitter").
"""

from __future__ import annotations

import math

FIRST_SECONDS = 0.1
SECONDS_MAX = 10.0
ABSENT_SECONDS_MAX = 0.5
"""While nobody listens: a try costs next to nothing then, and one that listens again is found at once."""
RETRY_AFTER_SECONDS_MAX = 60
_DOUBLINGS_MAX = 16


class Backoff:
    """Counts failures in a row; ``chance`` is a number from 0 to 1, drawn by the caller."""

    def __init__(self) -> None:
        self.failures = 0

    def next_seconds(self, chance: float, retry_after_seconds: int | None = None, absent: bool = False) -> float:
        """Seconds to wait after one more failure; ``absent``: nobody was there to be asked.

        What the other side asked for is the least, up to a minute.
        """
        bound = min(
            ABSENT_SECONDS_MAX if absent else SECONDS_MAX, math.ldexp(FIRST_SECONDS, min(self.failures, _DOUBLINGS_MAX))
        )
        self.failures += 1
        if retry_after_seconds is None:
            return chance * bound
        asked = min(retry_after_seconds, RETRY_AFTER_SECONDS_MAX)
        return asked * (1 + 0.25 * chance)

    def reset(self) -> None:
        """It went well."""
        self.failures = 0
