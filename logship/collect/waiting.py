"""Run: who waits for whom: requests of one stream for their turn, readers for growth. For one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable


class Turns:
    """Requests of one stream are admitted in the order they came, however long each takes to be examined."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @contextlib.asynccontextmanager
    async def of(self, path: str) -> AsyncIterator[None]:
        """Wait for this stream's turn, and have it until the block ends."""
        lock, users = self._lines.setdefault(path, (asyncio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                del self._lines[path]


class Growth:
    """Readers that wait for more of a stream."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._over = False

    def tell(self, paths: Iterable[str]) -> None:
        """These streams have changed."""
        for path in paths:
            for woken in self._waiting.get(path, ()):
                if not woken.done():
                    woken.set_result(None)

    def end(self) -> None:
        """There will be no more: everybody who waits is told."""
        self._over = True
        self.tell(list(self._waiting))

    async def wait(self, path: str, has_come: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until ``has_come`` holds, asked anew after each change; False when the time is over or all is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while not has_come():
            left = deadline - loop.time()
            if left <= 0 or self._over:
                return False
            woken: asyncio.Future[None] = loop.create_future()
            waiting = self._waiting.setdefault(path, set())
            waiting.add(woken)
            try:
                await asyncio.wait((woken,), timeout=left)
            finally:
                waiting.discard(woken)
                if not waiting and self._waiting.get(path) is waiting:
                    del self._waiting[path]
        return True
