"""Run: what was, and what comes, for one reader: the last lines, all lines, the next batch.

Everything is a union of windows of the journal (``window``), so history up to an LSN and batches from it on fit
together without hole or duplicate. Memory is bounded: of what is read only what may still be among the wanted lines
is held, and of each line only its beginning.
Generators give None now and then while they find nothing, so that whoever asks can stop them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from logship.collect.stream import StreamState
from logship.lake.reader import Reader, Unreadable
from logship.lake.selection import Selection
from logship.view.blocks import Block
from logship.view.bounds import Bounds, out_of_range, too_old
from logship.view.certain import certain
from logship.view.deleted import Deletions, before
from logship.view.items import DAMAGE, Batch, Item, Mark, Skipped, TimedLine, loss_mark
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.lines import Line
from logship.view.losses import apart, concerns, not_given
from logship.view.merge import merged
from logship.view.newest import Newest
from logship.view.older import Older
from logship.view.oldest import OldestFirst
from logship.view.segments import Gone
from logship.view.select import Wanted
from logship.view.sought import Sought, keeper, streams_of
from logship.view.window import Windows

BATCH_BYTES_MAX = 1 << 20
"""How much journal a batch of a follower covers: one block more than this at most."""

FRAMES_BACK_MAX = 10_000
"""How far the end of a stream at an earlier LSN is looked for: by a reader that asks once more for what it had."""

RECORDED_MAX = 20_000
"""Times of losses that are kept in memory: twice what the ledger holds."""


@dataclass(slots=True)
class _Floor:
    """Where a reading backwards is: what is older than this LSN is in the lake, if anywhere."""

    lsn: int


class History:
    """Readings of a journal, and of the lake for what the journal does not keep any more."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.older = Older(Reader(journal.folder))
        self.windows = Windows(journal, sealed=self.older.exact.before, below=self.older)
        self.deletions = Deletions(journal, self.older)
        self._oldest_first = OldestFirst(journal, self.older, self.windows)
        self._recorded: dict[tuple[int, int], int] = {}  # of frames with losses, by store and LSN

    # The last lines.

    def tail(
        self, picture: Picture, wanted: Wanted, count: int, end: int, *, with_open: bool
    ) -> Iterator[list[Item] | None]:
        """The last ``count`` wanted lines below LSN ``end`` by time, with the marks among them, as one list at last.

        How many lines are hidden from the first of them on is its last item.
        """
        sought, others = self._sought(picture, wanted, 0, end)
        newest = Newest(count)
        floor = _Floor(end)
        for block in self._newest_first(sought, wanted, newest, floor) if count > 0 else ():
            try:
                newest.add(self._window(block, sought, Bounds(0, end, with_open), wanted))
            except Gone:  # retention took it just now, and all before it
                floor.lsn = min(end, block.end)
                break
            yield None
        too_old = partial(_too_old_for, wanted, newest)
        for found in self.older.newest_first(sought, wanted, floor.lsn, count, too_old) if count > 0 else ():
            newest.add(found)
            yield None
        deleted = self.deletions.marks(picture, wanted, end, newest.enough_ms)
        for path, mark in deleted.placed.items():
            newest.add({path: [before(mark, newest.first(path))]})
        yield newest.result(sorted([*others, *deleted.others], key=lambda mark: mark.time_ms))

    # All of them.

    def everything(self, picture: Picture, wanted: Wanted, end: int, *, with_open: bool) -> Iterator[Item | None]:
        """All wanted lines and marks below LSN ``end``, merged by time."""
        sought, others = self._sought(picture, wanted, 0, end)
        bounds = Bounds(0, end, with_open and end == picture.end)
        deleted = self.deletions.marks(picture, wanted, end)
        yield from self._oldest_first.items(sought, others, deleted, wanted, bounds)

    def whole(self, line: Line, size: int) -> bytes:
        """All ``size`` bytes of a line of which the beginning is held. Raises Gone and Damage."""
        try:
            return self.windows.whole(line, size)
        except Gone:
            try:
                return self.older.reader.whole(line)
            except Unreadable as error:
                raise Gone(str(error)) from error

    # What comes.

    def batch(self, picture: Picture, wanted: Wanted, start: int) -> Batch:
        """What completes from LSN ``start`` on, up to the picture's end or for about BATCH_BYTES_MAX of journal."""
        kept = self.journal.segments()[0]
        if start < kept:
            return self._older_batch(picture, wanted, start, kept)
        streams = streams_of(picture.streams.values(), picture.identities, wanted)
        paths = [stream.path for stream in streams]
        end = picture.end
        blocks: list[Block] = []
        for segment_lsn in self._holding(start, end):
            blocks += self._blocks(segment_lsn, paths, start, end)
            beyond = next((block.lsn for block in blocks if block.lsn - start > BATCH_BYTES_MAX), None)
            if beyond is not None:
                end = beyond
                break
        sought, others = self._sought(picture, wanted, start, end)
        held: dict[str, list[Item]] = {}
        for block in blocks:
            if block.lsn < end:
                with contextlib.suppress(Gone):  # what retention takes while it is read was the oldest there is
                    for path, items in self._window(block, sought, Bounds(start, end), wanted).items():
                        held.setdefault(path, []).extend(items)
        # A loss is told with its record: of what was before, its place has been given already.
        given = (item for items in held.values() for item in items)
        late: list[Item] = [mark for mark in not_given(sought.placed, given) if wanted.time(mark.time_ms)]
        return Batch(start, end, list(merged([*held.values(), others, late])))

    def _older_batch(self, picture: Picture, wanted: Wanted, start: int, end: int) -> Batch:
        """The same of what the journal has no more: who comes back late reads on in the lake, a file at a time."""
        streams = streams_of(picture.streams.values(), picture.identities, wanted, self.older.paths())
        keep = keeper(wanted, streams, picture.identities)
        to, held = self.older.completing(
            Sought(streams, keep, events=wanted.events), start, end, self.journal.began_ms(end) or 0
        )
        losses = [*self._losses(picture, wanted, start, to)]
        items = merged([*held, list[Item](losses)])
        return Batch(start, to, [item for item in items if wanted.time(item.time_ms)])

    def skip(self, picture: Picture, wanted: Wanted, start: int, end: int) -> Iterator[Skipped | None]:
        """Count what completes between two LSNs, instead of giving it."""
        lines = 0
        at = start
        bound = Picture(end, picture.streams, picture.identities, picture.losses)
        while at < end:
            batch = self.batch(bound, wanted, at)
            lines += sum(isinstance(item, TimedLine) for item in batch.items)
            at = batch.end
            yield None
        yield Skipped(start, end, lines)

    # Pieces.

    def _sought(self, picture: Picture, wanted: Wanted, start: int, end: int) -> tuple[Sought, list[Item]]:
        """What is looked for, with the losses recorded between two LSNs; and those that have no place in a stream."""
        sealed = self.older.paths() if start == 0 else ()
        streams = streams_of(picture.streams.values(), picture.identities, wanted, sealed)
        marks = self._losses(picture, wanted, start, end)
        readable: dict[str, StreamState] = {stream.path: stream for stream in streams}
        lasts: dict[str, tuple[int, int] | None] = {}

        def place(mark: Mark) -> int | None:
            stream = readable.get(mark.stream)
            if stream is None or mark.loss is None or mark.loss.offset is None:
                return None
            if mark.stream not in lasts:
                lasts[mark.stream] = self._last_frame(stream, end)
            last = lasts[mark.stream]
            return last[0] if last is not None and mark.offset <= last[1] and self._is_kept(stream, mark) else None

        placed, others = apart(marks, place)
        in_range: list[Item] = [mark for mark in others if wanted.time(mark.time_ms)]
        candidates = self.older.candidates(wanted)
        selection = Selection(wanted, streams, picture.identities, candidates) if start == 0 else None
        keep = keeper(wanted, streams, picture.identities)
        return Sought(streams, keep, placed, wanted.events, selection), in_range

    def _last_frame(self, stream: StreamState, end: int) -> tuple[int, int] | None:
        """LSN and last offset of the stream's last frame with bytes below LSN ``end``; None: there is none, or gone."""
        lsn = stream.last_lsn if stream.created_lsn < end else None
        try:
            for _ in range(FRAMES_BACK_MAX):
                if lsn is None:
                    return None
                entry = self.journal.frame(lsn).entry
                if lsn < end:
                    return lsn, entry.offset + entry.length
                lsn = entry.previous
        except (Gone, Damage):
            pass
        return None

    def _is_kept(self, stream: StreamState, mark: Mark) -> bool:
        try:
            first = self.journal.first_offset(stream)
        except (Gone, Damage):
            return False
        return first < mark.offset or first == mark.offset == 0

    def _losses(self, picture: Picture, wanted: Wanted, start: int, end: int) -> Iterator[Mark]:
        """The marks of loss records of wanted streams (and of none) between two LSNs."""
        for lsn, loss in picture.losses_between(start, end):
            if concerns(loss, picture.identities, wanted):
                recorded_ms = self.recorded_ms(picture, lsn)
                if recorded_ms is not None:
                    yield loss_mark(lsn, loss, recorded_ms)

    def recorded_ms(self, picture: Picture, lsn: int) -> int | None:
        """When the frame at ``lsn`` was written, about; None when it is as old as what retention took."""
        found = self._recorded.get((picture.store, lsn))
        if found is None:
            try:
                found = self.journal.frame(lsn).entry.time_ms
            except Gone:
                return self.older.received_ms(lsn)
            except Damage:
                return None
            if len(self._recorded) >= RECORDED_MAX:
                self._recorded.clear()
            self._recorded[picture.store, lsn] = found
        return found

    def _window(self, block: Block, sought: Sought, bounds: Bounds, wanted: Wanted) -> dict[str, list[Item]]:
        try:
            need = certain(wanted.node, wanted.grep)
            found = self.windows.of_block(
                block, sought, bounds.start, bounds.end, with_open=bounds.with_open, need=need
            )
        except Damage as damage:
            return {"": [Mark(block.oldest_ms, "", block.lsn, DAMAGE, str(damage), block.lsn)]}
        if wanted.since_ms is None and wanted.until_ms is None:
            return found
        return {path: [item for item in items if wanted.time(item.time_ms)] for path, items in found.items()}

    def _newest_first(self, sought: Sought, wanted: Wanted, newest: Newest, floor: _Floor) -> Iterator[Block]:
        """Blocks below ``floor`` that may hold wanted lines, backwards, until they are older than is wanted or needed.

        ``floor`` is left where the journal began.
        """
        end = floor.lsn
        segments = [lsn for lsn in self.journal.segments() if lsn < end]
        floor.lsn = segments[0] if segments else end
        first = min((stream.created_lsn for stream in sought.streams), default=end)
        following: int | None = None
        for segment_lsn in reversed(segments):
            if following is not None and following <= first:
                return
            newest_ms = None if following is None else self.journal.began_ms(following)
            if newest_ms is not None and too_old(newest_ms, wanted, newest.enough_ms):
                return
            try:
                blocks = self.journal.blocks(segment_lsn, end).blocks(sought.paths, 0, end)
            except Gone:
                floor.lsn = min(end, following or end)
                return
            for block in reversed(blocks):
                if too_old(block.newest_ms, wanted, newest.enough_ms):
                    continue
                if not out_of_range(block, wanted):
                    yield block
            following = segment_lsn

    def _holding(self, start: int, end: int) -> list[int]:
        """The segments that hold LSNs from ``start`` to ``end``."""
        segments = self.journal.segments()
        return [
            lsn
            for number, lsn in enumerate(segments)
            if lsn < end and (number + 1 == len(segments) or segments[number + 1] > start)
        ]

    def _blocks(self, segment_lsn: int, paths: Iterable[str], start: int, end: int) -> list[Block]:
        try:
            return self.journal.blocks(segment_lsn, end).blocks(paths, start, end)
        except Gone:
            return []


def _too_old_for(wanted: Wanted, newest: Newest, newest_ms: int) -> bool:
    return too_old(newest_ms, wanted, newest.enough_ms)
