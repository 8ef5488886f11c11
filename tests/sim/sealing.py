"""``logship seal`` in a world: what it needs beside collect, and what stands for its Parquet files.

The production run, seal, folder, manifest and proof are played. DuckDB writes by itself, past any simulated disk, so
files are rows packed one after the other here; ``test_contract_parquet`` holds both to the same answers.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgpack
import xxhash

from logship.collect import lake as collect_lake
from logship.collect import older, sealed
from logship.lake import merging, seal
from logship.lake import plan as lake_plan
from logship.lake import run as lake_run
from logship.lake.batch import Batch
from logship.lake.filters import Filters
from logship.lake.folder import sync
from logship.lake.manifest import File
from logship.view import segments
from logship.wire import Code, Refusal

Row = tuple[str, int, bytes]
"""Stream, offset, exact bytes: what ``proof`` asks a file for."""
GRACE_SECONDS = 1.0
CHORE_SECONDS = 0.5
LOOK_SECONDS = 0.4
FRAMES_MAX = 9


class Packed:
    """What stands for ``Parquet``."""

    def chunk(self, batch: Batch) -> list[Row]:
        """The rows of a batch, without columns that are computed of them."""
        streams = [identity.path for identity, count in batch.runs() for _ in range(count)]
        ends = [terminator for terminator, count in batch.ends() for _ in range(count)]
        lines = [batch.raw.get(row, line) for row, line in enumerate(batch.line)]
        whole = [line + end for line, end in zip(lines, ends, strict=True)]
        return list(zip(streams, batch.offset, whole, strict=True))

    def write(self, path: Path, chunks: Sequence[list[Row]]) -> None:
        """Make a file of all rows, in order. Raises OSError."""
        path.write_bytes(packed(row for chunk in chunks for row in chunk))

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Make a file of the rows of several, in order. Raises OSError."""
        path.write_bytes(packed(row for part in parts for row in _rows(part)))

    def places(self, path: Path) -> list[tuple[str, int, int]]:
        """Which rows are of which stream. Raises OSError, also where others lie between them."""
        found: dict[str, list[int]] = {}
        for number, (stream, _, _) in enumerate(_rows(path)):
            found.setdefault(stream, []).append(number)
        if any(rows[-1] - rows[0] + 1 != len(rows) for rows in found.values()):
            raise OSError(errno.EIO, "the rows of a stream do not follow on each other", str(path))
        return [(stream, rows[0], len(rows)) for stream, rows in found.items()]

    def row_groups(self, path: Path) -> list[int]:
        """How many rows each row group has: there is one. Raises OSError."""
        return [len(rows)] if (rows := _rows(path)) else []

    def contents(self, path: Path) -> Iterator[tuple[memoryview, memoryview, memoryview]]:
        """The rows in order: their offsets, the ends of their bytes, those bytes. Raises OSError."""
        rows = _rows(path)
        if rows:
            ends = array("i", accumulate((len(data) for _, _, data in rows), initial=0))
            offsets = array("q", [offset for _, offset, _ in rows])
            yield memoryview(offsets), memoryview(ends), memoryview(b"".join(data for _, _, data in rows))


def packed(rows: Iterator[Row]) -> bytes:
    """A file of these rows."""
    return b"".join(map(msgpack.packb, rows))


def unpacked(content: bytes) -> list[Row]:
    """The rows of a file. Raises ValueError where it is none."""
    reader = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False)
    reader.feed(content)
    try:
        rows = [(str(stream), int(offset), bytes(data)) for stream, offset, data in reader]
    except (msgpack.UnpackException, TypeError) as error:
        raise ValueError(str(error)) from error
    if reader.tell() != len(content):
        raise ValueError("it ends in the midst of a row")
    return rows


def _rows(path: Path) -> list[Row]:
    try:
        return unpacked(path.read_bytes())
    except ValueError as error:
        raise OSError(errno.EIO, str(error), str(path)) from error


async def no_viewer(_self: older.Older, path: str, _start: int, end: int) -> Refusal:
    """Nobody reads the lake here: what it has is judged at the end."""
    return Refusal(Code.RETIRED, f"nobody reads the lake of {path}", first_offset=end)


class OpenSegment:
    """A segment that a reader has open: it is closed with its process, not when Python lets go of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


def patches(log: type) -> Mapping[tuple[Any, str], Any]:
    """What is set while a world with a lake runs; small and quick, so that much comes to be sealed and deleted."""
    return {
        (seal, "Parquet"): Packed,
        (older.Older, "read"): no_viewer,
        (segments, "_File"): OpenSegment,
        (lake_run, "Log"): log,
        (lake_run, "LOOK_SECONDS"): LOOK_SECONDS,
        (lake_run, "NO_ROOM_SECONDS"): 2 * LOOK_SECONDS,
        (lake_plan, "FRAMES_MAX"): FRAMES_MAX,
        (merging, "FILES_MIN"): 1 << 30,  # DuckDB merges by its own SQL: other tests try that
        (sealed, "GRACE_MS"): int(GRACE_SECONDS * 1000),
    }


def no_look(_self: collect_lake.Lake, _start: int, end: int) -> collect_lake.Held:
    """A mistake: the manifest is not loaded; what is asked about is taken to be sealed."""
    return collect_lake.Held(end)


def unverified(self: Any, found: Any, made: seal._Made, fresh: Path, chunks: list[Any], expected: Any) -> File:
    """A mistake, with ``published_first``: a file is neither synced nor read back before the manifest names it."""
    self.parquet.write(fresh, chunks)
    self.unproved = expected
    size, check = fresh.stat().st_size, xxhash.xxh3_128_hexdigest(fresh.read_bytes())
    streams = {one.stream: (0, 0) for one in expected if one.rows}
    name = self._folder.rename(fresh, found.start, found.end)
    return File(name, found.start, found.end, made.rows, size, made.raw_bytes, *made.ts, *made.received, streams, check)


_publish: Any = seal.Sealer._publish


def published_first(self: Any, found: Any, picture: Any, file: File | None, damaged: Any) -> None:
    """The other half: it is when it is published."""
    _publish(self, found, picture, file, damaged)
    if file is not None:
        path = self._folder.path / file.name
        sync(path)
        self._proof.check(path, self.unproved, Filters(self.parquet.row_groups(path)))
