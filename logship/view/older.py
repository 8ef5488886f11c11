"""Run: lines that retention took from the journal, out of the lake, as windows of the journal would give them.

They are the same lines: what completes in a range of LSNs is in the journal or in the lake, or in both. So are the
starts of programs, which the manifest keeps. Left to others: files and rows (``lake.reader``), lines by events
(``older_events``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from logship.collect.stream import StreamState
from logship.lake.engine import Asking, Engine
from logship.lake.exact import Exact
from logship.lake.folder import LAKE
from logship.lake.manifest import RETENTION, File, Manifest
from logship.lake.reader import Reader, Unreadable
from logship.lake.selection import Condition, Selection
from logship.lake.sidecar import Candidates, Sidecars
from logship.view.certain import certain
from logship.view.items import DAMAGE, DELETED, Hidden, Item, Mark
from logship.view.older_events import OlderEvents
from logship.view.older_starts import Starts, is_told
from logship.view.seeking import Row, Seeking
from logship.view.select import Wanted
from logship.view.sought import Fate, Sought
from logship.view.timed import timed
from logship.view.window import Lines


@dataclass(frozen=True, slots=True)
class Piece:
    """What was found by stream, in its order, with all that completes below ``end_lsn``.

    ``since_ms``: nothing that completes later, of what is in the lake, has an earlier time.
    """

    items: dict[str, list[Item]]
    end_lsn: int
    since_ms: float


class Older:
    """Readings of the lake that ``reader`` reads."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.exact = Exact(reader)
        self._engine = Engine(reader.store)
        self._sidecars = Sidecars(reader.store / LAKE)
        self.events = OlderEvents(reader)

    def candidates(self, wanted: Wanted) -> Callable[[File], Candidates | None]:
        """What filters of tokens say of a file: in which rows of it lines may be wanted; None: in any.

        A line of an event is wanted for the sake of another one, so nothing is said of events.
        """
        need = None if wanted.events else certain(wanted.node, wanted.grep)
        return lambda file: self._sidecars.candidates(file, need)

    def asking(self) -> Asking | None:
        """Somebody who asks about many rows at once; None where there is no DuckDB."""
        try:
            return self._engine.asking()
        except Unreadable:
            return None

    def sealed_end(self, kept: int) -> int:
        """The LSN up to which all that the journal has from ``kept`` on is sealed; 0: some of it could not be."""
        try:
            manifest = self.reader.manifest()
        except Unreadable:
            return 0
        return 0 if any(missing.end_lsn > kept for missing in manifest.not_sealed) else manifest.sealed_end

    def paths(self) -> frozenset[str]:
        """The streams that it has lines of."""
        try:
            return self.reader.paths()
        except Unreadable:
            return frozenset()  # who reads on is told why

    def first_lsn(self, start: int, end: int) -> int:
        """Where what it has of a range of LSNs begins; ``end`` where it has nothing."""
        try:
            return min((max(start, file.first_lsn) for file in self.reader.files(start, end)), default=end)
        except Unreadable:
            return end

    def completing(self, sought: Sought, start: int, end: int, now_ms: int) -> tuple[int, list[list[Item]]]:
        """What completes from LSN ``start`` on, stream by stream, and up to where: a file at a time, up to ``end``.

        What is not there is a mark at ``now_ms``.
        """
        try:
            manifest = self.reader.manifest()
            file = next(iter(self.reader.files(start, end)), None)
            starts = Starts(self.reader.files(start, end)[:1], sought.streams, lambda _: True, end)
            if file is None or file.first_lsn > start:
                to = end if file is None else min(end, file.first_lsn)
                lack = lacking(manifest, start, to)
                return to, [] if lack is None else [[Mark(now_ms, "", start, *lack, start)]]
            to = min(end, file.end_lsn)
            born: dict[str, int] = {
                stream.path: stream.created_lsn for stream in sought.streams if stream.path in file.streams
            }
            if sought.events:
                events = (self.events.of(file, sought, stream, starts, start, to) for stream in sought.streams)
                return to, [[*items] for items in events]
            rows = self.reader.rows(file, sorted(born), start, to) if born else ()
            found = _by_stream(_kept((row for row in rows if row[0].lsn >= born[row[0].stream]), sought))
            return to, [*starts.among(found, start, to).values()]
        except Unreadable as error:
            return end, [[Mark(now_ms, "", 0, DAMAGE, f"older lines cannot be read: {error}", start)]]

    def received_ms(self, lsn: int) -> int | None:
        """About when the frame at ``lsn``, which the journal has no more, was received; None where nothing is known."""
        try:
            return next((file.newest_received for file in self.reader.manifest().files if file.end_lsn > lsn), None)
        except Unreadable:
            return None

    def oldest_ms(self, end: int) -> int | None:
        """When the first of what it has below LSN ``end`` was received; 0: it has all there was; None: nothing."""
        try:
            files = self.reader.files(0, end)
        except Unreadable:
            return None
        if not files:
            return None
        return files[0].oldest_received if files[0].first_lsn else 0

    def newest_first(
        self, sought: Sought, wanted: Wanted, end: int, count: int, is_too_old: Callable[[int], bool]
    ) -> Iterator[dict[str, list[Item]]]:
        """What completes below LSN ``end``, by stream, some files at a time; of each the last ``count`` are enough.

        ``is_too_old`` says of a time of receipt whether what came up to then is of no use.
        """
        asking = None if sought.events else self.asking()
        seeking = self._seeking(asking, sought, end, count)
        listed, low = self.listed(0, end), end
        starts = self._starts(listed, sought, wanted, end)
        try:
            for found in seeking.through(listed, lambda file: is_too_old(file.newest_received)):
                if isinstance(found, Mark):
                    if found.stream in ("", *sought.paths) and wanted.time(found.time_ms):
                        yield {found.stream: [found]}
                    continue
                first = found.files[-1]
                if sought.events:
                    yield starts.among(self._events(first, sought, wanted, starts, end), first.end_lsn, low)
                elif found.rows is None:
                    path = sought.paths[0] if len(sought.streams) == 1 else ""
                    items = _by_stream(self._of(first, sought, sought.selection, 0, end, path))
                    yield starts.among(items, first.first_lsn, low)
                else:
                    yield starts.among(_by_stream(_kept(found.rows, sought)), first.first_lsn, low)
                low = first.first_lsn
            yield starts.among({}, 0, low)
        finally:
            if asking is not None:
                asking.close()

    def oldest_first(self, sought: Sought, wanted: Wanted, end: int) -> Iterator[Piece]:
        """What completes below LSN ``end``, a few files at a time; it ends early where one has much that is wanted."""
        asking = self.asking() if self.paths() and _is_narrow(wanted) and not sought.events else None
        if asking is None:
            return
        newest_first = self.listed(0, end)
        listed, low = newest_first[::-1], 0
        starts = self._starts(newest_first, sought, wanted, end)
        later = _later(listed, sought, wanted)
        paths = set(sought.paths)
        damages = [each for each in listed if isinstance(each, Mark) and each.stream in paths]
        marks = deque(mark for mark in damages if wanted.time(mark.time_ms))
        try:
            for found in self._seeking(asking, sought, end, None).through(listed, lambda _: False):
                if isinstance(found, Mark):
                    continue
                first, last = found.files[0], found.files[-1]
                if found.rows is None:
                    items = _by_stream(_below(marks, first.first_lsn))
                    yield Piece(starts.among(items, low, first.first_lsn), first.first_lsn, 0)
                    return
                before = [*_below(marks, first.first_lsn + 1)]
                items = _by_stream([*before, *_kept(found.rows, sought), *_below(marks, last.end_lsn)])
                yield Piece(starts.among(items, low, last.end_lsn), last.end_lsn, later[last.name])
                low = last.end_lsn
        finally:
            asking.close()
        yield Piece(starts.among(_by_stream(marks), low, end), end, inf)

    def _seeking(self, asking: Asking | None, sought: Sought, end: int, last: int | None) -> Seeking:
        condition = partial(self.condition, sought.selection, start=0, end=end)
        return Seeking(asking, condition, lambda line: sought.keep(line) is Fate.GIVEN, last)

    def of_stream(self, sought: Sought, stream: StreamState, wanted: Wanted, start: int, end: int) -> Iterator[Item]:
        """What completes in one stream between two LSNs, in order."""
        listed = self.listed(start, end)
        starts = Starts(_files(listed), [stream], wanted.time, end)
        if sought.events:
            for file in reversed(listed):
                if not isinstance(file, Mark):
                    items = self.events.of(file, sought, stream, starts, start, end)
                    yield from (item for item in items if wanted.time(item.time_ms))
                elif file.stream == stream.path and wanted.time(file.time_ms):
                    yield file
            return
        yield from starts.of(stream.path, self._lines_of(listed, sought, stream, wanted, start, end), start, end)

    def _lines_of(
        self, listed: list[File | Mark], sought: Sought, stream: StreamState, wanted: Wanted, start: int, end: int
    ) -> Iterator[Item]:
        selection = None if sought.selection is None else sought.selection.only(stream)
        for file in reversed(listed):
            if not isinstance(file, Mark):
                yield from self._of(file, sought, selection, start, end, stream.path)
            elif file.stream == stream.path and wanted.time(file.time_ms):
                yield file

    @staticmethod
    def _starts(listed: list[File | Mark], sought: Sought, wanted: Wanted, end: int) -> Starts:
        return Starts(_files(listed), sought.streams, wanted.time, end)

    def _events(self, file: File, sought: Sought, wanted: Wanted, starts: Starts, end: int) -> dict[str, list[Item]]:
        """What completes in a file, by events."""
        found: dict[str, list[Item]] = {}
        for stream in sought.streams:
            items = self.events.of(file, sought, stream, starts, 0, end)
            found[stream.path] = [item for item in items if wanted.time(item.time_ms)]
        return found

    def before(self, stream: StreamState, offset: int, lsn: int, besides: int) -> Lines:
        """See ``older_events``; nothing where the lake cannot be read."""
        try:
            return self.events.before(stream, offset, lsn, besides)
        except Unreadable:
            return [], set(), False

    def is_told(self, mark: Mark) -> bool:
        """Whether the start of a program was told in what is sealed, below the frame that tells it here."""
        try:
            return is_told(self.reader.files(0, mark.lsn), mark)
        except Unreadable:
            return False

    def condition(self, selection: Selection | None, file: File, start: int, end: int) -> Condition | None:
        """What is asked of the rows of a file; None: nothing of it is wanted."""
        return None if selection is None else selection.of(file, start, end)

    def marks(self, wanted: Wanted, end: int) -> list[Item]:
        """What is missing below LSN ``end`` of no stream in particular, in order."""
        found = [each for each in reversed(self.listed(0, end)) if isinstance(each, Mark) and not each.stream]
        return [mark for mark in found if wanted.time(mark.time_ms)]

    def lines(self, selection: Selection, start: int, end: int) -> Iterator[tuple[File | Mark, Iterator[Row]]]:
        """Files, newest first, and their rows that may be wanted and complete between two LSNs.

        Reading them may raise Unreadable; what cannot be read at all is a mark.
        """
        for file in self.listed(start, end):
            if isinstance(file, Mark):
                yield file, iter(())
            elif (condition := self.condition(selection, file, start, end)) is not None:
                yield file, self.reader.rows(file, selection.streams_in(file), start, end, condition.rows)

    def listed(self, start: int, end: int) -> list[File | Mark]:
        """Newest first, with marks of what is missing between them."""
        try:
            manifest = self.reader.manifest()
            files = self.reader.files(start, end)
        except Unreadable as error:
            return [Mark(0, "", 0, DAMAGE, f"older lines cannot be read: {error}", end)]
        found: list[tuple[int, File | Mark]] = [(file.first_lsn, file) for file in files]
        ends = {one.end_lsn: one.newest_received for one in files}
        for missing in manifest.not_sealed:
            if missing.first_lsn < end and missing.end_lsn > start:
                time_ms = ends.get(missing.first_lsn, 0)
                if missing.why == RETENTION and not any(each <= missing.first_lsn for each in ends):
                    continue  # of the beginnings of streams others tell
                what = DELETED if missing.why == RETENTION else DAMAGE
                text = f"lines are not in the lake: {missing.why}"
                at = missing.first_lsn
                found.append((at, Mark(time_ms, "", at if what == DELETED else 0, what, text, at)))
        for place in manifest.damaged:
            file = next((each for each in files if each.first_lsn <= place.lsn < each.end_lsn), None)
            if file is not None and start <= place.lsn < end:
                text = f"{place.bytes:,} bytes could not be read when they were sealed: {place.why}"
                mark = Mark(file.newest_received, place.stream, place.offset, DAMAGE, text, place.lsn, place.bytes)
                found.append((place.lsn, mark))
        return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _of(
        self, file: File, sought: Sought, selection: Selection | None, start: int, end: int, path: str
    ) -> Iterator[Item]:
        condition = self.condition(selection, file, start, end)
        if condition is None or selection is None:
            return
        try:
            yield from _kept(self.reader.rows(file, selection.streams_in(file), start, end, condition.rows), sought)
        except Unreadable as error:
            if not error.gone or self.is_named(file):
                yield Mark(file.newest_ts, path, 0, DAMAGE, f"older lines cannot be read: {error}", file.first_lsn)

    def is_named(self, file: File) -> bool:
        """Whether a file should be there: nobody has merged it, nor did retention take it."""
        try:
            return any(one.name == file.name for one in self.reader.files(file.first_lsn, file.end_lsn))
        except Unreadable:
            return True


def lacking(manifest: Manifest, start: int, end: int) -> tuple[str, str] | None:
    """Why lines between two LSNs are in no file of the lake, as a mark tells it; None where there were none."""
    for missing in manifest.not_sealed:
        if missing.first_lsn < end and missing.end_lsn > start:
            return DELETED if missing.why == RETENTION else DAMAGE, f"lines are not in the lake: {missing.why}"
    for one in manifest.deleted:
        if one.first_lsn < end and one.end_lsn > start:
            text = "lines were taken by retention, out of the lake, too, before they were looked at"
            return DELETED, f"{text}: of the {one.rows:,} ({one.raw_bytes:,} bytes) that left it so far"
    if end > manifest.sealed_end:
        return DELETED, "lines were taken by retention before they were looked at"
    return None


def _files(listed: list[File | Mark]) -> list[File]:
    """The files, oldest first."""
    return [each for each in reversed(listed) if not isinstance(each, Mark)]


def _kept(rows: Iterable[Row], sought: Sought) -> Iterator[Item]:
    """What becomes of rows."""
    for line, time_ms in rows:
        fate = sought.keep(line)
        if fate is Fate.GIVEN:
            yield timed(line, time_ms)
        elif fate is Fate.HIDDEN:
            yield Hidden(time_ms, line.stream, line.offset)


def _by_stream(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.stream, []).append(item)
    return found


def _below(marks: deque[Mark], lsn: int) -> Iterator[Mark]:
    """Takes those below an LSN."""
    while marks and marks[0].lsn < lsn:
        yield marks.popleft()


def _later(listed: Sequence[File | Mark], sought: Sought, wanted: Wanted) -> dict[str, float]:
    """By file the earliest time of what may be wanted in those that are listed behind it."""
    paths = set(sought.paths)
    found: dict[str, float] = {}
    earliest = inf
    for each in reversed(listed):
        if isinstance(each, Mark):
            earliest = min(earliest, each.time_ms)
            continue
        found[each.name] = earliest
        begun = (time_ms for path in paths & each.starts.keys() for _, _, time_ms in each.starts[path])
        earliest = min(earliest, max(min(begun, default=inf), wanted.since_ms or 0))
        if not paths.isdisjoint(each.streams) and not _is_outside(each, wanted):
            earliest = min(earliest, max(each.oldest_ts, wanted.since_ms or 0))
    return found


def _is_outside(file: File, wanted: Wanted) -> bool:
    since_ms, until_ms = wanted.since_ms, wanted.until_ms
    return (since_ms is not None and file.newest_ts < since_ms) or (until_ms is not None and file.oldest_ts >= until_ms)


def _is_narrow(wanted: Wanted) -> bool:
    """Whether not all lines are wanted."""
    narrowing = (wanted.where, wanted.grep, wanted.exclude, wanted.since_ms, wanted.until_ms)
    return any(each is not None for each in narrowing)
