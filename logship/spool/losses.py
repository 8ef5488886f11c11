"""Edge: ``losses.jsonl``, what spool had to delete or drop: {"stream", "offset", "bytes", "time", "reason"} a line.

A record says: these bytes of the stream, from this offset, are nowhere. The names of the segments say the same (a range
no segment covers), and they are the truth: a record is written before its segment is deleted where the disk allows it,
and a range that a killed or disk-starved spool left without one gets it at the next start. Ranges of one stream and
reason that touch are one record when the file is made anew, so it stays small however much is lost.

Spool keeps room for the file beyond its end (``reserve``), so that a full disk cannot keep a loss from being written
down; it stays when spool and container are gone, for whoever deletes from an orphan. What does not even find room there
waits in memory, and the names tell it after a kill.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from logship import files
from logship.spool import acked
from logship.spool.layout import LOSSES, stamp
from logship.spool.ranges import Segment, Span, merged, without

BOOK_BYTES_MAX = 1024 * 1024
WAITING_MAX = 1000
RESERVE_BYTES = 256 * 1024
"""Room kept beyond the end, made up when half of it is used: two thousand records."""

Reserve = Callable[[int, int, int], None]
"""Keeps room in a file: descriptor, offset, size; see ``reserve``."""


class Loss(NamedTuple):
    """A range of a stream that is nowhere, since when and why."""

    stream: str
    span: Span
    time: str
    reason: str

    def line(self) -> bytes:
        """As it stands in the file."""
        words = {"stream": self.stream, "offset": self.span.offset, "bytes": self.span.size}
        return json.dumps({**words, "time": self.time, "reason": self.reason}).encode() + b"\n"


class LossBook:
    """The losses of a spool folder. What the disk refuses waits, bounded, for the next ``retry``.

    Records are not synced: the drain would wait for the disk, and after a host crash the names still tell. One process
    at a time writes a book; ``reserve`` is given by the one that keeps room for it.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time, reserve: Reserve | None = None) -> None:
        self._path = folder / LOSSES
        self._clock = clock
        self._reserve = reserve
        self._reserved = 0  # up to this offset there is room
        self._rewrite_at = BOOK_BYTES_MAX
        self._waiting: list[Loss] = []
        self._known: dict[str, list[Span]] = {}
        self._loaded = False
        with contextlib.suppress(OSError):  # then at the next try to write
            self._load()
            if reserve is not None:
                with self._open() as descriptor:
                    self._keep_room(descriptor, os.fstat(descriptor).st_size)

    def known(self, stream: str) -> list[Span]:
        """The ranges of ``stream`` that have a record, in order, those that wait for the disk included."""
        return self._known.get(stream, [])

    @property
    def waiting(self) -> bool:
        """Whether records wait for the disk."""
        return bool(self._waiting)

    def record(self, stream: str, spans: Iterable[Span], reason: str) -> int:
        """Write down what of ``spans`` has no record yet; returns how many bytes that is. Never raises OSError."""
        fresh = without(spans, self.known(stream))
        for span in fresh:
            self._waiting.append(Loss(stream, span, stamp(self._clock()), reason))
            self._know(stream, span)
        if len(self._waiting) > WAITING_MAX:
            self._waiting = _joined(self._waiting)[-WAITING_MAX:]
        self.retry()
        return sum(span.size for span in fresh)

    def delete(self, stream: str, segment: Segment, reason: str) -> int:
        """Write down what of a segment is not acknowledged, then delete it; how many bytes that is. Raises OSError."""
        folder = self._path.parent / stream
        lost = without([Span(segment.offset, segment.size)], [Span(0, acked.read(folder))])
        self.record(stream, lost, reason)
        (folder / segment.name).unlink(missing_ok=True)
        return sum(span.size for span in lost)

    def retry(self) -> None:
        """Write what waits. Never raises OSError: it goes on waiting."""
        if not self._waiting:
            return
        with contextlib.suppress(OSError):
            self._load()
            with self._open() as descriptor:
                size = self._append(descriptor)
            if size > self._rewrite_at:
                self._rewrite()

    def _load(self) -> None:
        """Learn what has a record already. Raises OSError when the file is there and cannot be read."""
        if self._loaded:
            return
        held = list(read(self._path))
        self._loaded = True
        waiting, self._waiting, self._known = self._waiting, [], {}
        for loss in held:
            self._know(loss.stream, loss.span)
        for loss in waiting:
            for span in without([loss.span], self.known(loss.stream)):
                self._waiting.append(loss._replace(span=span))
                self._know(loss.stream, span)

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int) -> int:
        """Append what waits and return the file's size; a refused or torn attempt leaves the file as it was."""
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if torn else b"") + b"".join(loss.line() for loss in self._waiting)
        if os.write(descriptor, content) < len(content):
            os.ftruncate(descriptor, size)  # with the room beyond, which was too small
            self._reserved = size
            return size
        self._waiting.clear()
        self._keep_room(descriptor, size + len(content))
        return size + len(content)

    def _keep_room(self, descriptor: int, size: int) -> None:
        if self._reserve is not None and self._reserved < size + RESERVE_BYTES // 2:
            with contextlib.suppress(OSError):  # tried again at the next record
                self._reserve(descriptor, size, RESERVE_BYTES)
                self._reserved = size + RESERVE_BYTES

    def _rewrite(self) -> None:
        """Make the file anew, smaller: touching ranges as one; if need be without what the collector knows of."""
        joined = _joined(read(self._path))
        kept = [loss.line() for loss in joined]
        if sum(map(len, kept)) > BOOK_BYTES_MAX // 2:
            streams = dict.fromkeys(loss.stream for loss in joined)
            told = {stream: acked.read(self._path.parent / stream) for stream in streams}
            kept = [loss.line() for loss in joined if loss.span.end > told[loss.stream]]
        size = sum(map(len, kept))
        self._rewrite_at = max(BOOK_BYTES_MAX, 2 * size)
        files.replace(self._path, b"".join(kept), 0o640)
        self._reserved = 0
        with self._open() as descriptor:
            self._keep_room(descriptor, size)

    def _know(self, stream: str, span: Span) -> None:
        self._known[stream] = merged([*self._known.get(stream, []), span])


def read(path: Path) -> Iterable[Loss]:
    """The records of a ``losses.jsonl``; lines that a crash tore are no records. Raises OSError but for no file."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                span = Span(int(entry["offset"]), int(entry["bytes"]))
                yield Loss(str(entry["stream"]), span, str(entry["time"]), str(entry["reason"]))


def _joined(losses: Iterable[Loss]) -> list[Loss]:
    """Ranges that touch, of one stream and reason, as one loss with the time of the last."""
    joined: list[Loss] = []
    for loss in sorted(losses):
        last = joined[-1] if joined else None
        if last and (last.stream, last.reason, last.span.end) == (loss.stream, loss.reason, loss.span.offset):
            joined[-1] = loss._replace(span=Span(last.span.offset, last.span.size + loss.span.size))
        else:
            joined.append(loss)
    return joined
