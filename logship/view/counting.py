"""Run: the lines of a reading handed to a pipe, newest first, a step at a time.

A table needs no order, so streams are not merged: what is in a block of the journal is read stream by stream. A step
lasts STEP_SECONDS, so that whoever asks can go away, and says how far it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.lake.engine import Stopped
from logship.lake.grouping import Answers, grouping_of
from logship.lake.reader import Unreadable
from logship.lake.selection import Selection
from logship.view.blocks import Block
from logship.view.bounds import out_of_range
from logship.view.counting_lake import LakeCounting, Progress
from logship.view.history import History
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
        streams = streams_of(picture.streams.values(), picture.identities, wanted, self._older.paths())
        self._of: dict[str, _Of] = {}
        for stream in streams:
            identity = picture.identities[stream.path]
            test = True if where is None else where.test(identity)
            self._of[stream.path] = _Of(stream, identity, test, wanted.hides_snapshots(identity))
        self._step_ends = 0.0
        self._bottom = self._floor = 0
        self._given = (-1, -1)  # LSN and offset of the line of a stream that was looked at last
        self._asking = self._older.asking() if self._older.paths() else None
        self._selection = Selection(wanted, streams, picture.identities, self._older.candidates(wanted))
        self._lake = self._sealed(self._selection, picture.identities)

    def stop(self) -> None:
        """End it soon, from any thread: what DuckDB is about is interrupted. Its steps end as if all was read."""
        if self._asking is not None:
            self._asking.stop()

    def steps(self) -> Iterator[None]:
        """Reads, newest first: the journal, and below what is sealed the lake. A value after each step.

        Raises Slow, TooMuch.
        """
        self._step_ends = self._clock() + STEP_SECONDS
        segments = [lsn for lsn in self._journal.segments() if lsn < self._end]
        kept = segments[0] if segments else self._end
        sealed = min(self._older.sealed_end(kept) if self._asking else 0, self._end)
        self._bottom = min(self._older.first_lsn(0, self._end), self._first_wanted(segments))
        try:
            low = yield from self._journaled(max(kept, sealed), self._end)
            yield from self._open_lines(kept, low)
            yield from self._lake.steps(0, low, self._share)
        except Stopped:
            return
        finally:
            if self._asking is not None:
                self._asking.close()
        self.progress.share = 1.0
        yield None

    def _share(self, lsn: int) -> float:
        """How much of what is kept lies above an LSN."""
        return max(0.0, min(1.0, (self._end - lsn) / max(1, self._end - self._bottom)))

    def _journaled(self, start: int, end: int) -> Generator[None, None, int]:
        """The lines of the journal that complete between two LSNs; down to where, if retention is quicker."""
        for block in self._blocks(start, end):
            if block is None:
                return self._floor
            self.progress.share = self._share(block.end)
            gone = yield from self._block(block, start, end)
            self.progress.back_to_ms = block.oldest_ms
            if self._is_over():
                yield None
            if gone:
                return block.lsn
        return start

    def _block(self, block: Block, start: int, end: int) -> Generator[None, None, bool]:
        """A block of the journal; what retention takes of it meanwhile is read on in the lake. Whether it did."""
        gone = False
        for of in self._of.values():
            self._given = (-1, -1)
            try:
                with_open = self._with_open and end == self._end
                found = None if gone else self._windows.lines(block, of.stream, end, with_open=with_open)
                if found is not None:
                    yield from self._read(of, found[0], _from(*found, start))
            except Gone:
                gone = True
            except Damage:
                self.progress.damaged += 1
                return False
            if gone:
                yield from self._rest(of.stream, max(block.lsn, start), min(block.end, end))
        return gone

    def _open_lines(self, kept: int, end: int) -> Iterator[None]:
        """Lines without an end of streams that have said nothing since they were sealed: they are in no file."""
        if not self._with_open:
            return
        for of in self._of.values():
            last = of.stream.last_lsn
            if last is None or not kept <= last < end or of.stream.closed or of.stream.retired:
                continue
            try:
                found = self._windows.last(of.stream)
                if found is not None:
                    yield from self._read(of, found[0], iter((found[1],)))
            except (Gone, Damage):
                continue  # what was kept of it was told when it was sealed

    def _otherwise(self, start: int, end: int) -> Iterator[None] | None:
        """The same lines out of the journal, where that still has them."""
        if start < self._journal.segments()[0]:
            return None
        return self._again(start, end)

    def _again(self, start: int, end: int) -> Iterator[None]:
        low = yield from self._journaled(start, end)
        self.progress.damaged += low > start

    def _sealed(self, selection: Selection, identities: Mapping[str, Identity]) -> LakeCounting:
        making, grouping, answers = self._making, grouping_of(self._making.pipe), None
        if grouping is not None and isinstance(making, Making):
            answers = Answers(grouping, making, identities)
        return LakeCounting(
            self._older, self._asking, selection, grouping if answers else None, answers, self.progress, self._judge,
            self._otherwise, self._clock,
        )  # fmt: skip

    def _judge(self, rows: Iterable[tuple[Line, int]]) -> Iterator[None]:
        """Lines of the lake that are looked at one by one; somebody else says how many there are."""
        lines, size = self.progress.lines, self.progress.bytes
        told = _Told()
        for line in told.noted(iter(rows)):
            yield from self._read(self._of[line.stream], told, iter((line,)))
            self.progress.lines, self.progress.bytes = lines, size
        if self._is_over():
            yield None

    def _rest(self, stream: StreamState, start: int, end: int) -> Iterator[None]:
        """What retention takes of a block while it is read, out of the lake; without what was given of it."""
        given = self._given
        for file, rows in self._older.lines(self._selection.only(stream), start, end):
            if isinstance(file, Mark):
                self.progress.meet(file)
                continue
            told = _Told()
            try:
                for line in told.noted(row for row in rows if (row[0].lsn, row[0].offset) > given):
                    yield from self._read(self._of[line.stream], told, iter((line,)))
            except Unreadable:
                self.progress.damaged += 1

    def _read(self, of: _Of, times: LazyTimes | _Told, items: Iterator[Line | Mark]) -> Iterator[None]:
        progress, making, wanted, identity = self.progress, self._making, self._wanted, of.identity
        test, kind, hides = of.test, of.identity.kind, of.hides
        for item in items:
            if isinstance(item, Mark):
                if item.what == START:
                    times.forget()
                progress.meet(item)
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

    def _blocks(self, start: int, end: int) -> Iterator[Block | None]:
        """Blocks that may hold wanted lines, newest first; None where retention was quicker, with ``_floor`` there."""
        segments = [lsn for lsn in self._journal.segments() if lsn < end]
        first = self._first_wanted(segments)
        following = end
        for number in range(len(segments) - 1, -1, -1):
            segment_lsn = segments[number]
            if following <= start or segment_lsn < first:
                return
            try:
                blocks = self._journal.blocks(segment_lsn, end).blocks(self._of, start, end)
            except Gone:
                self._floor = following
                yield None
                return
            following = segment_lsn
            for block in reversed(blocks):
                if not out_of_range(block, self._wanted):
                    yield block

    def _first_wanted(self, segments: list[int]) -> int:
        """The segment before which nothing that the journal has is wanted."""
        since_ms = self._wanted.since_ms
        oldest = min((of.stream.created_lsn for of in self._of.values()), default=self._end)
        found = segments[0] if segments else self._end
        for following in segments[1:]:
            began_ms = self._journal.began_ms(following)
            if (since_ms is not None and began_ms is not None and began_ms < since_ms) or following <= oldest:
                found = following
        return found


def _from(times: LazyTimes, items: Iterator[Line | Mark], start: int) -> Iterator[Line | Mark]:
    """Without lines that complete before an LSN; those that follow may have their times."""
    for item in items:
        if isinstance(item, Mark) or item.lsn >= start:
            yield item
        else:
            times.skip(item)
