"""Run: the sealed lines of a reading counted by DuckDB, several files at once, newest first; progress between them.

What is no column, or only ``where`` can judge, is read row by row, and nothing else. What a question takes grows with
what is sure to be answered within STEP_SECONDS, so that whoever asks can go away.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from logship.lake.engine import Asking, TooLarge
from logship.lake.grouping import Answers, Grouping
from logship.lake.manifest import File
from logship.lake.reader import Unreadable
from logship.lake.selection import Condition, Selection
from logship.lake.sql import FALSE, Sql
from logship.view.items import DAMAGE, Mark
from logship.view.lines import Line
from logship.view.older import Older

STEP_SECONDS = 0.15
"""What a question should take: more can be asked of at once then than of one file, and progress is still seen."""
FILES_MAX = 64
GROWTH = 4


@dataclass(slots=True)
class Progress:
    """How far a reading is: the ``share`` of what is kept, back to which time of receipt, what it has met so far."""

    share: float = 0.0
    back_to_ms: int | None = None
    lines: int = 0
    bytes: int = 0
    matched: int = 0
    hidden: int = 0
    damaged: int = 0
    damaged_bytes: int = 0

    def meet(self, mark: Mark) -> None:
        """Take note of a mark: only what cannot be read counts."""
        if mark.what == DAMAGE:
            self.damaged += 1
            self.damaged_bytes += mark.bytes or 0


Judge = Callable[[Iterable[tuple[Line, int]]], Iterator[None]]


class LakeCounting:
    """One reading of the lake. ``judge`` takes lines one by one; ``otherwise`` reads LSNs that the lake cannot.

    ``asking`` None: there is no DuckDB. ``grouping`` None: the pipe has no SQL.
    """

    def __init__(
        self,
        older: Older,
        asking: Asking | None,
        selection: Selection,
        grouping: Grouping | None,
        answers: Answers | None,
        progress: Progress,
        judge: Judge,
        otherwise: Callable[[int, int], Iterator[None] | None],
        clock: Callable[[], float],
    ) -> None:
        self._older, self._asking, self._selection = older, asking, selection
        self._grouping, self._answers = grouping, answers
        self._progress, self._judge, self._otherwise, self._clock = progress, judge, otherwise, clock
        self._at_once = 1

    def steps(self, start: int, end: int, share: Callable[[int], float]) -> Iterator[None]:
        """Reads what completes between two LSNs; ``share`` says how far it is at one. Raises TooMuch, Slow, Stopped."""
        typed = self._grouping is not None and self._grouping.typed
        listed = self._older.listed(start, end)
        at = end
        while listed:
            first = listed[0]
            if isinstance(first, Mark):
                self._progress.meet(first)
                del listed[0]
                continue
            condition = self._selection.of(first, start, at, typed=typed)
            files = [first]
            if condition is not None:
                files += self._alike(listed[1 : self._at_once], condition, start, typed)
                began = self._clock()
                try:
                    yield from self._files(files, condition, start, at)
                except (Unreadable, TooLarge) as error:
                    if len(files) > 1:
                        self._at_once = 1
                        continue
                    if isinstance(error, Unreadable) and error.gone and not self._older.is_named(first):
                        listed = self._older.listed(start, at)  # merged with others, or taken by retention
                        continue
                    yield from self._without(first, condition, start, at, isinstance(error, TooLarge))
                self._adapt(self._clock() - began)
            at = files[-1].first_lsn
            del listed[: len(files)]
            self._progress.back_to_ms = files[-1].oldest_received
            self._progress.share = share(at)
            if condition is not None:
                yield None

    def _alike(self, listed: list[File | Mark], condition: Condition, start: int, typed: bool) -> Iterator[File]:
        """The next files as long as the same is asked of them."""
        for file in listed:
            if isinstance(file, Mark):
                return
            if self._selection.of(file, start, file.end_lsn, typed=typed) != condition:
                return
            yield file

    def _adapt(self, seconds: float) -> None:
        most = GROWTH if seconds <= 0 else min(GROWTH, STEP_SECONDS / seconds)
        self._at_once = max(1, min(FILES_MAX, round(self._at_once * most)))

    def _files(self, files: list[File], condition: Condition, start: int, end: int) -> Iterator[None]:
        """Counts files. It raises Unreadable and TooLarge only while nothing of them is counted."""
        if self._asking is None:
            raise Unreadable("there is no DuckDB")
        if condition.is_nothing:
            pass  # the filters have looked
        elif self._grouping is None or self._answers is None:
            yield from self._rows(condition.rows, files)
        else:
            looked_at = yield from self._grouped(self._grouping, self._answers, files, condition)
            if looked_at is not None and condition.is_all:
                self._progress.bytes += sum(sum(self._selection.spans(file)) for file in files)
                self._progress.lines += looked_at
                return
        self._look_at(files, condition, start, end)

    def _grouped(
        self, grouping: Grouping, answers: Answers, files: list[File], condition: Condition
    ) -> Generator[None, None, int | None]:
        """Counts what is grouped; how many rows that were, None where some could not be read."""
        assert self._asking is not None
        progress, taken = self._progress, False
        rest: int | None = 0
        judged, hidden, matched = answers.judged, answers.hidden, progress.matched
        with_outcome = grouping.has_outcome(condition)
        try:
            for rows in self._asking.answer(grouping.select(condition), files):
                progress.matched += answers.take(rows, with_outcome)
                taken = True
                yield None
            looked_at = progress.matched - matched + answers.hidden - hidden + answers.judged - judged
            progress.hidden += answers.hidden - hidden
            if answers.judged > judged:
                yield from self._rows(condition.judged, files)
            if condition.typed and condition.may_untyped != FALSE and (untyped := self._asking.untyped(files)):
                rest = yield from self._rows(condition.untyped, untyped)
        except (Unreadable, TooLarge):
            if not taken:
                raise
            progress.damaged += 1
            return None
        return None if rest is None else looked_at + rest

    def _rows(self, where: Sql, files: list[File]) -> Generator[None, None, int | None]:
        """Rows that are judged one by one; how many, None where some could not be read."""
        assert self._asking is not None
        count = 0
        try:
            for rows in self._asking.lines(where, files):
                count += len(rows)
                yield from self._judge(rows)
        except (Unreadable, TooLarge):
            if not count:
                raise
            self._progress.damaged += 1
            return None
        return count

    def _look_at(self, files: list[File], condition: Condition, start: int, end: int) -> None:
        """Notes how much was looked at."""
        assert self._asking is not None
        for file in files:
            self._progress.bytes += sum(self._selection.spans(file))
            if self._selection.is_whole(file, start, end):
                self._progress.lines += file.rows
                continue
            rows = condition.looked_at
            question = Sql(f"FROM {{rows}} SELECT count(*) WHERE {rows.text}", rows.values)
            try:
                self._progress.lines += sum(row[0] for found in self._asking.answer(question, [file]) for row in found)
            except (Unreadable, TooLarge):
                self._progress.damaged += 1

    def _without(self, file: File, condition: Condition, start: int, end: int, is_large: bool) -> Iterator[None]:
        """A file of which DuckDB cannot answer the question: its rows, else the journal, else it is missing."""
        if is_large and self._grouping is not None:
            try:
                yield from self._rows(condition.rows, [file])
            except (Unreadable, TooLarge):
                self._progress.damaged += 1
            return
        steps = self._otherwise(max(file.first_lsn, start), min(file.end_lsn, end))
        if steps is None:
            self._progress.damaged += 1
        else:
            yield from steps
