"""Edge: ship's own log: one flat JSON object a line on standard error.

What a collector that is away could cause again and again is said once, then counted until it is over. What was moved
is said once a minute at most, and only when it was much: a log that reported the shipping of itself would never end.
How far behind each source is comes as a ``snapshot`` at a fixed rate, which readers leave out unless they are asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from logship.spool.layout import stamp

if TYPE_CHECKING:
    from loguru import Message

SUMMARY_SECONDS = 60.0
SUMMARY_BYTES_MIN = 1024 * 1024
SNAPSHOT_SECONDS = 30.0
SNAPSHOT_FIRST_SECONDS = 5.0
SNAPSHOT_SOURCES_MAX = 100
CAUSES_MAX = 20


class Log:
    """Writes events to ``out``. A line that cannot be written is dropped: a log never stops shipping."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._failures = 0  # in the outage that goes on
        self._since = 0.0
        self._told = False  # it was said that it goes on
        self._told_at: dict[str, float] = {}
        self._moved = {"appends": 0, "bytes": 0, "sent_bytes": 0}
        self._summary_at = 0.0
        self._snapshot_at: float | None = None
        logger.remove()
        logger.add(self._write, level="DEBUG", format="{message}", catch=True)

    def say(self, level: str, event: str, **fields: Any) -> None:
        """One event; ``level`` is INFO, WARNING or ERROR; ``fields`` are JSON values."""
        logger.bind(fields=fields).log(level, "{}", event)

    def failed(self, cause: str, now: float) -> None:
        """The collector could not be talked to: each cause is said once in an outage, and once a minute over many."""
        if not self._failures:
            self._since = now
            self._told_at = {each: at for each, at in self._told_at.items() if now - at < SUMMARY_SECONDS}
        self._failures += 1
        if cause not in self._told_at and len(self._told_at) < CAUSES_MAX:
            self._told_at[cause], self._told = now, True
            self.say("WARNING", "no answer", cause=cause, failures=self._failures)

    def answered(self, now: float) -> None:
        """The collector answers."""
        if self._told:
            self.say("INFO", "answers again", failures=self._failures, seconds=round(now - self._since, 1))
        self._failures, self._told = 0, False

    def moved(self, size: int, sent: int) -> None:
        """An append of ``size`` bytes, ``sent`` on the wire, was taken."""
        self._moved["appends"] += 1
        self._moved["bytes"] += size
        self._moved["sent_bytes"] += sent

    def summary(self, now: float, behind_bytes: Callable[[], int]) -> None:
        """Once a minute, what was moved in it, if it was much."""
        if now < self._summary_at:
            return
        self._summary_at = now + SUMMARY_SECONDS
        if self._moved["bytes"] >= SUMMARY_BYTES_MIN or self._failures:
            self.say("INFO", "shipped", **self._moved, behind_bytes=behind_bytes(), failures=self._failures)
            self._moved = dict.fromkeys(self._moved, 0)

    def snapshot(
        self,
        now: float,
        sources: Callable[[], list[dict[str, Any]]],
        budgets: Mapping[str, int],
        **more: Any,
    ) -> None:
        """Each SNAPSHOT_SECONDS, how far behind each source is: what `logship sources` tells of lag is from here.

        The SNAPSHOT_SOURCES_MAX that are farthest behind are told, and how many are not. ``budgets`` are what a
        program, a container and a volume may keep in the spool, in bytes; 0: no bound. ``more`` is said with them.
        """
        if self._snapshot_at is None:
            self._snapshot_at = now + SNAPSHOT_FIRST_SECONDS
        if now < self._snapshot_at:
            return
        self._snapshot_at = now + SNAPSHOT_SECONDS
        found = sources()
        told = found[:SNAPSHOT_SOURCES_MAX]
        self.say("INFO", "snapshot", budgets=dict(budgets), sources=told, untold=len(found) - len(told), **more)

    def _write(self, message: Message) -> None:
        record = message.record
        words = {
            "time": stamp(record["time"].timestamp()),
            "level": record["level"].name.lower(),
            "event": record["message"],
            **record["extra"].get("fields", {}),
        }
        self._out.write(json.dumps(words, default=str) + "\n")
        self._out.flush()
