"""Run: asks programs whether they are ready, without ever waiting for an answer.

http and tcp are sockets in init's epoll; a command check is a hidden program of supervisord. When to ask and what the
answers mean is ``readiness.py``.
"""

from __future__ import annotations

import select
from collections.abc import Callable

from supervise.init.probes import Answer, Probe
from supervise.init.processes import Processes
from supervise.init.readiness import Verdict
from supervise.init.record import Change, Record
from supervise.init.values import CHECK_SUFFIX, COMMAND

Tell = Callable[[Record, Verdict], None]


class Asking:
    """The open questions of all programs. ``tell`` is called with every verdict."""

    def __init__(self, processes: Processes, epoll: select.epoll, tell: Tell) -> None:
        self._processes = processes
        self._epoll = epoll
        self._tell = tell
        self._probes: dict[str, Probe] = {}
        self._by_descriptor: dict[int, Record] = {}

    def turn(self, record: Record, now: float) -> None:
        """Ask what is due, end what is overdue."""
        readiness = record.readiness
        if readiness.overdue(now):
            self._overdue(record, now)
        if readiness.due(now):
            readiness.asked(now)
            self._ask(record, now)
        self._say(record, readiness.late(now))

    def stirred(self, descriptor: int, now: float) -> None:
        """A socket of this module is ready for more."""
        record = self._by_descriptor.get(descriptor)
        if record is None:
            return
        probe = self._probes[record.program.name]
        answer = probe.step()
        if answer:
            self._answered(record, answer, now)
        else:
            self._epoll.modify(descriptor, probe.events)

    def check_changed(self, record: Record, change: Change) -> None:
        """A hidden program changed its state: EXITED and FATAL are answers."""
        if change.to == "EXITED":
            ok = change.raw == 0
            self._answered(record, (ok, "the check ended with 0" if ok else "the check failed"), change.now)
        elif change.to == "FATAL":
            self._answered(record, (False, "the check could not be started"), change.now)

    def forget(self, record: Record) -> None:
        """The program ended or is being stopped: whatever was asked does not matter any more."""
        self._close(record)
        if record.program.ready.kind == COMMAND and record.readiness.asking_since is not None:
            self._processes.stop(record.program.name + CHECK_SUFFIX)
        record.readiness.ended()

    def close(self) -> None:
        """Let go of every socket."""
        for record in list(self._by_descriptor.values()):
            self._close(record)

    def _ask(self, record: Record, now: float) -> None:
        name = record.program.name
        if record.program.ready.kind == COMMAND:
            if not self._processes.spawn(name + CHECK_SUFFIX):
                self._answered(record, (False, "the last check has not ended"), now)
            return
        try:
            probe = Probe(record.program.ready)
        except OSError as error:
            self._answered(record, (False, str(error.strerror or error)), now)
            return
        self._probes[name] = probe
        if probe.result:
            self._answered(record, probe.result, now)
            return
        self._by_descriptor[probe.fileno()] = record
        self._epoll.register(probe.fileno(), probe.events)

    def _overdue(self, record: Record, now: float) -> None:
        name = record.program.name
        probe = self._probes.get(name)
        if probe:
            self._answered(record, probe.overdue(), now)
        else:
            self._processes.stop(name + CHECK_SUFFIX)
            seconds = record.program.ready.timeout_seconds
            self._answered(record, (False, f"the check did not end in {seconds:g} s"), now)

    def _answered(self, record: Record, answer: Answer, now: float) -> None:
        self._close(record)
        self._say(record, record.readiness.answered(*answer, now))

    def _say(self, record: Record, verdict: Verdict | None) -> None:
        if verdict:
            self._tell(record, verdict)

    def _close(self, record: Record) -> None:
        probe = self._probes.pop(record.program.name, None)
        if probe is None:
            return
        if self._by_descriptor.pop(probe.fileno(), None):
            self._epoll.unregister(probe.fileno())
        probe.close()
