"""Run: all lines of a reading, oldest first, merged by time; each is given once it is known that none comes before it.

What the lake has is looked for first, a few files at a time: no line of a later file is older than the manifest says of
it, so what is older is given while the rest is looked for. Where much is wanted, and in the journal, each stream is
read on in its own order. Left to others: rows (``older``), windows of the journal (``window``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logship.collect.stream import StreamState
from logship.view.blocks import Block
from logship.view.bounds import Bounds, out_of_range
from logship.view.deleted import Deleted
from logship.view.items import DAMAGE, START, Item, Mark, TimedLine
from logship.view.journal_reader import Damage, Journal
from logship.view.merge import Gradual
from logship.view.newest import from_first_line
from logship.view.older import Older
from logship.view.segments import Gone
from logship.view.select import Wanted
from logship.view.sought import Sought
from logship.view.window import Windows

HELD_MAX = 20_000
"""So many items wait at most for what may come before them; with more each stream is read on in its own order."""


class OldestFirst:
    """Reads ``older`` and behind it the ``journal``, of which ``windows`` makes lines."""

    def __init__(self, journal: Journal, older: Older, windows: Windows) -> None:
        self._journal, self._older, self._windows = journal, older, windows

    def items(
        self, sought: Sought, others: list[Item], deleted: Deleted, wanted: Wanted, bounds: Bounds
    ) -> Iterator[Item | None]:
        """All wanted lines and marks; None where nobody knows yet which one is next."""
        yield from from_first_line(self._merged(sought, others, deleted, wanted, bounds))

    def _merged(
        self, sought: Sought, others: list[Item], deleted: Deleted, wanted: Wanted, bounds: Bounds
    ) -> Iterator[Item | None]:
        kept = min(bounds.end, self._journal.segments()[0])
        streams = sorted(sought.streams, key=lambda stream: stream.path)
        numbers: dict[str, int] = {stream.path: number for number, stream in enumerate(streams)}
        merging = Gradual[Item](len(streams) + 2)
        merging.add(len(streams), sorted([*others, *deleted.others], key=lambda item: item.time_ms))
        merging.add(len(streams) + 1, self._older.marks(wanted, kept))
        at, journaled_ms = 0, None
        for piece in self._older.oldest_first(sought, wanted, kept):
            for path, items in piece.items.items():
                merging.add(numbers[path], deleted.leading(path, items) if items else ())
            at = piece.end_lsn
            if merging.held and piece.since_ms:
                if journaled_ms is None:
                    journaled_ms = self._since_ms(sought, wanted, bounds)
                since_ms = min(piece.since_ms, journaled_ms)
                for mark in deleted.earlier(since_ms):
                    merging.add(numbers.get(mark.stream, len(streams)), [mark])
                yield from merging.before(since_ms)
            yield None
            if merging.held > HELD_MAX:
                break
        rest: list[Iterable[Item]] = [
            deleted.leading(stream.path, self._stream(sought, stream, wanted, bounds, at)) for stream in streams
        ]
        yield from merging.rest([*rest, (), ()])

    def _since_ms(self, sought: Sought, wanted: Wanted, bounds: Bounds) -> int:
        """Nothing that the journal gives has an earlier time."""
        found = [mark.time_ms for placed in sought.placed.values() for mark in placed.marks]
        try:
            for segment_lsn, _ in self._holding(self._journal.segments(), wanted, bounds):
                blocks = self._journal.blocks(segment_lsn, bounds.end).blocks(sought.paths, 0, bounds.end)
                found += [block.since_ms for block in blocks if not out_of_range(block, wanted)]
        except Gone:  # retention took it just now
            return 0
        return max(min(found, default=1 << 62), wanted.since_ms or 0)

    def _stream(
        self, sought: Sought, stream: StreamState, wanted: Wanted, bounds: Bounds, start: int
    ) -> Iterator[Item]:
        """All of a stream that completes from LSN ``start`` on."""
        segments = self._journal.segments()
        yield from self._older.of_stream(sought, stream, wanted, start, min(bounds.end, segments[0]))
        for segment_lsn, following in self._holding(segments, wanted, bounds) if not stream.retired else ():
            if following is not None and following <= stream.created_lsn:
                continue
            try:
                blocks = self._journal.blocks(segment_lsn, bounds.end).blocks([stream.path], 0, bounds.end)
            except Gone:  # retention took it just now
                end = min(bounds.end, following or bounds.end)
                yield from self._older.of_stream(sought, stream, wanted, segment_lsn, end)
                continue
            for block in blocks:
                if not out_of_range(block, wanted):
                    yield from self._of_stream(block, sought, stream, bounds, wanted)

    def _holding(self, segments: list[int], wanted: Wanted, bounds: Bounds) -> Iterator[tuple[int, int | None]]:
        """Those of the segments that may have lines in the range, and the one after each."""
        for number, segment_lsn in enumerate(segments):
            following = segments[number + 1] if number + 1 < len(segments) else None
            if segment_lsn >= bounds.end:
                return
            if following is not None and wanted.since_ms is not None:
                began_ms = self._journal.began_ms(following)
                if began_ms is not None and began_ms < wanted.since_ms:
                    continue
            yield segment_lsn, following

    def _of_stream(
        self, block: Block, sought: Sought, stream: StreamState, bounds: Bounds, wanted: Wanted
    ) -> Iterator[Item]:
        given = begun = (-1, -1)
        try:
            for item in self._windows.of_stream(block, sought, stream, bounds.end, with_open=bounds.with_open):
                if isinstance(item, TimedLine):
                    given = item.line.lsn, item.offset
                elif isinstance(item, Mark):
                    begun = item.lsn, item.offset
                if wanted.time(item.time_ms):
                    yield item
        except Gone:  # retention took it just now: what was not given is in the lake, if there is one
            for item in self._older.of_stream(sought, stream, wanted, block.lsn, min(block.end, bounds.end)):
                is_given = isinstance(item, TimedLine) and (item.line.lsn, item.offset) <= given
                if isinstance(item, Mark) and item.what == START:
                    is_given = (item.lsn, item.offset) <= begun
                if not is_given:
                    yield item
        except Damage as damage:
            yield Mark(block.oldest_ms, stream.path, 0, DAMAGE, str(damage), block.lsn)
