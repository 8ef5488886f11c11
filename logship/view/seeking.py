"""Run: rows of the lake that may be wanted, newest files first: few of many files at once, or the last of each stream.

Few rows cost what DuckDB needs to look for them, not a look at each in Python. Where there are many, or where DuckDB
has no answer, nothing is said of a file: then its rows are read in order, one after the other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from logship.lake.engine import Asking, TooLarge
from logship.lake.manifest import File
from logship.lake.reader import Unreadable
from logship.lake.selection import Condition
from logship.lake.sql import FALSE, TRUE, Sql, either, every
from logship.view.items import Mark
from logship.view.lines import Line

ROWS_MAX, BYTES_MAX = 20_000, 64 << 20
"""What is held of one answer; more are many."""
FILES_MAX = 64
GROWTH = 4
STEP_SECONDS = 0.08
MORE = 200
"""Rows that are looked at besides, where not all of them are wanted."""
STREAMS_MAX = 50
"""Of so many streams the last lines are looked for at once."""

Row = tuple[Line, int]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of ``files``, in the order of their streams; None: there are many, or they could not be had so."""

    files: list[File]
    rows: list[Row] | None


class Seeking:
    """Looks for rows. ``condition`` says what is asked of a file; ``is_given`` judges a line.

    ``last``: the last so many of each stream that are given are enough. Without ``asking`` nothing is ever found so.
    """

    def __init__(
        self,
        asking: Asking | None,
        condition: Callable[[File], Condition | None],
        is_given: Callable[[Line], bool],
        last: int | None = None,
    ) -> None:
        self._asking, self._condition, self._is_given, self._last = asking, condition, is_given, last
        self._many = False

    def through(self, listed: Sequence[File | Mark], is_enough: Callable[[File], bool]) -> Iterator[Found | Mark]:
        """All that is listed, newest first, until ``is_enough`` says so of a file; files without rows are left out."""
        at, at_once = 0, 1
        while at < len(listed):
            first = listed[at]
            if isinstance(first, Mark):
                yield first
                at += 1
                continue
            if is_enough(first):
                return
            condition = self._condition(first)
            if condition is None or condition.is_nothing:
                at += 1
                continue
            files = [first, *self._alike(listed[at + 1 : at + at_once], condition)]
            began = time.monotonic()
            rows = self._rows(files, condition)
            if rows is None and len(files) > 1:
                at_once = 1
                continue
            yield Found(files, rows)
            at += len(files)
            slow = rows is None or rows or time.monotonic() - began > STEP_SECONDS
            at_once = max(1, at_once // GROWTH) if slow else min(FILES_MAX, at_once * GROWTH)

    def _alike(self, listed: Sequence[File | Mark], condition: Condition) -> Iterator[File]:
        for file in listed:
            if isinstance(file, Mark) or self._condition(file) != condition:
                return
            yield file

    def _rows(self, files: list[File], condition: Condition) -> list[Row] | None:
        if self._asking is None:
            return None
        try:
            found = None
            if self._last is not None and len(files) == 1:
                found = self._newest(self._asking, files, condition, self._last)
            if found is None and not self._many and not condition.may == TRUE == condition.scope:
                found = self._few(self._asking, files, condition.rows)
                self._many = found is None and len(files) == 1
        except (Unreadable, TooLarge):
            return None
        return found

    def _newest(self, asking: Asking, files: list[File], condition: Condition, count: int) -> list[Row] | None:
        """The last rows of each stream: first where they begin, which costs no look at their texts.

        Of those that only may be wanted some more; None where that was not enough.
        """
        most = count if condition.is_exact and condition.hidden == FALSE else 2 * count + MORE
        where = condition.rows
        told = f'stream, count(*), list_min(max("offset", {most:d})) WHERE {where.text} GROUP BY stream'
        question = Sql(f"FROM {{rows}} SELECT {told}", where.values)
        begins = [row for rows in asking.answer(question, files) for row in rows]
        if not begins or len(begins) > STREAMS_MAX:
            return None if begins else []
        last = either(Sql('(stream = ? AND "offset" >= ?)', (stream, offset)) for stream, _, offset in begins)
        found = self._few(asking, files, every([where, last]))
        if found is None:
            return None
        given = Counter(line.stream for line, _ in found if self._is_given(line))
        if not all(number <= most or given[stream] >= count for stream, number, _ in begins):
            return None
        ahead = self._ahead(asking, files, where, {stream for stream, number, _ in begins if number > most}, found)
        return None if ahead is None else _in_order([*ahead, *found])

    def _ahead(
        self, asking: Asking, files: list[File], where: Sql, streams: set[str], found: list[Row]
    ) -> list[Row] | None:
        """Of these streams the rows before those that were found that say a later time than the first of them.

        They come first in their stream all the same, and put what follows behind their own time.
        """
        firsts = {line.stream: (line.offset, ts_ms) for line, ts_ms in reversed(found) if line.stream in streams}
        if not firsts:
            return []
        earlier = '(stream = ? AND "offset" < ? AND ts > make_timestamp_ms(?))'
        parts = (Sql(earlier, (stream, *first)) for stream, first in sorted(firsts.items()))
        return self._few(asking, files, every([where, either(parts)]))

    @staticmethod
    def _few(asking: Asking, files: list[File], where: Sql) -> list[Row] | None:
        found: list[Row] = []
        size = 0
        for rows in asking.lines(where, files, most=ROWS_MAX + 1):
            found += rows
            size += sum(len(line.data) for line, _ in rows)
            if len(found) > ROWS_MAX or size > BYTES_MAX:
                return None
        return _in_order(found)


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[0].stream, row[0].lsn, row[0].offset))
