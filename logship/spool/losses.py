"""Edge: ``losses.jsonl``, what spool had to delete or drop: {"stream", "offset", "bytes", "time", "reason"} a line.

A record says: these bytes of the stream, from this offset, are nowhere. The names of the segments say the same (a range
no segment covers), and they are the truth: a record is written before its segment is deleted where the disk allows it,
and a range that a killed or disk-starved spool left without one gets it at the next start. Ranges of one stream and
reason that touch are one record when the file is made anew, so it stays small however much is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from logship import files
from logship.spool.layout import LOSSES, stamp
from logship.spool.ranges import Span, merged, without

BOOK_BYTES_MAX = 1024 * 1024
WAITING_MAX = 1000


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

    Records are not synced: the drain would wait for the disk, and after a host crash the names still tell.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / LOSSES
        self._clock = clock
        self._waiting: list[Loss] = []
        self._known: dict[str, list[Span]] = {}
        for loss in read(self._path):
            self._know(loss.stream, loss.span)

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

    def retry(self) -> None:
        """Write what waits. Never raises OSError: it goes on waiting."""
        if not self._waiting:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                size = self._append(descriptor)
            finally:
                os.close(descriptor)
            if size > BOOK_BYTES_MAX:
                files.replace(self._path, b"".join(loss.line() for loss in _joined(read(self._path))), 0o640)

    def _append(self, descriptor: int) -> int:
        """Append what waits and return the file's size; a refused or torn attempt leaves the file as it was."""
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if torn else b"") + b"".join(loss.line() for loss in self._waiting)
        if os.write(descriptor, content) < len(content):
            os.ftruncate(descriptor, size)
            return size
        self._waiting.clear()
        return size + len(content)

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
