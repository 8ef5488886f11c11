"""Edge: which streams there are, found by looking: FIFOs in the folder of FIFOs, folders that other processes write.

Looking is cheap and repeated (a hint says that something changed, never what). Left to others: the bytes (``drain``).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from logship.spool.log import OWN

RESERVED = frozenset({OWN, "supervise", "supervisord"})
"""Streams that are written by their process itself; a FIFO of that name would have two writers."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def fifos(folder: Path) -> dict[str, tuple[int, int]]:
    """The FIFOs in ``folder`` whose names can be a stream's, each with what identifies it: device and inode."""
    found: dict[str, tuple[int, int]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISFIFO(facts.st_mode) and _NAME.fullmatch(entry.name) and entry.name not in RESERVED:
                    found[entry.name] = (facts.st_dev, facts.st_ino)
    return found


def folders(spool: Path) -> list[str]:
    """The names of the stream folders in ``spool``, spool's own left out, sorted."""
    with os.scandir(spool) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted(name for name in names if _NAME.fullmatch(name) and name != OWN)


def open_fifo(path: Path) -> int:
    """Open for reading without waiting for a writer. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def identity(descriptor: int) -> tuple[int, int]:
    """Device and inode of an open FIFO."""
    facts = os.fstat(descriptor)
    return facts.st_dev, facts.st_ino
