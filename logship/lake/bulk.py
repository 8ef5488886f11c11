"""Run: the lines of a stream for the lake, most of them many at a time, each with its time.

The lines are ``view.lines``' own and the times ``view.moment``'s. What lies between the first and the last newline of a
frame without starts in it are whole lines: they are cut in one step, no object a line. All else goes the usual way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from logship.collect.journal import Frame
from logship.collect.stream import StreamState
from logship.lake.batch import Rows
from logship.view.items import START, Mark
from logship.view.journal_reader import Journal
from logship.view.lines import LINE_BYTES_MAX, Chunk, Line, Splitter
from logship.view.moment import Said, Times, all_own_ms, own_ms
from logship.view.window import Sealed, Windows


class Several(Line):
    """Whole lines that follow on each other, as one: ``data`` is all of them."""


class BulkSplitter(Splitter):
    """Makes the same lines as its base, but gives those in the middle of a chunk as Several."""

    def feed(self, chunk: Chunk) -> list[Line]:
        """See ``Splitter``."""
        data = chunk.data
        first, last = data.find(b"\n") + 1, data.rfind(b"\n") + 1
        if first == last or chunk.starts or chunk.closes or _is_long(data, first, last):
            return super().feed(chunk)
        found = super().feed(_part(chunk, 0, first))
        found.append(Several(self._stream, self.position, data[first:last], chunk.lsn, chunk.received_ms))
        self.skip(last - first)
        return found + super().feed(_part(chunk, last, len(data)))


def _part(chunk: Chunk, start: int, end: int) -> Chunk:
    return Chunk(chunk.offset + start, chunk.data[start:end], chunk.lsn, chunk.received_ms)


def _is_long(data: bytes, first: int, last: int) -> bool:
    """Whether a line between two newlines may be of those that are cut."""
    at = first
    while last - at > LINE_BYTES_MAX:
        newline = data.rfind(b"\n", at, at + LINE_BYTES_MAX)
        if newline < 0:
            return True
        at = newline + 1
    return False


class TimedLines:
    """Reads lines of ``journal``; ``sealed`` knows how lines begin that it has no more."""

    def __init__(self, journal: Journal, sealed: Sealed) -> None:
        self._windows = Windows(journal, BulkSplitter, sealed)

    def of(self, stream: StreamState, frames: list[Frame]) -> Iterator[tuple[int, Line] | Rows | Mark]:
        """What completes with all of a stream's frames between two LSNs: lines with their times, rows, marks."""
        times = _Times(self._windows, stream.path, frames[0])
        for item in self._windows.items(stream, frames):
            if isinstance(item, Several):
                yield times.of_several(item)
            elif isinstance(item, Line):
                yield times.of(item, own_ms(item.data, item.received_ms)), item
            else:
                if item.what == START:
                    times.forget()
                yield item

    def unended(self, path: str, last: Frame) -> tuple[int, int, bytes]:
        """See ``Windows``."""
        return self._windows.unended(path, last)


class _Times:
    """Times of lines given in order. What came before them is looked at only for a line that says no time."""

    def __init__(self, windows: Windows, path: str, first: Frame) -> None:
        self._windows, self._path, self._first = windows, path, first
        self._times: Times | None = None

    def forget(self) -> None:
        self._times = Times()

    def of(self, line: Line, own: int | None) -> int:
        if self._times is None:
            earlier = self._windows.earlier(self._path, self._first) if own is None else None
            self._times = Times(earlier)
        return self._times.of(line, own)

    def of_several(self, several: Several) -> Rows:
        received_ms = several.received_ms
        texts = several.data.split(b"\n")
        texts.pop()
        own_times = all_own_ms(several.data, len(texts), received_ms)
        if own_times is not None:
            last = several.offset + len(several.data) - len(texts[-1]) - 1
            self._note(last, own_times[-1], received_ms)
            return Rows(several.offset, several.data, texts, own_times, several.lsn, received_ms)
        found = [own_ms(text + b"\n", received_ms) for text in texts]
        ends = accumulate((len(text) + 1 for text in texts), initial=several.offset)
        times = []
        before: tuple[int, int] | None = None
        for offset, own in zip(ends, found, strict=False):
            if own is not None:
                before = offset, own
                times.append(own)
                continue
            if before is not None:
                self._note(*before, received_ms)
                before = None
            times.append(self.of(Line(several.stream, offset, b"", several.lsn, received_ms), None))
        if before is not None:
            self._note(*before, received_ms)
        return Rows(several.offset, several.data, texts, times, several.lsn, received_ms)

    def _note(self, offset: int, own: int, received_ms: int) -> None:
        if self._times is None:
            self._times = Times()
        self._times.note(Said(offset, own, received_ms))
