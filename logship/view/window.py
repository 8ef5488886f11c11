"""Run: the lines and marks that complete in a window of the journal, stream by stream.

A line's beginning may lie before the window: it is looked for backwards, at most LINE_BYTES_MAX (a longer line is cut
at known places, so more need not be known). What completed before the window is made again and left out, so windows
that adjoin share nothing and miss nothing, however they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from logship.collect.journal import CLOSES, Frame, Kind
from logship.collect.stream import StreamState
from logship.lake.tokens import Need
from logship.view.blocks import Block
from logship.view.glance import may_match
from logship.view.grouped import Grouped
from logship.view.items import DAMAGE, LOSS, START, Hidden, Item, Mark, start_mark
from logship.view.journal_reader import Damage, Journal
from logship.view.lines import CUT, LINE_BYTES_MAX, OPEN, PART, Chunk, Line, Splitter
from logship.view.losses import NONE_PLACED, Placed, Waiting
from logship.view.moment import INHERITED_BYTES_MAX, Said, own_ms
from logship.view.segments import Gone
from logship.view.sought import Fate, Sought
from logship.view.timed import LazyTimes, timed


@dataclass(frozen=True, slots=True)
class Past:
    """What lies before a window, in order: where a line begins, with which flags, and the chunks from there on.

    ``gone``: there was more, up to a frame that the journal has no more; what completes below this LSN.
    """

    offset: int
    flags: int
    chunks: list[Chunk]
    gone: int | None = None


Sealed = Callable[[str, int, int], tuple[int, int, bytes] | None]
"""See ``lake.exact.Exact.before``: stream, LSN, offset -> the beginning of the line there."""
Lines = tuple[list[Line], set[int], bool]


class Below(Protocol):
    """What is known of lines that the journal has no more (``older.Older``)."""

    def before(self, stream: StreamState, offset: int, lsn: int, besides: int) -> Lines: ...
    def is_told(self, mark: Mark) -> bool: ...


class Windows:
    """Reads windows of ``journal``. ``splitter`` makes the lines; ``sealed`` knows what the journal has no more."""

    def __init__(
        self,
        journal: Journal,
        splitter: type[Splitter] = Splitter,
        sealed: Sealed = lambda *_: None,
        below: Below | None = None,
    ) -> None:
        self._journal, self._splitter, self._sealed = journal, splitter, sealed
        self._below = below

    def of_block(
        self, block: Block, sought: Sought, start: int, end: int, *, with_open: bool = False, need: Need | None = None
    ) -> dict[str, list[Item]]:
        """By stream, what completes in the part of the block between two LSNs: lines that are sought, and marks.

        ``with_open``: a stream whose last frame is in here also gives its line that has no end yet. ``need``: what is
        true of all lines that are sought. Raises Gone when retention was quicker, and Damage.
        """
        wanted: dict[str, StreamState] = {stream.path: stream for stream in sought.streams}
        frames: dict[str, list[Frame]] = {}
        for frame in self._journal.frames(block):
            stream = wanted.get(frame.entry.stream)
            if stream is not None and start <= frame.lsn < end and frame.lsn >= stream.created_lsn:
                frames.setdefault(stream.path, []).append(frame)
        return {
            path: list(self._kept(wanted[path], found, sought, with_open))
            for path, found in frames.items()
            if not wanted[path].retired and (need is None or self._may_give(path, found, sought, need))
        }

    def _may_give(self, path: str, frames: list[Frame], sought: Sought, need: Need) -> bool:
        """Whether lines that are sought, or marks, may complete with frames that follow on each other."""
        if sought.events or path in sought.placed or any(frame.entry.starts for frame in frames):
            return True
        try:
            parts = [chunk.data for chunk in self._past(path, frames[0], 0).chunks]
            return may_match(need, b"".join([*parts, *map(self._journal.body, frames)]))
        except Damage:
            return True

    def of_stream(
        self, block: Block, sought: Sought, stream: StreamState, end: int, *, with_open: bool
    ) -> Iterator[Item]:
        """The same of one stream, one frame at a time."""
        frames = self._frames(block, stream, end)
        if frames:
            yield from self._kept(stream, frames, sought, with_open)

    def lines(
        self, block: Block, stream: StreamState, end: int, *, with_open: bool
    ) -> tuple[LazyTimes, Iterator[Line | Mark]] | None:
        """All lines of one stream, and marks but losses, in its order; and what tells times of those that matter."""
        frames = self._frames(block, stream, end)
        if not frames:
            return None
        return LazyTimes(partial(self.earlier, stream.path, frames[0])), self.items(stream, frames, with_open)

    def last(self, stream: StreamState) -> tuple[LazyTimes, Line] | None:
        """The line of a stream that has no end yet, and what tells its time. Raises Gone and Damage."""
        if stream.closed or stream.last_lsn is None:
            return None
        frame = self._journal.frame(stream.last_lsn)
        times = LazyTimes(partial(self.earlier, stream.path, frame))
        *before, last = (None, *self.items(stream, [frame], with_open=True))
        if not isinstance(last, Line) or not last.flags & OPEN:
            return None
        for item in before:
            if isinstance(item, Line):
                times.skip(item)
            elif item is not None and item.what == START:
                times.forget()
        return times, last

    def _frames(self, block: Block, stream: StreamState, end: int) -> list[Frame]:
        found = self._journal.frames(block)
        path, first = stream.path, stream.created_lsn
        return [frame for frame in found if frame.entry.stream == path and first <= frame.lsn < end]

    def _kept(self, stream: StreamState, frames: list[Frame], sought: Sought, with_open: bool) -> Iterator[Item]:
        earlier = partial(self.earlier, stream.path, frames[0])
        if sought.events:
            items = self.items(stream, frames, with_open, sought.placed.get(stream.path, NONE_PLACED))
            yield from Grouped(sought.keep, partial(self.before, stream, frames[0]), earlier).of(items)
            return
        times = LazyTimes(earlier)
        losses = Waiting()
        for item in self.items(stream, frames, with_open, sought.placed.get(stream.path, NONE_PLACED)):
            if isinstance(item, Mark):
                if item.what == LOSS:
                    losses.add(item)
                    continue
                yield from losses.before(item.time_ms)
                if item.what == START:
                    times.forget()
                yield item
                continue
            fate = sought.keep(item)
            if fate is Fate.LEFT_OUT and not losses:
                times.skip(item)
                continue
            time_ms = times.of(item)
            yield from losses.before(time_ms)
            if fate is Fate.GIVEN:
                yield timed(item, time_ms)
            elif fate is Fate.HIDDEN:
                yield Hidden(time_ms, item.stream, item.offset)
        yield from losses.before(None)

    def whole(self, line: Line, size: int) -> bytes:
        """All ``size`` bytes of a line of which the beginning is held. Raises Gone and Damage."""
        if len(line.data) == size:
            return line.data
        parts: list[bytes] = []
        lsn: int | None = line.lsn
        while lsn is not None:
            frame = self._journal.frame(lsn)
            entry = frame.entry
            if entry.length and entry.offset < line.offset + size:
                low = max(line.offset - entry.offset, 0)
                parts.append(self._journal.body(frame)[low : line.offset + size - entry.offset])
            if entry.offset <= line.offset:
                break
            lsn = entry.previous
        return b"".join(reversed(parts))

    def items(
        self, stream: StreamState, frames: list[Frame], with_open: bool = False, losses: Placed = NONE_PLACED
    ) -> Iterator[Line | Mark]:
        """What completes with ``frames``, which follow on each other, with the ``losses`` that stand in them."""
        first = frames[0]
        past = self._past(stream.path, first, 0)
        splitter = self._splitter(stream.path, past.offset, past.flags)
        for chunk in past.chunks:
            splitter.feed(chunk)
        told = self._told(first)
        last_marks: list[Mark] = []
        for frame in frames:
            entry = frame.entry
            starts = [(offset, said) for offset, said in entry.starts if (offset, said) != told]
            told = entry.starts[-1] if entry.starts else told
            goes_on = splitter.goes_on
            try:
                chunk = _chunk(frame, self._journal.body(frame))
            except Damage as damage:
                rest = splitter.open_line(frame.lsn, entry.time_ms)
                if rest is not None:
                    yield rest
                text = f"{entry.length:,} bytes cannot be read: {damage}"
                yield Mark(entry.time_ms, stream.path, entry.offset, DAMAGE, text, frame.lsn, entry.length)
                yield from losses.within(entry.offset, entry.offset + entry.length, goes_on, False)
                splitter = self._splitter(stream.path, entry.offset + entry.length, CUT)
                continue
            lines = splitter.feed(chunk)
            marks = [start_mark(stream.path, offset, said, frame.lsn, entry.time_ms) for offset, said in starts]
            if losses.marks:
                found = losses.within(chunk.offset, chunk.end, goes_on, splitter.goes_on)
                marks = sorted([*found, *marks], key=lambda mark: mark.offset)
                last_marks += losses.at_last(frame.lsn, chunk.end, splitter.goes_on)
            for line in lines:
                while marks and marks[0].offset <= line.offset:
                    yield marks.pop(0)
                yield line
            yield from marks
        last = frames[-1]
        if with_open and not stream.closed and stream.last_lsn == last.lsn:
            rest = splitter.open_line(last.lsn, last.entry.time_ms)
            if rest is not None:
                yield rest
        yield from last_marks

    def before(self, stream: StreamState, first: Frame, besides: int) -> Lines:
        """The lines that complete in the ``besides`` bytes before the frame ``first``, one begun before them included.

        Also where its program was started in there, and whether the stream begins with the first of them.
        """
        past = self._past(stream.path, first, besides)
        splitter = Splitter(stream.path, past.offset, past.flags)
        lines = [line for chunk in past.chunks for line in splitter.feed(chunk)]
        starts = {start for chunk in past.chunks for start in chunk.starts}
        missing = besides - (first.entry.offset - past.offset)
        if past.gone is None or missing <= 0 or past.offset == 0 or self._below is None:
            return lines, starts, past.offset == 0
        older, told, is_all = self._below.before(stream, past.offset, past.gone, missing)
        return [*older, *lines], starts | told, is_all

    def earlier(self, path: str, first: Frame) -> Said | None:
        """The last line before the frame ``first`` that says its time near enough."""
        past = self._past(path, first, INHERITED_BYTES_MAX)
        splitter = Splitter(path, past.offset, past.flags)
        found = None
        for chunk in past.chunks:
            for line in splitter.feed(chunk):
                own = own_ms(line.data, line.received_ms)
                if own is not None:
                    found = Said(line.offset, own, line.received_ms)
            if found is not None and any(start > found.offset for start in chunk.starts):
                found = None
        return found

    def _told(self, first: Frame) -> tuple[int, str] | None:
        """A start at the beginning of ``first`` that was told with the bytes before it, too."""
        entry = first.entry
        if not entry.starts or entry.starts[0][0] != entry.offset or entry.previous is None:
            return None
        try:
            before = self._journal.frame(entry.previous).entry
        except Gone:
            told = start_mark(entry.stream, *entry.starts[0], first.lsn, entry.time_ms)
            return entry.starts[0] if self._below is not None and self._below.is_told(told) else None
        except Damage:
            return None
        return next((pair for pair in before.starts if pair[0] == entry.offset), None)

    def unended(self, path: str, last: Frame) -> tuple[int, int, bytes]:
        """The line that has no end after the frame ``last``: where it begins, how (see ``lines``), and its bytes.

        No bytes where that frame ends a line. Raises Gone, when ``last`` itself is.
        """
        entry = last.entry
        if last.flags & CLOSES or last.kind is Kind.CLOSE:
            return entry.offset + entry.length, 0, b""
        past = self._before(path, entry.offset + entry.length, last.lsn, entry.time_ms, 0)
        return past.offset, past.flags, b"".join(chunk.data for chunk in past.chunks)

    def _past(self, path: str, first: Frame, besides: int) -> Past:
        """What a Splitter has to see before ``first``: from the line's beginning on, or from ``besides`` bytes before.

        The chunks are cut at a place where a line begins.
        """
        return self._before(path, first.entry.offset, first.entry.previous, first.entry.time_ms, besides)

    def _before(self, path: str, position: int, lsn: int | None, time_ms: int, besides: int) -> Past:
        """The same before offset ``position``, where ``lsn`` is that of the frame before it."""
        chunks: list[Chunk] = []
        wanted = position - besides
        low = position
        while lsn is not None and low > 0:
            try:
                frame = self._journal.frame(lsn)
                if frame.entry.stream != path or frame.entry.offset + frame.entry.length != low:
                    break
                chunk = _chunk(frame, self._journal.body(frame))
            except Damage:
                return Past(low, CUT, chunks[::-1])
            except Gone:
                offset, flags, data = self._sealed(path, lsn, low) or (low, CUT, b"")
                beginning = [Chunk(offset, data, lsn, time_ms)] if data else []
                return Past(offset, flags, [*beginning, *chunks[::-1]], lsn + 1)
            begins = _line_begins(chunk, min(max(wanted, chunk.offset), low))
            if begins is not None:
                chunks.append(_from(chunk, begins))
                return Past(begins, 0, chunks[::-1])
            chunks.append(chunk)
            low = chunk.offset
            if position - low > LINE_BYTES_MAX + besides:
                return _long(chunks, low, position - besides)
            lsn = frame.entry.previous
        return Past(low, CUT if low > 0 else 0, chunks[::-1])


def _chunk(frame: Frame, body: bytes) -> Chunk:
    entry = frame.entry
    closes = bool(frame.flags & CLOSES) or frame.kind is Kind.CLOSE
    return Chunk(entry.offset, body, frame.lsn, entry.time_ms, [offset for offset, _ in entry.starts], closes)


def _from(chunk: Chunk, offset: int) -> Chunk:
    starts = [start for start in chunk.starts if start >= offset]
    return Chunk(offset, chunk.data[offset - chunk.offset :], chunk.lsn, chunk.received_ms, starts, chunk.closes)


def _line_begins(chunk: Chunk, at: int) -> int | None:
    """The last place at or before ``at`` in the chunk where a line surely begins."""
    newline = chunk.data.rfind(b"\n", 0, at - chunk.offset)
    found = [start for start in chunk.starts if start <= at]
    if newline >= 0:
        found.append(chunk.offset + newline + 1)
    if chunk.offset == 0:
        found.append(0)
    return max(found, default=None)


def _long(chunks: list[Chunk], low: int, position: int) -> Past:
    """The bytes before ``position`` belong to a line that is too long to be given whole: begin at its last cut."""
    cut = (position - 1) // LINE_BYTES_MAX * LINE_BYTES_MAX
    kept = [_from(chunk, max(chunk.offset, cut)) for chunk in chunks if chunk.offset + len(chunk.data) > cut]
    assert cut >= low
    return Past(cut, PART, kept[::-1])
