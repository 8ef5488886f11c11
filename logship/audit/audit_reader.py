"""Run: a store's journal -> windows, from its beginning or from where an earlier run stopped."""

from __future__ import annotations

from pathlib import Path

from logship.audit.audit_book import Book
from logship.audit.audit_journal import Frames, Mark, changes, mark_after
from logship.audit.audit_life import Window
from logship.collect.journal import CLOSES, Frame, Kind
from logship.values import Source
from logship.view.segments import Gone

STEP_BYTES = 8 << 20
"""Of journal in one step."""


class Reader:
    """Reads on. ``book`` is what was made of the journal up to ``mark``; ``restarts``: how often it began anew."""

    def __init__(self, folder: Path, mark: Mark | None = None, book: Book | None = None) -> None:
        self._frames = Frames(folder)
        self.mark = mark
        self.book = book or Book()
        self.restarts = 0
        self._is_checked = False

    def step(self) -> tuple[list[Window], bool]:
        """What the next piece of journal says, and whether there may be more. Raises NoStore, and Fault for damage."""
        try:
            if not self._is_checked or self.mark is None:
                self._begin()
            return self._read()
        except Gone:
            # Retention was quicker: what is kept is read anew, and what is not stays unverified.
            self.mark, self._is_checked = None, False
            self.restarts += 1
            return [], False

    def passed(self, time_ms: int) -> list[Window]:
        """All that came by ``time_ms`` has been read."""
        return self.book.passed(time_ms)

    def _begin(self) -> None:
        if self.mark is None or not self._frames.follows(self.mark):
            first = self._frames.first()
            self.book = Book()
            for stream in self._frames.known_at(first).streams.values():
                source = stream.source.fields() if stream.source else {}
                if not stream.retired:
                    self.book.opened(stream.path, source, kept_from=stream.next_offset)
                    if stream.closed:
                        self.book.closed(stream.path, stream.last_append_ms or stream.created_ms)
            self.mark = Mark(first, first, -1)
        self._is_checked = True

    def _read(self) -> tuple[list[Window], bool]:
        assert self.mark is not None
        found: list[Window] = []
        begun = self.mark.lsn
        try:
            for frame in self._frames.after(begun):
                found += self._take(frame)
                self.mark = mark_after(frame)
                if frame.end - begun >= STEP_BYTES:
                    return found, True
        except Gone:
            if not found:
                raise
            return found, True  # what was found stands; the next step says it again
        return found, False

    def _take(self, frame: Frame) -> list[Window]:
        if not changes(frame):
            return []
        entry, found = frame.entry, list[Window]()
        if frame.kind is Kind.CREATE and entry.source is not None:
            self._open(frame)
        if self.book.wants(entry.stream):
            if entry.length:
                body = self._frames.body(frame)
                if body is None or len(body) != entry.length:
                    self.book.unreadable(entry.stream, entry.length)
                else:
                    starts = [offset for offset, _ in entry.starts]
                    found += self.book.bytes(entry.stream, entry.offset, body, starts, entry.time_ms)
            if frame.flags & CLOSES or frame.kind in (Kind.CLOSE, Kind.RETIRE, Kind.DELETE):
                self.book.closed(entry.stream, entry.time_ms)
        return found

    def _open(self, frame: Frame) -> None:
        assert frame.entry.source is not None
        self.book.opened(frame.entry.stream, Source(frame.entry.source).fields())
