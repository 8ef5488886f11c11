"""Core: when to try again what failed: later and later, each thing by itself."""

from __future__ import annotations

from collections.abc import Callable

FIRST_SECONDS = 0.2
MOST_SECONDS = 10.0


class Patience:
    """Back-off by key. Times are monotonic seconds; ``chance`` gives numbers from 0 to 1, so that many do not try at
    once (1 always: no jitter)."""

    def __init__(self, most_seconds: float = MOST_SECONDS, chance: Callable[[], float] = lambda: 1.0) -> None:
        self._most = most_seconds
        self._chance = chance
        self._failures: dict[str, int] = {}
        self._next: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        """Whether it is time to try."""
        return now >= self._next.get(key, now)

    def failed(self, key: str, now: float) -> int:
        """Note a failure: wait 0.2, 0.4, 0.8 s and so on, half to all of it by chance. Return how many in a row."""
        count = self._failures.get(key, 0) + 1
        self._failures[key] = count
        delay = min(self._most, FIRST_SECONDS * 2 ** min(count - 1, 30))
        self._next[key] = now + delay * (0.5 + self._chance() / 2)
        return count

    def wait(self, key: str, seconds: float, now: float) -> None:
        """Note that it was too early, which is no failure."""
        self._next[key] = now + seconds

    def done(self, key: str) -> None:
        """Note a success."""
        self._failures.pop(key, None)
        self._next.pop(key, None)
