"""Core: the ledger of losses as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from logship.reading.columns import aligned
from logship.view.shown import harmless

Record = dict[str, Any]
HEADS = ("WHEN", "SOURCE", "LOST", "REASON", "KNOWN BY")


def table(records: Sequence[Record], local: Callable[[datetime], datetime]) -> list[str]:
    """The lines of the table, with its head. ``local`` turns a time into the reader's own zone."""
    return aligned([HEADS, *(_row(record, local) for record in records)])


def total(record: Record) -> str:
    """What losses add up to: ``3 records: 81,920 bytes, 37 lines, 1 of which nobody knows how much``."""
    records = record["records"]
    parts = [f"{record['bytes']:,} bytes"] if record["bytes"] else []
    parts += [f"{count:,} {harmless(unit)}" for unit, count in sorted(record["counts"].items())]
    if record["unknown"]:
        parts.append(f"{record['unknown']:,} of which nobody knows how much")
    return f"{records:,} record{'' if records == 1 else 's'}: {', '.join(parts)}"


def forgotten(record: Record) -> str:
    """What to say of losses that the ledger keeps no more; nothing when there are none."""
    count = record["forgotten"]
    return f"the ledger keeps the newest records; {count:,} older ones are not in it any more" if count else ""


def _row(record: Record, local: Callable[[datetime], datetime]) -> tuple[str, ...]:
    last = local(datetime.fromisoformat(record["time"]))
    when = f"{last:%Y-%m-%d %H:%M:%S}.{last.microsecond // 1000:03}"
    if record["from"] is not None and record["to"] is not None:
        span = datetime.fromisoformat(record["to"]) - datetime.fromisoformat(record["from"])
        when += f" ({span.total_seconds():,.1f} s)"
    parts = [] if record["bytes"] is None else [f"{record['bytes']:,} bytes"]
    parts += [] if record["count"] is None else [f"{record['count']:,} {record['unit'] or 'units'}"]
    cells = (when, record["source"] or "-", ", ".join(parts) or "?", record["reason"] or "-", record["how"] or "-")
    return tuple(harmless(cell) for cell in cells)
