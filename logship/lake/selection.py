"""Core: what a reading wants of the rows of a file: conditions on streams, LSNs, times, and what the query says.

Streams of which the query says the same are asked together; a file of which none is wanted, or of another time, is not
read at all. Rows with the flag UNTYPED are always judged by ``view.where``: their typed columns may say less than they
do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace

from logship.collect.stream import StreamState
from logship.lake.columns import UNTYPED
from logship.lake.manifest import File
from logship.lake.sidecar import Candidates
from logship.lake.sql import FALSE, TRUE, Sql, Truth, all_of, either, every, negated, pattern, truth
from logship.view.select import Identity, Wanted

_IS_TYPED, _IS_UNTYPED = Sql(f"flags < {UNTYPED}"), Sql(f"flags >= {UNTYPED}")
_SNAPSHOT = r'\A\{"time": ?"[ !#-~]{1,40}", ?(?:"level": ?"[a-z]{1,10}", ?)?"event": ?"snapshot"'
"""As ``view.select.is_snapshot`` knows it, in ASCII."""
_IS_SNAPSHOT = Truth(
    Sql("regexp_matches(line, ?)", (_SNAPSHOT,)),
    Sql("(starts_with(line, '{\"time\"') AND contains(line, '\"snapshot\"'))"),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wanted of the rows of a file that lie in ``scope``: its streams, LSNs and times.

    Of those whose typed columns are sure (of all, where nothing asks them) the ``counted`` and the ``hidden`` match
    surely; what may match, too, is to be judged. ``looked_at``: the rows whatever they say, and when. Equal conditions
    can be asked of several files at once.
    """

    looked_at: Sql
    scope: Sql
    typed: bool
    may: Sql
    counted: Sql
    hidden: Sql
    may_untyped: Sql

    @property
    def is_nothing(self) -> bool:
        """Whether it is known without a look that no row matches."""
        return FALSE in (self.scope, self.may)

    @property
    def rows(self) -> Sql:
        """All rows that may match."""
        if not self.typed:
            return every([self.scope, self.may])
        either_way = either([every([_IS_TYPED, self.may]), every([_IS_UNTYPED, self.may_untyped])])
        return every([self.scope, self.may if self.may == TRUE == self.may_untyped else either_way])

    @property
    def is_all(self) -> bool:
        """Whether all rows that are looked at may match."""
        return every([self.scope, self.may]) == self.looked_at and (not self.typed or self.may_untyped == self.may)

    @property
    def sure_rows(self) -> Sql:
        """Rows that may match whose typed columns say all."""
        return every([self.scope, *([_IS_TYPED] if self.typed else []), self.may])

    @property
    def judged(self) -> Sql:
        """Of ``sure_rows`` those that only ``view.where`` can judge."""
        return FALSE if self.is_exact else every([self.sure_rows, negated(self.counted), negated(self.hidden)])

    @property
    def untyped(self) -> Sql:
        """Rows whose typed columns may say less than they do, where somebody asks them."""
        return every([self.scope, _IS_UNTYPED, self.may_untyped]) if self.typed else FALSE

    @property
    def is_exact(self) -> bool:
        """Whether none of ``sure_rows`` is left to be judged."""
        return self.counted == self.may


@dataclass(frozen=True, slots=True)
class _Group:
    """Streams, by path since which LSN, of which a query says the same."""

    typed: Truth
    untyped: Truth
    hides: bool
    streams: dict[str, int]


class Selection:
    """What is wanted of these streams. ``candidates``: the rows of a file in which that may be; None: in all."""

    def __init__(
        self,
        wanted: Wanted,
        streams: Iterable[StreamState],
        identities: Mapping[str, Identity],
        candidates: Callable[[File], Candidates | None] = lambda _: None,
    ) -> None:
        self._wanted, node = wanted, wanted.node
        self._candidates = candidates
        self._rows: dict[str, Sql] = {}
        besides = [] if wanted.grep is None else [pattern(wanted.grep)]
        besides += [] if wanted.exclude is None else [pattern(wanted.exclude).negated()]
        groups: dict[tuple[Truth, Truth, bool], dict[str, int]] = {}
        for stream in streams:
            identity = identities[stream.path]
            typed, untyped = (
                all_of([*([] if node is None else [truth(node, identity, typed=each)]), *besides])
                for each in (True, False)
            )
            if typed.may != FALSE:
                of_same = groups.setdefault((typed, untyped, wanted.hides_snapshots(identity)), {})
                of_same[stream.path] = stream.created_lsn
        self._groups = [_Group(*what, streams) for what, streams in groups.items()]

    def of(self, file: File, start: int, end: int, *, typed: bool = False) -> Condition | None:
        """The condition on its rows between two LSNs; None: it has none. ``typed``: who asks reads typed columns."""
        scope = self._scope(file, start, end)
        groups = [
            (group, {path: lsn for path, lsn in group.streams.items() if path in file.streams})
            for group in self._groups
        ]
        groups = [(group, streams) for group, streams in groups if streams]
        if scope is None or not groups:
            return None
        parts = []
        for group, streams in groups:
            among = _among(file, streams)
            parts.append((group, every([among, *_lives(file, streams, start)])))
        hiding = any(group.hides for group, _ in parts)
        typed = typed or any(group.typed.typed for group, _ in parts)
        counted = either(every([among, group.typed.sure, *_shown(group)]) for group, among in parts)
        hidden = [every([among, group.typed.sure, _IS_SNAPSHOT.sure]) for group, among in parts if group.hides]
        return Condition(
            every([*self._within(file, start, end), either(among for _, among in parts)]),
            scope,
            typed,
            either(every([among, group.typed.may]) for group, among in parts),
            counted,
            either(hidden) if hiding else FALSE,
            either(every([among, group.untyped.may]) for group, among in parts),
        )

    def only(self, stream: StreamState) -> Selection:
        """The same of one of the streams."""
        found = copy(self)
        found._groups = [
            replace(group, streams={stream.path: stream.created_lsn})
            for group in self._groups
            if stream.path in group.streams
        ]
        return found

    def streams_in(self, file: File) -> list[str]:
        """The streams of the file that are wanted."""
        return sorted(path for group in self._groups for path in group.streams if path in file.streams)

    def spans(self, file: File) -> Iterator[int]:
        """How many bytes of each stream that is wanted are in the file, with the holes between them."""
        for group in self._groups:
            for path in group.streams.keys() & file.streams.keys():
                first, end = file.streams[path]
                yield end - first

    def is_whole(self, file: File, start: int, end: int) -> bool:
        """Whether all lines of the file are looked at, whatever is said of them."""
        streams = {path: lsn for group in self._groups for path, lsn in group.streams.items()}
        inside = start <= file.first_lsn and file.end_lsn <= end
        return inside and all(path in streams and streams[path] <= file.first_lsn for path in file.streams)

    @staticmethod
    def _within(file: File, start: int, end: int) -> list[Sql]:
        parts = [Sql("lsn >= ?", (start,))] if start > file.first_lsn else []
        return [*parts, Sql("lsn < ?", (end,))] if end < file.end_lsn else parts

    def _scope(self, file: File, start: int, end: int) -> Sql | None:
        since_ms, until_ms = self._wanted.since_ms, self._wanted.until_ms
        parts = self._within(file, start, end)
        if since_ms is not None and since_ms > file.oldest_ts:
            if since_ms > file.newest_ts:
                return None
            parts.append(Sql("ts >= make_timestamp_ms(?)", (since_ms,)))
        if until_ms is not None and until_ms <= file.newest_ts:
            if until_ms <= file.oldest_ts:
                return None
            parts.append(Sql("ts < make_timestamp_ms(?)", (until_ms,)))
        return every([*parts, self._among_rows(file)])

    def _among_rows(self, file: File) -> Sql:
        """That a row is one of those in which what is wanted may be, as far as filters know."""
        if file.name not in self._rows:
            found = self._candidates(file)
            ranges = [] if found is None else found.ranges
            parts = [Sql(f"file_row_number BETWEEN {first:d} AND {end - 1:d}") for first, end in ranges]
            self._rows[file.name] = TRUE if found is None else either(parts)
        return self._rows[file.name]


def _among(file: File, streams: Mapping[str, int]) -> Sql:
    """That a row is of one of the streams."""
    others = sorted(file.streams.keys() - streams.keys())
    if not others:
        return TRUE
    named = sorted(streams) if len(streams) <= len(others) else others
    word = "IN" if len(streams) <= len(others) else "NOT IN"
    return Sql(f"stream {word} ({', '.join('?' * len(named))})", tuple(named))


def _lives(file: File, streams: Mapping[str, int], start: int) -> list[Sql]:
    """Of streams that were deleted and made anew, the present life."""
    return [
        Sql("(stream <> ? OR lsn >= ?)", (path, created_lsn))
        for path, created_lsn in sorted(streams.items())
        if created_lsn > max(file.first_lsn, start)
    ]


def _shown(group: _Group) -> list[Sql]:
    return [negated(_IS_SNAPSHOT.may)] if group.hides else []
