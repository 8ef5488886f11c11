"""Run: the ordered stop. Every step is bounded, so it ends whatever the programs do.

Asked again at every turn with what is true now (order.stoppable): a program is asked to stop when nothing that comes
after it is up. supervisord sends SIGKILL after the program's own seconds; a process that even that does not end is left
behind after two more; when ``stop_seconds`` are over everything left is killed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from supervise.init import order
from supervise.init.processes import Processes
from supervise.init.record import Record

SHUTDOWN, RESTART = "shutdown", "restart"
KILLED_SECONDS = 2.0
"""How long a process may take to go after SIGKILL: longer means it hangs in the kernel."""


class OrderedStop:
    """One stop of all programs, from the moment it was asked for; ``now`` and times are monotonic seconds."""

    def __init__(
        self,
        records: Mapping[str, Record],
        processes: Processes,
        tell: Callable[..., None],
        seconds: float,
        mode: str,
        now: float,
    ) -> None:
        self.mode = mode
        self.begun = now
        self.done = False
        self._records = records
        self._processes = processes
        self._tell = tell
        self._after = {name: record.program.after for name, record in records.items()}
        self._deadline = now + seconds
        self._asked: dict[str, float] = {}
        self._left_behind: set[str] = set()
        self._killed = False
        for name in records:
            processes.never_restart(name)

    def turn(self, now: float) -> None:
        """Take the next steps; ``done`` when there is nothing left to do."""
        for name in self._records:
            if self._processes.state(name) == "BACKOFF":
                self._processes.stop(name)
        for name in self._up():
            asked = self._asked.get(name)
            step_over = asked is not None and now >= asked + self._seconds(name)
            if step_over or now >= self._deadline + KILLED_SECONDS:
                self._left_behind.add(name)
                self._overdue(name, "not even killed, left behind", now)
        if now >= self._deadline and not self._killed:
            self._killed = True
            for name in self._up():
                self._asked.setdefault(name, now)
                self._overdue(name, "stop_seconds are over, killing", now)
                self._processes.kill(name)
        for name in order.stoppable(self._after, self._up()):
            if name not in self._asked:
                self._asked[name] = now
                self._tell("stopping", program=name, signal="SIG" + self._records[name].program.stop.signal)
                self._processes.stop(name)
        self.done = not self._up()

    def deadline(self) -> float:
        """When the next bound is reached."""
        bounds = [self._deadline + KILLED_SECONDS if self._killed else self._deadline]
        bounds += [self._asked[name] + self._seconds(name) for name in self._up() & self._asked.keys()]
        return min(bounds)

    def gone(self, name: str, text: str, now: float) -> None:
        """The program ended: tell how long that took, if it was asked to."""
        if name in self._asked:
            self._tell("stopped", program=name, milliseconds=self._milliseconds(name, now), text=text)

    def _up(self) -> set[str]:
        return {name for name in self._records if self._processes.pid(name)} - self._left_behind

    def _seconds(self, name: str) -> float:
        """How long the step may take: the program's own time, and what SIGKILL may need."""
        return self._records[name].program.stop.seconds + KILLED_SECONDS

    def _overdue(self, name: str, text: str, now: float) -> None:
        self._tell("overdue", program=name, milliseconds=self._milliseconds(name, now), text=text)

    def _milliseconds(self, name: str, now: float) -> int:
        return round((now - self._asked.get(name, now)) * 1000)
