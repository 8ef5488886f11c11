"""Run: one epoll loop over the FIFOs of a container's programs.

Owns the order of things. A turn gives each program that has bytes its bounded share, then looks after holes and
budgets, then spends a bounded share on the copy. Idle means asleep in epoll without a timeout: timers run only while
something is due (a copy that waits, a loss that could not be written down).

A program that writes a line at a time as fast as it can would wake the loop at each line; when turns come close
together and bring little, the loop sleeps 2 ms between them. In that time a pipe of 64 KiB takes 32 MB/s.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from pathlib import Path

from logship.config import Settings
from logship.errors import Fault
from logship.spool import acked, streams
from logship.spool.budget import Budget, Limits
from logship.spool.copy import Copy
from logship.spool.drain import Drain
from logship.spool.lock import locked
from logship.spool.log import OWN, Log
from logship.spool.losses import LossBook
from logship.spool.ranges import Span, missing, without
from logship.spool.reserve import reserve
from logship.spool.segment import ActiveSegment, listed
from logship.spool.sink import Sink
from logship.spool.sync import Syncer
from logship.spool.watch import LOOK_SECONDS, Watch

STOP_SECONDS = 2.0
LOSS_SECONDS = 1.0
"""How soon a loss is written down while bytes are being thrown away; doubled each time that goes on."""
LOSS_SECONDS_MAX = 60.0
CLAIM_SECONDS = 5.0
"""How long another holder of the folder is waited for: PID 1 lets go of it when it has started a spool."""
CLAIM_TRY_SECONDS = 0.02
NAP_SECONDS = 0.002
NAP_BYTES = 16 * 1024
CLOSE_TURNS_SECONDS = 0.005
LAST_TURNS = 16


class Spool:
    """The process. Raises Fault where it cannot begin."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = _claim(settings.spool)
        self._watch = Watch()
        self._log = Log(self._folder, settings.segment_bytes)
        self._book = LossBook(self._folder, reserve=reserve)
        self._syncer = Syncer()
        limits = Limits(settings.spool_bytes_max, settings.spool_container_bytes_max, settings.spool_volume_bytes_max)
        self._budget = Budget(self._folder, limits, self._book, self._say, self._starved)
        self._drains: dict[str, Drain] = {}
        self._by_pipe: dict[int, Drain] = {}
        self._unopened: set[str] = set()  # FIFOs to be tried again each second
        self._copy: Copy | None = None
        self._armed: int | None = None  # the copy's target while epoll watches it
        self._losses_at: float | None = None
        self._losses_seconds = LOSS_SECONDS
        self._last_turn = 0.0
        self._epoll = select.epoll()
        self._epoll.register(self._watch.fileno(), select.EPOLLIN)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit status."""
        if self._settings.copy_to:
            names = {*streams.fifos(self._settings.fifo_dir), *streams.RESERVED}
            self._copy = Copy(self._settings.copy_to, self._folder, max(map(len, names)))
        self._look(time.monotonic())
        self._say("started", pid=os.getpid(), streams={name: drain.end for name, drain in self._drains.items()})
        more = True
        while True:
            signals = self._turn(0.0 if more else self._timeout())
            now = time.monotonic()
            if signals & {signal.SIGTERM, signal.SIGINT}:
                return self._end(now + STOP_SECONDS)
            if signal.SIGIO in signals or self._watch.blind or self._unopened:
                self._look(now)
            if self._losses_at is not None and now >= self._losses_at:
                self._write_losses()
            more = self._budget.turn(now)
            self._await_book(now)
            more = self._copy_turn(now) or more

    def _turn(self, timeout: float) -> set[int]:
        """Wait, give everyone who has bytes a turn, and return the signals that came."""
        signals: set[int] = set()
        moved = 0
        for descriptor, mask in self._epoll.poll(timeout):
            drain = self._by_pipe.get(descriptor)
            if drain is not None:
                moved += self._serve(drain, mask, time.monotonic())
            elif descriptor == self._watch.fileno():
                signals |= self._watch.take()
            elif descriptor == self._armed and self._copy is not None:
                self._epoll.unregister(descriptor)
                self._armed = None
                self._copy.unblock()
        if moved:
            now = time.monotonic()
            if moved < NAP_BYTES and now - self._last_turn < CLOSE_TURNS_SECONDS:
                time.sleep(NAP_SECONDS)
            self._last_turn = now
        return signals

    def _serve(self, drain: Drain, mask: int, now: float) -> int:
        """One program's turn; how many bytes."""
        reason = drain.reason
        if drain.resuming(now):
            self._record(drain)
        moved = drain.turn(now)
        if drain.reason != reason:
            event = "dropping" if drain.reason else "storing"
            self._say(event, program=drain.name, reason=drain.reason or reason, dropped_bytes=drain.dropped_bytes)
        if drain.reason:
            self._budget.press(now)
            if self._losses_at is None:
                self._losses_at = now + self._losses_seconds
        if drain.cut:
            drain.cut = False
            self._keep_budget(drain.name)
        if moved == 0 and mask & select.EPOLLHUP and drain.waiting() == 0:
            self._hung_up(drain)
        if self._copy is not None:
            self._copy.grew(drain.name, drain.end)
        return moved

    def _hung_up(self, drain: Drain) -> None:
        """Nobody holds the FIFO for writing: take a fresh descriptor, which is silent until somebody does.

        The fresh one is opened before the old one is closed, so the pipe always has a reader and loses nothing.
        """
        try:
            fresh = streams.open_fifo(self._settings.fifo_dir / drain.name)
        except OSError:
            self._forget(drain)
            return
        self._epoll.unregister(drain.pipe)
        del self._by_pipe[drain.pipe]
        drain.reopen(fresh)
        self._take_in(drain)

    def _look(self, now: float) -> None:
        """Find out which streams there are and where those end that other processes write."""
        self._watch.folder(self._settings.fifo_dir, fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_DELETE)
        self._watch.folder(self._folder, fcntl.DN_CREATE)
        found = streams.fifos(self._settings.fifo_dir)
        for drain in [*self._drains.values()]:
            if found.get(drain.name) != streams.identity(drain.pipe):
                for _ in range(LAST_TURNS):  # its name is gone, and with it new writers
                    drain.turn(now)
                self._forget(drain)
        for name in sorted(found.keys() - self._drains.keys()):
            self._begin(name)
        self._look_at_others()

    def _look_at_others(self) -> None:
        for name in streams.folders(self._folder):
            if name not in self._drains:
                self._watch.folder(self._folder / name, fcntl.DN_CREATE | fcntl.DN_MODIFY)
                self._grew(name, self._keep_budget(name))

    def _begin(self, name: str) -> None:
        """Begin with a FIFO that appeared."""
        folder = self._folder / name
        self._watch.forget(folder)
        try:
            stream = ActiveSegment(folder, self._settings.segment_bytes)
            pipe = streams.open_fifo(self._settings.fifo_dir / name)
        except OSError as error:
            if name not in self._unopened:
                self._say("not opened", program=name, reason=str(error.strerror))
            self._unopened.add(name)
            return
        self._unopened.discard(name)
        drain = Drain(name, pipe, stream, self._syncer, Sink(self._settings.fifo_dir / name))
        nowhere = without([*missing(listed(folder)), *drain.take_holes()], [Span(0, acked.read(folder))])
        lost = self._book.record(name, nowhere, "found at start")
        if lost:
            self._say("found lost", program=name, bytes=lost)
        drain.place()
        self._drains[name] = drain
        self._take_in(drain)
        self._keep_budget(name)
        self._grew(name, drain.end)

    def _take_in(self, drain: Drain) -> None:
        self._by_pipe[drain.pipe] = drain
        self._epoll.register(drain.pipe, select.EPOLLIN)

    def _forget(self, drain: Drain) -> None:
        self._epoll.unregister(drain.pipe)
        del self._by_pipe[drain.pipe], self._drains[drain.name]
        self._record(drain)
        self._say("closed", program=drain.name, end=drain.end)
        self._grew(drain.name, drain.end)
        drain.close()

    def _starved(self) -> bool:
        return any(drain.reason for drain in self._drains.values())

    def _keep_budget(self, name: str) -> int:
        end = self._budget.keep(name)
        self._await_book(time.monotonic())
        return end

    def _await_book(self, now: float) -> None:
        if self._book.waiting and self._losses_at is None:
            self._losses_at = now + LOSS_SECONDS

    def _write_losses(self) -> None:
        """Write down what was thrown away; again while that goes on, ever more seldom, or while the disk refuses."""
        lost = sum(self._record(drain) for drain in self._drains.values())
        self._book.retry()
        if not any(drain.reason for drain in self._drains.values()):
            self._losses_seconds = LOSS_SECONDS
        elif lost:
            self._losses_seconds = min(2 * self._losses_seconds, LOSS_SECONDS_MAX)
        again = lost or self._book.waiting
        self._losses_at = time.monotonic() + self._losses_seconds if again else None

    def _record(self, drain: Drain) -> int:
        return self._book.record(drain.name, drain.take_holes(), f"not stored: {drain.last_reason}")

    def _say(self, event: str, **fields: object) -> None:
        self._log.say(event, **fields)
        self._grew(OWN, self._log.end)

    def _grew(self, name: str, end: int) -> None:
        if self._copy is not None:
            self._copy.grew(name, end)

    def _copy_turn(self, now: float) -> bool:
        """The copy's share of a turn; whether it could do more at once."""
        if self._copy is None:
            return False
        more = self._copy.turn(now)
        if self._copy.blocked and self._armed is None and self._copy.descriptor is not None:
            self._armed = self._copy.descriptor
            self._epoll.register(self._armed, select.EPOLLOUT)
        return more

    def _timeout(self) -> float:
        """Seconds until something is due; -1: nothing is."""
        due = [self._copy.deadline() if self._copy else None, self._losses_at, self._budget.deadline()]
        now = time.monotonic()
        waits = [max(0.0, at - now) for at in due if at is not None]
        if self._watch.blind or self._unopened:
            waits.append(LOOK_SECONDS)
        return min(waits, default=-1.0)

    def _end(self, deadline: float) -> int:
        """Take what is in the pipes, copy it, make it durable; give up at ``deadline``."""
        while time.monotonic() < deadline:
            if not sum(self._serve(drain, 0, time.monotonic()) for drain in self._drains.values()):
                break
        self._budget.close()
        left = {drain.name: waiting for drain in self._drains.values() if (waiting := drain.waiting())}
        self._write_losses()
        for drain in self._drains.values():
            drain.finish()
        self._look_at_others()
        self._say("stopped", left_bytes=left)
        if self._copy is not None:
            self._copy.last_turns()
        while self._copy_turn(time.monotonic()) and time.monotonic() < deadline:
            pass
        self._syncer.finish(deadline - time.monotonic())
        return 0


def _claim(folder: Path) -> Path:
    """The spool folder, made when missing, with the lock that keeps a second spool out for this process's life."""
    deadline = time.monotonic() + CLAIM_SECONDS
    try:
        own = folder.resolve() / OWN
        own.mkdir(parents=True, exist_ok=True)
        while locked(own, os.O_RDONLY | os.O_DIRECTORY) is None:
            if time.monotonic() > deadline:
                raise Fault("keep the spool", str(folder), "another spool works there", "stop that one first")
            time.sleep(CLAIM_TRY_SECONDS)
    except OSError as error:
        raise Fault(
            "keep the spool", str(folder), str(error.strerror), "make it a folder that root can write"
        ) from None
    return own.parent
