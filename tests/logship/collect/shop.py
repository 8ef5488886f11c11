"""A store on a real disk, for tests: small, with a clock of its own, and with a gate before the sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from logship import zstd
from logship.collect.commit import Bounds
from logship.collect.disk import Disk
from logship.collect.store import Settings, Store
from logship.values import Producer, StreamPath
from logship.wire import Append, Appended, Create, Created, Encoding, Refusal

T = TypeVar("T")
PATH = StreamPath("webapp/1/serf/x")
OTHER = StreamPath("webapp/2/serf/x")
BOUNDS = Bounds(disk_free_min=0)
SETTINGS = Settings(BOUNDS)
SMALL = replace(SETTINGS, bounds=replace(BOUNDS, segment_bytes_max=4096))
PATIENCE_SECONDS = 60.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine, but not for ever."""
    return asyncio.run(asyncio.wait_for(work, PATIENCE_SECONDS))


@dataclass
class Clock:
    """Milliseconds that pass when told."""

    ms: int = 1_795_464_901_123

    def __call__(self) -> int:
        return self.ms


@asynccontextmanager
async def opened(folder: Path, settings: Settings = SETTINGS, clock: Clock | None = None) -> AsyncIterator[Store]:
    """The store in ``folder``, closed at the end also when the test failed."""
    store = await Store.open(folder / "store", settings, clock or Clock())
    try:
        yield store
    finally:
        await store.close()


async def make(store: Store, path: StreamPath = PATH, body: bytes = b"") -> None:
    """Create a stream."""
    assert isinstance(await store.create(Create(path, "text/plain"), body), Created)


async def put(store: Store, body: bytes, path: StreamPath = PATH, **changed: Any) -> Appended | Refusal:
    """Append, plain or with what is ``changed`` of the request."""
    return await store.append(replace(Append(path, "text/plain"), **changed), body)


async def put_zipped(store: Store, body: bytes, path: StreamPath = PATH) -> Appended | Refusal:
    """Append a zstd body."""
    return await put(store, zstd.compress(body), path, encoding=Encoding.ZSTD)


def by(sequence: int, epoch: int = 0, producer_id: str = "p") -> Producer:
    """A producer's next append."""
    return Producer(producer_id, epoch, sequence)


async def everything(store: Store, path: StreamPath = PATH, piece: int = 1 << 20, start: int | None = None) -> bytes:
    """All kept bytes of a stream, or those from ``start`` on."""
    stream = store.stream(path)
    assert stream is not None
    parts: list[bytes] = []
    position = store.first_offset(stream) if start is None else start
    while True:
        part = await store.read(path, position, piece)
        assert isinstance(part, bytes), part
        if not part:
            return b"".join(parts)
        parts.append(part)
        position += len(part)


@dataclass
class Gate:
    """Stands before every sync: counts them, and holds them while it is shut."""

    syncs: int = 0
    opened: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def before_sync(patch: pytest.MonkeyPatch) -> Gate:
        """Put an open gate before ``Disk.sync``."""
        gate, real = Gate(), Disk.sync
        gate.opened.set()

        def sync(disk: Disk) -> None:
            gate.syncs += 1
            gate.reached.set()
            assert gate.opened.wait(PATIENCE_SECONDS)
            real(disk)

        patch.setattr(Disk, "sync", sync)
        return gate

    async def closed_and_reached(self, first: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Shut the gate, begin ``first``, and wait until its batch stands before it."""
        self.opened.clear()
        self.reached.clear()
        task = asyncio.create_task(first)
        await asyncio.to_thread(self.reached.wait, PATIENCE_SECONDS)
        return task
