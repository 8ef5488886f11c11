"""How a process ended, told from the raw status that wait(2) gave.

supervisord keeps -1 for every signal and nothing at all for a program that ended too quickly, so init keeps the raw
status itself. What an end means for the container is decided in ``restart.py``.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

SIGKILL = int(signal.SIGKILL)


@dataclass(frozen=True)
class Exit:
    """The end of a process: ``status`` or the name of the ``signal``; neither when it could not be started at all."""

    pid: int
    status: int | None
    signal: str | None
    text: str

    @property
    def container_status(self) -> int | None:
        """What a shell would say: the status, 128+n for a signal; None when nothing was started."""
        return 128 + signal.Signals[self.signal] if self.signal else self.status


def exit_of(pid: int, raw: int | None, why: str = "", out_of_memory: bool = False) -> Exit:
    """The end of ``pid`` by its raw wait status; ``raw`` is None for a program that was not started (``why``)."""
    if raw is None:
        return Exit(pid, None, None, why or "not started")
    code = os.waitstatus_to_exitcode(raw)
    if code >= 0:
        return Exit(pid, code, None, f"exit status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        # A real-time signal has a number and no name; its status is told as 128+n all the same.
        return Exit(pid, 128 - code, None, f"killed by signal {-code}")
    dumped = ", core dumped" if os.WCOREDUMP(raw) else ""
    return Exit(pid, None, name, f"killed by {name}{dumped}{', out of memory' if out_of_memory else ''}")
