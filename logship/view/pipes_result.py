"""Core: what a pipe makes of lines: groups of them, and the table that comes of it.

A line is (time in ms, whose it is, a function that says a field's value by its name): nothing here knows where lines
come from. ``TEXT`` is the name by which the whole text is asked for. The same lines make the same table in any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from logship.view.fields import FIELDS, LEVEL_NAMES, LEVELS, Sort, as_number, as_text
from logship.view.pipes import COUNT, MEASURE, PATTERNS, RATE, TOP, Key, Pipe, per_thousand
from logship.view.pipes_cells import Cell, Example, Numbers, Tally
from logship.view.pipes_groups import SPANS_MAX, WEIGHT_MAX, GroupKey, Groups, key_order
from logship.view.pipes_shapes import shape
from logship.view.records import stamp
from logship.view.select import Identity
from logship.view.where import of_stream

TEXT = ""
VALUE_CHARACTERS_MAX = 256
"""Of a text that is grouped by; what is longer is cut, and ends with an ellipsis."""
PATTERN_WEIGHT_MAX = 40_000
EXAMPLE_CHARACTERS_MAX = 512

Get = Callable[[str], Any]
Line = tuple[int, Identity, Get]
Part = str | int | float | None


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
        self._make = self._maker()
        self._groups = Groups(self._make, weight_max, bounds.spans_max)
        self._readers = [reader(key) for key in pipe.by]

    def feed(self, lines: Iterable[Line]) -> None:
        """Take lines. Raises TooMuch."""
        for time_ms, identity, get in lines:
            self.add(time_ms, identity, get)

    def add(self, time_ms: int, identity: Identity, get: Get) -> None:
        """Take one line. Raises TooMuch."""
        pipe = self.pipe
        key: GroupKey = tuple([read(identity, get) for read in self._readers])
        said: Any = None
        if pipe.kind == MEASURE:
            said = measured(pipe.field or "", get)
            if said is None:
                self.without += 1
                return
        elif pipe.kind == PATTERNS:
            text = get(TEXT)
            key, said = (shape(text),), (time_ms, text[:EXAMPLE_CHARACTERS_MAX])
        elif pipe.kind == TOP and None in key:
            self.without += 1
            return
        self.counted += 1
        self._groups.add(key, None if pipe.span_ms is None else time_ms // pipe.span_ms * pipe.span_ms, said)

    @property
    def groups(self) -> int:
        """How many groups are held."""
        return len(self._groups)

    def table(self, rows_max: int | None = None) -> Table:
        """What it comes to; at most ``rows_max`` rows of it, the first ones, for a look while it goes on."""
        pipe, groups = self.pipe, self._groups
        limit = min((each for each in (pipe.limit, rows_max) if each is not None), default=None)
        found = list(groups.items())
        chosen = heapq.nsmallest(limit, found, self._order) if limit is not None else sorted(found, key=self._order)
        others = sorted(groups.others(), key=lambda pair: pair[0] or 0)
        blank: GroupKey = (None,) * (1 if pipe.kind == PATTERNS else len(pipe.by))
        if not (found or others or pipe.by or pipe.span_ms is not None or pipe.kind == PATTERNS):
            chosen = [((), None, self._make())]  # of no lines the number is 0
        cells = [cell for *_, cell in found] + [cell for _, cell in others]
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
            exact=all(cell.is_exact for cell in cells if isinstance(cell, Numbers)),
        )

    def _maker(self) -> Callable[[], Cell]:
        if self.pipe.kind == MEASURE:
            each = bool(self._shares)
            return lambda: Numbers(each)
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
        return [*found, "count", *(["rate"] if pipe.kind == RATE else pipe.measures)]

    def _row(self, key: GroupKey, span: int | None, cell: Cell) -> list[Part]:
        found: list[Part] = [] if span is None else [stamp(span)]
        found += [*key, cell.lines]
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


_OF: dict[str, Callable[[Numbers], Part]] = {
    "min": lambda cell: cell.least if cell.lines else None,
    "max": lambda cell: cell.most if cell.lines else None,
    "avg": lambda cell: cell.mean,
    "sum": lambda cell: cell.sum if cell.lines else None,
}
assert {COUNT, RATE, MEASURE, TOP, PATTERNS} == {"count", "rate", "measure", "top", "patterns"}


def measured(name: str, get: Get) -> int | float | None:
    """The number that a field is. In a timer or the status of HAProxy's lines -1 means that there is none."""
    found = as_number(get(name))
    return None if found is not None and found < 0 and name in FIELDS else found


def reader(key: Key) -> Callable[[Identity, Get], Part]:
    """Reads of a line what it is grouped by; None where it has not the field."""
    name = key.field
    known = FIELDS.get(name)
    if known is not None and known.of_stream:
        form = shape if key.form else _cut
        return lambda identity, _: None if (said := of_stream(name, identity)) is None else form(said)
    make = _FORMS.get(key.form) or (_number if known is not None and known.sort is Sort.NUMBER else _text)
    if known is not None and known.sort is Sort.LEVEL:
        make = _level
    return lambda _, get: None if (said := get(name)) is None else make(said)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"


def _text(said: Any) -> Part:
    return _cut(as_text(said))


def _number(said: Any) -> Part:
    found = as_number(said)
    return _text(said) if found is None else found


def _level(said: Any) -> Part:
    """One name for ``warn``, ``WARNING`` and the like."""
    return LEVEL_NAMES.get(LEVELS.get(str(said).lower(), 0)) or _text(said)


def _class(said: Any) -> Part:
    found = as_number(said)
    return f"{found // 100:.0f}xx" if found is not None and 100 <= found < 1000 else _text(said)


_FORMS: dict[str, Callable[[Any], Part]] = {
    "class": _class,
    "bare": lambda said: _cut(as_text(said).partition("?")[0]),
    "shape": lambda said: shape(as_text(said)),
}
