"""Run: one step of sealing: the next piece of the journal becomes a file that is verified and named by the manifest.

The order is the promise: written, synced, read back and compared, the filters of its tokens likewise, both renamed,
folder synced, manifest replaced. A crash between any two leaves the manifest of before, and what it does not name is
removed by the next start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from logship.collect.stream import StreamState
from logship.errors import Fault
from logship.lake.batch import Batch, Rows
from logship.lake.bulk import TimedLines
from logship.lake.filters import Filters
from logship.lake.folder import Folder, sync
from logship.lake.manifest import RETENTION, Damaged, File, Manifest, starts_of
from logship.lake.parquet import Parquet, TooMuch
from logship.lake.plan import RAW_BYTES_MAX, Piece, piece
from logship.lake.proof import Expected, Proof
from logship.lake.tokens import pack as pack_filters
from logship.lake.unended import Unended, pack
from logship.view.items import DAMAGE, START, Mark
from logship.view.journal_reader import Damage, Journal, Picture

HELD_MAX = 144 << 20
"""Bytes of rows in memory; a piece that takes more is tried again with fewer frames."""


class Stopped(Exception):
    """Told to stop in the midst of a piece: nothing of it is published."""


class NoRoom(Exception):
    """The disk has not the room that a piece may need."""


@dataclass(slots=True)
class _Made:
    """What a file that is being made holds so far."""

    rows: int = 0
    raw_bytes: int = 0
    ts: tuple[int, int] = (1 << 62, -(1 << 62))
    received: tuple[int, int] = (1 << 62, -(1 << 62))

    def add(self, batch: Batch) -> None:
        self.rows += len(batch)
        self.raw_bytes += batch.size
        self.ts = min(self.ts[0], *batch.ts_ms), max(self.ts[1], *batch.ts_ms)
        self.received = min(self.received[0], *batch.received_ms), max(self.received[1], *batch.received_ms)


class Sealer:
    """Seals finished segments of ``journal`` into ``folder``. ``free_min``: room on the disk that it leaves.

    ``now_ms`` is the clock.
    """

    def __init__(
        self,
        journal: Journal,
        folder: Folder,
        free_min: int,
        is_stopped: Callable[[], bool],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._free_min = free_min
        self._is_stopped = is_stopped
        self._now_ms = now_ms
        self._lines = TimedLines(journal, self._beginning)
        self.parquet = Parquet()
        self._proof = Proof(journal, self.parquet, self._beginning)
        self._raw_bytes_max = RAW_BYTES_MAX
        self.manifest = folder.load()
        self._unended = folder.unended(self.manifest)

    def _beginning(self, path: str, _lsn: int, offset: int) -> tuple[int, int, bytes] | None:
        """See ``view.window.Sealed``: what was kept of a line when all before was sealed."""
        held = self._unended.get(path)
        return None if held is None else held.up_to(offset)

    def publish(self, manifest: Manifest) -> None:
        """Make it the truth. Raises OSError, then the old one is."""
        self._folder.publish(manifest)
        self.manifest = manifest

    def step(self, picture: Picture) -> File | bool:
        """Seal the next piece; its file, True where there is no line in it, False: there is nothing to seal.

        Raises OSError, NoRoom, Stopped, Fault, and Gone when retention was quicker: then the next step tells of it.
        """
        start = self.manifest.sealed_end
        segments = [lsn for lsn in self._journal.segments() if lsn < picture.end]
        if not segments:
            return False
        if start < segments[0]:
            self.publish(self.manifest.skipped(segments[0], RETENTION))
            return True
        held = next((pair for pair in pairwise(segments) if pair[0] <= start < pair[1]), None)
        if held is None:
            return False
        found, fault = self._piece(held[0], start, held[1])
        if found.end == start:
            self.publish(self.manifest.skipped(held[1], fault))
            return True
        try:
            return self._seal(found, picture)
        except TooMuch as error:
            if found.is_one_frame:
                hint = "give the process more memory; the journal keeps it meanwhile"
                raise Fault("seal", f"the frame at LSN {found.start}", str(error), hint) from None
            self._raw_bytes_max = max(1, found.raw_bytes // 4)
            return True

    def _piece(self, segment_lsn: int, start: int, end: int) -> tuple[Piece, str]:
        """The next piece, up to a place where no frame can be made out; and what is the matter there."""
        fault = ""

        def frames() -> Iterator[Any]:
            nonlocal fault
            try:
                yield from self._journal.walk(segment_lsn, start, end)
            except Damage as damage:
                fault = str(damage)

        return piece(start, frames(), self._raw_bytes_max), fault

    def _seal(self, found: Piece, picture: Picture) -> File | bool:
        if self._folder.free_bytes() - found.raw_bytes < self._free_min:
            raise NoRoom(f"{found.raw_bytes:,} bytes of lines are to be sealed")
        streams = [
            stream
            for path in sorted(found.frames)
            if (stream := picture.streams.get(path)) is not None and not stream.retired
        ]
        expected: list[Expected] = []
        made = _Made()
        chunks: list[Any] = []
        held = 0
        for batch in self._batches(found, picture, streams, expected):
            made.add(batch)
            held += batch.held
            if held > HELD_MAX and not found.is_one_frame:
                raise TooMuch(f"{held:,} bytes")
            chunks.append(self.parquet.chunk(batch))
        damaged = tuple(place for one in expected for place in one.damaged)
        if not made.rows:
            self._publish(found, picture, None, damaged)
            return True
        fresh = self._folder.fresh(found.day_text)
        try:
            file = self._file(found, made, fresh, chunks, expected)
        except BaseException:
            self._folder.discard(fresh)
            raise
        self._publish(found, picture, file, damaged)
        # What comes next is taken for like what was: as many bytes of it as fit. Of little nothing can be told.
        fit = made.raw_bytes * HELD_MAX * 3 // (held * 4)
        self._raw_bytes_max = min(RAW_BYTES_MAX, max(1, fit)) if held > HELD_MAX // 8 else RAW_BYTES_MAX
        return file

    def _publish(self, found: Piece, picture: Picture, file: File | None, damaged: tuple[Damaged, ...]) -> None:
        """Publish what was sealed, with the beginnings of the lines that were not, since they have no end yet."""
        kept = {
            path: one
            for path, one in self._unended.items()
            if path not in found.frames and self._is_of(one, picture.streams.get(path))
        }
        for path, frames in found.frames.items():
            stream, last = picture.streams.get(path), frames[-1]
            if stream is not None and last.lsn >= stream.created_lsn:
                offset, flags, data = self._lines.unended(path, last)
                if data:
                    kept[path] = Unended(path, stream.created_lsn, offset, flags, last.lsn, last.entry.time_ms, data)
        beginnings = self.manifest.unended
        if kept != self._unended:
            beginnings = self._folder.keep_unended(pack(kept.values()), found.end) if kept else None
        manifest = self.manifest.beginning(beginnings, self._now_ms())
        self.publish(manifest.sealed(found.end, file, damaged))
        self._unended = kept

    def _is_of(self, line: Unended, stream: StreamState | None) -> bool:
        """Whether that stream is still there, and retention has not taken from the lake what came with the line."""
        deleted_end = self.manifest.deleted[-1].end_lsn if self.manifest.deleted else 0
        return stream is not None and stream.created_lsn == line.created_lsn and line.lsn >= deleted_end

    def _file(self, found: Piece, made: _Made, fresh: Path, chunks: list[Any], expected: list[Expected]) -> File:
        self.parquet.write(fresh, chunks)
        chunks.clear()
        size, check = sync(fresh)
        filters = Filters(self.parquet.row_groups(fresh))
        streams = self._proof.check(fresh, expected, filters)
        tokens = self._folder.put_beside(fresh, pack_filters(filters.made))
        name = self._folder.rename(fresh, found.start, found.end)
        starts = starts_of({one.stream: tuple(one.starts)} for one in expected)
        return File(
            name, found.start, found.end, made.rows, size, made.raw_bytes, *made.ts, *made.received, streams, check,
            tokens, starts,
        )  # fmt: skip

    def _batches(
        self, found: Piece, picture: Picture, streams: list[StreamState], expected: list[Expected]
    ) -> Iterator[Batch]:
        """The rows of a piece, stream by stream; what a file of them should hold is added to ``expected``."""
        batch = Batch()
        for stream in streams:
            frames = [frame for frame in found.frames[stream.path] if frame.lsn >= stream.created_lsn]
            if not frames:
                continue
            one = Expected(stream.path, frames)
            expected.append(one)
            identity = picture.identities[stream.path]
            for item in self._lines.of(stream, frames):
                if isinstance(item, Mark):
                    if item.what == DAMAGE:
                        one.damaged.append(Damaged(item.stream, item.offset, item.bytes or 0, item.lsn, item.text))
                    elif item.what == START:
                        one.starts.append((item.offset, item.lsn, item.time_ms))
                    continue
                if isinstance(item, Rows):
                    batch.add_rows(identity, item)
                    one.rows += len(item.texts)
                else:
                    ts_ms, line = item
                    batch.add(identity, line, ts_ms)
                    one.rows += 1
                if batch.is_full:
                    yield batch
                    batch = Batch()
                    if self._is_stopped():
                        raise Stopped
        if len(batch):
            yield batch
