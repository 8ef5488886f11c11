"""What stands for the logs of ship and collect: what they say goes into the history of the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from logship.errors import Fault
from tests.sim.engine import Killed


class Quiet:
    """Both logs; each world makes a kind of its own with ``tell`` and ``fail``."""

    tell: Callable[[str], None]
    fail: Callable[[str, str], None]
    met: Counter[str]

    def say(self, level: str, event: str, **fields: Any) -> None:
        """Something was said."""
        self.met[f"said: {event}"] += 1
        self.tell(f"{level.lower()} {event} {fields or ''}")

    def mishap(self, what: str, error: BaseException | None) -> None:
        """collect met what it did not foresee."""
        if not isinstance(error, (Fault, Killed)):  # that is a broken disk, and the end of the process
            self.fail("no surprise", f"collect: {what}: {error!r}")

    def failed(self, cause: str, now: float) -> None:
        """ship got no answer."""

    def answered(self, now: float) -> None:
        """ship got an answer."""

    def moved(self, size: int, sent: int) -> None:
        """ship moved something."""

    def summary(self, now: float, behind_bytes: Callable[[], int]) -> None:
        """ship's minute is over."""

    def snapshot(self, *_: object) -> None:
        """ship's half minute is over."""

    def tick(self) -> None:
        """collect's minute is over."""
