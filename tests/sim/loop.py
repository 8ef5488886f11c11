"""An asyncio event loop in a simulated process: asyncio's own, but for what it waits on, threads and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from contextvars import copy_context
from typing import Any

from tests.sim.engine import Killed, Task
from tests.sim.kernel import Os
from tests.sim.process import Process
from tests.sim.sockets import Listener, SimSocket
from tests.sim.threads import Pool


class _Handle(asyncio.Handle):
    """asyncio's own, without what it keeps for debugging."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: SimLoop, context: Any) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one process; it ends with it."""

    def __init__(self, os: Os) -> None:
        super().__init__()
        self._os = os
        self._process: Process = os.process
        self._waiting: Task | None = None
        self._pool = Pool()
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda _loop, _context: None)
        self._process.ends.append(self._died)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]  # looser
        """BaseEventLoop's, without its checks for debugging: this is called more often than anything else."""
        if self._closed:  # type: ignore[attr-defined]  # BaseEventLoop's own
            raise RuntimeError("Event loop is closed")
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]  # BaseEventLoop's own
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]  # looser
        """From another thread, which wakes the loop."""
        handle = self.call_soon(callback, *args, context=context)
        self._write_to_self()
        return handle

    def _run_once(self) -> None:
        """BaseEventLoop's turn, with nothing to select: wait until something is due or another thread has called."""
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # BaseEventLoop's own
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            while scheduled and scheduled[0].cancelled():
                heapq.heappop(scheduled)
            self._waiting = self._os.engine.current
            self._os.engine.block(scheduled[0]._when - self._os.engine.now if scheduled else None)
        elif self._process.dead:
            self._process.enter()
        if scheduled:
            end = self._os.engine.now + self._clock_resolution
            while scheduled and scheduled[0]._when < end:
                ready.append(heapq.heappop(scheduled))
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                try:  # as ``Handle._run``, which makes text of the callback for what nobody tells
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    if not isinstance(error, Killed):
                        self.call_exception_handler({"message": f"callback {handle._callback}", "exception": error})

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
