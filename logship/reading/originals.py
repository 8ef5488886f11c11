"""Edge: the bytes of a source as it lies here: a file, or a stream of a spool folder, while others go on writing it.

What is there is said anew at each ``spans``; what has gone since is ``Vanished`` when it is read. A file is held open:
one that is renamed under the reader stays the file that it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.spool.ranges import Span, merged
from logship.spool.reader import READ_BYTES, StreamReader
from logship.spool.segment import listed


class Vanished(Exception):
    """Bytes that were there are not there any more."""


class File:
    """A file. Raises Fault where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            os.pread(self._descriptor, 1, 0)
        except OSError as error:
            raise Fault("read", str(path), error.strerror or str(error), status=USAGE) from None

    def spans(self) -> list[Span]:
        """What is there: all of it, from 0 on."""
        return [Span(0, os.fstat(self._descriptor).st_size)]

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end``. Raises Vanished, and OSError."""
        while start < end:
            data = os.pread(self._descriptor, min(READ_BYTES, end - start), start)
            if not data:
                raise Vanished
            yield data
            start += len(data)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


class SpoolStream:
    """A program's stream in a spool folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = StreamReader(folder)

    def spans(self) -> list[Span]:
        """What is there: not what was deleted after it was acknowledged, nor what was lost. Raises OSError.

        An empty one says where the stream ends.
        """
        return merged(Span(one.offset, one.size) for one in listed(self._folder))

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end``. Raises Vanished, and OSError."""
        if start != self._reader.offset:
            self._reader.close()
            self._reader.seek(start)
        while start < end:
            data = self._reader.read(min(READ_BYTES, end - start))
            if not data or self._reader.offset - len(data) != start:
                raise Vanished
            yield data
            start += len(data)

    def close(self) -> None:
        """Let go of it."""
        self._reader.close()
