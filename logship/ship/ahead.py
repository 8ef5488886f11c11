"""Run: bytes of a source made ready to go out: read, compressed, hashed; the next ones while an answer is waited for.

A stream has one append out at a time. Without this its shipper would rest while the collector works, and the collector
while the shipper does. What was made ready ahead is taken only for the same source, the same content of it, the same
offset and size, and only if the source's own guard holds when it goes out: it saves time and decides nothing.

Left to others: what is sent (``sender``), carrying it (``courier``).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Hashable
from dataclasses import dataclass

from logship import zstd
from logship.ship.discover import SpoolSource
from logship.ship.followed import FileSource
from logship.ship.vanished import VanishedFile
from logship.wire.fields import Digest

AnySource = SpoolSource | FileSource | VanishedFile

KEPT_BYTES_MAX = 1536 * 1024
"""A larger body is of bytes that hardly compress: made again sooner than it is worth its memory."""


@dataclass(frozen=True, slots=True)
class Packed:
    """``size`` bytes of ``source`` from ``offset`` on as a body; ``gone`` tells which content of it they are of."""

    source: AnySource
    gone: int
    offset: int
    size: int
    body: bytes
    digest: Digest


class Shelf:
    """What couriers have made ready ahead, the newest few; one piece a sender. For any thread."""

    def __init__(self, pieces_max: int) -> None:
        self._pieces: dict[Hashable, Packed] = {}
        self._pieces_max = pieces_max
        self._lock = threading.Lock()

    def put(self, key: Hashable, packed: Packed) -> None:
        """Keep it for the sender ``key``, in place of what was kept for it."""
        with self._lock:
            self._pieces.pop(key, None)
            self._pieces[key] = packed
            while len(self._pieces) > self._pieces_max:
                del self._pieces[next(iter(self._pieces))]

    def take(self, key: Hashable, source: AnySource, offset: int, size: int) -> Packed | None:
        """What is kept for ``key`` if it is exactly this; kept no longer in any case. Raises OSError as ``read``."""
        with self._lock:
            packed = self._pieces.pop(key, None)
        if packed is None or (packed.offset, packed.size) != (offset, size):
            return None
        if isinstance(source, FileSource):
            source.read(offset, 0)  # the guard: a file that was replaced meanwhile brings nothing
        return packed if packed.source is source and packed.gone == _gone(source) else None


class Packer:
    """Makes bodies, for one thread: it keeps the memory that compressing needs."""

    def __init__(self) -> None:
        self._encoder = zstd.Encoder()

    def pack(self, source: AnySource, offset: int, size: int) -> Packed | None:
        """At most ``size`` bytes; None when none can be read. Raises OSError."""
        gone = _gone(source)
        data = source.read(offset, size)
        return self._packed(source, gone, offset, data) if data else None

    def pack_next(self, packed: Packed) -> Packed | None:
        """As many bytes behind these, or None: they are not all there yet, cannot be read now, or hardly compress."""
        offset = packed.offset + packed.size
        if len(packed.body) > KEPT_BYTES_MAX:
            return None
        with contextlib.suppress(OSError):
            data = packed.source.read(offset, packed.size)
            if len(data) == packed.size and _gone(packed.source) == packed.gone:
                return self._packed(packed.source, packed.gone, offset, data)
        return None

    def _packed(self, source: AnySource, gone: int, offset: int, data: bytes) -> Packed:
        body = self._encoder.encode(data)
        return Packed(source, gone, offset, len(data), body, Digest("sha-256", hashlib.sha256(body).digest()))


def _gone(source: AnySource) -> int:
    """Bytes of former contents of a file, which tell its contents apart; a spool has one content."""
    return source.gone if isinstance(source, FileSource) else 0
