"""Run: the lines that alerts count, out of the journal from a cursor on, a step at a time; out of the lake before it.

All alerts read a line together, and it is taken apart once. The alerts' own stream is none of theirs: what is told of
an alert never makes one fire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from logship.collect.journal import Frame
from logship.lake.reader import Unreadable
from logship.view.alerts.book import Match
from logship.view.alerts.rule import Rule, is_own
from logship.view.blocks import Block
from logship.view.history import History
from logship.view.items import DAMAGE, Mark
from logship.view.journal_reader import Damage, Picture
from logship.view.lines import Line
from logship.view.older import lacking
from logship.view.pipes_keys import Part, reader
from logship.view.segments import Gone
from logship.view.select import Identity, Slow, Wanted, is_snapshot
from logship.view.where import Subject, Test, Where

STEP_BYTES_MAX = 1 << 20
"""How much journal a step covers: one block more than this at most."""
NO_FIELD = "-"


@dataclass(frozen=True, slots=True)
class Step:
    """What was read up to ``end``, whose last frame was received at ``read_ms``; what could not be read, and why."""

    end: int
    read_ms: int
    matches: Sequence[Match] = ()
    slow: Sequence[tuple[str, str]] = ()
    missed: str = ""


@dataclass(frozen=True, slots=True)
class _Of:
    """What an alert wants of one stream."""

    alert: str
    test: Test
    hides: bool
    readers: tuple[Callable[[Identity, Callable[[str], object]], Part], ...]


class Lines:
    """Reads for these alerts; ``stopped`` says of one whether it is left out."""

    def __init__(self, history: History, rules: Iterable[Rule], stopped: Callable[[str], bool]) -> None:
        self._journal, self._windows, self._older = history.journal, history.windows, history.older
        self._rules = [*rules]
        self._stopped = stopped
        self._of: dict[str, tuple[Identity, list[_Of]]] = {}

    def step(self, picture: Picture, start: int) -> Step:
        """The next lines. Raises NoStore."""
        segments = self._journal.segments()
        if start < segments[0]:
            return self._sealed(picture, start, segments[0])
        there = [stream.path for stream in picture.streams.values() if not stream.retired]
        paths = [path for path in there if self._wanted(picture, path)]
        end, blocks = picture.end, list[Block]()
        for number, lsn in enumerate(segments):
            if lsn >= end or (number + 1 < len(segments) and segments[number + 1] <= start):
                continue
            try:
                blocks += self._journal.blocks(lsn, end).blocks(paths, start, end)
            except Gone:
                return self.step(picture, start)
            beyond = next((block.lsn for block in blocks if block.lsn - start > STEP_BYTES_MAX), None)
            if beyond is not None:
                end = beyond
                break
        return self._blocks(picture, [block for block in blocks if block.lsn < end], start, end)

    def _blocks(self, picture: Picture, blocks: list[Block], start: int, end: int) -> Step:
        read_ms, found = 0, _Found(self._stopped)
        for block in blocks:
            try:
                frames, read_ms = self._frames(picture, block, start, end, read_ms)
                for path, of_stream in frames.items():
                    items = self._windows.items(picture.streams[path], of_stream)
                    found.lines(items, picture.identities[path], self._wanted(picture, path))
            except Gone:
                if block.lsn <= start:
                    return self.step(picture, start)  # out of the lake
                return Step(block.lsn, read_ms, found.in_order(), found.slow, found.missed)
            except Damage as damage:
                return Step(min(block.end, end), read_ms, found.in_order(), found.slow, str(damage))
        return Step(end, read_ms, found.in_order(), found.slow, found.missed)

    def _frames(
        self, picture: Picture, block: Block, start: int, end: int, read_ms: int
    ) -> tuple[dict[str, list[Frame]], int]:
        """The wanted frames of a block, by stream, and when the last of all of them was received."""
        frames: dict[str, list[Frame]] = {}
        for frame in self._journal.frames(block):
            if not start <= frame.lsn < end:
                continue
            read_ms = max(read_ms, frame.entry.time_ms)
            stream = picture.streams.get(frame.entry.stream)
            if stream is None or stream.retired or frame.lsn < stream.created_lsn:
                continue
            if self._wanted(picture, stream.path):
                frames.setdefault(stream.path, []).append(frame)
        return frames, read_ms

    def _sealed(self, picture: Picture, start: int, end: int) -> Step:
        """What retention took from the journal: a file of the lake."""
        try:
            manifest = self._older.reader.manifest()
            file = next(iter(self._older.reader.files(start, end)), None)
        except Unreadable as error:
            return Step(end, 0, missed=f"lines were taken by retention, and the lake cannot be read: {error}")
        if file is None or file.first_lsn > start:
            to = end if file is None else min(end, file.first_lsn)
            lack = lacking(manifest, start, to)
            return Step(to, 0, missed="" if lack is None else lack[1])
        to, found = min(end, file.end_lsn), _Found(self._stopped)
        try:
            streams = [path for path in sorted(file.streams) if path in picture.streams and self._wanted(picture, path)]
            for line, _ in self._older.reader.rows(file, streams, start, to) if streams else ():
                if line.lsn >= picture.streams[line.stream].created_lsn:
                    found.lines([line], picture.identities[line.stream], self._wanted(picture, line.stream))
        except Unreadable as error:
            return Step(to, 0, missed=f"lines were taken by retention, and the lake cannot be read: {error}")
        return Step(to, file.newest_received, found.in_order(), found.slow)

    def _wanted(self, picture: Picture, path: str) -> list[_Of]:
        """What alerts want of a stream."""
        identity = picture.identities[path]
        known = self._of.get(path)
        if known is None or known[0] != identity:
            if len(self._of) > 2 * len(picture.streams):
                self._of = {}
            known = self._of[path] = identity, [] if is_own(identity) else [*self._tests(identity)]
        return known[1]

    def _tests(self, identity: Identity) -> Iterable[_Of]:
        for rule in self._rules:
            test: Test = True if rule.node is None else Where(rule.node).test(identity)
            if test is not False:
                hides = Wanted((), snapshots=rule.snapshots).hides_snapshots(identity)
                yield _Of(rule.name, test, hides, tuple(reader(key) for key in rule.by))


class _Found:
    """What the lines of a step come to."""

    def __init__(self, stopped: Callable[[str], bool]) -> None:
        self._stopped = stopped
        self.slow: list[tuple[str, str]] = []
        self.missed = ""
        self._matches: list[tuple[int, int, Match]] = []

    def in_order(self) -> list[Match]:
        """As they were received."""
        return [match for *_, match in sorted(self._matches, key=lambda one: one[:2])]

    def lines(self, items: Iterable[Line | Mark], identity: Identity, wanted: list[_Of]) -> None:
        """Lines of one stream."""
        for item in items:
            if isinstance(item, Mark):
                if item.what == DAMAGE:
                    self.missed = item.text
                continue
            subject = Subject(identity.kind, item.text)
            for of in wanted:
                if self._stopped(of.alert) or (of.hides and is_snapshot(item.data)):
                    continue
                try:
                    if of.test is True or (of.test and of.test(subject)):
                        parts = (one(identity, subject.get) for one in of.readers)
                        group = tuple(NO_FIELD if part is None else str(part) for part in parts)
                        self._matches.append((item.lsn, item.offset, Match(item.received_ms, of.alert, group)))
                except Slow as slow:
                    self.slow.append((of.alert, str(slow)))
