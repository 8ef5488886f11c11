"""Core: lines, marks and what else a reader is told, as the JSON records of the API (docs/reading.md).

Left to others: which ones (``history``), how they travel (``api``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zlib import crc32

from logship.view.items import Hidden, Item, Mark, Skipped, TimedLine
from logship.view.lines import CUT, OPEN, PART, TORN
from logship.view.select import Identity, identify
from logship.view.shown import harmless, shown

HUES = 24
"""Colours of containers, as in the style sheet."""

_FLAGS = ((TORN, "torn"), (PART, "part"), (CUT, "cut"), (OPEN, "open"))


_quoted = json.encoder.encode_basestring
_ENDS = {end: _quoted(end.decode()) for end in (b"\r\n", b"\n", b"")}


def stamp(time_ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    seconds, fraction = divmod(time_ms, 1000)
    return f"{_second(seconds)}.{fraction:03}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


class Records:
    """Makes the records of one answer. ``whole`` reads all bytes of a line of which the beginning is held."""

    def __init__(
        self,
        identities: Mapping[str, Identity],
        bytes_max: int,
        in_words: bool,
        whole: Callable[[TimedLine], bytes],
    ) -> None:
        self._identities = identities
        self._names: dict[str, tuple[str, str]] = {}
        self._written: dict[str, tuple[str, str]] = {}
        self._bytes_max = bytes_max
        self._in_words = in_words
        self._whole = whole

    def of(self, item: TimedLine | Mark) -> dict[str, Any]:
        """The record of a line or a mark."""
        place, program = self._whose(item.stream)
        record: dict[str, Any] = {
            "type": "mark" if isinstance(item, Mark) else "line",
            "time": stamp(item.time_ms),
            "stream": item.stream,
            "offset": item.offset,
            "place": place,
            "program": program,
        }
        if self._in_words:
            record["hue"] = hue(place)
        if isinstance(item, Mark):
            text = harmless(item.text) if self._in_words else item.text
            record |= {"lsn": item.lsn, "what": item.what, "text": text, "bytes": item.bytes}
            return record if item.loss is None else {**record, "loss": item.loss.fields()}
        line = item.line
        record["lsn"] = line.lsn
        if item.event is not None:
            record["event"] = item.event
        text_bytes = item.size - len(item.terminator)
        if self._in_words:
            record["text"], left_out = shown(line.data[:text_bytes], self._bytes_max)
            left_out = text_bytes - (min(len(line.data), text_bytes) - left_out)
        else:
            data = line.data
            if min(text_bytes, self._bytes_max) > len(data):
                data = self._whole(item)
            data = data[: min(text_bytes, self._bytes_max)]
            left_out = text_bytes - len(data)
            try:
                record["text"] = data.decode()
            except UnicodeDecodeError:
                record["base64"] = base64.b64encode(data).decode()
            record["end"] = item.terminator.decode()
            record["received"] = stamp(line.received_ms)
        if left_out:
            record["left_out"] = left_out
        if line.flags:
            flags = [name for flag, name in _FLAGS if line.flags & flag]
            if flags:
                record["flags"] = flags
        return record

    def text(self, item: TimedLine | Mark) -> str | None:
        """The record of a line as JSON, which nearly all lines have in one form; None where it has another."""
        if isinstance(item, Mark) or self._in_words or item.event is not None:
            return None
        line = item.line
        size = item.size - len(item.terminator)
        if line.flags or size > self._bytes_max or size > len(line.data):
            return None
        try:
            said = line.data[:size].decode()
        except UnicodeDecodeError:
            return None
        written = self._written.get(line.stream)
        if written is None:
            place, program = self._whose(line.stream)
            of_it = f',"place":{_quoted(place)},"program":{_quoted(program)},"lsn":'
            written = self._written[line.stream] = f'","stream":{_quoted(line.stream)},"offset":', of_it
        return (
            f'{{"type":"line","time":"{stamp(item.time_ms)}{written[0]}{line.offset}{written[1]}{line.lsn},"text":'
            f'{_quoted(said)},"end":{_ENDS[item.terminator]},"received":"{stamp(line.received_ms)}"}}'
        )

    def _whose(self, path: str) -> tuple[str, str]:
        """Place and program of a stream."""
        found = self._names.get(path)
        if found is None:
            identity = self._identities.get(path) or identify(path, {})
            found = identity.place, identity.program or ("" if "/" not in path else path.partition("/")[2])
            self._names[path] = found
        return found


def gap(skipped: Skipped) -> dict[str, Any]:
    """The record of lines that a slow reader was not sent, and how to get them."""
    text = f"{skipped.lines:,} lines were left out: this reader was too slow"
    return {
        "type": "gap", "lines": skipped.lines, "text": text, "cursor": str(skipped.start), "at": str(skipped.end),
    }  # fmt: skip


def hidden(items: Iterable[Item]) -> dict[str, Any]:
    """The record of how many lines among ``items`` match and are not given; several in one answer add up."""
    found = [item for item in items if isinstance(item, Hidden)]
    record: dict[str, Any] = {"type": "hidden", "what": "snapshots", "lines": sum(item.lines for item in found)}
    return {**record, "more": True} if any(item.more for item in found) else record


def cursor(lsn: int) -> dict[str, Any]:
    """The record that says: everything before this LSN has been given."""
    return {"type": "cursor", "cursor": str(lsn)}


def hue(place: str) -> int:
    """The colour of a container: always the same for a name."""
    return crc32(place.encode()) % HUES
