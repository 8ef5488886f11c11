"""Edge: what this machine says of a declaration: its files, users and folders, and how many descriptors PID 1 may have.

Decides nothing: each answer is what is wrong, in words, or None. See ``declaration.Machine``.
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
from pathlib import Path

from logship.errors import Fault

MINFDS = 256
"""supervisord's minfds: it closes lower descriptors in its children; what init keeps lies at or above."""
MINFDS_LEAST = 64
OWN_DESCRIPTORS = 128
"""Room above minfds: 64 FIFOs, streams, locks, checks."""


class ThisMachine:
    """The machine, or container, that the process runs in; ``path`` is the programs' PATH."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find(self, name: str) -> str | None:
        """Where a program is: the name itself when it is a path, else the first executable of that name in PATH."""
        return name if "/" in name else shutil.which(name, path=self._path)

    def program(self, name: str) -> str | None:
        found = self.find(name)
        if found is None:
            return f"no such program in PATH ({self._path})"
        if not Path(found).exists():
            return "no such file"
        if not Path(found).is_file():
            return "not a file"
        return None if os.access(found, os.X_OK) else "not executable"

    def user(self, name: str) -> str | None:
        try:
            uid = user_ids(name)[0]
        except KeyError:
            return "no such user"
        if os.geteuid() not in (0, uid):
            return "only root may run programs as another user"
        return None

    def directory(self, path: str) -> str | None:
        if not Path(path).exists():
            return "no such folder"
        return None if Path(path).is_dir() else "not a folder"


def user_ids(name: str) -> tuple[int, int]:
    """User and group number of a user's name or number; a number needs no account. Raises KeyError."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return int(name), int(name)
        raise
    return entry.pw_uid, entry.pw_gid


def minfds() -> int:
    """supervisord's minfds for this machine: 256, or less where the limit on descriptors is low.

    F_DUPFD above the soft limit fails, and root in a container may not raise the hard one. Raises Fault below 192.
    """
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found = MINFDS if soft == resource.RLIM_INFINITY else min(MINFDS, soft - OWN_DESCRIPTORS)
    if found < MINFDS_LEAST:
        cause = f"only {soft} descriptors are allowed"
        hint = f"give the container at least {MINFDS_LEAST + OWN_DESCRIPTORS} (ulimits: nofile)"
        raise Fault("start PID 1", "", cause, hint)
    return found
