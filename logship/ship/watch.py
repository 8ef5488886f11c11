"""Edge: files that grow say so: inotify(7) wakes the shipper, which looks then, and not a twentieth of a second later.

A wake-up is a hint and nothing else: looks go on by the clock, for kernels and file systems that say nothing, and
where no more watches are to be had. After each one there is a pause, so that lines that are written one by one go out
many at a time.

Left to others: looking (``sources``, ``files``), how long the pause is (``schedule``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Mapping

_MODIFY, _CREATE = 0x2, 0x100
_EVENTS_BYTES = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)

Key = tuple[object, ...]
"""What tells one watched thing from another that has the same path later."""


class Watch:
    """Calls ``wake``, from a thread of its own, when one of the watched files or folders changes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.pause_seconds = 0.0
        self._wake = wake
        self._file: int | None = None
        self._watched: dict[Key, int] = {}
        self._useless = False

    def keep(self, wanted: Mapping[Key, str]) -> None:
        """Watch these from now on: files, or folders for what is written in them; what is not there is left out."""
        if wanted.keys() == self._watched.keys() or self._useless:
            return
        for key in self._watched.keys() - wanted.keys():
            number = self._watched.pop(key)
            if number >= 0:
                _libc.inotify_rm_watch(self._file, number)
        for key in wanted.keys() - self._watched.keys():
            self._watched[key] = self._add(wanted[key])

    def _add(self, path: str) -> int:
        """The number of a new watch; -1 where there can be none."""
        if self._file is None:
            self._file = _libc.inotify_init1(os.O_CLOEXEC)
            if self._file < 0:
                self._useless = True
                return -1
            threading.Thread(target=self._run, args=(self._file,), name="watch", daemon=True).start()
        number: int = _libc.inotify_add_watch(self._file, os.fsencode(path), _MODIFY | _CREATE)
        return number

    def _run(self, file: int) -> None:
        with contextlib.suppress(OSError):
            while os.read(file, _EVENTS_BYTES):
                self._wake()
                time.sleep(self.pause_seconds)


def of_descriptor(descriptor: int) -> str:
    """The path of an open file, whatever its name is by now."""
    return f"/proc/self/fd/{descriptor}"
