"""Edge: the viewer's socket in the store, by which collect passes on a GET of what only the lake has any more.

It answers what the viewer answers anywhere. One viewer a store has it: another one tries again and has it when that one
has ended; so does one whose store is not there yet, or was replaced. What a killed one left is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from logship.collect.folder import SOCKET, socket_path

LOOK_SECONDS = 5.0
MODE = 0o660
_BACKLOG = 64


class BackDoor:
    """The socket of the store in ``store``; ``serve`` makes a listening one answer."""

    def __init__(self, store: Path, serve: Callable[[socket.socket], Awaitable[asyncio.AbstractServer]]) -> None:
        self._store = store
        self._serve = serve
        self._held: tuple[int, asyncio.AbstractServer] | None = None

    async def keep(self) -> None:
        """See to it that collect finds a viewer, until cancelled."""
        try:
            while True:
                # A store that this process may not write is read all the same; nobody passes anything on then.
                with contextlib.suppress(OSError):
                    await self.look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.close()

    async def look(self) -> bool:
        """Whether this viewer has the socket, taken now where nobody has it. Raises OSError."""
        if self._held is not None and self._held[0] == self._inode():
            return True
        self.close()
        listener = self._taken()
        if listener is None:
            return False
        inode = self._inode()
        assert inode is not None
        self._held = inode, await self._serve(listener)
        return True

    def close(self) -> None:
        """Answer nobody more, and leave no socket behind that was this viewer's."""
        held, self._held = self._held, None
        if held is not None:
            held[1].close()
            with contextlib.suppress(OSError):
                if self._inode() == held[0]:
                    (self._store / SOCKET).unlink()

    def _inode(self) -> int | None:
        try:
            return (self._store / SOCKET).lstat().st_ino
        except FileNotFoundError:
            return None

    def _taken(self) -> socket.socket | None:
        """A socket that listens under the name; None where somebody else's does. Raises OSError."""
        with socket_path(self._store) as name:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)
                try:
                    probe.connect(name)
                except (FileNotFoundError, ConnectionRefusedError):
                    pass
                except BlockingIOError:  # it has more to do than it can take: it is alive
                    return None
                else:
                    return None
            fresh = f"{name}.{os.getpid()}.new"
            with contextlib.suppress(FileNotFoundError):
                Path(fresh).unlink()
            listener = socket.socket(socket.AF_UNIX)
            try:
                listener.bind(fresh)
                Path(fresh).chmod(MODE)
                listener.listen(_BACKLOG)
                listener.setblocking(False)
                Path(fresh).rename(name)
            except BaseException:
                listener.close()
                with contextlib.suppress(OSError):
                    Path(fresh).unlink()
                raise
            return listener
