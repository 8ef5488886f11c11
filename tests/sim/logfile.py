"""A program that writes a file of its own, and who rotates it: renames, copies, empties, deletes, begins anew.

It knows each content that the file ever had. Every change is synced at once, so a loss of power takes nothing of it:
what a followed file loses by that is its writer's concern.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.disk import FileSystem, Inode

NAME = "x.log"


@dataclass(eq=False)
class Content:
    """What a file had from a beginning to an end. ``end`` is how it ended: "", emptied, deleted."""

    began: float
    data: bytearray = field(default_factory=bytearray)
    end: str = ""
    ended: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether all of it is still in some file."""
        return not self.end


class LogFile:
    """``x.log`` in ``folder``."""

    def __init__(
        self, fs: FileSystem, folder: Inode, noise: Callable[[int], bytes], clock: Callable[[], float]
    ) -> None:
        self.contents: list[Content] = []
        self._fs = fs
        self._folder = folder
        self._noise = noise
        self._clock = clock
        self._inode: Inode | None = None

    @property
    def content(self) -> Content:
        """The present one."""
        return self.contents[-1]

    def do(self, kind: str, size: int) -> bool:
        """What a plan says; whether it happened: a full disk refuses it, or there is no file."""
        if kind != "write" and self._inode is None:
            return False
        try:
            getattr(self, f"_{kind}")(size)
        except OSError:
            return False
        return True

    def _write(self, size: int) -> None:
        if self._inode is None:
            self._inode = self._fs.create(self._folder, NAME, stat.S_IFREG)
            self._inode.opened += 1
            self._fs.sync(self._folder)
            self.contents.append(Content(self._clock()))
        self._append(size)

    def _append(self, size: int) -> None:
        assert self._inode is not None
        data = self._noise(size)
        at = len(self._inode.data)
        try:
            self._fs.write(self._inode, at, data)
        finally:
            self.content.data[:] = self._inode.data
            self._fs.sync(self._inode)

    def _rename(self, _size: int) -> None:
        """x.log.1 becomes x.log.2 and so on; the program opens a new one when it writes again."""
        self._make_room()
        self._fs.rename(self._folder, NAME, self._folder, f"{NAME}.1")
        self._fs.sync(self._folder)
        self._leave()

    def _copytruncate(self, _size: int) -> None:
        assert self._inode is not None
        if not self._inode.data:
            return
        self._make_room()
        copy = self._fs.create(self._folder, f"{NAME}.1", stat.S_IFREG)
        try:
            whole = self._fs.write(copy, 0, bytes(self._inode.data)) == len(self._inode.data)
        except OSError:
            whole = False
        if not whole:  # as logrotate, it is not emptied then
            self._fs.unlink(self._folder, f"{NAME}.1")
            return
        self._fs.sync(copy)
        self._fs.sync(self._folder)
        self._fs.truncate(self._inode, 0)
        self._fs.sync(self._inode)
        self.contents.append(Content(self._clock()))

    def _empty(self, _size: int) -> None:
        assert self._inode is not None
        self._fs.truncate(self._inode, 0)
        self._fs.sync(self._inode)
        self._over("emptied")
        self.contents.append(Content(self._clock()))

    def _delete(self, _size: int) -> None:
        """The program opens a new one when it writes again."""
        self._fs.unlink(self._folder, NAME)
        self._fs.sync(self._folder)
        self._over("deleted")
        self._leave()

    def _over(self, how: str) -> None:
        self.content.end, self.content.ended = how, self._clock()

    def _make_room(self) -> None:
        numbers = [int(name.rpartition(".")[2]) for name in self._folder.names if name != NAME]
        for number in sorted(numbers, reverse=True):
            self._fs.rename(self._folder, f"{NAME}.{number}", self._folder, f"{NAME}.{number + 1}")

    def _leave(self) -> None:
        assert self._inode is not None
        self._fs.close(self._inode)
        self._inode = None

    def lost_power(self) -> None:
        """Its machine did; what has the name is gone on with."""
        self._inode = self._folder.names.get(NAME)
        if self._inode is not None:
            self._inode.opened += 1
