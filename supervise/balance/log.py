"""Edge: the balancer's own log: one flat JSON object a line, or a reader's line on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from supervise.fleet.table import harmless

if TYPE_CHECKING:
    from loguru import Message


class Log:
    """Writes events to ``out``. A line that cannot be written is dropped: a log never stops the balancer."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._readable = self._out.isatty()
        logger.remove()
        logger.add(self._write, level="DEBUG", format="{message}", catch=True)

    def say(self, level: str, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """One event; ``level`` is INFO, WARNING or ERROR; ``fields`` are JSON values."""
        logger.bind(fields=dict(fields or {})).log(level, "{}", event)

    def _write(self, message: Message) -> None:
        record = message.record
        time = rfc3339(record["time"].timestamp())
        level, event, fields = record["level"].name, record["message"], record["extra"].get("fields", {})
        if self._readable:
            text = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in fields.items())
            line = harmless(f"{time[11:23]} {level:7} {event} {text}".rstrip())
        else:
            line = json.dumps({"time": time, "level": level.lower(), "event": event, **fields}, default=str)
        self._out.write(line + "\n")
        self._out.flush()


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
