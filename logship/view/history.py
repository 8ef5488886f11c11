"""Run: what was, and what comes, for one reader: the last lines, all lines, the next batch.

Everything is a union of windows of the journal (``window``), so history up to an LSN and batches from it on fit
together without hole or duplicate. Memory is bounded: of what is read only what may still be among the wanted lines
is held, and of each line only its beginning.
Generators give None now and then while they find nothing, so that whoever asks can stop them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.view.blocks import Block
from logship.view.items import DAMAGE, Batch, Item, Mark, Skipped, TimedLine, loss_mark
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.lines import Line
from logship.view.merge import merged
from logship.view.moment import DAY_MS
from logship.view.segments import Gone
from logship.view.select import Wanted
from logship.view.window import Windows

HELD_MAX = 20_000
HELD_BYTES_MAX = 64 * 1024 * 1024
_LOSSES = "\0losses"
"""In place of a stream: loss records have times of their own, and are no part of a stream's order."""
BATCH_BYTES_MAX = 1 << 20
"""How much journal a batch of a follower covers: one block more than this at most."""


class History:
    """Readings of a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.windows = Windows(journal)

    # The last lines.

    def tail(
        self, picture: Picture, wanted: Wanted, count: int, end: int, *, with_open: bool
    ) -> Iterator[list[Item] | None]:
        """The last ``count`` wanted lines below LSN ``end`` by time, with the marks among them, as one list at last."""
        streams = self._streams(picture, wanted)
        held: dict[str, list[list[Item]]] = {}
        lines = held_bytes = 0
        enough = _Enough()
        for block in self._newest_first(streams, wanted, end, enough) if count > 0 else ():
            for path, items in self._window(block, streams, 0, end, wanted, with_open).items():
                if items:
                    held.setdefault(path, []).append(items)
                for item in items:
                    if isinstance(item, TimedLine):
                        lines += 1
                        held_bytes += len(item.line.data)
            if lines >= count and (enough.ms is None or lines >= count + HELD_MAX or held_bytes > HELD_BYTES_MAX):
                last = _last(_in_order(held), count)
                enough.ms = next((item.time_ms for item in last if isinstance(item, TimedLine)), 0)
                if lines > count + HELD_MAX or held_bytes > HELD_BYTES_MAX:
                    held = _by_stream(last)
                    lines = min(count, lines)
                    held_bytes = sum(len(item.line.data) for item in last if isinstance(item, TimedLine))
            yield None
        held[_LOSSES] = [self._losses(picture, wanted, 0, end)]
        yield _last(_in_order(held), count)

    # All of them.

    def everything(self, picture: Picture, wanted: Wanted, end: int, *, with_open: bool) -> Iterator[Item | None]:
        """All wanted lines and marks below LSN ``end``, merged by time; one window a stream is held."""
        streams = sorted(self._streams(picture, wanted), key=lambda stream: stream.path)
        sources: list[Iterable[Item]] = [
            self._stream(stream, wanted, end, with_open=with_open and end == picture.end) for stream in streams
        ]
        sources.append(self._losses(picture, wanted, 0, end))
        yield from merged(sources)

    def _stream(self, stream: StreamState, wanted: Wanted, end: int, *, with_open: bool) -> Iterator[Item]:
        segments = self.journal.segments()
        for number, segment_lsn in enumerate(segments):
            following = segments[number + 1] if number + 1 < len(segments) else None
            if following is not None and following <= stream.created_lsn:
                continue
            if segment_lsn >= end:
                return
            if following is not None and wanted.since_ms is not None:
                began_ms = self.journal.began_ms(following)
                if began_ms is not None and began_ms < wanted.since_ms:
                    continue
            for block in self._blocks(segment_lsn, [stream.path], 0, end):
                if not _out_of_range(block, wanted):
                    yield from self._of_stream(block, stream, end, wanted, with_open)

    # What comes.

    def batch(self, picture: Picture, wanted: Wanted, start: int) -> Batch:
        """What completes from LSN ``start`` on, up to the picture's end or for about BATCH_BYTES_MAX of journal."""
        streams = self._streams(picture, wanted)
        paths = [stream.path for stream in streams]
        held: dict[str, list[list[Item]]] = {}
        end = picture.end
        blocks = (
            block for segment_lsn in self._holding(start, end) for block in self._blocks(segment_lsn, paths, start, end)
        )
        for block in blocks:
            if block.lsn - start > BATCH_BYTES_MAX:
                end = block.lsn
                break
            for path, items in self._window(block, streams, start, picture.end, wanted, False).items():
                held.setdefault(path, []).insert(0, items)
        held[_LOSSES] = [self._losses(picture, wanted, start, end)]
        return Batch(start, end, list(_in_order(held)))

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

    def _streams(self, picture: Picture, wanted: Wanted) -> list[StreamState]:
        return [
            stream
            for path, stream in picture.streams.items()
            if not stream.retired and wanted.stream(picture.identities[path])
        ]

    def _window(
        self, block: Block, streams: Iterable[StreamState], start: int, end: int, wanted: Wanted, with_open: bool
    ) -> dict[str, list[Item]]:
        try:
            found = self.windows.of_block(block, streams, start, end, _keeper(wanted), with_open=with_open)
        except Gone:
            return {}  # what retention takes while it is read was the oldest there is
        except Damage as damage:
            return {"": [Mark(block.oldest_ms, "", block.lsn, DAMAGE, str(damage), block.lsn)]}
        if wanted.since_ms is None and wanted.until_ms is None:
            return found
        return {path: [item for item in items if wanted.time(item.time_ms)] for path, items in found.items()}

    def _of_stream(
        self, block: Block, stream: StreamState, end: int, wanted: Wanted, with_open: bool
    ) -> Iterator[Item]:
        try:
            for item in self.windows.of_stream(block, stream, end, _keeper(wanted), with_open=with_open):
                if wanted.time(item.time_ms):
                    yield item
        except Gone:
            return
        except Damage as damage:
            yield Mark(block.oldest_ms, stream.path, 0, DAMAGE, str(damage), block.lsn)

    def _newest_first(self, streams: list[StreamState], wanted: Wanted, end: int, enough: _Enough) -> Iterator[Block]:
        """Blocks that may hold wanted lines, backwards, until they are older than is wanted or needed."""
        paths = [stream.path for stream in streams]
        segments = [lsn for lsn in self.journal.segments() if lsn < end]
        first = min((stream.created_lsn for stream in streams), default=end)
        following: int | None = None
        for segment_lsn in reversed(segments):
            if following is not None and following <= first:
                return
            newest_ms = None if following is None else self.journal.began_ms(following)
            if newest_ms is not None and _too_old(newest_ms, wanted, enough.ms):
                return
            for block in reversed(self._blocks(segment_lsn, paths, 0, end)):
                if _too_old(block.newest_ms, wanted, enough.ms):
                    continue
                if not _out_of_range(block, wanted):
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

    def _losses(self, picture: Picture, wanted: Wanted, start: int, end: int) -> list[Item]:
        """The marks of loss records of wanted streams (and of none) between two LSNs, by time."""
        found: list[Item] = []
        for lsn, loss in picture.losses_between(start, end):
            identity = picture.identities.get(loss.stream or "")
            if (identity is None) if loss.stream is None else (identity is not None and wanted.stream(identity)):
                try:
                    recorded_ms = self.journal.frame(lsn).entry.time_ms
                except (Gone, Damage):
                    continue  # as old as what retention took
                mark = loss_mark(lsn, loss, recorded_ms)
                if wanted.time(mark.time_ms):
                    found.append(mark)
        return sorted(found, key=lambda mark: mark.time_ms)


@dataclass(slots=True)
class _Enough:
    """Time of the oldest line that would be given; what was received before it cannot matter. None: not enough yet."""

    ms: int | None = None


def _keeper(wanted: Wanted) -> Callable[[Line], bool]:
    return (lambda _: True) if wanted.grep is None and wanted.exclude is None else (lambda line: wanted.text(line.text))


def _too_old(newest_ms: int, wanted: Wanted, enough_ms: int | None) -> bool:
    """Whether what was received up to then is of no use: no line's time is after its receipt."""
    return (wanted.since_ms is not None and newest_ms < wanted.since_ms) or (
        enough_ms is not None and newest_ms < enough_ms
    )


def _out_of_range(block: Block, wanted: Wanted) -> bool:
    """Whether no line of the block can be in the range: a line's time is at most a day before its receipt."""
    return (wanted.since_ms is not None and block.newest_ms < wanted.since_ms) or (
        wanted.until_ms is not None and block.oldest_ms - DAY_MS >= wanted.until_ms
    )


def _in_order(held: dict[str, list[list[Item]]]) -> Iterator[Item]:
    """Merged; the lists of a stream were gathered newest first."""
    return merged([item for items in reversed(lists) for item in items] for lists in held.values())


def _by_stream(items: list[Item]) -> dict[str, list[list[Item]]]:
    found: dict[str, list[list[Item]]] = {}
    for item in items:
        found.setdefault(item.stream, [[]])[0].append(item)
    return found


def _last(items: Iterable[Item], count: int) -> list[Item]:
    """The last ``count`` lines and the marks from the first of them on; all marks when there are fewer lines."""
    found = list(items)
    if count <= 0:
        return []
    for at in range(len(found) - 1, -1, -1):
        if isinstance(found[at], TimedLine):
            count -= 1
            if count == 0:
                return found[at:]
    return found
