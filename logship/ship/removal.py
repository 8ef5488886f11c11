"""Edge: removing folders for good, so that a crash at any step leaves nothing that looks like more than it is.

What is to go is renamed first (``.gone-...``), one atomic step; what has that name belongs to nobody. So several
processes may remove the same folder at once, and one that was killed needs no successor of its own.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

GONE = ".gone-"


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it; what another removes meanwhile is no trouble. Raises OSError.

    Links are removed, never followed.
    """
    with contextlib.suppress(FileNotFoundError):
        with os.scandir(path) as entries:
            found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
        for each, is_folder in found:
            if is_folder:
                remove_tree(each)
            else:
                each.unlink(missing_ok=True)
        path.rmdir()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
