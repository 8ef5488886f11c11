"""Run: ``logship counters``: ask HAProxy's workers how many lines they wrote and dropped, and say it, a line a window.

It looks each second (is a worker stopping? is there a new one?), says something each window and when the workers
change, and nothing while nothing changes. A worker that stops is watched closely and let go when its last count is
read; one that vanishes is said to be gone. Nothing here is needed by HAProxy: without it all goes on, and the lines of
that time are unverified.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from logship.audit import counters
from logship.audit.counters import Info, Reading, Teller
from logship.audit.counters_haproxy import Held, Through, Unreachable, Worker, is_alive, once
from logship.audit.counters_reach import Reach
from logship.spool.layout import stamp
from logship.values import Invalid

LOOK_SECONDS = 1.0
CLOSE_SECONDS = 0.1
"""Between two looks at a worker that is stopping: as long as its end may take longer."""
HEARTBEAT_SECONDS = 600.0
SILENT_SECONDS = 30.0
"""Without an answer for so long, HAProxy's silence is said, once."""
READING_TRIES = 5
WORKERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """Where HAProxy and its stream are, and how long a window is, in seconds."""

    admin: Path
    master: Path
    spool: Path
    fifo: Path
    window_seconds: float


@dataclass(slots=True)
class Watched:
    """A worker that is asked: how, what it said last, and whether it has to be read now."""

    worker: Worker
    info: Info
    due: bool = True


class Counters:
    """What runs in a turn. ``say`` writes a line; ``clock`` is for intervals, ``now`` for time of day."""

    def __init__(
        self,
        plan: Plan,
        say: Callable[[dict[str, Any]], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._plan = plan
        self._say = say
        self._clock = clock
        self._now = now
        self._reach = Reach(plan.spool, plan.fifo)
        self._teller = Teller(HEARTBEAT_SECONDS)
        self._watched: dict[int, Watched] = {}
        self._workers: tuple[int, ...] = ()
        self._done: deque[tuple[int, int]] = deque(maxlen=WORKERS_MAX)
        self._window_at = 0.0
        self._answered_at = clock()
        self._silent = False
        self._why = ""

    def turn(self) -> float:
        """Look once; seconds until the next look."""
        now = self._clock()
        if now >= self._window_at:
            self._window_at = now + self._plan.window_seconds
            for watched in self._watched.values():
                watched.due = True
            self._meet()
        for pid in list(self._watched):
            self._look(pid)
        if not any(not watched.info.stopping for watched in self._watched.values()):
            self._meet()
        self._count()
        self._listen(now)
        stopping = any(watched.info.stopping for watched in self._watched.values())
        return CLOSE_SECONDS if stopping else LOOK_SECONDS

    def stop(self) -> None:
        """One more cut of each worker, then let all of them go."""
        for watched in self._watched.values():
            watched.due = True
        self._count()
        for watched in self._watched.values():
            watched.worker.close()

    def _meet(self) -> None:
        """Find the present worker, and with the master's help those that were missed."""
        try:
            held = Held(self._plan.admin)
            answer = counters.parse_info(held.ask([counters.INFO])[0])
        except Unreachable as error:
            self._why = str(error)
            self._workers = tuple(sorted(self._watched))
            return
        if isinstance(answer, Invalid) or answer.pid in self._watched or self._is_done(answer):
            held.close()
        else:
            self._watched[answer.pid] = Watched(held, answer)
            self._change()
        self._ask_master()
        for pid in self._workers[:WORKERS_MAX]:
            if pid not in self._watched:
                self._meet_through_master(pid)

    def _meet_through_master(self, pid: int) -> None:
        worker = Through(self._plan.master, pid)
        try:
            answer = counters.parse_info(worker.ask([counters.INFO])[0])
        except Unreachable:
            return
        if not isinstance(answer, Invalid) and answer.pid == pid and not self._is_done(answer):
            self._watched[pid] = Watched(worker, answer)
            self._change()

    def _is_done(self, info: Info) -> bool:
        """Whether its last count was read: it is about to end."""
        return (info.pid, info.started) in self._done

    def _ask_master(self) -> None:
        try:
            found = counters.parse_workers(once(self._plan.master, "show proc"))
        except Unreachable:
            found = ()
        self._workers = tuple(sorted({*found, *self._watched}))

    def _change(self) -> None:
        """The workers are others than before: the next lines say it, of all of them."""
        for watched in self._watched.values():
            watched.due = True

    def _look(self, pid: int) -> None:
        watched = self._watched[pid]
        try:
            answer = counters.parse_info(watched.worker.ask([counters.INFO])[0])
        except Unreachable:
            self._lose(pid)
            return
        if isinstance(answer, Invalid) or answer.pid != pid:
            watched.worker.close()
            self._lose(pid)
            return
        over = answer.stopping and answer.connections == 0
        watched.due = watched.due or over or answer.stopping != watched.info.stopping
        watched.info = answer

    def _lose(self, pid: int) -> None:
        """It does not answer any more: asked anew when it is still there, else said to be gone."""
        watched = self._watched.pop(pid)
        try:
            there = pid in counters.parse_workers(once(self._plan.master, "show proc"))
        except Unreachable:
            there = is_alive(pid)
        self._change()
        if there:
            self._meet()
            return
        self._teller.forget(pid)
        self._workers = tuple(other for other in self._workers if other != pid)
        self._say(counters.gone(self._time(), pid, watched.info.started, self._reach.now(), self._workers))

    def _count(self) -> None:
        """A cut of each worker that is due; those that are at their end are let go."""
        cuts = []
        for pid, watched in list(self._watched.items()):
            if watched.due:
                reading = self._read(pid, watched)
                if reading is not None:
                    watched.due = False
                    cuts.append(reading)
        if not cuts:
            return
        time_of_cuts, reach = self._time(), self._reach.now()
        for reading in cuts:
            now = self._clock()
            settled = self._teller.settled(reading, now)
            if self._teller.worth(reading, settled, self._workers, now):
                self._say(counters.counted(time_of_cuts, reading, settled, reach, self._workers))
            if reading.final and reading.exact:
                self._done.append((reading.pid, reading.started))
                self._watched.pop(reading.pid).worker.close()
                self._workers = tuple(pid for pid in self._workers if pid != reading.pid)
                self._teller.forget(reading.pid)
                self._change()

    def _read(self, pid: int, watched: Watched) -> Reading | None:
        """A cut, exact if a few tries make it so."""
        found: Reading | None = None
        for _ in range(READING_TRIES):
            try:
                reading = counters.reading_of(watched.worker.ask(counters.ASKED))
            except Unreachable:
                self._lose(pid)
                return None
            if isinstance(reading, Invalid):
                return None
            found = reading
            if reading.exact:
                break
        return found

    def _listen(self, now: float) -> None:
        if self._watched:
            self._answered_at = now
            if self._silent:
                self._silent = False
                self._say({"time": self._time(), "event": "answers"})
        elif not self._silent and now - self._answered_at >= SILENT_SECONDS:
            self._silent = True
            again = {"again_seconds": LOOK_SECONDS}
            self._say(
                {"time": self._time(), "event": "silent", "asked": str(self._plan.admin), "why": self._why, **again}
            )

    def _time(self) -> str:
        return stamp(self._now())


def run(plan: Plan) -> int:
    """Until SIGTERM or SIGINT; the exit status."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    counting = Counters(plan, _print)

    while not stopped:
        select.select([reader], [], [], counting.turn())
    counting.stop()
    return 0


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()
