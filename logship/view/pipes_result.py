"""Core: what a pipe makes of lines: groups of them, and the table that comes of it.

A line is (time in ms, whose it is, a function that says a field's value by its name): nothing here knows where lines
come from. ``TEXT`` is the name by which the whole text is asked for. The same lines make the same table in any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from logship.view.pipes import HAPROXY, MEASURE, PATTERNS, RATE, TOP, Key, Pipe, per_thousand
from logship.view.pipes_cells import Cell, Example, Numbers, Tally
from logship.view.pipes_groups import SPANS_MAX, WEIGHT_MAX, GroupKey, Groups, key_order
from logship.view.pipes_haproxy import TIMES, Requests, columns, said_of, with_each
from logship.view.pipes_keys import Get, Part, measured, reader
from logship.view.pipes_shapes import shape
from logship.view.records import stamp
from logship.view.select import Identity

TEXT = ""
PATTERN_WEIGHT_MAX = 100_000
EXAMPLE_CHARACTERS_MAX = 512

Line = tuple[int, Identity, Get]
REPORT = {"servers": (Key("backend"), Key("server")), "states": (Key("state", "pair"),)}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be held. Patterns have a lower one: each has its example."""

    weight_max: int = WEIGHT_MAX
    spans_max: int = SPANS_MAX
    pattern_weight_max: int = PATTERN_WEIGHT_MAX


@dataclass(slots=True)
class Table:
    """What came of it. ``rows`` as ``columns`` say; the first ``keys`` of them (and the time) say which lines.

    ``counted`` lines are in it; ``without``: lines that have not what is asked for. ``groups`` are kept, all of them in
    ``rows`` unless there is a limit; ``rest`` are lines of rows beyond it. ``others``: rows of what was folded, of
    ``about`` so many groups in all. ``exact``: no percentile is rounded.
    """

    columns: list[str]
    keys: int
    rows: list[list[Part]]
    counted: int = 0
    without: int = 0
    groups: int = 0
    rest: int = 0
    others: list[list[Part]] = field(default_factory=list)
    about: int | None = None
    exact: bool = True


_WITH_NUMBERS = (Numbers, Requests)


class Making:
    """A table in the making. The times asked for matter to rates: of a span that they cut only a part counts."""

    def __init__(
        self, pipe: Pipe, since_ms: int | None = None, until_ms: int | None = None, bounds: Bounds | None = None
    ) -> None:
        self.pipe = pipe
        self._range = since_ms, until_ms
        self.counted = self.without = 0
        bounds = bounds or Bounds()
        weight_max = bounds.pattern_weight_max if pipe.kind == PATTERNS else bounds.weight_max
        self._shares = [share for each in pipe.measures if (share := per_thousand(each)) is not None]
        self._each = with_each([key.field for key in pipe.by])
        self._make = self._maker()
        self._groups = Groups(self._make, weight_max, bounds.spans_max)
        self._readers = [reader(key) for key in pipe.by]

    def feed(self, lines: Iterable[Line]) -> None:
        """Take lines. Raises TooMuch."""
        for time_ms, identity, get in lines:
            self.add(time_ms, identity, get)

    def add(self, time_ms: int, identity: Identity, get: Get) -> None:
        """Take one line. Raises TooMuch."""
        kind = self.pipe.kind
        said: Any = True
        if kind == MEASURE:
            said = measured(self.pipe.field or "", get)
        elif kind == HAPROXY:
            said = said_of(get)
        elif kind == PATTERNS:
            text = get(TEXT)
            self._put((shape(text),), time_ms, (time_ms, text[:EXAMPLE_CHARACTERS_MAX]))
            return
        if said is None:
            self.without += 1
        else:
            self.put(time_ms, identity, get, said)

    def put(self, time_ms: int, identity: Identity, get: Get, said: Any) -> None:
        """Take what a line says. Raises TooMuch."""
        key: GroupKey = tuple([read(identity, get) for read in self._readers])
        if self.pipe.kind == TOP and None in key:
            self.without += 1
        else:
            self._put(key, time_ms, said)

    def take(self, key: GroupKey, span: int | None, said: Any, times: int) -> None:
        """Take many lines that have the same key and say the same, where their span begins. Raises TooMuch."""
        if said is None or (self.pipe.kind == TOP and None in key):
            self.without += times
        elif times:
            self.counted += times
            self._groups.add(key, span, said, times)

    def take_numbers(self, key: GroupKey, span: int | None, numbers: Numbers, without: int) -> None:
        """Take what was added up of lines, and how many have no number. Raises TooMuch."""
        self.without += without
        if numbers.lines:
            self.counted += numbers.lines
            self._groups.merge(key, span, numbers)

    def _put(self, key: GroupKey, time_ms: int, said: Any) -> None:
        self.counted += 1
        span_ms = self.pipe.span_ms
        self._groups.add(key, None if span_ms is None else time_ms // span_ms * span_ms, said)

    @property
    def groups(self) -> int:
        """How many groups are held."""
        return len(self._groups)

    def tables(self, rows_max: int | None = None) -> dict[str, Table]:
        """All that it makes, by name: one table, which needs none."""
        return {"": self.table(rows_max)}

    def table(self, rows_max: int | None = None) -> Table:
        """What it comes to; at most ``rows_max`` rows of it, the first ones, for a look while it goes on."""
        pipe, groups = self.pipe, self._groups
        limit = min((each for each in (pipe.limit, rows_max) if each is not None), default=None)
        found = list(groups.items())
        of_none = not (found or pipe.by or pipe.span_ms is not None or pipe.kind == PATTERNS or groups.about)
        found += [((), None, self._make())] if of_none else []  # of no lines the number is 0
        chosen = heapq.nsmallest(limit, found, self._order) if limit is not None else sorted(found, key=self._order)
        others = sorted(groups.others(), key=lambda pair: pair[0] or 0)
        blank: GroupKey = (None,) * (1 if pipe.kind == PATTERNS else len(pipe.by))
        return Table(
            columns=self._columns(),
            keys=len(blank) + (pipe.span_ms is not None),
            rows=[self._row(*each) for each in chosen],
            counted=self.counted,
            without=self.without,
            groups=len(groups),
            rest=0 if pipe.limit is None else sum(one[2].lines for one in found) - sum(one[2].lines for one in chosen),
            others=[self._row(blank, span, cell) for span, cell in others],
            about=groups.about,
            exact=all(cell.is_exact for cell in self.cells() if isinstance(cell, _WITH_NUMBERS)),
        )

    def cells(self) -> list[Any]:
        """All that is held."""
        return [cell for *_, cell in self._groups.items()] + [cell for _, cell in self._groups.others()]

    def _maker(self) -> Callable[[], Cell]:
        if self.pipe.kind == MEASURE:
            each = bool(self._shares)
            return lambda: Numbers(each)
        if self.pipe.kind == HAPROXY:
            return lambda: Requests(self._each)
        return Example if self.pipe.kind == PATTERNS else Tally

    def _order(self, one: tuple[GroupKey, int | None, Cell]) -> Any:
        """The most first; where time passes by time, of measures by key."""
        key, span, cell = one
        if span is not None:
            return (span, 0, key_order(key))
        return (0, 0 if self.pipe.kind == MEASURE else -cell.lines, key_order(key))

    def _columns(self) -> list[str]:
        pipe = self.pipe
        if pipe.kind == PATTERNS:
            return ["pattern", "count", "first", "last", "example"]
        found = ["time"] if pipe.span_ms is not None else []
        found += [key.name for key in pipe.by]
        if pipe.kind == HAPROXY:
            return [*found, *columns(self._each)]
        return [*found, "count", *(["rate"] if pipe.kind == RATE else pipe.measures)]

    def _row(self, key: GroupKey, span: int | None, cell: Cell) -> list[Part]:
        found: list[Part] = [] if span is None else [stamp(span)]
        found += key
        if isinstance(cell, Requests):
            return [*found, *cell.row(self._each)]
        found.append(cell.lines)
        if self.pipe.kind == RATE:
            found.append(cell.lines / self._seconds(span or 0))
        elif isinstance(cell, Numbers):
            percentiles = iter(cell.percentiles(self._shares))
            found += [next(percentiles) if each[0] == "p" else _OF[each](cell) for each in self.pipe.measures]
        elif isinstance(cell, Example) and cell.first is not None:
            found += [stamp(cell.first[0]), stamp(cell.last_ms), cell.first[1]]
        return found

    def _seconds(self, span: int) -> float:
        """How much of a span lies in the times asked for."""
        length = self.pipe.span_ms or 1000
        since_ms, until_ms = self._range
        low = span if since_ms is None else max(span, since_ms)
        high = span + length if until_ms is None else min(span + length, until_ms)
        return (high - low if high > low else length) / 1000


class Report:
    """What HAProxy's lines say of all requests, of each server and of how they ended: tables that are read at once."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.without = 0
        self._makings = {name: Making(Pipe(HAPROXY, by)) for name, by in REPORT.items()}

    def add(self, time_ms: int, identity: Identity, get: Get) -> None:
        """Take one line. Raises TooMuch."""
        said = said_of(get)
        if said is None:
            self.without += 1
            return
        for making in self._makings.values():
            making.put(time_ms, identity, get, said)

    @property
    def groups(self) -> int:
        """How many groups are held."""
        return sum(making.groups for making in self._makings.values())

    def tables(self, rows_max: int | None = None) -> dict[str, Table]:
        """The tables, by name."""
        servers = self._makings["servers"]
        total = Requests(each=True)
        for cell in servers.cells():
            total.merge(cell)
        found = {
            "total": Table(columns(each=True), 0, [total.row(each=True)], total.lines, exact=total.is_exact),
            **{name: making.table(rows_max) for name, making in self._makings.items()},
            "percentiles": Table(["percentile", *TIMES], 1, total.percents(), total.lines, exact=total.is_exact),
        }
        for table in found.values():
            table.without = self.without
        return found


def making_of(pipe: Pipe, since_ms: int | None, until_ms: int | None) -> Making | Report:
    """What makes the tables of a pipe."""
    if pipe.kind == HAPROXY and not pipe.by:
        return Report(pipe)
    return Making(pipe, since_ms, until_ms)


_OF: dict[str, Callable[[Numbers], Part]] = {
    "min": lambda cell: cell.least if cell.lines else None,
    "max": lambda cell: cell.most if cell.lines else None,
    "avg": lambda cell: cell.mean,
    "sum": lambda cell: cell.sum if cell.lines else None,
}
