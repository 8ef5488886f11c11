"""An asyncio event loop in a simulated process: asyncio's own, but for what it waits on, threads and sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.sim.engine import Task
from tests.sim.kernel import Os
from tests.sim.process import Process
from tests.sim.sockets import Listener, SimSocket
from tests.sim.threads import Pool


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one process; it ends with it."""

    def __init__(self, os: Os) -> None:
        super().__init__()
        self._os = os
        self._process: Process = os.process
        self._waiting: Task | None = None
        self._selector = self
        self._pool = Pool()
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda _loop, _context: None)
        self._process.ends.append(self._died)

    # What BaseEventLoop asks of a selector, and of its kind.

    def select(self, timeout: float | None) -> list[object]:
        """Wait until something is due or another thread has called."""
        if timeout is None or timeout > 0:
            self._waiting = self._os.engine.current
            self._os.engine.block(timeout)
        elif self._process.dead:
            self._process.enter()
        return []

    def _process_events(self, _events: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        if self._waiting is not None:
            self._os.engine.wake(self._waiting)

    def time(self) -> float:
        """The clock of the world."""
        return self._os.engine.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # looser
        """In a thread of the simulated process."""
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:
                self.call_soon_threadsafe(_settle, future, None, error)
            else:
                self.call_soon_threadsafe(_settle, future, result, None)

        (executor or self._pool).add(work)
        return future

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]  # looser
        """In the loop's thread."""
        self._process.handlers[sig] = lambda _number, _frame: self.call_soon_threadsafe(callback, *args)

    async def create_server(self, protocol_factory: Any, *, sock: SimSocket, **_: int) -> Any:  # type: ignore[override]  # what is asked for here
        """Accept connections on a bound socket."""
        return Listener(sock, self, protocol_factory, self._process)

    def _died(self) -> None:
        """Its process is dead: coroutines unwind, unable to do anything on their way out."""
        for task in sorted(asyncio.all_tasks(self), key=_number):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # they are not forgotten, they are dead
            for _ in range(3):
                with contextlib.suppress(BaseException):
                    task.get_coro().throw(_Dead)
                    continue
                break
        self._ready.clear()  # type: ignore[attr-defined]  # BaseEventLoop's own
        self._scheduled.clear()  # type: ignore[attr-defined]
        if not self.is_running():
            self.close()


def _number(task: asyncio.Task[Any]) -> int:
    """They are numbered as they are made, and kept in an order of chance."""
    return int(task.get_name().removeprefix("Task-"))


class _Dead(BaseException):
    """Thrown into coroutines of a dead process."""


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
