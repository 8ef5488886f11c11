"""Core: the frames of the journal, written and read (format 1, ARCHITECTURE.md 8).

A frame is a head of 48 bytes, a meta and a body. The head checks itself and the meta, and carries the body's checksum,
so a chain of heads can be walked without reading bodies. The meta is msgpack: a map of the short keys below. Everything
that changes a stream is in one frame, so a crash leaves all of a change or nothing.
Left to others: where frames lie (``disk``), what they mean for a stream (``stream``), what a broken one means
(``recovery``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import msgpack
import xxhash

from logship.values import Invalid

MAGIC = b"LSF1"
HEAD_BYTES = 48
META_BYTES_MAX = 65_536
_FIELDS = struct.Struct("<4sBBHIIQQQ")
_CHECK = struct.Struct("<Q")

ReadAt = Callable[[int, int], bytes]
"""Bytes of the journal: LSN and how many; fewer where the journal ends."""


class Foreign(Invalid):
    """A frame that checks, but is of a version that this program does not know."""


class CutOff(Invalid):
    """A frame whose head checks, but whose body is longer than what is there."""


class Kind(IntEnum):
    """What a frame records."""

    CHECKPOINT = 1
    CREATE = 2
    APPEND = 3
    CLOSE = 4
    RETIRE = 5
    DELETE = 6
    LOSSES = 7
    PROOF = 8


ZSTD = 1
"""Flag: the body is zstd as it was received."""
CLOSES = 2
"""Flag: the stream is closed with this frame."""


class Entry(NamedTuple):
    """The meta of a frame. What does not apply has its default and is not written.

    ``offset`` and ``length`` are the body's place in the stream, in decoded bytes; ``previous`` the LSN of the stream's
    frame with bytes before this one, so that readers find the frames between two known ones. ``time_ms`` is the
    collector's clock. ``producer`` is (id, epoch, sequence); ``starts`` are (offset, time as it was sent); ``proof``
    of a PROOF is (stream, where it ends, how many of its last bytes, their sha-256), which go with their segment.
    """

    time_ms: int
    stream: str = ""
    offset: int = 0
    length: int = 0
    previous: int | None = None
    producer: tuple[str, int, int] | None = None
    stream_seq: str | None = None
    starts: tuple[tuple[int, str], ...] = ()
    source_path: str | None = None
    content_type: str | None = None
    source: str | None = None
    proof: tuple[str, int, int, bytes] | None = None


_KEYS = {
    "time_ms": "t",
    "stream": "s",
    "offset": "o",
    "length": "n",
    "previous": "p",
    "producer": "d",
    "stream_seq": "w",
    "starts": "a",
    "source_path": "f",
    "content_type": "c",
    "source": "m",
    "proof": "h",
}
_KINDS = {int(kind): kind for kind in Kind}
_NAMES = {key: name for name, key in _KEYS.items()}
_DEFAULTS = [(_KEYS[name], Entry._field_defaults.get(name)) for name in Entry._fields]


def pack_entry(entry: Entry) -> bytes:
    """The meta of a frame as bytes."""
    found = {key: value for value, (key, default) in zip(entry, _DEFAULTS, strict=True) if value != default}
    packed: bytes = msgpack.packb(found)
    assert len(packed) <= META_BYTES_MAX
    return packed


def unpack_entry(meta: bytes) -> Entry:
    """The meta of a frame whose head checks. Raises ValueError for what this version does not know."""
    try:
        return Entry(**{_NAMES[key]: value for key, value in msgpack.unpackb(meta, use_list=False).items()})
    except (KeyError, TypeError, AttributeError, ValueError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"meta: {error!r}") from None


class Frame(NamedTuple):
    """A frame whose head and meta check. ``watermark``: the LSN below which all was durable when it was written."""

    lsn: int
    kind: Kind
    flags: int
    watermark: int
    meta_bytes: int
    body_bytes: int
    body_check: int
    entry: Entry

    @property
    def body_lsn(self) -> int:
        """Where the body begins."""
        return self.lsn + HEAD_BYTES + self.meta_bytes

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.body_lsn + self.body_bytes

    def holds(self, body: bytes) -> bool:
        """Whether ``body`` is what was written."""
        return len(body) == self.body_bytes and xxhash.xxh3_64_intdigest(body) == self.body_check


def encode(kind: Kind, flags: int, lsn: int, watermark: int, entry: Entry, body: bytes) -> bytes:
    """Head and meta of a frame; the body follows them as it is."""
    meta = pack_entry(entry)
    check = xxhash.xxh3_64_intdigest(body)
    head = _FIELDS.pack(MAGIC, kind, flags, 0, len(meta), len(body), lsn, watermark, check)
    return head + _CHECK.pack(xxhash.xxh3_64_intdigest(head + meta)) + meta


def frame_at(read: ReadAt, lsn: int, end: int) -> Frame | Invalid:
    """The frame that begins at ``lsn`` in a journal that ends at ``end``, its body unread; or why there is none."""
    head = read(lsn, HEAD_BYTES)
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        return Invalid("no frame begins here")
    _, kind, flags, zero, meta_bytes, body_bytes, said_lsn, watermark, body_check = _FIELDS.unpack_from(head)
    if said_lsn != lsn or meta_bytes > META_BYTES_MAX or watermark > lsn:
        return Invalid("the head of the frame is not one for this place")
    meta = read(lsn + HEAD_BYTES, meta_bytes)
    check = xxhash.xxh3_64_intdigest(head[: _FIELDS.size] + meta)
    if len(meta) < meta_bytes or check != _CHECK.unpack_from(head, _FIELDS.size)[0]:
        return Invalid("the head or the meta of the frame does not check")
    if lsn + HEAD_BYTES + meta_bytes + body_bytes > end:
        return CutOff("the frame is cut off")
    try:
        if zero or flags & ~(ZSTD | CLOSES):
            raise ValueError("flags not known")
        return Frame(lsn, _KINDS[kind], flags, watermark, meta_bytes, body_bytes, body_check, unpack_entry(meta))
    except (ValueError, KeyError) as error:
        return Foreign(f"the frame is of a version that this program does not know ({error})")
