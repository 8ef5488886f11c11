"""Edge: collect's own log: one flat JSON object a line on standard error. It says nothing a request: no feedback."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message

MISHAPS_MAX = 20
"""Unforeseen errors that are told in full before the rest is only counted; a new minute begins anew."""


class Log:
    """Writes events to ``out``. A line that cannot be written is dropped: a log never stops intake."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._mishaps = 0
        logger.remove()
        logger.add(self._write, level="DEBUG", format="{message}", catch=True)
        # What the libraries below have to say is said here, too, never by their own handlers.
        for name in ("uvicorn", "asyncio"):
            library = logging.getLogger(name)
            library.handlers, library.propagate = [_Forward(self)], False
            library.setLevel(logging.ERROR)

    def say(self, level: str, event: str, **fields: Any) -> None:
        """One event; ``level`` is INFO, WARNING or ERROR; ``fields`` are JSON values."""
        logger.bind(fields=fields).log(level, "{}", event)

    def mishap(self, what: str, error: BaseException | None) -> None:
        """Something unforeseen, with its place; bounded, since a client may be able to cause it at will."""
        self._mishaps += 1
        if self._mishaps <= MISHAPS_MAX:
            place = traceback.format_exception(error)[-3:] if error else []
            self.say("ERROR", "mishap", what=what, error="".join(place).strip())

    def tick(self) -> None:
        """A minute has passed: say how many mishaps were left out."""
        if self._mishaps > MISHAPS_MAX:
            self.say("ERROR", "mishaps", left_out=self._mishaps - MISHAPS_MAX)
        self._mishaps = 0

    def _write(self, message: Message) -> None:
        record = message.record
        time = datetime.fromtimestamp(record["time"].timestamp(), UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record["level"].name.lower(),
            "event": record["message"],
            **record["extra"].get("fields", {}),
        }
        self._out.write(json.dumps(line, default=str) + "\n")
        self._out.flush()


class _Forward(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._log.mishap(f"{record.name}: {record.getMessage()}", error)
