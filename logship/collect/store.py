"""Run: the store: one journal for all streams, what is known of them, and who waits for more of them.

``append``, ``create``, ``delete`` and ``post_losses`` answer when what they did is durable; ``read`` gives durable
bytes only. Used from one event loop; bodies are examined and bytes are read in threads. Every answer is a value; a
Fault is raised when the disk failed: then nothing more is taken, and the process should end (``broken`` tells).
Left to others: bytes (``reader``), HTTP (``http``), when to ask for retention (``run``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from logship.collect.admission import Admitted, admit_append, admit_create, admit_delete, no_stream
from logship.collect.chunks import Chunks
from logship.collect.commit import Bounds, Committer, Outcome, first_frame
from logship.collect.damage import Place
from logship.collect.disk import Disk
from logship.collect.draft import Draft
from logship.collect.journal import Entry, Kind
from logship.collect.keeper import Keeper
from logship.collect.ledger import pack_losses
from logship.collect.older import Older
from logship.collect.payload import Payload, examine
from logship.collect.reader import Reader
from logship.collect.receipt import Receipt
from logship.collect.recover import Recovered, recover
from logship.collect.retention import Policy
from logship.collect.state import State
from logship.collect.stream import StreamState
from logship.collect.waiting import Growth, Turns
from logship.errors import Fault
from logship.values import Loss, StreamPath
from logship.wire import (
    Append,
    Appended,
    Create,
    Created,
    Delete,
    Deleted,
    Digest,
    Encoding,
    Found,
    Limits,
    Listed,
    Look,
    Read,
    Refusal,
    Seen,
)

EXAMINED_INLINE_BYTES_MAX = 16 * 1024
"""Smaller bodies are examined at once: handing them to a thread would cost more than it saves."""


@dataclass(frozen=True)
class Settings:
    """How a store is run: bounds of the disk, limits of requests, what is kept, the cache of decoded bytes."""

    bounds: Bounds = Bounds()
    limits: Limits = Limits()
    policy: Policy = Policy()
    cache_bytes_max: int = 16 * 1024 * 1024
    examine_threads: int = 2
    read_threads: int = 2


def system_ms() -> int:
    """Milliseconds since 1970, noted in frames; they decide when bytes are old, and nothing else."""
    return time.time_ns() // 1_000_000


class Store:
    """An open store; made by ``open``, given back by ``close``. ``recovered`` tells what was found at the start."""

    def __init__(
        self,
        disk: Disk,
        recovered: Recovered,
        settings: Settings,
        now_ms: Callable[[], int],
        on_damage: Callable[[Place], None],
    ) -> None:
        self.recovered = recovered
        self.settings = settings
        self._disk = disk
        self._state: State = recovered.state
        self._index = recovered.index
        self._now_ms = now_ms
        self._turns = Turns()
        self._growth = Growth()
        self._committer = Committer(disk, self._state, self._index, settings.bounds, now_ms, self._growth.tell)
        self._examiners = ThreadPoolExecutor(settings.examine_threads, "examine")
        self._keeper = Keeper(disk, self._state, self._index, self._committer, settings.policy, now_ms)
        self._chunks = Chunks(disk, settings.cache_bytes_max)
        threads = settings.read_threads
        older = Older(disk.folder)
        self._reader = Reader(disk, self._state, self._index, self._keeper, older, self._chunks, threads, on_damage)
        self._keeper.tail_digest = self._reader.tail_digest
        self._task = asyncio.get_running_loop().create_task(self._committer.run())

    @staticmethod
    async def open(
        folder: Path,
        settings: Settings = Settings(),
        now_ms: Callable[[], int] = system_ms,
        on_damage: Callable[[Place], None] = lambda _: None,
    ) -> Store:
        """Open the store in ``folder``, made where there is none. Raises Fault, with nothing changed.

        ``on_damage`` is told each damaged place once, when a read meets it.
        """

        def work() -> tuple[Disk, Recovered]:
            disk = Disk(folder, first_frame(State(), 0, now_ms()))
            try:
                return disk, recover(disk)
            except BaseException:
                disk.close()
                raise

        disk, recovered = await asyncio.to_thread(work)
        store = Store(disk, recovered, settings, Receipt(now_ms, disk.segments[-1].newest_ms), on_damage)
        await store._keeper.look()  # what is in the lake is kept, from the first request on
        return store

    async def close(self) -> None:
        """Answer what waits, refuse what comes (503 stopping), wake readers, and close the files."""
        self._committer.stop()
        await self._task
        self._growth.end()
        await asyncio.to_thread(self._examiners.shutdown)
        await self._reader.close()
        self._committer.close()
        self._disk.close()

    async def broken(self) -> Fault | None:
        """Waits until nothing is written any more; then why: None after ``close``."""
        await asyncio.shield(self._task)
        return self._committer.failure

    # What changes streams.

    async def append(self, request: Append, body: bytes) -> Appended | Refusal:
        """Append, close, or both. ``body`` as it was received, checked by ``request.check_body`` before."""
        state = self._state.streams.get(request.path)
        if state is None or state.retired:
            self._keeper.note_asked(state)
            if state is None:
                return no_stream(request.path)
        async with self._turns.of(request.path):
            payload = await self._examine(body, request.encoding, request.digests)

            def decide(draft: Draft) -> Admitted | Outcome:
                return admit_append(draft.stream(request.path), request, payload, self._now_ms())

            answer = self._committer.submit(decide, len(body))
        return cast("Appended | Refusal", await answer)

    async def create(self, request: Create, body: bytes) -> Created | Refusal:
        """Make the stream, with ``body`` as its beginning, or find it made."""
        self._keeper.note_asked(self._state.streams.get(request.path))
        async with self._turns.of(request.path):
            payload = await self._examine(body, request.encoding, request.digests)

            def decide(draft: Draft) -> Admitted | Outcome:
                bounds = draft.stream_count, self.settings.limits.streams_max
                return admit_create(draft.stream(request.path), request, payload, *bounds, self._now_ms())

            answer = self._committer.submit(decide, len(body))
        return cast("Created | Refusal", await answer)

    async def delete(self, request: Delete) -> Deleted | Refusal:
        """Remove the stream and forget it."""
        path = request.path

        def decide(draft: Draft) -> Admitted | Outcome:
            return admit_delete(draft.stream(path), path, self._now_ms())

        async with self._turns.of(path):
            answer = self._committer.submit(decide)
        return cast("Deleted | Refusal", await answer)

    async def post_losses(self, losses: Sequence[Loss]) -> Listed | Refusal:
        """Take loss records, all or none; those whose id is known are taken already."""

        def decide(draft: Draft) -> Admitted | Outcome:
            fresh = {loss.id: loss for loss in reversed(losses) if not draft.knows_loss(loss.id)}
            if not fresh:
                return Listed(0)
            body = pack_losses(reversed(fresh.values()))
            return Admitted(Kind.LOSSES, 0, Entry(self._now_ms()), body, Listed(len(fresh)))

        return cast("Listed | Refusal", await self._committer.submit(decide))

    # What is known and kept.

    def stream(self, path: StreamPath) -> StreamState | None:
        """What is durable of a stream."""
        return self._state.streams.get(path)

    def streams(self, prefix: str = "") -> list[StreamState]:
        """All streams whose path begins with ``prefix``, tombstones too, sorted by path."""
        streams = self._state.streams
        return [streams[path] for path in sorted(path for path in streams if path.startswith(prefix))]

    def first_offset(self, stream: StreamState) -> int:
        """The first byte of the stream that is still kept."""
        return self._reader.first_offset(stream)

    def losses(self) -> list[tuple[int, Loss]]:
        """(LSN, record) of the ledger, oldest first."""
        return self._state.ledger.records()

    def health(self) -> dict[str, object]:
        """What ``GET /v1/health`` says: ``accepting`` decides its status."""
        failure = self._committer.failure
        free_bytes = self._disk.free_bytes()
        room_bytes = self._committer.room_bytes(free_bytes)
        return {
            "accepting": failure is None and room_bytes > 0 and not self._task.done(),
            "failure": None if failure is None else str(failure),
            "room_bytes": room_bytes,
            "streams": len(self._state.streams),
            "journal_bytes": self._disk.journal_bytes,
            "segments": len(self._disk.segments),
            "lsn": self._disk.end,
            "disk_free_bytes": free_bytes,
            "losses_dropped": self._state.ledger.dropped,
            "sealed_end": held.sealed_end if (held := self._keeper.held) else None,
            "lake_fault": held.why or None if held else None,
            **self._reader.health(),
        }

    # What reads.

    def find(self, request: Read) -> Found | Refusal:
        """Where a read begins and where the stream ends now; no bytes yet."""
        return self._reader.find(request)

    async def read(self, path: StreamPath, offset: int, bytes_max: int) -> bytes | Refusal:
        """At most ``bytes_max`` bytes from ``offset`` on, as many as are durable; none at the stream's end.

        Fewer only where damage follows; in its midst the answer is a refusal that says where it ends.
        """
        return await self._reader.read(path, offset, bytes_max)

    async def tail_digest(self, path: StreamPath) -> tuple[Digest, int] | Refusal | None:
        """sha-256 of the last 4,096 bytes before the stream's end, and how many they are; None when none is kept."""
        state = self._state.streams.get(path)
        return no_stream(path) if state is None else await self._reader.tail_digest(state)

    async def look(self, request: Look) -> Seen | Refusal:
        """What HEAD answers; all of it is of one moment."""
        return await self._reader.look(request)

    async def wait_for_growth(self, path: StreamPath, offset: int, timeout_seconds: float) -> bool:
        """Wait until the stream has bytes after ``offset``, is closed or gone; False when the time is over before."""

        def has_come() -> bool:
            state = self._state.streams.get(path)
            return state is None or state.retired or state.closed or state.next_offset > offset

        return await self._growth.wait(path, has_come, timeout_seconds)

    async def is_due(self) -> bool:
        """Whether retention has a segment to delete; to be asked every few seconds."""
        return await self._keeper.is_due()

    async def retain(self) -> int:
        """Delete what may go, bury and forget streams; to be asked every minute or so. How many segments went."""
        return await self._keeper.retain()

    async def _examine(self, body: bytes, encoding: Encoding, digests: Sequence[Digest]) -> Payload | Refusal:
        look = partial(examine, body, encoding, digests, self.settings.limits)
        if len(body) <= EXAMINED_INLINE_BYTES_MAX or (encoding is Encoding.IDENTITY and not digests):
            return look()
        return await asyncio.get_running_loop().run_in_executor(self._examiners, look)
