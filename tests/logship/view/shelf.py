"""A store on disk, written by collect's own parts but one frame at a time, as the tests of the reading side want it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from logship import zstd
from logship.collect.admission import Admitted
from logship.collect.commit import first_frame
from logship.collect.disk import Disk
from logship.collect.draft import Draft
from logship.collect.journal import CLOSES, ZSTD, Entry, Kind
from logship.collect.ledger import pack_losses
from logship.collect.state import State
from logship.values import Loss

BORN_MS = 1_795_464_000_000
"""2026-11-23T20:00:00Z."""


@dataclass
class Shelf:
    """The writer of a store in ``folder``; ``now_ms`` is its clock."""

    folder: Path
    now_ms: int = BORN_MS

    def __post_init__(self) -> None:
        self.state = State()
        self.disk = Disk(self.folder, first_frame(self.state, 0, self.now_ms))
        self.disk.publish()

    @property
    def end(self) -> int:
        """The LSN of the next frame."""
        return self.disk.end

    def create(self, path: str, source: str | None = None) -> None:
        """A new stream."""
        entry = Entry(self.now_ms, path, content_type="application/octet-stream", source=source)
        self._commit(Kind.CREATE, 0, entry, b"")

    def append(
        self,
        path: str,
        data: bytes,
        *,
        starts: tuple[tuple[int, str], ...] = (),
        packed: bool = False,
        closes: bool = False,
    ) -> int:
        """Bytes for a stream, made if need be; the frame's LSN. ``starts`` are (offset in the stream, time)."""
        if path not in self.state.streams:
            self.create(path)
        stream = self.state.streams[path]
        entry = Entry(self.now_ms, path, stream.next_offset, len(data), stream.last_lsn, starts=starts)
        flags = (ZSTD if packed else 0) | (CLOSES if closes else 0)
        kind = Kind.APPEND if data else Kind.CLOSE
        return self._commit(kind, flags, entry, zstd.compress(data) if packed else data)

    def delete(self, path: str) -> None:
        """A stream that somebody has deleted."""
        self._commit(Kind.DELETE, 0, Entry(self.now_ms, path), b"")

    def lose(self, loss: Loss) -> None:
        """A loss record."""
        self._commit(Kind.LOSSES, 0, Entry(self.now_ms), pack_losses([loss]))

    def rotate(self) -> None:
        """Begin a segment."""
        self.disk.rotate(first_frame(self.state, self.disk.end, self.now_ms))

    def drop_oldest(self, count: int) -> None:
        """Delete segments, as retention does."""
        self.disk.delete_oldest(count)

    def close(self) -> None:
        """Give the lock back."""
        self.disk.close()

    def _commit(self, kind: Kind, flags: int, entry: Entry, body: bytes) -> int:
        draft = Draft(self.state, self.disk.end)
        lsn = draft.end
        draft.add(Admitted(kind, flags, entry, body, None))
        self.disk.append(draft.buffers)
        self.disk.publish()
        draft.commit()
        return lsn
