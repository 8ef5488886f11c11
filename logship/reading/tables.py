"""Core: the table that a pipe makes, for people, as JSON lines and as CSV, with what its numbers are worth.

Left to others: asking for it (``query``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from logship.reading.cells import FORMULA
from logship.reading.columns import columns_aligned
from logship.view.pipes import COUNT, HAPROXY, PATTERNS, RATE, TOP, Pipe
from logship.view.shown import harmless

Record = dict[str, Any]
BAR_CHARACTERS = 30
PIVOT_COLUMNS_MAX = 10
FILLED_ROWS_MAX = 1000
OTHERS, REST = "(others)", "(the rest)"
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Shown:
    """Writes one answer's table. ``local`` turns a time into the reader's own zone; ``bars`` stand behind counts."""

    def __init__(self, pipe: Pipe, local: Callable[[datetime], datetime], bars: bool, colour: bool) -> None:
        self._pipe, self._local, self._bars, self._colour = pipe, local, bars, colour

    def table(self, said: Record) -> list[str]:
        """The lines of the table, with its head; of a single number it alone."""
        columns, rows, keys = said["columns"], said["rows"], said["keys"]
        if len(columns) == 1 and len(rows) == 1:
            return [_cell(rows[0][0])]
        if self._pipe.kind == PATTERNS:
            columns, rows, keys = ["count", "pattern"], [[row[1], row[0]] for row in rows], 0
            others = [[row[1], OTHERS] for row in said["others"]]
        else:
            first = int(self._pipe.span_ms is not None)
            others = [[*row[:first], OTHERS, *row[first + 1 :]] if keys > first else row for row in said["others"]]
            rows, others = [*rows], [*others]
            if said["rest"]:
                others.append([REST, *[None] * (keys - 1), said["rest"]])
        bar_of = keys if self._bars and self._pipe.kind in (COUNT, TOP, RATE) else None
        if self._pipe.span_ms is not None:
            columns, rows, pivoted = self._by_time(columns, rows + others, keys)
            others, bar_of = [], None if pivoted else bar_of
        return self._written(columns, rows + others, bar_of)

    def _by_time(self, columns: list[str], rows: list[Any], keys: int) -> tuple[list[str], list[Any], bool]:
        """Rows of spans, also of those that have no line; a column for each group where there are few."""
        zero: Any = 0 if self._pipe.kind in (COUNT, RATE) else None
        rows = sorted(rows, key=lambda row: str(row[0]))
        groups = list(dict.fromkeys(row[1] for row in rows)) if keys == 2 else []
        pivoted = 0 < len(groups) <= PIVOT_COLUMNS_MAX and (len(columns) == 3 or self._pipe.kind == RATE)
        if pivoted:
            groups.sort(key=lambda group: (group is None, str(group)))
            found: dict[str, dict[Any, Any]] = {}
            for row in rows:
                found.setdefault(row[0], {})[row[1]] = row[-1]
            columns = ["time", *("-" if group is None else str(group) for group in groups)]
            rows = [[at, *(cells.get(group, zero) for group in groups)] for at, cells in found.items()]
        if keys == 1 or pivoted:
            rows = self._filled(rows, zero)
        return columns, [[self._when(row[0]), *row[1:]] for row in rows], pivoted

    def _filled(self, rows: list[Any], zero: Any) -> list[Any]:
        span = timedelta(milliseconds=self._pipe.span_ms or 0)
        held = {datetime.fromisoformat(row[0]): row for row in rows}
        if not held or (max(held) - min(held)) / span > FILLED_ROWS_MAX:
            return rows
        found, at = [], min(held)
        while at <= max(held):
            found.append(held.get(at, [at.isoformat(), *[zero] * (len(rows[0]) - 1)]))
            at += span
        return found

    def _when(self, stamp: str) -> str:
        return f"{self._local(datetime.fromisoformat(stamp)):%Y-%m-%d %H:%M:%S}"

    def _written(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], bar_of: int | None) -> list[str]:
        cells = [[harmless(_cell(cell)) for cell in row] for row in rows]
        numbers = {at for at in range(len(columns)) if all(isinstance(row[at], int | float | None) for row in rows)}
        lines = columns_aligned([[harmless(name.upper()) for name in columns], *cells], numbers)
        if bar_of is None or len(rows) < 2:
            return lines
        most = max((row[bar_of] for row in rows if row[0] not in (OTHERS, REST)), default=0)
        width = max(map(len, lines))
        drawn = ["", *(_bar(row[bar_of], most) for row in rows)]
        if self._colour:
            drawn = [f"\x1b[36m{each}\x1b[0m" if each else "" for each in drawn]
        return [f"{line.ljust(width)}  {bar}".rstrip() for line, bar in zip(lines, drawn, strict=True)]


def json_lines(said: Record, **besides: Any) -> list[str]:
    """A record a row; what is ``besides`` stands in each."""
    columns = said["columns"]
    found = [{"type": "row", **besides, **dict(zip(columns, row, strict=True))} for row in said["rows"]]
    found += [{"type": "others", **besides, **dict(zip(columns, row, strict=True))} for row in said["others"]]
    return [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in found]


def json_worth(said: Record, losses: Record, progress: Record) -> list[str]:
    """What the numbers are worth: the last two records."""
    worth = {name: said[name] for name in ("counted", "without", "rest", "groups", "about", "exact")}
    total = {"type": "total", **worth, "lines": progress["lines"], "hidden": progress["hidden"]}
    return [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in (total, losses)]


def csv_lines(said: Record) -> list[str]:
    """As spreadsheets read it, none of it as a formula; folded groups and what is beyond the limit are rows, too."""
    keys, first = said["keys"], int(said["columns"][0] == "time")
    rows = [[*map(_unrun, row)] for row in said["rows"]]
    rows += [[*row[:first], OTHERS, *row[first + 1 :]] for row in said["others"]]
    rows += [[REST, *[None] * (keys - 1), said["rest"]]] if said["rest"] else []
    lines: list[str] = []
    csv.writer(_Lines(lines), lineterminator="").writerows([said["columns"], *rows])
    return lines


def notes(pipe: Pipe, said: Record, losses: Record, progress: Record) -> list[str]:
    """Sentences that go with the table: whatever would make its numbers say more than they do."""
    found = [losses["text"]] if losses["text"] else []
    if losses["forgotten"]:
        found.append(f"the ledger keeps the newest losses; {losses['forgotten']:,} older ones are not in it any more")
    if said["about"] is not None:
        folded = sum(row[said["keys"]] for row in said["others"])
        found.append(f"there are about {said['about']:,} groups; {folded:,} lines of those beyond a bound are {OTHERS}")
    if said["without"] and pipe.kind == HAPROXY:
        found.append(f"{said['without']:,} lines are not HAProxy's of a request or connection")
    elif said["without"]:
        what = pipe.field or " and ".join(key.name for key in pipe.by)
        found.append(f"{said['without']:,} lines have no {what}")
    if not said["exact"]:
        found.append("percentiles of so many different values are within 0.5 %")
    if progress["hidden"]:
        found.append(f"{progress['hidden']:,} snapshots are not counted; --snapshots counts them")
    return found


def far(progress: Record, local: Callable[[datetime], datetime]) -> str:
    """How far a search is: ``searched back to Nov 23 20:14:02, 38 %, 1,204,000 lines, 3,211 match``."""
    back = progress["back_to"]
    where = f"back to {local(datetime.fromisoformat(back)):%b %d %H:%M:%S}, " if back else ""
    return f"searched {where}{progress['share']:.0%}, {progress['lines']:,} lines, {progress['matched']:,} match"


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, text: str) -> None:
        """One line, as the csv module writes it."""
        self._lines.append(text)


def _unrun(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula (``cells``)."""
    return f"'{value}" if isinstance(value, str) and value and value[0] in FORMULA else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else repr(value)
    return str(value)


def _bar(value: float | None, most: float) -> str:
    """As long as its share of the greatest."""
    if not value or value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(min(1.0, value / most) * BAR_CHARACTERS * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
