"""Core: the names in a spool folder and what a listing of them says (format version 1, ARCHITECTURE.md 4).

A stream of bytes is a folder of segments, each named by the offset of its first byte. Nothing else says where a stream
ends or what is missing from it: the end is the last segment's offset plus its size, and a range that no segment covers
is lost. Whoever restarts asks the names (the idea is oklog's: a segment's state is its name).

Left to others: what a listing says beyond its end (``ranges``), making and reading files (``segment``, ``reader``), the
records (``losses``, ``supervise exec``). Imports stay few (no typing, no dataclasses: 5 to 10 ms each), since the first
process of every program passes through here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

FORMAT_VERSION = 1
OFFSET_DIGITS = 20
SEGMENT_BYTES_MAX = 8 * 1024 * 1024

IDENTITY = "identity.json"
ALIVE = "alive"
LOSSES = "losses.jsonl"
STARTS = "starts.jsonl"
COPIED = "copied"
ACKED = "acked"
INSTANCE = "instance"

SEGMENT_MODE = 0o640
FOLDER_MODE = 0o755

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_LENGTH = len("20261123T204500Z")
_CHANCE_BYTES = 4


def segment_name(offset: int) -> str:
    """File name of the segment that begins at ``offset``: 20 digits, so names sort as offsets do."""
    if not 0 <= offset < 10**OFFSET_DIGITS:
        raise ValueError(f"{offset} is no offset of a stream")
    return f"{offset:0{OFFSET_DIGITS}}"


def parse_segment(name: str) -> int | None:
    """The offset a file name stands for, or None when the file is not a segment."""
    if len(name) != OFFSET_DIGITS or not (name.isascii() and name.isdigit()):
        return None
    return int(name)


def stream_end(listing: Iterable[tuple[str, int]]) -> int:
    """The offset after the last byte of the stream whose folder lists these (name, size) pairs; 0 for an empty one."""
    found = ((parse_segment(name), size) for name, size in listing)
    return sum(max(((offset, size) for offset, size in found if offset is not None), default=(0, 0)))


def sink_name(program: str) -> str:
    """Name of the link, in the folder of FIFOs, to the file that the program's bytes are thrown away into."""
    return f".{program}.sink"


def incarnation_name(created: datetime, chance: bytes) -> str:
    """Name of the spool folder of one life of PID 1: its time in UTC to the second, and four random bytes."""
    if created.tzinfo is None or len(chance) != _CHANCE_BYTES:
        raise ValueError("an incarnation is named by a time with its zone and four bytes")
    return f"{created.astimezone(UTC).strftime(_STAMP)}-{chance.hex()}"


def parse_incarnation(name: str) -> datetime | None:
    """When the incarnation of this name began, or None when the name is not one (``.new-...``, ``lost+found``)."""
    stamp, dash, chance = name[:_STAMP_LENGTH], name[_STAMP_LENGTH : _STAMP_LENGTH + 1], name[_STAMP_LENGTH + 1 :]
    if dash != "-" or len(chance) != 2 * _CHANCE_BYTES or set(chance) - set("0123456789abcdef"):
        return None
    digits = stamp[:8] + stamp[9:15]
    if stamp[8:9] + stamp[15:] != "TZ" or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return datetime.fromisoformat(stamp)  # half of what strptime takes, asked of each folder at each look
    except ValueError:
        return None


def stamp(seconds: float) -> str:
    """A time since 1970 as RFC 3339 in UTC, to the millisecond: ``2026-11-23T20:45:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
