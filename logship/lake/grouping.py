"""Core: a pipe -> what DuckDB is asked to count of the lake's rows, and its answer -> the pipe's table.

The table is the one that ``view.pipes_result`` makes of the same lines one by one: groups come by what the columns
hold, with how many rows have it, and are put together by the same keys. Only fields that are columns can be counted so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logship.lake.columns import TYPED, Type
from logship.lake.selection import Condition
from logship.lake.sql import FALSE, Sql
from logship.view.fields import FIELDS
from logship.view.pipes import COUNT, MEASURE, RATE, TOP, Key, Pipe, per_thousand
from logship.view.pipes_cells import Numbers
from logship.view.pipes_keys import Part, reader
from logship.view.pipes_result import Making
from logship.view.select import Identity

COUNTED, HIDDEN, JUDGED = 0, 1, 2
"""What becomes of rows: they match, they match and are hidden, or somebody else judges them."""
_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000))
_NAMES = frozenset(column.name for column in TYPED)
_ADDED = {"n": "sum", "numbers": "sum", "total": "sum", "least": "min", "most": "max"}
"""How groups are put together."""
_NUMBERS = frozenset(column.name for column in TYPED if column.type is Type.NUMBER)


@dataclass(frozen=True, slots=True)
class Grouping:
    """What is asked for a pipe: expressions by which rows are grouped, a key of the pipe each; and whether a span.

    ``number``: the column that is measured, ``each``: with every value of it; ``typed``: typed columns are read;
    ``folds``: by the number of a key what tells it of the groups: what is grouped by may be more than it says.
    """

    pipe: Pipe
    keys: tuple[str, ...]
    unit: str | None
    number: str | None
    each: bool
    typed: bool
    folds: Mapping[int, str] = field(default_factory=dict)

    def has_outcome(self, condition: Condition) -> bool:
        """Whether an answer says of its rows what becomes of them; else they are counted."""
        return not condition.is_exact or condition.hidden != FALSE

    def select(self, condition: Condition) -> Sql:
        """The question; where the rows come from stands in place of ``{rows}``, before all values."""
        keys = [f"{expression} AS k{number}" for number, expression in enumerate(self.keys)]
        if self.unit is not None:
            keys.append(f"date_trunc('{self.unit}', ts) AS span")
        values: tuple[Any, ...] = ()
        if self.has_outcome(condition):
            outcome = Sql(
                f"CASE WHEN {condition.counted.text} THEN {COUNTED} WHEN {condition.hidden.text} THEN {HIDDEN} "
                f"ELSE {JUDGED} END AS outcome",
                condition.counted.values + condition.hidden.values,
            )
            keys.append(outcome.text)
            values = outcome.values
        value = f'CASE WHEN "{self.number}" >= 0 THEN "{self.number}" END'  # -1: there is none
        if self.number is None:
            found = ["count(*) AS n"]
        elif self.each:
            keys.append(f"{value} AS value")
            found = ["count(*) AS n"]
        else:
            found = ["count(*) AS n", f"count({value}) AS numbers", f"sum({value}) AS total"]
            found += [f"min({value}) AS least", f"max({value}) AS most"]
        where = condition.sure_rows
        grouped = f"SELECT {', '.join((*keys, *found))} WHERE {where.text}{' GROUP BY ALL' if keys else ''}"
        return Sql(f"FROM (FROM {{rows}} {grouped}) SELECT {self._told(keys, found)}", values + where.values)

    def _told(self, keys: Sequence[str], found: Sequence[str]) -> str:
        """What is said of the groups. Those that have one key when they are told are put together first."""
        names = [part.rpartition(" AS ")[2] for part in (*keys, *found)]
        made = {"span": "epoch_ms(span)", **{f"k{number}": fold for number, fold in self.folds.items()}}
        if not self.folds:
            return ", ".join(made.get(name, name) for name in names)
        made |= {name: f"{_ADDED[name]}({name})" for name in names if name in _ADDED}
        told = [f"{made.get(name, name)} AS {name}" for name in names]
        return f"{', '.join(told)} GROUP BY ALL"


def grouping_of(pipe: Pipe) -> Grouping | None:
    """How a pipe is asked; None where it reads what is no column."""
    if pipe.kind not in (COUNT, RATE, TOP, MEASURE) or (pipe.kind == MEASURE and pipe.field not in _NUMBERS):
        return None
    keys = [_expression(key) for key in pipe.by]
    if any(key is None for key in keys):
        return None
    span_ms = pipe.span_ms
    return Grouping(
        pipe,
        tuple(key for key in keys if key is not None),
        None if span_ms is None else next(unit for unit, length in _UNITS if span_ms % length == 0),
        pipe.field,
        any(per_thousand(each) is not None for each in pipe.measures),
        pipe.field is not None or any(key != "stream" for key in keys),
        {number: _CLASS.format(number) for number, key in enumerate(pipe.by) if key.form == "class"},
    )


_CLASS = "CASE WHEN k{0} BETWEEN 100 AND 999 THEN k{0} - k{0} % 100 ELSE k{0} END"
"""A status of the same class."""


def _expression(key: Key) -> str | None:
    """What a key is a function of."""
    field = FIELDS.get(key.field)
    if field is not None and field.of_stream:
        return "stream"
    if key.field not in _NAMES:
        return None
    return "split_part(\"path\", '?', 1)" if key.form == "bare" else f'"{key.field}"'


class Answers:
    """Puts answers into ``making``. ``identities`` are those of streams."""

    def __init__(self, grouping: Grouping, making: Making, identities: Mapping[str, Identity]) -> None:
        self.hidden = self.judged = 0
        self._grouping, self._making = grouping, making
        self._reads = [_memory(key, identities) for key in grouping.pipe.by]

    def take(self, rows: Iterable[Sequence[Any]], with_outcome: bool) -> int:
        """The rows of an answer; how many lines they count. Raises TooMuch."""
        grouping, making, reads = self._grouping, self._making, self._reads
        size, span_ms = len(reads), grouping.pipe.span_ms
        at_outcome = size + (span_ms is not None)
        at_value = at_outcome + with_outcome
        matched = 0
        for row in rows:
            if with_outcome and row[at_outcome] != COUNTED:
                if row[at_outcome] == HIDDEN:
                    self.hidden += _count(grouping, row, at_value)
                else:
                    self.judged += _count(grouping, row, at_value)
                continue
            key = tuple([read(said) for read, said in zip(reads, row, strict=False)])
            span = None if span_ms is None else row[size] // span_ms * span_ms
            if grouping.number is None:
                making.take(key, span, True, row[at_value])
                matched += row[at_value]
            elif grouping.each:
                making.take(key, span, row[at_value], row[at_value + 1])
                matched += row[at_value + 1]
            else:
                matched += row[at_value]
                lines, numbers = row[at_value], Numbers.of(*row[at_value + 1 :])
                making.take_numbers(key, span, numbers, lines - numbers.lines)
        return matched


def _count(grouping: Grouping, row: Sequence[Any], at: int) -> int:
    return int(row[at + 1] if grouping.each else row[at])


def _memory(key: Key, identities: Mapping[str, Identity]) -> Callable[[Any], Part]:
    """What a key reads of what was grouped by, remembered."""
    read, known = reader(key), dict[Any, Part]()
    of_stream = (field := FIELDS.get(key.field)) is not None and field.of_stream

    def of(said: Any) -> Part:
        if said in known:
            return known[said]
        found = read(identities[said] if of_stream else _NOBODY, lambda _: said)
        if len(known) < _KNOWN_MAX:
            known[said] = found
        return found

    return of


_KNOWN_MAX = 100_000
_NOBODY = Identity("", None, None, None, "")
