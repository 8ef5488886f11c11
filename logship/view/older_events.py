"""Run: the lines of a stream in a file of the lake by events, as windows of the journal would give them.

A file is a window as one of the journal is (``grouped``): what came before it and belongs to the event that goes on in
it is looked at, in the files before. All lines are looked at: one that is wanted brings others that are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

from logship.collect.stream import StreamState
from logship.lake.manifest import File
from logship.lake.reader import Reader, Unreadable
from logship.lake.sql import Sql
from logship.view.grouped import Grouped
from logship.view.items import DAMAGE, Item, Mark
from logship.view.lines import Line
from logship.view.moment import INHERITED_BYTES_MAX, Said, own_ms
from logship.view.older_starts import Starts, offsets
from logship.view.sought import Sought


class OlderEvents:
    """Reads files that ``reader`` knows."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def of(
        self, file: File, sought: Sought, stream: StreamState, starts: Starts, start: int, end: int
    ) -> Iterator[Item]:
        """What completes in a file between two LSNs, and what is given with it; marks of ``starts`` among it."""
        path, low = stream.path, max(start, file.first_lsn)
        high = min(end, file.end_lsn)
        try:
            rows = self._rows(file, stream, low, high)
            first = next(rows, None)
            lines = starts.of(path, [] if first is None else chain([first], rows), low, high)
            if first is None:
                yield from (item for item in lines if isinstance(item, Mark))
                return
            back = partial(self.before, stream, first.offset, low)
            yield from Grouped(sought.keep, back, partial(self._earlier, stream, first.offset, low)).of(lines)
        except Unreadable as error:
            if not error.gone or any(one.name == file.name for one in self._reader.files(low, high)):
                yield Mark(file.newest_ts, path, 0, DAMAGE, f"older lines cannot be read: {error}", file.first_lsn)

    def before(self, stream: StreamState, offset: int, lsn: int, besides: int) -> tuple[list[Line], set[int], bool]:
        """The lines that are complete below LSN ``lsn`` in the ``besides`` bytes before ``offset``.

        See ``window.Windows.before``. Raises Unreadable.
        """
        found: list[Line] = []
        wanted, upto = max(0, offset - besides), offset
        files = [file for file in self._reader.files(stream.created_lsn, lsn) if stream.path in file.streams]
        for file in reversed(files):
            last = self._reader.before(file, stream.path, stream.created_lsn, 0, min(upto, wanted + 1))
            begins = wanted if last is None else last[0]
            where = Sql('"offset" >= ? AND "offset" < ?', (begins, upto))
            found[:0] = self._rows(file, stream, stream.created_lsn, lsn, where)
            if last is not None:
                break
            upto = found[0].offset if found else upto
        starts = {each for each in offsets(files, stream, lsn) if found and found[0].offset <= each <= offset}
        return found, starts, bool(found) and found[0].offset == 0

    def _earlier(self, stream: StreamState, offset: int, lsn: int) -> Said | None:
        """See ``window.Windows.earlier``."""
        lines, starts, _ = self.before(stream, offset, lsn, INHERITED_BYTES_MAX)
        return last_said(lines, starts)

    def _rows(self, file: File, stream: StreamState, start: int, end: int, *besides: Sql) -> Iterator[Line]:
        if stream.path in file.streams:
            for line, _ in self._reader.rows(file, [stream.path], max(start, stream.created_lsn), end, *besides):
                yield line


def last_said(lines: list[Line], starts: set[int]) -> Said | None:
    """The last line that says its time, unless the program was started since."""
    for line in reversed(lines):
        own = own_ms(line.data, line.received_ms)
        if own is not None:
            return None if any(start > line.offset for start in starts) else Said(line.offset, own, line.received_ms)
    return None
