"""Run: what comes, for readers that stay: batches of lines, in order, each once, from a cursor on.

Nothing is held for a reader: each takes the next batch from the journal when it has taken the last one. One that falls
too far behind (and asked not to) is told exactly how many lines it is not given.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from logship.view.history import History
from logship.view.items import Batch, Skipped
from logship.view.journal_reader import Journal, Picture
from logship.view.merge import REORDER_MS
from logship.view.segments import NoStore, Replaced
from logship.view.select import Wanted

POLL_SECONDS = 0.03
HEARTBEAT_SECONDS = 15.0
NO_STORE_SECONDS = 1.0
CATCH_UP_BYTES = 256 * 1024
"""How much of the journal's end a reader that is skipped forward is still given."""

Answer = TypeVar("Answer")


class Growth:
    """Tells when the journal has grown. It is looked at each POLL_SECONDS, by one task, while anybody waits."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting = 0
        self._grown = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stopped = False
        """Nobody waits any more; may be set by a signal handler."""

    async def wait(self, lsn: int, seconds: float) -> bool:
        """Wait until there is more than up to ``lsn``; False when the time is over before."""
        self._waiting += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                while self._end() == lsn and not self.stopped:
                    await self._grown.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def _poll(self) -> None:
        seen = self._end()
        while self._waiting:
            await asyncio.sleep(POLL_SECONDS)
            if self.stopped or self._end() != seen:
                seen = self._end()
                grown, self._grown = self._grown, asyncio.Event()
                grown.set()

    def _end(self) -> int | None:
        try:
            return self._journal.durable()
        except NoStore:
            return None


class Follower:
    """Reads on behalf of readers that stay; the work itself is done in ``threads``."""

    def __init__(self, history: History, threads: Executor) -> None:
        self.growth = Growth(history.journal)
        self._history = history
        self._threads = threads

    async def batches(
        self, wanted: Wanted, start: int, behind_max: int | None
    ) -> AsyncIterator[tuple[Picture, Batch | Skipped] | None]:
        """Batches from LSN ``start`` on, with the picture they are of; None for each while in which nothing came.

        Ends when the viewer is told to end. Raises Replaced when there is another store.
        ``behind_max``: bytes of journal; a reader farther behind is skipped forward, and told.
        """
        at = start
        store: int | None = None
        while not self.growth.stopped:
            try:
                picture = await self._do(self._history.journal.picture)
            except NoStore:
                await asyncio.sleep(NO_STORE_SECONDS)
                yield None
                continue
            store = picture.store if store is None else store
            if picture.end < at or picture.store != store:
                raise Replaced("there is another store now than the one that was followed; read it anew")
            if picture.end == at:
                if not await self.growth.wait(at, HEARTBEAT_SECONDS):
                    yield None
                await asyncio.sleep(REORDER_MS / 1000)
                continue
            if behind_max is not None and picture.end - at > behind_max:
                skipped = await self._skip(picture, wanted, at, picture.end - CATCH_UP_BYTES)
                at = skipped.end
                yield picture, skipped
                continue
            batch = await self._do(partial(self._history.batch, picture, wanted, at))
            at = batch.end
            yield picture, batch

    async def _skip(self, picture: Picture, wanted: Wanted, start: int, end: int) -> Skipped:
        steps = self._history.skip(picture, wanted, start, end)
        while True:
            found = await self._do(lambda: next(steps))
            if found is not None:
                return found

    async def _do(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
