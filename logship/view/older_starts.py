"""Core: the starts of programs that the lake's manifest keeps, among the items of streams.

The first frame that the journal keeps may tell a start once more that was told with the frame before it, and so may
the first one of a file: it is one start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from logship.collect.stream import StreamState
from logship.lake.manifest import File
from logship.view.items import Item, Mark, started
from logship.view.lines import Line

Placed = TypeVar("Placed", Item, Line)


class Starts:
    """Those of streams in ``files``, oldest first, told below LSN ``end``, whose time ``is_wanted``."""

    def __init__(
        self, files: Iterable[File], streams: Iterable[StreamState], is_wanted: Callable[[int], bool], end: int
    ) -> None:
        self._marks: dict[str, list[Mark]] = {}
        born = {stream.path: stream.created_lsn for stream in streams}
        for file in files:
            for path in born.keys() & file.starts.keys():
                marks = self._marks.setdefault(path, [])
                for offset, lsn, time_ms in file.starts[path]:
                    mark = started(path, offset, time_ms, lsn)
                    if born[path] <= lsn < end and is_wanted(time_ms) and not _is_same(marks, mark):
                        marks.append(mark)

    def of(self, path: str, items: Iterable[Placed], start: int = 0, end: int | None = None) -> Iterator[Placed | Mark]:
        """The items of a stream, with the starts that were told between two LSNs: each before the line it begins."""
        marks = [mark for mark in self._marks.get(path, ()) if start <= mark.lsn and (end is None or mark.lsn < end)]
        return with_marks(items, marks)

    def among(self, found: dict[str, list[Item]], start: int, end: int) -> dict[str, list[Item]]:
        """The items of some streams, with the starts that were told of all streams between two LSNs."""
        both = {path: [*self.of(path, found.get(path, ()), start, end)] for path in [*found, *self._marks]}
        return {path: items for path, items in both.items() if items}


def with_marks(items: Iterable[Placed], marks: Sequence[Mark]) -> Iterator[Placed | Mark]:
    """The items of a stream with marks of it, both in order: a mark stands before the first line at or after it."""
    at = 0
    for item in items:
        while at < len(marks) and not isinstance(item, Mark) and marks[at].offset <= item.offset:
            yield marks[at]
            at += 1
        yield item
    yield from marks[at:]


def is_told(files: Iterable[File], mark: Mark) -> bool:
    """Whether one of the files has the start."""
    found = (each for file in files for each in file.starts.get(mark.stream, ()))
    return any((offset, time_ms) == (mark.offset, mark.time_ms) for offset, _, time_ms in found)


def offsets(files: Iterable[File], stream: StreamState, end: int) -> set[int]:
    """Where a stream's program was started, as told below LSN ``end``."""
    found = (each for file in files for each in file.starts.get(stream.path, ()))
    return {offset for offset, lsn, _ in found if stream.created_lsn <= lsn < end}


def _is_same(marks: Sequence[Mark], mark: Mark) -> bool:
    """Whether an earlier frame has told it."""
    return any((one.offset, one.time_ms) == (mark.offset, mark.time_ms) and one.lsn < mark.lsn for one in marks[-2:])
