"""Edge: what ends a wait in epoll besides a program's bytes: signals, and changes in a folder.

Folders are watched by fcntl(F_NOTIFY), the one directory watch of the standard library, and one that needs none of the
128 inotify instances that all containers of a host share for each user. It says that something changed in some
folder, as SIGIO: whoever is told looks at all of them. Where a file system has no such watch, ``blind`` says so, and
somebody has to look each second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from types import FrameType

LOOK_SECONDS = 1.0


class Watch:
    """A descriptor for epoll that becomes readable at a signal; ``take`` says which came."""

    def __init__(self) -> None:
        self.blind = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[Path, int] = {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGIO):
            signal.signal(number, _heard)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def fileno(self) -> int:
        """What to wait on."""
        return self._read

    def take(self) -> set[int]:
        """The signals since the last call."""
        with contextlib.suppress(BlockingIOError):
            return set(os.read(self._read, 4096))
        return set()

    def folder(self, path: Path, what: int) -> None:
        """Tell of changes in ``path`` from now on; ``what`` are the fcntl.DN_* wanted. No such folder: nothing."""
        with contextlib.suppress(OSError):
            here = os.stat(path)  # noqa: PTH116  # compared with os.fstat
            known = self._folders.get(path)
            if known is not None and os.path.samestat(here, os.fstat(known)):
                return
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if known is not None:
                os.close(known)
            self._folders[path] = descriptor
            try:
                fcntl.fcntl(descriptor, fcntl.F_NOTIFY, what | fcntl.DN_MULTISHOT)
            except OSError:
                self.blind = True

    def forget(self, path: Path) -> None:
        """Tell no more of changes in ``path``."""
        descriptor = self._folders.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the wake-up descriptor has it."""
