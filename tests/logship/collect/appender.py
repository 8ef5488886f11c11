"""A process that appends through a store and prints what was acknowledged, until somebody kills it.

``python -m tests.logship.collect.appender FOLDER``: each line is ``PATH SEQUENCE`` after its append was answered. A
record is its path and sequence, so a reader can tell whether one is missing or there twice.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from logship import zstd
from logship.collect.commit import Bounds
from logship.collect.store import Settings, Store
from logship.values import Producer, StreamPath
from logship.wire import Append, Appended, Create, Created, Encoding

PATHS = [StreamPath(f"s/{number}") for number in range(4)]
SETTINGS = Settings(Bounds(disk_free_min=0, segment_bytes_max=64 * 1024))


def record(path: StreamPath, sequence: int) -> bytes:
    """The bytes of one append; sizes from 20 bytes to 20 kB."""
    return f"{path} {sequence} ".encode() + b"x" * (sequence * 7919 % 20_000) + b"\n"


async def append_for_ever(store: Store, path: StreamPath) -> None:
    """Go on where the stream's producer was."""
    assert isinstance(await store.create(Create(path), b""), Created)
    stream = store.stream(path)
    assert stream is not None
    known = stream.producer("p")
    sequence = known.sequence + 1 if known else 0
    while True:
        body, encoding = record(path, sequence), Encoding.IDENTITY
        if sequence % 2:
            body, encoding = zstd.compress(body), Encoding.ZSTD
        request = Append(path, "application/octet-stream", producer=Producer("p", 0, sequence), encoding=encoding)
        outcome = await store.append(request, body)
        assert isinstance(outcome, Appended), outcome
        assert not outcome.duplicate
        os.write(1, f"{path} {sequence}\n".encode())
        sequence += 1


async def main(folder: Path) -> None:
    """Until killed."""
    store = await Store.open(folder, SETTINGS)
    await asyncio.gather(*[append_for_ever(store, path) for path in PATHS])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
