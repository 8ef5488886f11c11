"""What stands for ``time``, ``random``, ``threading``, ``queue``, ``select``, ``signal`` and executors in a world."""

from __future__ import annotations

import select as real_select
import signal as real_signal
import stat
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from tests.sim.disk import Inode
from tests.sim.engine import Engine, Task
from tests.sim.kernel import Os


class Time:
    """``time``: the clock of the world; ``skew`` is what the wall clock is wrong by, for everybody."""

    def __init__(self, os: Os) -> None:
        self._os = os
        self.skew = 0.0

    def monotonic(self) -> float:
        """Seconds since the world began, and some."""
        return 1000.0 + self._os.engine.now

    def time(self) -> float:
        """Seconds since 1970."""
        return self._os.epoch + self._os.engine.now + self.skew

    def time_ns(self) -> int:
        """The same in nanoseconds."""
        return int(self.time() * 1e9)

    def thread_time(self) -> float:
        """Nothing costs time by itself here."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Let others run."""
        self._os.engine.block(seconds)


class Chance:
    """``random``: each process has its own."""

    def __init__(self, os: Os) -> None:
        self._os = os

    def random(self) -> float:
        """From 0 to 1."""
        return self._os.engine.current.owner.random.random()  # type: ignore[union-attr,no-any-return]


class SimQueue:
    """``queue.SimpleQueue``."""

    engine: Engine

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiting: deque[Task] = deque()

    def __class_getitem__(cls, _item: object) -> type[SimQueue]:
        return cls

    def put(self, item: Any) -> None:
        """Add an item, and wake who waits for one."""
        self._items.append(item)
        if self._waiting:
            self.engine.wake(self._waiting.popleft())

    def get(self, *, timeout: float | None = None) -> Any:
        """The next item, waiting at most so long. Raises Empty."""
        engine = self.engine
        deadline = None if timeout is None else engine.now + timeout
        while not self._items:
            task = engine.current
            assert task is not None
            self._waiting.append(task)
            if not engine.block(None if deadline is None else deadline - engine.now):
                self._waiting.remove(task)
                break
        return self.get_nowait()

    def get_nowait(self) -> Any:
        """The next item. Raises Empty."""
        if not self._items:
            raise Empty
        return self._items.popleft()

    def qsize(self) -> int:
        """How many wait."""
        return len(self._items)


class SimThread:
    """``threading.Thread`` with a target."""

    os: Os

    def __init__(self, target: Callable[[], object], name: str = "", **_: bool) -> None:
        self._target = target
        self._name = name
        self._alive = False
        self._joining: list[Task] = []

    def start(self) -> None:
        """Begin."""
        self._alive = True
        self.os.engine.spawn(self.os.process, self._run, self._name)

    def _run(self) -> None:
        self._target()
        self._alive = False
        for task in self._joining:
            self.os.engine.wake(task)

    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self._alive

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        task = self.os.engine.current
        assert task is not None
        if self._alive:
            self._joining.append(task)
            self.os.engine.block(timeout)


class SimLock:
    """``threading.Lock``: who has it may wait in a system call, and others wait for it then."""

    engine: Engine

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> bool:
        while self._held:
            task = self.engine.current
            assert task is not None
            self._waiting.append(task)
            self.engine.block(None)
        self._held = True
        return True

    def __exit__(self, *_: object) -> None:
        self._held = False
        if self._waiting:
            self.engine.wake(self._waiting.popleft())


class SimEvent:
    """``threading.Event``."""

    engine: Engine

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Task] = []

    def set(self) -> None:
        """From now on nobody waits."""
        self._set = True
        for task in self._waiting:
            self.engine.wake(task)

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set, at most so long; whether it is."""
        task = self.engine.current
        assert task is not None
        if not self._set:
            self._waiting.append(task)
            self.engine.block(timeout)
            self._waiting.remove(task)
        return self._set


class Pool:
    """``ThreadPoolExecutor``; what is handed in goes through ``SimLoop.run_in_executor``."""

    os: Os

    def __init__(self, max_workers: int = 32, _prefix: str = "") -> None:
        self._max = max_workers
        self._running = 0
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle: list[Task] = []

    def add(self, job: Callable[[], None]) -> None:
        """Have it done by a thread."""
        self._jobs.append(job)
        if self._running < self._max:
            self._running += 1
            self.os.engine.spawn(self.os.process, self._work, "worker")

    def _work(self) -> None:
        while self._jobs:
            self._jobs.popleft()()
        self._running -= 1
        for task in self._idle:
            self.os.engine.wake(task)

    def shutdown(self, wait: bool = True) -> None:
        """Wait for all that was handed in."""
        while self._running and wait:
            task = self.os.engine.current
            assert task is not None
            self._idle.append(task)
            self.os.engine.block(None)


class Epoll:
    """``select.epoll``, level-triggered, for FIFOs and pipes."""

    os: Os

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}

    def register(self, descriptor: int, mask: int) -> None:
        """Watch it."""
        assert descriptor in self.os.process.files
        assert descriptor not in self._watched
        self._watched[descriptor] = mask

    def unregister(self, descriptor: int) -> None:
        """Watch it no more."""
        del self._watched[descriptor]

    def poll(self, timeout: float = -1.0) -> list[tuple[int, int]]:
        """Those that can be read, waited for at most so long."""
        process = self.os.enter()
        found = self._ready(process.files)
        if found or timeout == 0:
            return found
        task = self.os.engine.current
        assert task is not None
        inodes = [process.files[descriptor].inode for descriptor in self._watched]
        for inode in inodes:
            inode.readers[task] = None
        try:
            self.os.engine.block(None if timeout < 0 else timeout)
        finally:
            for inode in inodes:
                inode.readers.pop(task, None)
        return self._ready(process.files)

    def _ready(self, files: dict[int, Any]) -> list[tuple[int, int]]:
        return [(each, real_select.EPOLLIN) for each in self._watched if readable(files[each].inode)]


def readable(inode: Inode) -> bool:
    """Whether a FIFO has bytes."""
    return inode.kind == stat.S_IFIFO and bool(inode.data)


class Select:
    """``select``."""

    EPOLLIN, EPOLLOUT, EPOLLHUP = real_select.EPOLLIN, real_select.EPOLLOUT, real_select.EPOLLHUP
    epoll = Epoll


class Signals:
    """``signal``."""

    SIGTERM, SIGINT, SIGIO = real_signal.SIGTERM, real_signal.SIGINT, real_signal.SIGIO

    def __init__(self, os: Os) -> None:
        self._os = os

    def signal(self, number: int, handler: Callable[[int, None], object]) -> None:
        """Handle it."""
        self._os.process.handlers[number] = handler

    def set_wakeup_fd(self, descriptor: int, **_: bool) -> None:
        """Have its number written there."""
        self._os.process.wakeup = descriptor


class Threading:
    """``threading``, as far as threads with a target need it."""

    Thread = SimThread
    Lock = SimLock
    Event = SimEvent


class Queues:
    """``queue``."""

    SimpleQueue = SimQueue
    Empty = Empty
