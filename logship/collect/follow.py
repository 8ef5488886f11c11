"""Edge: GET of a stream: what is there, what comes next (long-poll), and what comes from now on (server-sent events).

Left to others: the bytes (``store``), the text of events (``sse``), bounds on readers (``gate``).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from logship.collect import sse
from logship.collect.admission import no_stream
from logship.collect.exchange import Exchange
from logship.collect.gate import READ_BYTES_MIN, Gate
from logship.collect.store import Store
from logship.values import StreamPath
from logship.wire import Found, Live, Read, Refusal, next_cursor
from logship.wire.fields import offset_pairs

POLL_SECONDS = 20
SSE_SECONDS = 60


class Follower:
    """Answers reads from one store. ``poll_seconds`` and ``sse_seconds`` are for tests."""

    def __init__(
        self, store: Store, gate: Gate, *, poll_seconds: float = POLL_SECONDS, sse_seconds: float = SSE_SECONDS
    ) -> None:
        self._store = store
        self._gate = gate
        self._poll_seconds = poll_seconds
        self._sse_seconds = sse_seconds

    async def read(self, exchange: Exchange, request: Read) -> None:
        """Answer a GET."""
        found = self._store.find(request)
        if isinstance(found, Refusal):
            await exchange.refuse(found)
        elif request.live is Live.SSE:
            await self._events(exchange, request, found)
        elif request.live is Live.LONG_POLL and found.offset == found.tail:
            await self._poll(exchange, request, found)
        else:
            await self._give(exchange, request, found)

    async def _give(self, exchange: Exchange, request: Read, found: Found) -> None:
        """Answer with the bytes from ``found.offset`` on: as many as one answer carries."""
        size = min(found.tail - found.offset, self._gate.read_bytes())
        cursor = self._cursor(request) if request.live else None
        if (found.next_offset, found.cursor) != (found.offset + size, cursor):
            found = replace(found, next_offset=found.offset + size, cursor=cursor)
        if found.matches(request.etags):
            await _unchanged(exchange, found)
            return
        self._gate.reading_bytes += size
        try:
            data = await self._bytes(request.path, found, size)
            if isinstance(data, Refusal):
                await exchange.refuse(data)
                return
            if len(data) < size:  # fewer than asked for: damage follows
                found = replace(found, next_offset=found.offset + len(data))
            if found.matches(request.etags):
                await _unchanged(exchange, found)
            else:
                await exchange.answer(200, found.headers(), data)
        finally:
            self._gate.reading_bytes -= size

    async def _bytes(self, path: StreamPath, found: Found, size: int) -> bytes | Refusal:
        """The bytes of this very stream: one that was deleted and made anew meanwhile is another one."""
        data = await self._store.read(path, found.offset, size) if size else b""
        now = self._store.find(Read(path))
        if isinstance(data, Refusal) or isinstance(now, Refusal):
            return data
        if now.stream_id != found.stream_id or (size and not data):
            return no_stream(path)
        return data

    # Long-poll.

    async def _poll(self, exchange: Exchange, request: Read, found: Found) -> None:
        """Wait at the stream's end for more, for the end, or for the time to be over."""
        async with self._following(exchange) as wake:
            if isinstance(wake, Refusal):
                await exchange.refuse(wake)
                return
            if not found.closed:
                await self._wait(request.path, found.tail, self._poll_seconds, wake)
        later = self._store.find(Read(request.path, found.offset))
        if isinstance(later, Refusal):
            await exchange.refuse(later)
        elif later.tail > found.offset:
            await self._give(exchange, request, replace(later, now=found.now))
        else:
            fields = [*offset_pairs(later.tail, later.first_offset, later.closed), ("Stream-Up-To-Date", "true")]
            if not later.closed:
                fields.append(("Stream-Cursor", str(self._cursor(request))))
            await exchange.answer(204, [*fields, ("Cache-Control", "no-store")])

    # Server-sent events.

    async def _events(self, exchange: Exchange, request: Read, found: Found) -> None:
        text = sse.is_text(found.content_type)
        fields = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]
        if not text:
            fields.append(("Stream-SSE-Data-Encoding", "base64"))
        async with self._following(exchange) as wake:
            if isinstance(wake, Refusal):
                await exchange.refuse(wake)
                return
            begun = await self._store.read(request.path, found.offset, 1)
            if isinstance(begun, Refusal):  # what cannot even be begun is refused as any other read
                await exchange.refuse(begun)
                return
            await exchange.start(200, fields)
            await self._event_loop(exchange, request, found, text, wake)
            await exchange.piece(b"", last=True)

    async def _event_loop(
        self, exchange: Exchange, request: Read, found: Found, text: bool, wake: asyncio.Future[None]
    ) -> None:
        """Batches until the stream is closed, gone or damaged, the client is gone, or it has been long enough."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._sse_seconds
        stream_id, position, first = found.stream_id, found.offset, True
        while not wake.done():
            now = self._store.find(Read(request.path, position))
            if isinstance(now, Refusal) or now.stream_id != stream_id:
                return
            size = min(READ_BYTES_MIN, now.tail - position)
            data = await self._store.read(request.path, position, size)
            if isinstance(data, Refusal):
                if data.damage_end is not None:
                    await exchange.piece(sse.damage_event(data.damage_end, data.reason))
                return
            at_end = position + len(data) == now.tail
            is_last = len(data) < size or (at_end and now.closed)  # what follows is damage, or nothing
            if text and not is_last:
                data = data[: sse.whole_characters(data)]
            position += len(data)
            closed = now.closed and position == now.tail
            if data or first or closed:
                control = sse.control_event(position, cursor=self._cursor(request), up_to_date=at_end, closed=closed)
                await exchange.piece(sse.data_event(data, text=text) + control if data else control)
            first = False
            left = end - loop.time()
            if closed or left <= 0:
                return
            if at_end and not await self._wait(request.path, now.tail, left, wake):
                return

    # Both.

    @contextlib.asynccontextmanager
    async def _following(self, exchange: Exchange) -> AsyncIterator[asyncio.Future[None] | Refusal]:
        """A future that is done when the client has gone or the collector stops; or a refusal: too many follow."""
        loop = asyncio.get_running_loop()
        wake: asyncio.Future[None] = loop.create_future()
        refusal = self._gate.follow(wake)
        if refusal is not None:
            yield refusal
            return
        gone = loop.create_task(exchange.gone())
        gone.add_done_callback(lambda _: _wake(wake))
        try:
            yield wake
        finally:
            self._gate.live.discard(wake)
            gone.cancel()

    async def _wait(self, path: StreamPath, tail: int, seconds: float, wake: asyncio.Future[None]) -> bool:
        """Whether there is something new beyond ``tail``; no when the time is over or nobody waits any more."""
        growth = asyncio.get_running_loop().create_task(self._store.wait_for_growth(path, tail, seconds))
        try:
            await asyncio.wait((growth, wake), return_when=asyncio.FIRST_COMPLETED)
            return growth.done() and growth.result()
        finally:
            growth.cancel()

    def _cursor(self, request: Read) -> int:
        return next_cursor(time.time(), request.cursor, random.random())


async def _unchanged(exchange: Exchange, found: Found) -> None:
    """The client has these very bytes already."""
    await exchange.answer(304, [(name, value) for name, value in found.headers() if name != "Content-Type"])


def _wake(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)
