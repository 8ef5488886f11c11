"""Run: what the end of a program sets off: its exit told, a wait before the next try, the end of the container.

supervisord restarts; the length of the wait and the status are decided in ``restart.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supervise.init import events, exits, restart
from supervise.init.record import Change, Record
from supervise.init.said import said_since
from supervise.init.telling import Teller
from supervise.init.usage import OutOfMemory

EndContainer = Callable[[str, int], None]


class Ending:
    """``end_container(reason, status)`` begins the ordered stop."""

    def __init__(self, run_dir: Path, teller: Teller, end_container: EndContainer) -> None:
        self._run_dir = run_dir
        self._teller = teller
        self._end_container = end_container
        self._memory = OutOfMemory()

    def ended(self, record: Record, change: Change, stopping: bool) -> exits.Exit | None:
        """A change to EXITED, BACKOFF, STOPPED or FATAL; the exit, where a process or a start ended with it."""
        found = None
        if change.to in ("EXITED", "BACKOFF", "STOPPED") and change.frm != "BACKOFF":
            found = self._exit(record, change)
        if change.to == "BACKOFF":
            record.remember_status(found.container_status if found else None)
            if not stopping:
                self._backoff(record, change)
        elif change.to == "FATAL":
            self._gave_up(record, stopping)
        elif change.to == "EXITED" and record.program.essential and not stopping and found:
            self._essential(record, restart.status_after_exit(found.container_status), found.text)
        return found

    def _exit(self, record: Record, change: Change) -> exits.Exit:
        killed = change.raw is not None and change.raw & 0x7F == exits.SIGKILL
        found = exits.exit_of(change.pid, change.raw, change.why, killed and self._memory.moved())
        record.last_exit = events.LastExit(found.status, found.signal, change.wall, found.text)
        try:
            said = said_since(self._run_dir, change.name, record.said_from)
        except OSError as error:
            said = f"(not readable: {error})"
        self._teller.event(
            "exit",
            program=change.name,
            pid=found.pid or None,
            status=found.status,
            signal=found.signal,
            text=found.text,
            milliseconds=round((change.now - record.started) * 1000),
            said=said,
        )
        return found

    def _backoff(self, record: Record, change: Change) -> None:
        policy = record.program.restart
        decided = restart.after_failure(policy, change.failures)
        if isinstance(decided, restart.GiveUp):
            return
        record.next_try, record.next_try_wall = change.now + decided.seconds, change.wall + decided.seconds
        self._teller.event(
            "backoff",
            program=change.name,
            failures=change.failures,
            tries=policy.tries,
            milliseconds=round(decided.seconds * 1000),
            next_try=events.stamp(record.next_try_wall),
        )

    def _gave_up(self, record: Record, stopping: bool) -> None:
        record.next_try = record.next_try_wall = None
        text = record.last_exit.text if record.last_exit else "never started"
        self._teller.event("gave_up", program=record.program.name, failures=len(record.statuses), text=text)
        if record.program.essential and not stopping:
            self._essential(record, restart.status_after_giving_up(record.statuses), text)

    def _essential(self, record: Record, status: int, text: str) -> None:
        self._teller.event("essential", program=record.program.name, status=status, text=text)
        self._end_container(f"essential program {record.program.name} ended", status)
