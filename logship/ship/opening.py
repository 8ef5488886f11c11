"""Edge: opening files to follow, each locked against other shippers; what cannot be opened is told, and tried again.

Left to others: the lock itself (``filelock``), how many may be open (``room``), what for (``files``).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

from logship.ship.copies import Key
from logship.ship.filelock import lock
from logship.ship.followed import NoFile, OpenFile, open_file


class Opener:
    """Files that are open, by their locks. ``trouble`` is told why one cannot be opened, each time."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self.own = _own_output()
        self._trouble = trouble
        self._locks: dict[Key, socket.socket] = {}

    def open(self, key: Key, path: str) -> OpenFile | None:
        """The file, if ``path`` still leads to it."""
        try:
            file = open_file(path)
        except FileNotFoundError:
            return None
        except NoFile as error:
            self._trouble(f"{path} is not followed: {error}")
            return None
        except OSError as error:
            self._trouble(f"cannot open {path}: {error.strerror}; tried again")
            return None
        evidence = file.evidence
        if (evidence.device, evidence.inode) != key:  # another file than a moment ago
            file.close()
            return None
        if evidence.birth is None:
            self._trouble(f"{path}: its file system knows no time of birth; device and inode must do")
        try:
            held = self._locks.get(key) or lock(*key, evidence.birth)
        except OSError as error:
            file.close()
            self._trouble(f"cannot lock {path}: {error.strerror}; tried again")
            return None
        if held is None:
            file.close()
            self._trouble(f"another shipper follows {path}; tried again")
            return None
        self._locks[key] = held
        return file

    def closed(self, key: Key) -> None:
        """The file is not open any more."""
        held = self._locks.pop(key, None)
        if held is not None:
            held.close()


def _own_output() -> set[Key]:
    """Where this process writes its own log: shipping that would never end."""
    found = set()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            facts = os.fstat(descriptor)
            found.add((facts.st_dev, facts.st_ino))
    return found
