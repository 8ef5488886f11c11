"""Core: the bytes of a stream, in chunks as they were appended, become lines with their exact bytes and an address.

A line ends at its newline, at the start of its program's next life (a torn last line is not glued to what the next
start writes), or at the end of a closed stream. One of more than LINE_BYTES_MAX is given in parts, cut at offsets
that are multiples of it: where a cut lies does not depend on where reading began.
A line completes at the LSN of the frame with which one of these is known. Left to others: its time (``moment``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LINE_BYTES_MAX = 1 << 20

TORN = 1
"""No newline: its program was started anew, the stream was closed, or (in a reading that does not follow) it is
still being written."""
PART = 2
"""A part of a line of more than LINE_BYTES_MAX."""
CUT = 4
"""Its beginning is not kept any more, or could not be read."""
OPEN = 8
"""With TORN: it may still go on."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line or a part of one: ``data`` with its terminator, from ``offset`` of ``stream`` on.

    ``lsn`` is the frame it completes with, ``received_ms`` when the collector took that. ``flags``: TORN, PART, CUT,
    OPEN.
    """

    stream: str
    offset: int
    data: bytes
    lsn: int
    received_ms: int
    flags: int = 0

    @property
    def terminator(self) -> bytes:
        """What ends it: CR LF, LF or nothing."""
        if self.data.endswith(b"\r\n"):
            return b"\r\n"
        return b"\n" if self.data.endswith(b"\n") else b""

    @property
    def text(self) -> bytes:
        """It without its terminator."""
        return self.data[: len(self.data) - len(self.terminator)]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of one frame, or a tail of them. ``starts`` are offsets from ``offset`` to its end, not falling.

    ``closes``: nothing follows.
    """

    offset: int
    data: bytes
    lsn: int
    received_ms: int
    starts: Sequence[int] = ()
    closes: bool = False

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + len(self.data)


class Splitter:
    """Makes lines of a stream's chunks. Begins at ``offset``, which is where a line (or a part of one) begins.

    ``flags`` are those of the first line: CUT when it is not its beginning, PART when it is a later part of one.
    """

    def __init__(self, stream: str, offset: int, flags: int = 0) -> None:
        self._stream = stream
        self._from = offset
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._flags = flags

    @property
    def position(self) -> int:
        """The offset of the next byte that is wanted."""
        return self._from + self._held_bytes

    @property
    def goes_on(self) -> bool:
        """Whether a line has begun that has no end yet."""
        return self._held_bytes > 0

    def skip(self, size: int) -> None:
        """Leave out bytes that are whole lines, where a line begins: somebody else makes those."""
        assert not self._held_bytes
        assert not self._flags
        self._from += size

    def feed(self, chunk: Chunk) -> list[Line]:
        """The lines that complete with this chunk, which begins at ``position``."""
        assert chunk.offset == self.position, "chunks follow on each other"
        found: list[Line] = []
        done = 0
        for start in chunk.starts:
            cut = start - chunk.offset
            if done <= cut <= len(chunk.data):
                self._take(chunk, chunk.data[done:cut], found)
                self._end(chunk, found)
                done = cut
        self._take(chunk, chunk.data[done:] if done else chunk.data, found)
        if chunk.closes:
            self._end(chunk, found)
        return found

    def open_line(self, lsn: int, received_ms: int) -> Line | None:
        """What is held of a line that has no end yet."""
        if not self._held_bytes:
            return None
        return Line(self._stream, self._from, b"".join(self._held), lsn, received_ms, self._flags | TORN | OPEN)

    def _take(self, chunk: Chunk, data: bytes, found: list[Line]) -> None:
        """``data`` without a start inside."""
        whole = data.split(b"\n")
        rest = whole.pop()
        for piece in whole:
            self._hold(piece + b"\n")
            self._cut(chunk, found)
            self._line(chunk, 0, found)
        if rest:
            self._hold(rest)
            self._cut(chunk, found)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)

    def _cut(self, chunk: Chunk, found: list[Line]) -> None:
        """Give the finished parts of what is held, if it is too long or the rest of what was."""
        if self._held_bytes <= LINE_BYTES_MAX and not self._flags & PART:
            return
        cut = (self._from // LINE_BYTES_MAX + 1) * LINE_BYTES_MAX
        if cut >= self.position:
            return
        whole = b"".join(self._held)
        base = self._from
        while cut < base + len(whole):
            part = whole[self._from - base : cut - base]
            flags = self._flags | PART
            found.append(Line(self._stream, self._from, part, chunk.lsn, chunk.received_ms, flags))
            self._from, self._flags = cut, PART
            cut += LINE_BYTES_MAX
        self._held = [whole[self._from - base :]]
        self._held_bytes = len(self._held[0])

    def _line(self, chunk: Chunk, flags: int, found: list[Line]) -> None:
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        found.append(Line(self._stream, self._from, data, chunk.lsn, chunk.received_ms, self._flags | flags))
        self._from += self._held_bytes
        self._held, self._held_bytes, self._flags = [], 0, 0

    def _end(self, chunk: Chunk, found: list[Line]) -> None:
        if self._held_bytes:
            self._line(chunk, TORN, found)
        self._flags = 0
