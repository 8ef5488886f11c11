"""What init knows of one program beyond what supervisord does, and the changes it is told of.

Owns the facts, not what follows from them: that is ``run.py`` with the cores it asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervise.init.events import LastExit, ProgramState
from supervise.init.readiness import Readiness
from supervise.init.usage import Usage
from supervise.init.values import Program

STATUSES_KEPT = 100
"""Of a program's failed starts in a row, so many statuses are kept for the container's own."""


@dataclass
class Change:
    """A change of state that supervisord told of, kept until init acts on it.

    ``frm`` and ``to`` are supervisord's words. ``pid`` is that of the process that was forked (STARTING; 0 when it was
    not) or that ended; ``raw`` the wait status of that end. ``failures`` is supervisord's count of failed starts in a
    row, ``why`` its words for a start that failed. ``wall`` and ``now``: when, by both clocks, in seconds.
    """

    name: str
    frm: str
    to: str
    pid: int
    raw: int | None
    failures: int
    why: str
    wall: float
    now: float


@dataclass
class Record:
    """One program. Times named ``wall`` are seconds since the epoch, the others of the monotonic clock."""

    program: Program
    readiness: Readiness
    starts: int = 0
    started: float = 0.0
    started_wall: float | None = None
    said_from: int = 0
    statuses: list[int | None] = field(default_factory=list)
    next_try: float | None = None
    next_try_wall: float | None = None
    last_exit: LastExit | None = None

    def remember_status(self, status: int | None) -> None:
        """Keep the status of a failed start."""
        self.statuses.append(status)
        del self.statuses[:-STATUSES_KEPT]

    def forget_failures(self) -> None:
        """The program counts as started."""
        self.statuses.clear()
        self.next_try = self.next_try_wall = None

    def picture(self, state: str, pid: int, usage: Usage | None, by_person: bool) -> ProgramState:
        """The program as state.json tells it, with what supervisord and /proc say now."""
        return ProgramState(
            name=self.program.name,
            state=state,
            ready=self.readiness.ready,
            essential=self.program.essential,
            pid=pid or None,
            started=self.started_wall if pid else None,
            restarts=max(0, self.starts - 1),
            next_try=self.next_try_wall,
            rss_bytes=usage.rss_bytes if usage else None,
            cpu_seconds=usage.cpu_seconds if usage else None,
            last_exit=self.last_exit,
            by_person=by_person,
        )
