"""Edge: supervisord in this process and thread, bent only by subclasses of its classes.

``Options`` is supervisord's edge to the system: signals, waitpid, fork, log. ``Supervisor`` joins a Conductor to each
life. Works with supervisor 4.2.5 and 4.3.0. The wait is ``waiting.py``, what is decided around it ``run.py``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import time
from typing import Any

from supervisor import events, loggers, supervisord
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import VERSION, ServerOptions
from supervisor.states import SupervisorStates

from supervise.init.run import Conductor
from supervise.init.supervised import SupervisordProcesses
from supervise.init.waiting import Poller, Wake

ENDING = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT", signal.SIGQUIT: "SIGQUIT", signal.SIGHUP: "SIGHUP"}
HANDLED = (*ENDING, signal.SIGCHLD, signal.SIGUSR2)
LOOP_ERRORS_MAX = 5
LOOP_ERRORS_SECONDS = 60.0
GAVE_UP_STATUS = 70
__all__ = ["VERSION", "Wake", "supervise"]


class Options(ServerOptions):  # type: ignore[misc]  # supervisor ships no types
    """supervisord's options and its edge to the system, once a life."""

    def __init__(self, conductor: Conductor, wake: Wake, log: loggers.Handler) -> None:
        super().__init__()
        self.conductor = conductor
        self.raw_status: dict[int, int] = {}
        self._wake = wake
        self._log = log
        self.poller = Poller(self, conductor, wake)

    def set_uid_or_exit(self) -> None:
        """PID 1 stays who it is; programs change their user in `supervise exec`."""

    def set_rlimits_or_exit(self) -> None:
        """PID 1 keeps its limits; minfds was chosen below them."""

    def cleanup_fds(self) -> None:
        """Nothing leaks between lives (a test counts), and what init holds must stay."""

    def import_spec(self, spec: str) -> Any:
        """``module:name``; 4.2.5 asks pkg_resources, which is not there (``__main__.slim``)."""
        module, _, name = spec.partition(":")
        return getattr(importlib.import_module(module), name)

    def make_logger(self) -> None:
        """supervisord's log goes to its stream alone."""
        self.logger = loggers.getLogger(self.loglevel)
        self.logger.addHandler(self._log)
        for message in (*self.parse_criticals, *self.parse_warnings):
            self.logger.warn(message)

    def setsignals(self) -> None:
        """Handle and unblock what was blocked since the very start of PID 1, so that no early SIGTERM is lost."""
        super().setsignals()
        signal.set_wakeup_fd(self._wake.write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def get_signal(self) -> int | None:
        """All signals at once (supervisord takes one a turn); those that end or restart are init's."""
        while number := super().get_signal():
            if number in ENDING:
                self.conductor.guard.run("signal", lambda: self.conductor.signal(ENDING[number]))
            elif number != signal.SIGCHLD:
                return int(number)
        return None

    def waitpid(self) -> tuple[int | None, int | None]:
        """As supervisord's, keeping the raw status, and counting orphans instead of a line each."""
        pid, status = super().waitpid()
        if pid and status is not None:
            if pid in self.pidhistory:
                self.raw_status[pid] = status
            else:
                self.conductor.reaped += 1
        return pid, status

    def fork(self) -> int:
        """Fork so that no signal to the child is lost before its exec.

        As supervisord does it, a stop signal in that window ends in Python's handler, which the child still has, or
        finds no process group yet (measured: 1 of 15 stops during a start waited for its SIGKILL). Here the child has
        default handlers before it takes signals, and the parent makes the group as well.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = int(super().fork())
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in HANDLED:
                signal.signal(number, signal.SIG_DFL)
        else:
            with contextlib.suppress(OSError):  # it has made its group and exec'd already, or is gone
                os.setpgid(pid, pid)
            self.conductor.note_fork(pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid


class Supervisor(supervisord.Supervisor):  # type: ignore[misc]
    """supervisord, with a Conductor for each life."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.conductor = options.conductor

    def runforever(self) -> None:
        """The loop of one life: entered when groups, RPC server and signals are there, at start and at each reload."""
        conductor = self.conductor
        processes = SupervisordProcesses(self)
        conductor.begin(processes)
        self.options.poller.next_transition = processes.next_transition

        def noted(event: events.ProcessStateEvent) -> None:
            # Within supervisord's reaping: it must not raise, and it must not act (the process is half ended).
            conductor.guard.run("event", lambda: conductor.note(processes.change(event)))

        events.subscribe(events.ProcessStateEvent, noted)
        try:
            self._loop()
        finally:
            # Until the next life handles signals they wait; those that came to this one and were not seen are seen now.
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
            self.options.get_signal()
            conductor.guard.run("end", conductor.end)

    def _loop(self) -> None:
        """supervisord's loop, entered again with the same processes when it raised; not for ever."""
        errors: list[float] = []
        while True:
            try:
                super().runforever()
            except asyncore.ExitNow:
                raise
            except Exception:
                self.conductor.guard.failed("supervisord's loop")
                errors = [at for at in errors if time.monotonic() - at < LOOP_ERRORS_SECONDS] + [time.monotonic()]
                if len(errors) > LOOP_ERRORS_MAX:
                    self._end_all()
                    raise asyncore.ExitNow from None

    def _end_all(self) -> None:
        """The loop is broken beyond repair: end what runs without it, and the container."""
        self.conductor.status = GAVE_UP_STATUS
        self.options.mood = SupervisorStates.SHUTDOWN
        for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0)):
            for pid in self.options.pidhistory:
                with contextlib.suppress(OSError):
                    os.killpg(pid, number)
            until = time.monotonic() + seconds
            with contextlib.suppress(ChildProcessError):
                while time.monotonic() < until:
                    if os.waitpid(-1, os.WNOHANG)[0] == 0:
                        time.sleep(0.02)


def supervise(conductor: Conductor, wake: Wake, log: loggers.Handler, configuration: str) -> int:
    """Run supervisord, life after life, to its end; the exit status of PID 1."""
    first = True
    while True:
        options = Options(conductor, wake, log)
        options.realize(["-c", configuration], doc="")
        options.first, options.test = first, False
        with contextlib.suppress(asyncore.ExitNow):
            Supervisor(options).main()
        options.close_httpservers()
        options.close_logger()
        first = False
        if options.mood < SupervisorStates.RESTARTING:
            return conductor.status
