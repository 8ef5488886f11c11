"""Core: what is kept of each stream, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from logship.reading.columns import ago, aligned, size
from logship.view.shown import harmless

Record = dict[str, Any]
HEADS = ("SOURCE", "KIND", "BYTES", "KEPT", "LAST APPEND", "STATE", "LOSSES", "STREAM")


def table(records: Sequence[Record], now: datetime) -> list[str]:
    """The lines of the table, with its head."""
    rows = [HEADS, *(_row(record, now) for record in records)]
    return aligned(rows)


def _row(record: Record, now: datetime) -> tuple[str, ...]:
    state = "removed" if record["retired"] else "closed" if record["closed"] else "open"
    losses = str(record["losses"]) + (f" ({size(record['lost_bytes'])})" if record["lost_bytes"] else "")
    last = "-" if record["last_append"] is None else f"{ago(record['last_append'], now)} ago"
    cells = (record["source"], record["kind"], size(record["bytes"]), size(record["kept_bytes"]), last, state, losses)
    return tuple(harmless(cell) for cell in (*cells, record["stream"]))
