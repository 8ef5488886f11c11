"""A process of a simulated world: its threads, its open files and locks, its signals, and its end at any step."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.sim.disk import FileSystem, Inode
from tests.sim.engine import Engine, Killed, Task


class OpenFile:
    """What descriptors stand for; several may stand for one."""

    __slots__ = ("flags", "inode", "position", "users")

    def __init__(self, inode: Inode, flags: int) -> None:
        self.inode = inode
        self.flags = flags
        self.position = 0
        self.users = 1
        inode.opened += 1

    def close(self) -> None:
        """One descriptor less; with the last one goes the lock."""
        self.users -= 1
        if not self.users:
            if self.inode.holder is self:
                self.inode.holder = None
            self.inode.fs.close(self.inode)


class Process:
    """One process on ``host``. ``fuse`` counts down system calls, those named ``fuse_call`` alone where that is said;
    at the last one ``blow`` is called."""

    _pids = 0

    def __init__(self, engine: Engine, name: str, host: str, fs: FileSystem, random: Random) -> None:
        self.engine = engine
        self.name = name
        self.host = host
        self.fs = fs
        self.random = random
        self.dead = False
        self.tasks: dict[Task, None] = {}
        self.files: dict[int, OpenFile] = {}
        self.fuse = 0
        self.fuse_call = ""
        self.blow: Callable[[], None] = self.kill
        self.linger = 0.0  # how often a system call takes a while, so that others come between
        self.pid = 0
        self.wakeup: int | None = None
        self.handlers: dict[int, Callable[[int, None], object]] = {}
        self.ends: list[Callable[[], None]] = []  # called at its end, by the hub: connections, loops
        self.status: int | None = None
        self.met: Counter[str] = Counter()

    def start(self, work: Callable[[], int | None], ended: Callable[[], None]) -> None:
        """Run ``work`` as its first thread; when that returns, the process is over. ``ended`` is called at its end."""

        def main() -> None:
            self.status = work()
            self.kill()

        self.ends.append(ended)
        self.engine.spawn(self, main, self.name)

    def enter(self) -> None:
        """A system call begins. Raises Killed."""
        if self.dead:
            raise Killed
        if self.fuse and (call := _call()) and self.fuse_call in ("", call):
            self.fuse -= 1
            if not self.fuse:
                self.met[f"{self.kind} hit at {call}"] += 1
                self.blow()
                if self.dead:
                    raise Killed
        if self.linger and self.random.random() < self.linger:
            self.engine.block(self.random.random() * 0.01)

    @property
    def kind(self) -> str:
        """What it runs."""
        return self.name.rpartition(" ")[2]

    def kill(self) -> None:
        """SIGKILL: from now on it does nothing; its files are closed and its locks free."""
        if self.dead:
            return
        self.dead = True
        for file in self.files.values():
            file.close()
        self.files.clear()
        self.engine.after(0.0, self._reap)

    def signal(self, number: int) -> None:
        """Send it a signal it can handle."""
        if self.dead:
            return
        if self.wakeup is not None:
            pipe = self.files[self.wakeup].inode
            pipe.data.append(number)
            for task in [*pipe.readers]:
                self.engine.wake(task)
        elif number in self.handlers:
            before, self.engine.current = self.engine.current, next(iter(self.tasks))
            self.handlers[number](number, None)
            self.engine.current = before
        elif number == signal.SIGTERM:
            self.kill()

    def add(self, file: OpenFile, least: int = 3) -> int:
        """A descriptor for an open file."""
        number = least
        while number in self.files:
            number += 1
        self.files[number] = file
        return number

    def _reap(self) -> None:
        self.engine.reap(self)
        ends, self.ends = self.ends, []
        for end in ends:
            end()


def _call() -> str:
    """The system call that is under way."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in ("enter", "_write") and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name
