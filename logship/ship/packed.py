"""Edge: compressed files: what is in them, read on from an offset.

Where a file was compressed and removed before all of it was read, its rest is in there. Whether it is that file says
the digest of the bytes before what is stored. Nothing is written to disk: it is decompressed again as it is read.

Left to others: which file it is of (``vanished``).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zlib
from dataclasses import dataclass
from typing import IO, cast

import zstandard

from logship.spool.ranges import Span

_READ_BYTES = 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What reading a file raises that is not what its name says, or is cut off."""
READABLE = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Content:
    """Length of what is in a compressed file, and the bytes asked for, as many of them as there are."""

    size: int
    part: bytes


def content(path: str, span: Span) -> Content:
    """One pass over the file. Raises one of BROKEN."""
    part, size = bytearray(), 0
    with _open(path) as file:
        while data := file.read(_READ_BYTES):
            start, end = max(0, span.offset - size), max(0, span.end - size)
            part += data[start:end]
            size += len(data)
    return Content(size, bytes(part))


class Compressed:
    """A compressed file that is read on and on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._position = 0

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from exactly ``offset``; quick where the last reading ended. Raises OSError."""
        if not size:
            return b""
        try:
            if self._file is None or offset < self._position:
                self.close()
                self._file, self._position = _open(self._path), 0
            while self._position < offset:
                self._take(min(_READ_BYTES, offset - self._position))
            return self._take(size)
        except BROKEN as error:
            self.close()
            raise error if isinstance(error, OSError) else OSError(0, str(error)) from error

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, size: int) -> bytes:
        assert self._file is not None
        parts, left = [], size
        while left:
            data = self._file.read(left)
            if not data:
                raise OSError(0, "the compressed file is shorter than it was")
            parts.append(data)
            left -= len(data)
        self._position += size
        return b"".join(parts)


def _open(path: str) -> IO[bytes]:
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no regular file")
    raw = os.fdopen(descriptor, "rb")
    if path.endswith(".gz"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if path.endswith(".bz2"):
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if path.endswith(".xz"):
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    return cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
