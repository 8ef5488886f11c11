"""Run: what retention deleted of the streams that are read, as marks that stand where it would have been.

Of each stream the oldest bytes go, so a mark is about its beginning: how many bytes, and up to when they were received.
It is no loss: somebody has set how much is kept. Holes of other kinds are told by others (``older``, ``losses``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from logship.collect.stream import StreamState
from logship.lake.manifest import RETENTION, Manifest
from logship.lake.reader import Unreadable
from logship.view.extents import Extents
from logship.view.items import DELETED, Item, Mark
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.older import Older
from logship.view.records import stamp
from logship.view.segments import Gone
from logship.view.select import Wanted

STREAMS_MAX = 20
"""So many streams have a mark of their own; more are told in one."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Of streams made below LSN ``end_lsn`` something is gone that was received up to ``newest_ms``.

    ``stream`` None: of any.
    """

    stream: str | None
    end_lsn: int
    newest_ms: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """Marks by the stream in which they stand, until they are given; and those of no stream in particular."""

    placed: dict[str, Mark]
    others: list[Mark]

    def earlier(self, time_ms: float) -> list[Mark]:
        """Those before a time, in streams that have nothing before it."""
        found = [mark for mark in self.placed.values() if mark.time_ms < time_ms]
        for mark in found:
            del self.placed[mark.stream]
        return found

    def leading(self, path: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items of a stream, in order, behind its mark, which is not later than the first of them."""
        mark = self.placed.pop(path, None)
        if mark is None:
            yield from items
            return
        rest = iter(items)
        first = next(rest, None)
        yield before(mark, first)
        if first is not None:
            yield first
        yield from rest


def before(mark: Mark, first: Item | None) -> Mark:
    """The mark as it stands before what is the first of its stream: the order inside a stream is its own."""
    return mark if first is None else replace(mark, time_ms=min(mark.time_ms, first.time_ms))


class Deletions:
    """Finds what retention took from the journal and from the lake; for any thread."""

    def __init__(self, journal: Journal, older: Older) -> None:
        self._journal = journal
        self._older = older
        self._extents = Extents(journal, older.exact)

    def marks(self, picture: Picture, wanted: Wanted, end: int, from_ms: int | None = None) -> Deleted:
        """What is gone of the wanted streams in the wanted time, of those that were made below LSN ``end``.

        What was received before ``from_ms`` alone does not matter.
        """
        try:
            manifest = self._older.reader.manifest()
            sealed = self._older.reader.paths()
            kept_lsn = self._journal.segments()[0]
            reaches = [one for one in self._reaches(manifest, kept_lsn) if one.newest_ms >= (from_ms or 0)]
        except (Unreadable, Gone, Damage, IndexError):
            return Deleted({}, [])  # who reads there is told what is the matter
        if not reaches:
            return Deleted({}, [])
        found: list[Mark] = []
        for stream in picture.streams.values():
            if stream.created_lsn < end and wanted.stream(picture.identities[stream.path]):
                mark = self._mark(manifest, reaches, stream, wanted, stream.path in sealed)
                found += [] if mark is None else [mark]
        is_all = wanted.where is None and any(target.text == "all" for target in wanted.targets)
        lines = _lines(manifest) if is_all else ""
        if len(found) > STREAMS_MAX:
            return Deleted({}, [_together(found, lines)])
        if not found and lines:
            return Deleted({}, [*_forgotten(manifest, lines, wanted)])
        readable = {mark.stream for mark in found if not self._is_gone(picture.streams[mark.stream], sealed)}
        return Deleted(
            {mark.stream: mark for mark in found if mark.stream in readable},
            [mark for mark in found if mark.stream not in readable],
        )

    def _reaches(self, manifest: Manifest, kept_lsn: int) -> Iterator[_Reach]:
        for one in manifest.deleted:
            yield _Reach(None, one.end_lsn, one.newest_received)
        for each in manifest.thinned:
            yield _Reach(each.stream, each.end_lsn, each.newest_received)
        for missing in manifest.not_sealed:
            # One between files has a mark of its own (``older``).
            if missing.why == RETENTION and not any(file.end_lsn <= missing.first_lsn for file in manifest.files):
                behind = (file.oldest_received for file in manifest.files if file.first_lsn >= missing.end_lsn)
                newest_ms = min(behind, default=None) or self._journal.began_ms(missing.end_lsn)
                if newest_ms is not None:
                    yield _Reach(None, missing.end_lsn, newest_ms)
        if manifest.sealed_end < kept_lsn:
            began_ms = self._journal.began_ms(kept_lsn)
            if began_ms is not None:
                yield _Reach(None, kept_lsn, began_ms)

    def _mark(
        self, manifest: Manifest, reaches: list[_Reach], stream: StreamState, wanted: Wanted, is_sealed: bool
    ) -> Mark | None:
        path, born = stream.path, stream.created_lsn
        newest = [one.newest_ms for one in reaches if one.stream in (None, path) and one.end_lsn > born]
        if not newest:
            return None
        first = stream.next_offset
        if is_sealed or not stream.retired:
            first = self._extents.first_offset(stream)
        damaged = [
            place.bytes
            for place in manifest.damaged
            if place.stream == path and place.lsn >= born and place.offset < first
        ]
        size = first - sum(damaged)
        is_exact = not any(one.why != RETENTION and one.end_lsn > born for one in manifest.not_sealed)
        newest_ms = max(newest)
        if stream.last_append_ms is not None:
            newest_ms = min(newest_ms, stream.last_append_ms)
        oldest_ms = min(stream.created_ms, newest_ms)  # a clock that was set back takes no mark away
        time_ms = _within(wanted, oldest_ms, newest_ms)
        if size <= 0 or time_ms is None:
            return None
        what = "all there was of it" if first == stream.next_offset else "its beginning"
        much = f"{size:,} bytes" if is_exact else f"{size:,} bytes or fewer"
        text = f"retention deleted {what}: {much}, received up to {stamp(newest_ms)}"
        return Mark(time_ms, path, 0, DELETED, text, born, size if is_exact else None)

    @staticmethod
    def _is_gone(stream: StreamState, sealed: frozenset[str]) -> bool:
        """Whether it is not read any more, since there is nothing of it."""
        return stream.retired and stream.path not in sealed


def _within(wanted: Wanted, oldest_ms: int, newest_ms: int) -> int | None:
    """The last moment of the wanted time at which something may have been received that is gone."""
    time_ms = newest_ms if wanted.until_ms is None else min(newest_ms, wanted.until_ms - 1)
    return time_ms if time_ms >= oldest_ms and wanted.time(time_ms) else None


def _lines(manifest: Manifest) -> str:
    """How much retention took from the lake, of whatever stream; nothing where it took nothing."""
    rows, size = sum(one.rows for one in manifest.deleted), sum(one.raw_bytes for one in manifest.deleted)
    return f"{rows:,} lines of {size:,} bytes left the lake in all" if rows else ""


def _together(marks: list[Mark], lines: str) -> Mark:
    size = sum(mark.bytes or 0 for mark in marks)
    newest_ms = max(mark.time_ms for mark in marks)
    text = f"retention deleted the beginnings of {len(marks):,} streams: {size:,} bytes, the last of them "
    text += f"received up to {stamp(newest_ms)}" + (f"; {lines}" if lines else "")
    return Mark(newest_ms, "", 0, DELETED, text, min(mark.lsn for mark in marks), size)


def _forgotten(manifest: Manifest, lines: str, wanted: Wanted) -> Iterator[Mark]:
    """Of streams that nobody knows any more."""
    oldest_ms = min(one.oldest_received for one in manifest.deleted)
    newest_ms = max(one.newest_received for one in manifest.deleted)
    time_ms = _within(wanted, oldest_ms, newest_ms)
    if time_ms is not None:
        text = f"retention deleted streams of which nothing is known any more: {lines}, received "
        text += f"from {stamp(oldest_ms)} to {stamp(newest_ms)}"
        size = sum(one.raw_bytes for one in manifest.deleted)
        yield Mark(time_ms, "", 0, DELETED, text, manifest.deleted[0].first_lsn, size)
