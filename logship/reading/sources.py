"""Core: what is known of each source, as a table for people; what is not known is "?", and notes say why.

A source is a program of a container; its streams (one a life, more after holes) are one row, or a row each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from logship.reading.columns import ago, aligned, duration, size
from logship.view.shown import harmless

Record = dict[str, Any]
UNKNOWN = "?"
HEADS = ("SOURCE", "BYTES", "LINES", "RATE", "LAG", "LAST LINE", "SURVIVES", "LOST", "STATE")
STREAM_HEADS = (*HEADS, "KIND", "KEPT", "OLDEST", "STREAM")
NAMES_MAX = 3
"""How many sources a note names."""
_WORDS = {
    "lines": "lines", "oldest": "lines", "rate": "rate", "lag_bytes": "lag", "lag_seconds": "lag",
    "last_line": "last line", "survives_seconds": "what it survives",
}  # fmt: skip


def table(records: Sequence[Record], now: datetime, *, streams: bool = False) -> list[str]:
    """The lines of the table, with its head. ``streams``: a row a stream."""
    if streams:
        rows = [
            (*_row([one], now), one["kind"], size(one["kept_bytes"]), _oldest(one, now), one["stream"])
            for one in records
        ]
        return aligned([STREAM_HEADS, *(tuple(harmless(cell) for cell in row) for row in rows)])
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["source"], []).append(record)
    return aligned([HEADS, *(tuple(harmless(cell) for cell in _row(group, now)) for group in groups.values())])


def notes(records: Sequence[Record]) -> list[str]:
    """Why something is not known, each reason once: ``lag of webapp/2:serf and 4 more: its shipper was heard ...``."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for name, why in record["unknown"].items():
            names = found.setdefault((_WORDS.get(name, name), why), [])
            if record["source"] not in names:
                names.append(record["source"])
    said = []
    for (what, why), names in found.items():
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        said.append(harmless(f"{what} of {', '.join(names[:NAMES_MAX])}{more}: {why}"))
    return said


def _row(group: Sequence[Record], now: datetime) -> tuple[str, ...]:
    last = max((one["last_line"] for one in group if one["last_line"]), default=None)
    lost_last = any("last_line" in one["unknown"] for one in group if one["last_append"])
    return (
        group[0]["source"],
        size(sum(one["bytes"] for one in group)),
        _sum(group, "lines", lambda count: f"{count:,.0f}"),
        _sum(group, "rate", lambda rate: f"{size(rate)}/s" if rate else "0"),
        _lag(group),
        f"{ago(last, now)} ago" if last else UNKNOWN if lost_last else "-",
        _survives(group),
        _lost(group),
        _state(group),
    )


def _oldest(one: Record, now: datetime) -> str:
    if "oldest" in one["unknown"]:
        return UNKNOWN
    return f"{ago(one['oldest'], now)} ago" if one["oldest"] else "-"


def _sum(group: Sequence[Record], name: str, text: Any) -> str:
    return UNKNOWN if any(name in one["unknown"] for one in group) else str(text(sum(one[name] or 0 for one in group)))


def _lag(group: Sequence[Record]) -> str:
    """``0``, ``1.4 MiB 3s``, ``?``; ``>`` before what is a bound only."""
    if any("lag_bytes" in one["unknown"] for one in group):
        return UNKNOWN
    waiting = [one for one in group if one["lag_bytes"]]
    if not waiting:
        return "0"
    text = size(sum(one["lag_bytes"] for one in waiting))
    if any("lag_seconds" in one["unknown"] for one in waiting):
        return f"{text} {UNKNOWN}"
    bound = ">" if any(one.get("lag_at_least") for one in waiting) else ""
    return f"{text} {bound}{duration(max(one['lag_seconds'] for one in waiting))}"


def _survives(group: Sequence[Record]) -> str:
    """The shortest time of those that are written to."""
    if any("survives_seconds" in one["unknown"] for one in group):
        return UNKNOWN
    known = [one["survives_seconds"] for one in group if one["survives_seconds"] is not None]
    return duration(min(known)) if known else "-"


def _lost(group: Sequence[Record]) -> str:
    parts = []
    if lost_bytes := sum(one["lost_bytes"] for one in group):
        parts.append(size(lost_bytes))
    counts: dict[str, int] = {}
    for one in group:
        for unit, count in one["lost_counts"].items():
            counts[unit] = counts.get(unit, 0) + count
    parts += [f"{count:,} {unit}" for unit, count in sorted(counts.items())]
    if any(one["lost_unknown"] for one in group):
        parts.append(UNKNOWN)
    return ", ".join(parts) or "-"


def _state(group: Sequence[Record]) -> str:
    if any(not one["closed"] and not one["retired"] for one in group):
        return "open"
    return "removed" if all(one["retired"] for one in group) else "closed"
