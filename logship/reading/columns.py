"""Core: rows of cells as lines of text whose columns stand below each other; sizes and ages for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line a row; the last column is as long as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def columns_aligned(rows: Sequence[Sequence[str]], numbers: Collection[int]) -> list[str]:
    """The same, with the columns of ``numbers`` to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if at in numbers else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def size(count: float) -> str:
    """``1.4 MiB``."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def ago(stamp: str, now: datetime) -> str:
    """How long before ``now``, in the largest unit: ``3m``."""
    return duration((now - datetime.fromisoformat(stamp)).total_seconds())


def duration(seconds: float) -> str:
    """In the largest unit that fits, rounded down: ``3m``."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit:,.0f}{name}"
    return f"{max(0.0, seconds):.0f}s"
