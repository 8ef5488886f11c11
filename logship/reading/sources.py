"""Core: what is kept of each stream, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from logship.view.shown import harmless

Record = dict[str, Any]
HEADS = ("SOURCE", "KIND", "BYTES", "KEPT", "LAST APPEND", "STATE", "LOSSES", "STREAM")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def table(records: Sequence[Record], now: datetime) -> list[str]:
    """The lines of the table, with its head."""
    rows = [HEADS, *(_row(record, now) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(record: Record, now: datetime) -> tuple[str, ...]:
    state = "removed" if record["retired"] else "closed" if record["closed"] else "open"
    losses = str(record["losses"]) + (f" ({size(record['lost_bytes'])})" if record["lost_bytes"] else "")
    last = "-" if record["last_append"] is None else f"{ago(record['last_append'], now)} ago"
    cells = (record["source"], record["kind"], size(record["bytes"]), size(record["kept_bytes"]), last, state, losses)
    return tuple(harmless(cell) for cell in (*cells, record["stream"]))


def size(count: int) -> str:
    """``1.4 MiB``."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def ago(stamp: str, now: datetime) -> str:
    """How long before ``now``, in the largest unit: ``3m``."""
    seconds = max(0, int((now - datetime.fromisoformat(stamp)).total_seconds()))
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"
