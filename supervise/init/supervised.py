"""Edge: supervisord's processes as init asks for them (``processes.Processes``), and its events as a Change."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from supervisor import events
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates, getProcessStateDescription

from supervise.init.record import Change
from supervise.init.stopping import SHUTDOWN

FOREVER = 10.0**12
"""Seconds since the epoch that never come: the delay of a program whose next start is not due."""


class SupervisordProcesses:
    """``processes.Processes`` by supervisord's objects of one life."""

    def __init__(self, supervisor: Any) -> None:
        self._options = supervisor.options
        self._processes: dict[str, Subprocess] = {
            name: process for group in supervisor.process_groups.values() for name, process in group.processes.items()
        }

    def state(self, name: str) -> str:
        return str(getProcessStateDescription(self._processes[name].state))

    def pid(self, name: str) -> int:
        return int(self._processes[name].pid)

    def begun(self, name: str) -> bool:
        return bool(self._processes[name].laststart)

    def stopped_by_person(self, name: str) -> bool:
        process = self._processes[name]
        return process.state == ProcessStates.STOPPED and bool(process.administrative_stop)

    def spawn(self, name: str) -> bool:
        process = self._processes[name]
        if process.pid or process.state in (ProcessStates.STARTING, ProcessStates.RUNNING, ProcessStates.STOPPING):
            return False
        process.spawn()
        return True

    def stop(self, name: str) -> None:
        process = self._processes[name]
        if process.state in (ProcessStates.STARTING, ProcessStates.RUNNING, ProcessStates.BACKOFF):
            process.stop()

    def kill(self, name: str) -> None:
        process = self._processes[name]
        if process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-process.pid if process.config.killasgroup else process.pid, signal.SIGKILL)

    def hold(self, name: str, due: bool) -> None:
        # Supervisord takes a delay longer than its own for a jump of the clock and shortens it, hence in every turn.
        self._processes[name].delay = 1.0 if due else FOREVER

    def never_restart(self, name: str) -> None:
        self._processes[name].config.autorestart = False

    def end(self, mode: str) -> None:
        self._options.mood = SupervisorStates.SHUTDOWN if mode == SHUTDOWN else SupervisorStates.RESTARTING

    def next_transition(self) -> float:
        """Seconds until supervisord itself changes a state by the clock: STARTING to RUNNING, STOPPING to SIGKILL."""
        times = []
        for process in self._processes.values():
            if process.state == ProcessStates.STARTING:
                times.append(process.laststart + process.config.startsecs)
            elif process.state == ProcessStates.STOPPING:
                times.append(process.delay)
        return min(times) + 0.002 - time.time() if times else 1.0

    def change(self, event: events.ProcessStateEvent) -> Change:
        """What supervisord's event says, with the raw status of an end."""
        process = event.process
        to = process.state
        ended = to in (ProcessStates.EXITED, ProcessStates.BACKOFF, ProcessStates.STOPPED)
        pid = int(process.pid)
        return Change(
            name=process.config.name,
            frm=str(getProcessStateDescription(event.from_state)),
            to=str(getProcessStateDescription(to)),
            pid=pid,
            raw=self._options.raw_status.pop(pid, None) if ended and pid else None,
            failures=int(process.backoff),
            why=str(process.spawnerr or ""),
            wall=time.time(),
            now=time.monotonic(),
        )
