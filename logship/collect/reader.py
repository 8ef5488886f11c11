"""Run: what reads of the store give: bytes as far as they are durable and sound, and proof of a stream's end.

Damage ends a read before it, and is the answer to one that begins in it; each damaged place is noted (``damage``).
Left to others: where bytes lie (``index``), checking them (``chunks``), the lake's bytes (``older``), HTTP
(``follow``).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from logship.collect.admission import find
from logship.collect.chunks import Chunks, Gone, Range
from logship.collect.damage import Damages, Place
from logship.collect.disk import Disk
from logship.collect.index import Index
from logship.collect.keeper import Keeper
from logship.collect.older import Older
from logship.collect.state import State
from logship.collect.stream import StreamState
from logship.values import StreamPath
from logship.wire import Code, Digest, Found, Look, Read, Refusal, Seen

TAIL_BYTES = 4096


class Reader:
    """Reads from one event loop, in ``threads`` threads; ``tell`` is called once a damaged place."""

    def __init__(
        self,
        disk: Disk,
        state: State,
        index: Index,
        keeper: Keeper,
        older: Older,
        chunks: Chunks,
        threads: int,
        tell: Callable[[Place], None],
    ) -> None:
        self._disk = disk
        self._state = state
        self._index = index
        self._keeper = keeper
        self._older = older
        self._chunks = chunks
        self._threads = ThreadPoolExecutor(threads, "read")
        self._damages = Damages(tell)

    async def close(self) -> None:
        """Wait for the reads that run."""
        await asyncio.to_thread(self._threads.shutdown)

    def health(self) -> dict[str, object]:
        """What ``GET /v1/health`` says of damage."""
        return self._damages.health(self._disk.segments[0].lsn)

    def first_offset(self, stream: StreamState) -> int:
        """The first byte of the stream that is still kept, in the journal or in the lake."""
        return self._keeper.first_offset(stream)

    def find(self, request: Read) -> Found | Refusal:
        """Where a read begins and where the stream ends now; no bytes yet."""
        state = self._state.streams.get(request.path)
        self._keeper.note_asked(state)
        return find(state, request.path, request.offset, self.first_offset(state) if state else 0)

    async def read(self, path: StreamPath, offset: int, bytes_max: int) -> bytes | Refusal:
        """At most ``bytes_max`` bytes from ``offset`` on, as many as are durable; none at the stream's end.

        Fewer only where damage follows; in its midst the answer is a refusal that says where it ends.
        """
        try:
            return await self._read(path, offset, bytes_max, missing=False)
        except Gone:
            # Retention was quicker: what is kept is asked anew. A file that is missing then was not deleted by us.
            return await self._read(path, offset, bytes_max, missing=True)

    async def _read(self, path: StreamPath, offset: int, bytes_max: int, *, missing: bool) -> bytes | Refusal:
        found = self.find(Read(path, offset))
        if isinstance(found, Refusal):
            return found
        state = self._state.streams[path]
        tail = state.next_offset
        end = min(tail, offset + bytes_max)
        if end <= offset or state.last_lsn is None:
            return b""
        begins = self._index.first_offset(path, tail)
        if offset < begins:
            return await self._beginning_with_older(path, offset, end, begins)
        stretches = self._index.stretches(path, offset, end)
        asked = Range(path, offset, end, tail, state.last_lsn, stretches, missing)
        data, damage = await asyncio.get_running_loop().run_in_executor(self._threads, self._chunks.read, asked)
        if damage is not None:
            self._damages.note(damage)
        if data or damage is None:
            return data
        return Refusal(Code.DAMAGED, damage.text(), damage_end=damage.end)

    async def _beginning_with_older(self, path: StreamPath, offset: int, end: int, begins: int) -> bytes | Refusal:
        """The same where the journal begins behind ``offset``, at ``begins``."""
        data = await self._older.read(path, offset, min(end, begins))
        if isinstance(data, Refusal) or offset + len(data) < begins or end <= begins:
            return data
        rest = await self.read(path, begins, end - begins)
        return data if isinstance(rest, Refusal) else data + rest

    async def look(self, request: Look) -> Seen | Refusal:
        """What HEAD answers; all of it is of one moment."""
        found = self.find(Read(request.path))
        if isinstance(found, Refusal):
            return found
        state = self._state.streams[request.path]
        producer = state.producer(request.producer_id)
        tail = await self.tail_digest(state)
        if isinstance(tail, Refusal):
            return tail
        digest, size = tail or (None, 0)
        return Seen(state.next_offset, state.content_type, state.closed, found.first_offset, digest, size, producer)

    async def tail_digest(self, state: StreamState) -> tuple[Digest, int] | Refusal | None:
        """sha-256 of the last 4,096 bytes before the stream's end, and how many they are; None when none is kept.

        Of those that the journal keeps, or kept last: no shipper is to wait for a viewer.
        Of damage in them, of those behind it: what cannot be read proves nothing, and is no reason to refuse a HEAD.
        """
        end = state.next_offset
        start = max(self._index.first_offset(state.path, end), end - TAIL_BYTES)
        if start == end and state.proof is not None:
            size, digest = state.proof
            return Digest("sha-256", digest), size
        while start < end:
            tail = await self.read(state.path, start, end - start)
            if isinstance(tail, Refusal):
                if tail.damage_end is None:
                    return tail
                start = tail.damage_end
            elif start + len(tail) == end:
                return Digest("sha-256", hashlib.sha256(tail).digest()), len(tail)
            else:
                start += len(tail)
        return None
