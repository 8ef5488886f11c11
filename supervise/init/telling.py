"""Edge: writes the event lines, the snapshots, state.json, and supervisord's own log; nothing here waits or raises.

What the lines say is ``events.py``. The streams are written by PID 1 itself, in the format of the spool folder.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supervisor import loggers

from logship.spool.segment import SegmentWriter
from supervise.init import events
from supervise.init.folders import STATE, replace_file
from supervise.init.usage import Usage, usage_by_group

STREAM_SEGMENT_BYTES = 1048576
USAGE_AGE_MAX = 1.0
"""Seconds for which one pass over /proc serves several writes of state.json."""


class Teller:
    """Stream ``supervise`` and state.json of one incarnation; ``warnings`` are true for all of it."""

    def __init__(
        self, service: str, host: str, spool: Path, run_dir: Path, least: int, warnings: Sequence[str] = ()
    ) -> None:
        self._warnings = warnings
        self._service = service
        self._host = host
        self._incarnation = spool.name
        self._state_path = run_dir / STATE
        self._writer = SegmentWriter(spool / "supervise", STREAM_SEGMENT_BYTES, descriptor_min=least)
        self._usage: dict[int, Usage] = {}
        self._usage_at = float("-inf")
        self.healthy: bool | None = None
        self.write_errors = 0

    def event(self, kind: str, **fields: Any) -> None:
        """One event line, now."""
        self._writer.write(events.line(time.time(), kind, fields))

    def usage(self, pid: int) -> Usage | None:
        """What the program whose first process is ``pid`` uses; None when it is gone."""
        now = time.monotonic()
        if pid and (now - self._usage_at > USAGE_AGE_MAX or pid not in self._usage):
            self._usage, self._usage_at = usage_by_group(), now
        return self._usage.get(pid)

    def state(self, phase: str, programs: Sequence[events.ProgramState], snapshot: dict[str, Any] | None) -> None:
        """Replace state.json; with ``snapshot`` (its further fields) also write a snapshot line. Tells health."""
        found = events.state(time.time(), self._service, self._host, self._incarnation, phase, programs, self._warnings)
        if found["healthy"] is not self.healthy:
            self.healthy = found["healthy"]
            self.event("health", healthy=self.healthy, because=events.unwell(phase, programs))
        if snapshot is not None:
            fields = {key: value for key, value in found.items() if key != "time"}
            self.event("snapshot", **fields, **snapshot, dropped_bytes=self._writer.dropped_bytes)
        try:
            replace_file(self._state_path, (json.dumps(found, indent=1) + "\n").encode())
        except OSError:
            self.write_errors += 1  # a full disk; the snapshot line tells the count

    def close(self) -> None:
        self._writer.close()


class LogHandler(loggers.Handler):  # type: ignore[misc]  # supervisor ships no types
    """supervisord's log as stream ``supervisord``; lines that only repeat what is counted elsewhere are left out."""

    NOISE = re.compile(
        r"reaped unknown pid|running without any HTTP authentication checking"
        r"|^(spawned: '|success: |exited: |stopped: |waiting for |gave up: )[a-z0-9_-]+\.ready\b"
    )

    def __init__(self, spool: Path, least: int, on_failure: Callable[[str], None]) -> None:
        super().__init__()
        self._writer = SegmentWriter(spool / "supervisord", STREAM_SEGMENT_BYTES, descriptor_min=least)
        self._on_failure = on_failure
        self.fmt = "%(asctime)s %(levelname)s %(message)s\n"

    def emit(self, record: loggers.LogRecord) -> None:
        """Write one record. Never raises: the guard tells."""
        try:
            facts = record.asdict()
            if not self.NOISE.search(facts["message"]):
                self._writer.write((self.fmt % facts).encode("utf-8", "backslashreplace"))
        except Exception:
            self._on_failure("supervisord's log")

    def close(self) -> None:
        """Nothing: the stream outlives supervisord's reload."""
