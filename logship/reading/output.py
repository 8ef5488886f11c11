"""Core: records of the viewer -> what a terminal or a pipe is given.

On a terminal nothing in a line commands it (``logship.view.shown``); into a pipe go full lines, and with ``raw``
exactly the stored bytes. Marks (starts, losses, what retention deleted) are shown in their place on a terminal, and on
standard error else, so that a pipe carries lines alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any
from zlib import crc32

from logship.view.shown import harmless

Record = dict[str, Any]
_COLOURS = {"start": 2, "deleted": 33}
"""Of marks; all others are red."""
_HUES = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Form(Enum):
    """How lines are written."""

    SHORT = "short"
    RAW = "raw"
    JSON = "json"


class Output:
    """Makes bytes of records. ``local`` turns a time into the reader's own zone."""

    def __init__(self, form: Form, terminal: bool, colour: bool, local: Callable[[datetime], datetime]) -> None:
        self._form = form
        self._terminal = terminal
        self._colour = colour
        self._local = local

    def line(self, record: Record) -> bytes:
        """A line, for standard output."""
        if self._form is Form.JSON:
            return _json(record)
        data = base64.b64decode(record["base64"]) if "base64" in record else record["text"].encode()
        end = record.get("end", "").encode()
        if self._form is Form.RAW:
            return data + end if not self._terminal else harmless(_text(data)).encode() + b"\n"
        if self._terminal:
            data = harmless(_text(data)).encode()
        if record.get("left_out"):
            data += f" ...(+{record['left_out']:,} bytes)".encode()
        return self._head(record) + data + b"\n"

    def mark(self, record: Record) -> tuple[bytes, bool]:
        """A mark or a gap, and whether it belongs on standard output."""
        if self._form is Form.JSON:
            return _json(record), True
        if self._form is Form.RAW and record.get("what") == "start":
            return b"", False
        text = f"-- {harmless(record['text'])} --"
        if self._colour:
            text = f"\x1b[{_COLOURS.get(record.get('what', ''), 31)}m{text}\x1b[0m"
        head = self._head(record) if "time" in record else b""
        return head + text.encode() + b"\n", self._terminal and self._form is Form.SHORT

    def _head(self, record: Record) -> bytes:
        time = self._local(datetime.fromisoformat(record["time"]))
        clock = f"{time:%b %d %H:%M:%S}.{time.microsecond // 1000:03}"
        place, program = record["place"], record["program"]
        label = harmless(f"{place}:{program}" if place else "all")
        if self._terminal and record.get("event", record.get("offset")) != record.get("offset"):
            return f"{' ' * (len(clock) + len(label) + 1)} | ".encode()  # it goes on with the line above
        if not self._colour:
            return f"{clock} {label} | ".encode()
        hue = _HUES[crc32(place.encode()) % len(_HUES)]
        return f"\x1b[2m{clock}\x1b[0m \x1b[{hue}m{label}\x1b[0m | ".encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _json(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def summary(lines: int, gaps: int, losses: int, hidden: int = 0) -> str:
    """What a reading was: ``1,204 lines, 0 gaps``."""
    text = f"{lines:,} line{'' if lines == 1 else 's'}, {gaps:,} gap{'' if gaps == 1 else 's'}"
    if losses:
        text += f", {losses:,} loss record{'' if losses == 1 else 's'}"
    return f"{text}, {snapshots(hidden)} hidden" if hidden else text


def snapshots(count: int) -> str:
    """``12 snapshots``."""
    return f"{count:,} snapshot{'' if count == 1 else 's'}"
