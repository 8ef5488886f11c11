"""Edge: the one place where PID 1 waits: supervisord's poll, init's turn around it, init's descriptors in it."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from typing import Any

from supervisor import poller
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.states import SupervisorStates

from supervise.init.folders import move_up
from supervise.init.run import Conductor


class Wake:
    """Init's epoll, and in it the pipe that a signal writes to: only to wake, its bytes mean nothing.

    (A child between fork and exec shares the pipe, so a byte there need not be a signal to PID 1.)
    """

    def __init__(self, least: int) -> None:
        plain = select.epoll()
        self.epoll = select.epoll.fromfd(move_up(os.dup(plain.fileno()), least))
        plain.close()
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.read, self.write = move_up(read, least), move_up(write, least)
        self.epoll.register(self.read, select.EPOLLIN)

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self.read, 4096):
                pass


class Poller(poller.PollPoller):  # type: ignore[misc]
    """supervisord's wait, with init's turn around it."""

    def __init__(self, options: Any, conductor: Conductor, wake: Wake) -> None:
        super().__init__(options)
        self._conductor = conductor
        self._wake = wake
        self._ending = False
        self.next_transition: Callable[[], float] = lambda: 1.0

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        """One wait of supervisord's loop, at most ``timeout`` seconds."""
        conductor, epoll = self._conductor, self._wake.epoll
        conductor.guard.run("turn", conductor.turn)
        if conductor.must_end():
            raise asyncore.ExitNow
        if self.options.mood < SupervisorStates.RUNNING:
            # All is down: supervisord finds that in its next turn. If a process hangs it looks again, until must_end.
            seconds = 0.02 if self._ending else 0.0
            self._ending = True
        else:
            seconds = max(0.0, min(conductor.wait_seconds(timeout), self.next_transition()))
        self.register_readable(epoll.fileno())
        readable, writable = super().poll(seconds)
        if epoll.fileno() in readable:
            readable.remove(epoll.fileno())
            conductor.guard.run("io", self._io)
        conductor.guard.run("turn", conductor.turn)
        return readable, writable

    def _io(self) -> None:
        for descriptor, _ in self._wake.epoll.poll(0):
            if descriptor == self._wake.read:
                self._wake.drain()
            else:
                self._conductor.stirred(descriptor)
