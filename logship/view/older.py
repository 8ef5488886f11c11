"""Run: lines that retention took from the journal, out of the lake, as windows of the journal would give them.

They are the same lines: what completes in a range of LSNs is in the journal or in the lake, or in both. Marks are
fewer: starts of programs are not kept there. Left to others: files and rows (``lake.reader``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from logship.collect.stream import StreamState
from logship.lake.engine import Asking, Engine
from logship.lake.exact import Exact
from logship.lake.manifest import File
from logship.lake.reader import Reader, Unreadable
from logship.view.items import DAMAGE, Hidden, Item, Mark
from logship.view.lines import Line
from logship.view.select import Wanted
from logship.view.sought import Fate, Sought
from logship.view.timed import timed


class Older:
    """Readings of the lake that ``reader`` reads."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.exact = Exact(reader)
        self._engine = Engine(reader.store)

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
        self, sought: Sought, wanted: Wanted, end: int, is_too_old: Callable[[int], bool]
    ) -> Iterator[dict[str, list[Item]]]:
        """What completes below LSN ``end``, by stream, a file at a time.

        ``is_too_old`` says of a time of receipt whether what came up to then is of no use.
        """
        for file in self.listed(0, end):
            if isinstance(file, Mark):
                if file.stream in ("", *sought.paths) and wanted.time(file.time_ms):
                    yield {file.stream: [file]}
                continue
            if is_too_old(file.newest_received):
                return
            found: dict[str, list[Item]] = {}
            for item in self._of(file, sought, sought.streams, wanted, 0, end):
                found.setdefault(item.stream, []).append(item)
            yield found

    def of_stream(self, sought: Sought, stream: StreamState, wanted: Wanted, start: int, end: int) -> Iterator[Item]:
        """What completes in one stream between two LSNs, in order."""
        for file in reversed(self.listed(start, end)):
            if not isinstance(file, Mark):
                yield from self._of(file, sought, [stream], wanted, start, end)
            elif file.stream == stream.path and wanted.time(file.time_ms):
                yield file

    def marks(self, wanted: Wanted, end: int) -> list[Item]:
        """What is missing below LSN ``end`` of no stream in particular, in order."""
        found = [each for each in reversed(self.listed(0, end)) if isinstance(each, Mark) and not each.stream]
        return [mark for mark in found if wanted.time(mark.time_ms)]

    def lines(
        self, streams: list[StreamState], wanted: Wanted, start: int, end: int
    ) -> Iterator[tuple[File | Mark, _Rows]]:
        """Files, newest first, and their lines that complete between two LSNs, each with its time.

        Reading them may raise Unreadable; what cannot be read at all is a mark.
        """
        for file in self.listed(start, end):
            if isinstance(file, Mark):
                yield file, iter(())
            elif _may_hold(file, streams, wanted):
                yield file, self._rows(file, streams, start, end)

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
                text = f"lines are not in the lake: {missing.why}"
                found.append((missing.first_lsn, Mark(time_ms, "", 0, DAMAGE, text, missing.first_lsn)))
        for place in manifest.damaged:
            file = next((each for each in files if each.first_lsn <= place.lsn < each.end_lsn), None)
            if file is not None and start <= place.lsn < end:
                text = f"{place.bytes:,} bytes could not be read when they were sealed: {place.why}"
                mark = Mark(file.newest_received, place.stream, place.offset, DAMAGE, text, place.lsn, place.bytes)
                found.append((place.lsn, mark))
        return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _of(
        self, file: File, sought: Sought, streams: list[StreamState], wanted: Wanted, start: int, end: int
    ) -> Iterator[Item]:
        if not _may_hold(file, streams, wanted):
            return
        try:
            for line, time_ms in self._rows(file, streams, start, end):
                if not wanted.time(time_ms):
                    continue
                fate = sought.keep(line)
                if fate is Fate.GIVEN:
                    yield timed(line, time_ms)
                elif fate is Fate.HIDDEN:
                    yield Hidden(time_ms, line.stream, line.offset)
        except Unreadable as error:
            if not error.gone:
                path = streams[0].path if len(streams) == 1 else ""
                yield Mark(file.newest_ts, path, 0, DAMAGE, f"older lines cannot be read: {error}", file.first_lsn)

    def _rows(self, file: File, streams: list[StreamState], start: int, end: int) -> _Rows:
        """Of streams that were deleted and made anew, the present life."""
        created = {str(stream.path): stream.created_lsn for stream in streams if stream.path in file.streams}
        for line, time_ms in self.reader.rows(file, sorted(created), start, end):
            if line.lsn >= created[line.stream]:
                yield line, time_ms


_Rows = Iterator[tuple[Line, int]]


def _may_hold(file: File, streams: list[StreamState], wanted: Wanted) -> bool:
    """Whether any line of the file may be wanted."""
    since_ms, until_ms = wanted.since_ms, wanted.until_ms
    out = (since_ms is not None and file.newest_ts < since_ms) or (until_ms is not None and file.oldest_ts >= until_ms)
    return not out and any(stream.path in file.streams for stream in streams)
