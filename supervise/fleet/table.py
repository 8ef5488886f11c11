"""Core: rows of cells -> text for people: aligned, coloured on a terminal, harmless.

What a container says of itself is not to be trusted with a terminal: ``harmless`` makes control and direction
characters visible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

BAD, WARN, DIM, PLAIN = "bad", "warn", "dim", ""

_COLOURS = {BAD: "\x1b[31m", WARN: "\x1b[33m", DIM: "\x1b[2m"}
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Cell:
    """A text and what it means for the reader (BAD, WARN, DIM or PLAIN)."""

    text: str
    style: str = PLAIN


def cell(text: object, style: str = PLAIN) -> Cell:
    """A cell of one line; an empty text reads ``-``."""
    return Cell(harmless(str(text)).replace("\n", " ").replace("\t", " ") or "-", style)


def harmless(text: str) -> str:
    """The text with control characters (but tab and newline) and bidirectional overrides written out: ``\\x1b``."""
    return _HARMFUL.sub(lambda match: _written(match[0]), text)


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], colour: bool) -> list[str]:
    """Lines of a table; the last column is not padded. Every row has as many cells as there are headers."""
    widths = [len(header) for header in headers]
    for row in rows:
        widths = [max(width, len(item.text)) for width, item in zip(widths, row, strict=True)]
    lines = [_line([Cell(header, DIM) for header in headers], widths, colour)]
    return lines + [_line(row, widths, colour) for row in rows]


def _line(cells: Sequence[Cell], widths: Sequence[int], colour: bool) -> str:
    parts = [
        painted(item.text, item.style, colour) + " " * (width - len(item.text))
        for item, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(parts).rstrip()


def clipped(line: str, width: int) -> str:
    """The line cut to ``width`` characters as a terminal counts them: colours take no room, and end with the line."""
    parts = re.split("(\x1b\\[[0-9;]*m)", line)
    shown = ""
    for part in parts:
        if part.startswith("\x1b["):
            shown += part
        else:
            shown += part[:width]
            width -= min(width, len(part))
    return shown


def painted(text: str, style: str, colour: bool) -> str:
    """The text in the colour of its style, if there are colours and it has one."""
    return f"{_COLOURS[style]}{text}\x1b[0m" if colour and text and style in _COLOURS else text


def duration(seconds: float) -> str:
    """``3s``, ``4m12s``, ``3h05m``, ``2d04h``; never negative."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole // 60 % 60:02}m"
    return f"{whole // 86400}d{whole // 3600 % 24:02}h"
