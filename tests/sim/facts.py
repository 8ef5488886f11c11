"""What the simulated kernel says of files: stat(2), and the names in a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.sim.disk import Inode

if TYPE_CHECKING:
    from tests.sim.kernel import Os

TICK_SECONDS = 0.004
"""File times move in steps of the kernel's tick."""


class Facts:
    """What stat(2) says."""

    __slots__ = ("_ctime", "_epoch", "_inode", "_mtime", "st_ino", "st_nlink", "st_size")

    def __init__(self, inode: Inode, epoch: float) -> None:
        self._inode = inode  # for what of it never changes
        self.st_ino = inode.number
        self.st_size = 0 if inode.kind == stat.S_IFIFO else len(inode.data)
        self.st_nlink = inode.links
        self._epoch, self._mtime, self._ctime = epoch, inode.mtime, inode.ctime

    @property
    def st_dev(self) -> int:
        """The disk it is on."""
        return self._inode.fs.device

    @property
    def st_mode(self) -> int:
        """What it is, and that its owner may read and write it."""
        return self._inode.kind | 0o600

    @property
    def st_mtime(self) -> float:
        """When it was last changed."""
        return self._epoch + self._mtime - self._mtime % TICK_SECONDS

    @property
    def st_mtime_ns(self) -> int:
        """The same in nanoseconds."""
        return int((self._epoch + self._mtime - self._mtime % TICK_SECONDS) * 1e9)

    @property
    def birth_ns(self) -> int:
        """When it was made."""
        born = self._inode.born
        return int((self._epoch + born - born % TICK_SECONDS) * 1e9)

    @property
    def st_ctime_ns(self) -> int:
        """When it, or the number of its names, was last changed."""
        return int((self._epoch + self._ctime - self._ctime % TICK_SECONDS) * 1e9)


class Entry:
    """One name in a folder, as scandir gives it."""

    __slots__ = ("_folder", "_inode", "_os", "name")

    def __init__(self, os: Os, folder: str, name: str, inode: Inode) -> None:
        self._os = os
        self._folder = folder
        self._inode = inode
        self.name = name

    @property
    def path(self) -> str:
        """The name with its folder's."""
        return f"{self._folder}/{self.name}"

    def stat(self, **_: bool) -> Facts:
        """Of what has the name now."""
        os = self._os
        process = os.enter()
        folder = process.fs.known.get(self._folder)
        inode = None if folder is None else folder.names.get(self.name)
        return Facts(os.find(process, self.path) if inode is None else inode, os.epoch)

    def is_dir(self, **_: bool) -> bool:
        """As it was listed."""
        return self._inode.is_folder

    def is_symlink(self) -> bool:
        """As it was listed."""
        return self._inode.kind == stat.S_IFLNK


class Listing(list[Entry]):
    """What scandir returns."""

    def __enter__(self) -> Iterator[Entry]:
        return iter(self)

    def __exit__(self, *_: object) -> None:
        self.clear()
