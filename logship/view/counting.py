"""Run: the lines of a reading handed to a pipe, newest first, a step at a time.

A table needs no order, so streams are not merged: what is in a block of the journal is read stream by stream. A step
lasts STEP_SECONDS, so that whoever asks can go away, and says how far it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.lake.reader import Unreadable
from logship.view.blocks import Block
from logship.view.history import History, out_of_range
from logship.view.items import START, Mark
from logship.view.journal_reader import Damage, Picture
from logship.view.language import Node
from logship.view.lines import Line
from logship.view.pipes_result import Making, Report
from logship.view.segments import Gone
from logship.view.select import Identity, Wanted, is_snapshot
from logship.view.sought import streams_of
from logship.view.timed import LazyTimes
from logship.view.where import Subject, Test, Where

STEP_SECONDS = 0.02
LINES_A_LOOK = 50
"""So often the clock is looked at."""


@dataclass(slots=True)
class Progress:
    """How far a reading is: the ``share`` of the journal, back to which time of receipt, what it has met so far."""

    share: float = 0.0
    back_to_ms: int | None = None
    lines: int = 0
    bytes: int = 0
    matched: int = 0
    hidden: int = 0
    damaged: int = 0
    damaged_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Of:
    """What is looked for in one stream."""

    stream: StreamState
    identity: Identity
    test: Test
    hides: bool


class _Told:
    """Times of lines that come with them."""

    def __init__(self) -> None:
        self._ms = 0

    def noted(self, rows: Iterator[tuple[Line, int]]) -> Iterator[Line]:
        """The lines; the time of the one given last is known."""
        for line, self._ms in rows:
            yield line

    def of(self, _line: Line) -> int:
        """Of the one given last."""
        return self._ms

    def skip(self, _line: Line) -> None:
        """Nothing hangs on it."""

    def forget(self) -> None:
        """Likewise."""


class Counting:
    """One reading of ``picture`` below LSN ``end``, for ``making``. ``node``: which lines; None means all."""

    def __init__(
        self,
        history: History,
        picture: Picture,
        wanted: Wanted,
        node: Node | None,
        making: Making | Report,
        end: int,
        clock: Callable[[], float],
    ) -> None:
        self.progress = Progress()
        self._journal, self._windows, self._older = history.journal, history.windows, history.older
        self._wanted, self._making, self._end, self._clock = wanted, making, end, clock
        self._with_open = end == picture.end
        self._timed = making.pipe.needs_time or wanted.since_ms is not None or wanted.until_ms is not None
        self._filtered = wanted.grep is not None or wanted.exclude is not None
        where = None if node is None else Where(node)
        self._of: dict[str, _Of] = {}
        for stream in streams_of(picture.streams.values(), picture.identities, wanted, self._older.paths()):
            identity = picture.identities[stream.path]
            test = True if where is None else where.test(identity)
            self._of[stream.path] = _Of(stream, identity, test, wanted.hides_snapshots(identity))
        self._step_ends = 0.0
        self._floor = end  # below it lines are in the lake, if anywhere
        self._given = (-1, -1)  # LSN and offset of the line of a stream that was looked at last

    def steps(self) -> Iterator[None]:
        """Reads; a value after each step. Raises Slow, TooMuch."""
        self._step_ends = self._clock() + STEP_SECONDS
        for block, first_lsn in self._blocks():
            self.progress.share = (self._end - block.end) / max(1, self._end - first_lsn)
            yield from self._block(block)
            self.progress.back_to_ms = block.oldest_ms
            if self._is_over():
                yield None
            if self._floor == block.lsn:
                break
        yield from self._sealed([of.stream for of in self._of.values()], 0, min(self._floor, self._end))
        self.progress.share = 1.0
        yield None

    def _block(self, block: Block) -> Iterator[None]:
        """A block of the journal; what retention takes of it meanwhile is read on in the lake, as all before it."""
        gone = False
        for of in self._of.values():
            self._given = (-1, -1)
            try:
                found = None if gone else self._windows.lines(block, of.stream, self._end, with_open=self._with_open)
                if found is not None:
                    yield from self._read(of, *found)
            except Gone:
                gone, self._floor = True, block.lsn
            except Damage:
                self.progress.damaged += 1
                return
            if gone:
                yield from self._sealed([of.stream], block.lsn, min(block.end, self._end), self._given)

    def _sealed(
        self, streams: list[StreamState], start: int, end: int, given: tuple[int, int] = (-1, -1)
    ) -> Iterator[None]:
        """What retention took from the journal, out of the lake; without lines up to ``given``: LSN and offset."""
        first_lsn = self._older.first_lsn(0, end)
        for file, rows in self._older.lines(streams, self._wanted, start, end):
            if isinstance(file, Mark):
                self.progress.damaged += 1
                self.progress.damaged_bytes += file.bytes or 0
                continue
            self.progress.share = (self._end - file.end_lsn) / max(1, self._end - first_lsn)
            told = _Told()
            try:
                for line in told.noted(row for row in rows if (row[0].lsn, row[0].offset) > given):
                    yield from self._read(self._of[line.stream], told, iter((line,)))
            except Unreadable:
                self.progress.damaged += 1
            self.progress.back_to_ms = file.oldest_received
            if self._is_over():
                yield None

    def _read(self, of: _Of, times: LazyTimes | _Told, items: Iterator[Line | Mark]) -> Iterator[None]:
        progress, making, wanted, identity = self.progress, self._making, self._wanted, of.identity
        test, kind, hides = of.test, of.identity.kind, of.hides
        for item in items:
            if isinstance(item, Mark):
                if item.what == START:
                    times.forget()
                else:
                    progress.damaged += 1
                    progress.damaged_bytes += item.bytes or 0
                continue
            self._given = item.lsn, item.offset
            progress.lines += 1
            progress.bytes += len(item.data)
            if progress.lines % LINES_A_LOOK == 0 and self._is_over():
                yield None
            subject = Subject(kind, item.text)
            if (self._filtered and not wanted.text(subject.data)) or not (test is True or (test and test(subject))):
                times.skip(item)
                continue
            time_ms = times.of(item) if self._timed else 0
            if self._timed and not wanted.time(time_ms):
                continue
            if hides and is_snapshot(item.data):
                progress.hidden += 1
                continue
            progress.matched += 1
            making.add(time_ms, identity, subject.get)

    def _is_over(self) -> bool:
        """Whether a step is over; then the next one begins."""
        now = self._clock()
        if now < self._step_ends:
            return False
        self._step_ends = now + STEP_SECONDS
        return True

    def _blocks(self) -> Iterator[tuple[Block, int]]:
        """Blocks that may hold wanted lines, newest first, each with the LSN at which all that is looked at begins."""
        since_ms = self._wanted.since_ms
        segments = [lsn for lsn in self._journal.segments() if lsn < self._end]
        self._floor = segments[0] if segments else self._end
        first = 0
        for number, following in enumerate(segments[1:]):
            began_ms = self._journal.began_ms(following)
            if (since_ms is not None and began_ms is not None and began_ms < since_ms) or following <= self._oldest():
                first = number + 1
        following = self._end
        for segment_lsn in reversed(segments[first:]):
            try:
                blocks = self._journal.blocks(segment_lsn, self._end).blocks(self._of, 0, self._end)
            except Gone:
                self._floor = following
                return
            following = segment_lsn
            for block in reversed(blocks):
                if not out_of_range(block, self._wanted):
                    yield block, segments[first]

    def _oldest(self) -> int:
        return min((of.stream.created_lsn for of in self._of.values()), default=self._end)
