"""Edge: the folders in which spool folders lie: which of those were left behind, and clearing away what crashes left.

One listing a folder, and for each incarnation one try at the lock that its PID 1 holds for life; a lock that was free
is given back at once. A folder that holds no incarnations of its own may hold such folders, one a service: it is looked
into one level deep, so that one mount point serves any number of services.

Left to others: what is done with an orphan (``adopter``), and when (``adoption``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePath

from logship.ship.removal import GONE, remove_tree
from logship.spool.layout import ALIVE, parse_incarnation
from logship.spool.lock import locked

NEW = ".new-"
NEW_SECONDS = 60.0
"""PID 1 locks ``alive`` within milliseconds; what has one that is free for so long was left by a crash."""
NEW_EMPTY_SECONDS = 3600.0
"""The same where there is no ``alive`` yet, so that no lock can tell."""
UNLOCKED_MAX = 256
"""So many orphans are seen at a look; the oldest first, the others when these are gone."""
SERVICES_MAX = 64


class Places:
    """The folders given, looked at again and again. ``trouble`` is told what does not work, each time."""

    def __init__(self, folders: Sequence[Path], trouble: Callable[[str], None]) -> None:
        self._folders = tuple(folders)
        self._trouble = trouble

    def look(self, skip: Collection[PurePath]) -> list[Path]:
        """The incarnations whose PID 1 is gone, the oldest first, without those in ``skip``."""
        found: list[Path] = []
        for folder in self._folders:
            try:
                for path in self._walk(folder.resolve()):
                    if path.name.startswith((GONE, NEW)):
                        self._clear(path)
                    elif path not in skip and len(found) < UNLOCKED_MAX and _is_free(path):
                        found.append(path)
            except (OSError, RuntimeError) as error:
                self._trouble(f"cannot look for orphans in {folder}: {getattr(error, 'strerror', None) or error}")
        return sorted(dict.fromkeys(found), key=lambda path: path.name)

    def _walk(self, folder: Path) -> Iterator[Path]:
        """What in ``folder``, or one level below, has the name of an incarnation or of what is left of one."""
        others = []
        for path in _folders(folder):
            if _is_ours(path.name):
                yield path
            elif not path.name.startswith("."):
                others.append(path)
        for other in others[:SERVICES_MAX]:
            try:
                yield from (path for path in _folders(other) if _is_ours(path.name))
            except OSError as error:
                self._trouble(f"cannot look for orphans in {other}: {error.strerror}")

    def _clear(self, path: Path) -> None:
        """Remove what an adopter left that was killed while it removed, or a PID 1 while it began."""
        try:
            gone = path if path.name.startswith(GONE) else _abandoned(path, time.time())
            if gone is not None:
                remove_tree(gone)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._trouble(f"cannot remove {path}: {error.strerror}")


def _folders(path: Path) -> list[Path]:
    """The folders in ``path``, by name, which is by age. Raises OSError."""
    with os.scandir(path) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_ours(name: str) -> bool:
    return parse_incarnation(name.removeprefix(GONE).removeprefix(NEW)) is not None


def _is_free(path: Path) -> bool:
    """Whether the incarnation's PID 1 is gone, as far as one look can tell. Raises OSError but for what is gone."""
    descriptor = locked(path / ALIVE, os.O_RDWR)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def _abandoned(path: Path, now: float) -> Path | None:
    """A ``.new-`` folder that no PID 1 will go on with, renamed for removal; None for another. Raises OSError.

    A PID 1 that was stopped for longer than that in the middle of it finds its lock or its folder taken, says so, and
    is started again: nothing was in it yet.
    """
    age = now - path.stat().st_mtime
    gone = path.with_name(GONE + path.name.removeprefix(NEW))
    if age > NEW_EMPTY_SECONDS and not (path / ALIVE).exists():
        return path.rename(gone)
    descriptor = locked(path / ALIVE, os.O_RDWR) if age > NEW_SECONDS else None
    if descriptor is None:
        return None
    try:
        return path.rename(gone)
    finally:
        os.close(descriptor)
