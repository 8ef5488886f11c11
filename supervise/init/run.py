"""Run: what PID 1 does in every turn of supervisord's loop.

Hands what happened to the cores and performs what they decide: start what may start, wait before the next try, watch
readiness, end the container in order, tell all of it. Everything is decided again from what is true now, so a turn that
failed (the guard tells) is made good by the next one. supervisord's side of it is ``pid1.py``.
"""

from __future__ import annotations

import select
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

from supervise.init import events, order
from supervise.init.asking import Asking
from supervise.init.draining import Draining
from supervise.init.ending import Ending
from supervise.init.guard import Guard
from supervise.init.processes import Processes
from supervise.init.readiness import Readiness, Verdict
from supervise.init.record import Change, Record
from supervise.init.said import said_size
from supervise.init.stopping import RESTART, SHUTDOWN, OrderedStop
from supervise.init.telling import Teller
from supervise.init.values import CHECK_SUFFIX, Declaration

CHANGES_MAX = 10000
"""Changes of state kept until the next turn; one more is a fault that is told, and state.json asks anew anyway."""
FAULTS_IN_STOP_MAX = 10
HARD_END_SECONDS = 5.0
"""Beyond stop_seconds: then the loop ends whatever supervisord still waits for."""


class Conductor:
    """Decides for one incarnation, through all its lives (SIGHUP begins a new one).

    ``status`` is PID 1's exit status; ``reaped`` counts orphans; ``facts`` are the fields of the event ``init``.
    """

    def __init__(
        self,
        declaration: Declaration,
        run_dir: Path,
        teller: Teller,
        epoll: select.epoll,
        draining: Draining,
        facts: dict[str, Any],
    ) -> None:
        self._declaration = declaration
        self._after = declaration.after()
        self._run_dir = run_dir
        self._teller = teller
        self._epoll = epoll
        self._facts = facts
        self._draining = draining
        self._readers = [program.name for program in declaration.programs if not program.capture]
        self._ending = Ending(run_dir, teller, lambda reason, status: self.stop(SHUTDOWN, reason, status))
        self._records = {program.name: Record(program, Readiness(program.ready)) for program in declaration.programs}
        self._changes: deque[Change] = deque()
        self._processes: Processes | None = None
        self._asking: Asking | None = None
        self._stop: OrderedStop | None = None
        self._faults_before_stop = 0
        self._snapshot_at = 0.0
        self._dirty = True
        self._again = False
        self.guard = Guard(time.monotonic, self._tell_fault)
        self.phase = events.STARTING
        self.status = 0
        self.reaped = 0
        self.lives = 0

    # -- what supervisord's side calls ---------------------------------------------------------------------------

    def begin(self, processes: Processes) -> None:
        """A life begins: all programs are down, none was started."""
        self._changes.clear()
        self._processes = processes
        self._asking = Asking(processes, self._epoll, self._tell_verdict)
        self._stop = None
        self.lives += 1
        self.phase = events.STARTING
        for record in self._records.values():
            record.readiness = Readiness(record.program.ready)
            record.forget_failures()
        self._snapshot_at = time.monotonic() + self._declaration.snapshot_seconds
        self._dirty = True
        self._teller.event("init", **self._facts, programs=order.start_order(self._after), life=self.lives)

    def end(self) -> None:
        """The life is over: tell what is left to tell, hold nothing of it open."""
        processes = self._processes
        if processes:
            self._take_changes()
            self.guard.run("state", lambda: self._tell_state(time.monotonic(), processes))
        if self._asking:
            self._asking.close()
        self._draining.end(time.monotonic())
        self._processes = self._asking = None

    def note(self, change: Change) -> None:
        """Called within supervisord: keep the change for the next turn. Raises OverflowError beyond CHANGES_MAX."""
        if len(self._changes) >= CHANGES_MAX:
            raise OverflowError(f"{CHANGES_MAX} changes of state wait; {change.name} {change.to} is not kept")
        self._changes.append(change)

    def note_fork(self, pid: int) -> None:
        """Called within supervisord: the start noted last got this process."""
        if self._changes and self._changes[-1].to == "STARTING":
            self._changes[-1].pid = pid

    def turn(self) -> None:
        """Act on what happened and on what is due: before and after each wait of the loop."""
        processes, now = self._processes, time.monotonic()
        assert processes is not None
        self._take_changes()
        if self._stop:
            self.guard.run("stop", lambda: self._stop_turn(now, processes))
        else:
            self.guard.run("start", lambda: self._start_turn(now, processes))
        self.guard.run("draining", lambda: self._drain_turn(now, processes))
        self.guard.run("state", lambda: self._tell_state(now, processes))

    def stirred(self, descriptor: int) -> None:
        """A socket in the epoll is ready."""
        if self._draining.owns(descriptor):
            self._draining.take(descriptor, time.monotonic())
        elif self._asking:
            self._asking.stirred(descriptor, time.monotonic())

    def wait_seconds(self, longest: float) -> float:
        """How long the loop may sleep: until the next thing is due, at most ``longest`` seconds."""
        if self._again or self._changes or (self._stop and self._stop.done):
            self._again = False
            return 0.0
        now = time.monotonic()
        times = [now + longest, self._snapshot_at]
        if self._stop:
            times.append(self._stop.deadline())
        else:
            due = [self._draining.deadline()]
            for record in self._records.values():
                due += [record.readiness.deadline(), record.next_try]
            times += [at for at in due if at is not None]
        return max(0.0, min(times) - now)

    def stop(self, mode: str, reason: str, status: int = 0) -> None:
        """Begin the ordered stop. A shutdown asked for while all stop to start again makes it a shutdown."""
        processes = self._processes
        if processes is None or (self._stop and (mode == RESTART or self._stop.mode == SHUTDOWN)):
            return
        self.status = status
        programs = list(reversed(order.start_order(self._after)))
        self._teller.event("stop", mode=mode, reason=reason, programs=programs)
        if self._stop:
            self._stop.mode = SHUTDOWN
            if self._stop.done:
                processes.end(SHUTDOWN)
            return
        self.phase, self._dirty = events.STOPPING, True
        self._faults_before_stop = self.guard.total
        for record in self._records.values():
            if self._asking:
                self._asking.forget(record)
            record.next_try = record.next_try_wall = None
        seconds, now = self._declaration.stop_seconds, time.monotonic()
        self._stop = OrderedStop(self._records, processes, self._teller.event, seconds, mode, now)

    @property
    def stopping(self) -> bool:
        """Whether an ordered stop is on its way."""
        return self._stop is not None

    def must_end(self) -> bool:
        """The last bound: the stop is long over its time and supervisord still waits for a process."""
        bound = self._declaration.stop_seconds + HARD_END_SECONDS
        return self._stop is not None and time.monotonic() > self._stop.begun + bound

    def operator(self, action: str, program: str) -> None:
        """A person asked for something through the RPC."""
        self._teller.event("operator", action=action, program=program)

    def signal(self, name: str) -> None:
        """PID 1 received a signal that ends or restarts the programs."""
        self._teller.event("signal", signal=name)
        self.stop(RESTART if name == "SIGHUP" else SHUTDOWN, name)

    # -- one turn ------------------------------------------------------------------------------------------------

    def _take_changes(self) -> None:
        while self._changes:
            # supervisord acts on its own changes (EXITED: start again; too many failures: FATAL) in its next turn only.
            self._again = True
            change = self._changes.popleft()
            self.guard.run(f"change of {change.name}", partial(self._changed, change))

    def _start_turn(self, now: float, processes: Processes) -> None:
        assert self._asking is not None
        ready = {name for name, record in self._records.items() if record.readiness.ready}
        begun = {name for name in self._records if processes.begun(name)}
        for name in order.startable(self._after, begun, ready):
            processes.spawn(name)
        for name, record in self._records.items():
            if processes.state(name) == "BACKOFF":
                processes.hold(name, record.next_try is None or now >= record.next_try)
            self._asking.turn(record, now)
        settled = all(
            record.readiness.was_ready or processes.state(name) == "FATAL" or processes.stopped_by_person(name)
            for name, record in self._records.items()
        )
        if settled and self.phase == events.STARTING:
            self.phase, self._dirty = events.RUNNING, True

    def _drain_turn(self, now: float, processes: Processes) -> None:
        readers = {name: pid for name in self._readers if (pid := processes.pid(name))}
        for name in self._draining.turn(readers, now):
            processes.kill(name)

    def _stop_turn(self, now: float, processes: Processes) -> None:
        stop = self._stop
        assert stop is not None
        if stop.done:
            return
        if self.guard.total - self._faults_before_stop > FAULTS_IN_STOP_MAX:
            stop.done = True  # supervisord's own way to stop ends it; must_end bounds that
        else:
            stop.turn(now)
        if stop.done:
            milliseconds = round((now - stop.begun) * 1000)
            self._teller.event("ended", mode=stop.mode, status=self.status, milliseconds=milliseconds)
            self._dirty = True
            processes.end(stop.mode)

    def _changed(self, change: Change) -> None:
        assert self._asking is not None
        if change.name.endswith(CHECK_SUFFIX):
            record = self._records[change.name.removesuffix(CHECK_SUFFIX)]
            self._asking.check_changed(record, change)
            return
        record = self._records[change.name]
        self._dirty = True
        if change.to == "STARTING":
            self._started(record, change)
        self._teller.event("state", program=change.name, **{"from": change.frm, "to": change.to})
        if change.to == "RUNNING":
            record.forget_failures()
            verdict = record.readiness.running(change.now)
            if verdict:
                self._tell_verdict(record, verdict)
        elif change.to != "STARTING":
            self._asking.forget(record)
            found = self._ending.ended(record, change, self.stopping)
            if self._stop and found:
                self._stop.gone(change.name, found.text, change.now)

    def _started(self, record: Record, change: Change) -> None:
        record.starts += 1
        record.started, record.started_wall = change.now, change.wall
        record.next_try = record.next_try_wall = None
        record.said_from = said_size(self._run_dir, change.name)
        self._teller.event("start", program=change.name, pid=change.pid or None, start=record.starts)
        verdict = record.readiness.started(change.now)
        if verdict:
            self._tell_verdict(record, verdict)

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell_fault(self, where: str, text: str, count: int) -> None:
        self._teller.event("fault", where=where, text=text, count=count)

    def _tell_verdict(self, record: Record, verdict: Verdict) -> None:
        self._dirty = True
        milliseconds = round(verdict.seconds * 1000)
        self._teller.event(verdict.word, program=record.program.name, milliseconds=milliseconds, text=verdict.text)

    def _tell_state(self, now: float, processes: Processes) -> None:
        snapshot: dict[str, Any] | None = None
        if now >= self._snapshot_at:
            self._snapshot_at = now + self._declaration.snapshot_seconds
            snapshot = {"reaped": self.reaped, "faults": self.guard.total, "undrained_bytes": self._draining.total}
        elif not self._dirty:
            return
        self._dirty = False
        programs = []
        for name, record in self._records.items():
            pid = processes.pid(name)
            usage = self._teller.usage(pid) if pid else None
            programs.append(record.picture(processes.state(name), pid, usage, processes.stopped_by_person(name)))
        self._teller.state(self.phase, programs, snapshot)
