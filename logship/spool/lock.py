"""Edge: the locks of a spool folder, flock(2) on a file or folder in it.

``alive`` is PID 1's for its life, the folder of the stream ``spool`` belongs to whoever writes segments (spool itself,
PID 1 while it stands in for one, who trims or adopts an orphan), ``ship`` to whoever ships. A lock ends with its
holder.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def locked(path: Path, flags: int, descriptor_min: int = 0) -> int | None:
    """The file or folder of this name, opened with ``flags`` and locked, its descriptor at ``descriptor_min`` or above.

    None when there is none, when another holds the lock, or when the name is another's by the time it is locked (its
    holder moved the folder away meanwhile). Never waits. Raises OSError for other failures.
    """
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    kept = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116  # compared with os.fstat
            kept = descriptor if descriptor >= descriptor_min else _moved_up(descriptor, descriptor_min)
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if kept != descriptor:
            os.close(descriptor)
    return kept


def _moved_up(descriptor: int, least: int) -> int:
    """The same open file, and so the same lock, at a number from ``least`` on."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
