"""Core: as much of HTTP/1.1 (RFC 9112) as a client needs that trusts nobody: a request's head, an answer out of bytes.

Left to others: sockets and time (``http_sink``), what header fields mean (``logship.wire``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from logship.wire.fields import Headers

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
_CHUNK_LINE_BYTES_MAX = 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?")


class Broken(Exception):
    """What came is no answer: said in half a sentence."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``stays`` says that the connection can be used again."""

    status: int
    headers: Headers
    body: bytes
    stays: bool


def request_head(
    method: str, target: str, host: str, fields: Iterable[tuple[str, str]], body_bytes: int | None
) -> bytes:
    """The bytes before the body; ``body_bytes`` is None for a request that has none by its nature."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if body_bytes is not None:
        lines.append(f"Content-Length: {body_bytes}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Part(Enum):
    HEAD = 1
    LENGTH = 2  # a body of known length, or until the end of the connection
    CHUNK_HEAD = 3
    CHUNK = 4
    CHUNK_END = 5
    TRAILER = 6
    DONE = 7


@lru_cache(maxsize=256)
def _field(line: bytes) -> tuple[str, str] | None:
    """One header field; None where it is malformed. Most lines of an answer are those of the one before."""
    found = _FIELD.fullmatch(line)
    return None if found is None else (found[1].decode("latin-1"), found[2].decode("latin-1"))


class AnswerParser:
    """Takes the bytes of one answer as they come. ``reply`` is there when it is whole. Raises Broken."""

    def __init__(self, method: str, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self.reply: Reply | None = None
        self._bodiless = method == "HEAD"
        self._body_bytes_max = body_bytes_max
        self._buffer = bytearray()
        self._part = _Part.HEAD
        self._left: int | None = None  # bytes of the body, or of the chunk, still to come; None: until the end
        self._head_bytes = 0
        self._status = 0
        self._headers = Headers([])
        self._stays = False
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes."""
        self._buffer += data
        while self._part is not _Part.DONE and self._step():
            pass
        if self._part is _Part.DONE and self._buffer:
            self._stays = False  # bytes after the answer: whatever it is, it was not asked for
        if self._part is _Part.DONE:
            self.reply = Reply(self._status, self._headers, bytes(self._body), self._stays)

    @property
    def begun(self) -> bool:
        """Whether any byte of an answer came."""
        return bool(self._buffer or self._head_bytes)

    def end(self) -> None:
        """The other side closed the connection."""
        if self._part is _Part.LENGTH and self._left is None:
            self._part = _Part.DONE
            self.feed(b"")
        if self.reply is None:
            raise Broken("the connection was closed" + (" within an answer" if self.begun else ""))

    def _step(self) -> bool:
        """One piece of the answer; False when more bytes are needed."""
        if self._part is _Part.HEAD:
            return self._read_head()
        if self._part in (_Part.LENGTH, _Part.CHUNK):
            return self._read_body()
        line = self._line(_CHUNK_LINE_BYTES_MAX)
        if line is None:
            return False
        if self._part is _Part.CHUNK_HEAD:
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise Broken("a chunk of the answer has no size")
            self._left = int(size[1], 16)
            self._part = _Part.CHUNK if self._left else _Part.TRAILER
        elif self._part is _Part.CHUNK_END:
            if line:
                raise Broken("a chunk of the answer is longer than it says")
            self._part = _Part.CHUNK_HEAD
        elif not line:
            self._part = _Part.DONE
        else:
            self._count_head(len(line) + 2)
        return True

    def _line(self, bytes_max: int) -> bytes | None:
        end = self._buffer.find(b"\n", 0, bytes_max)
        if end < 0:
            if len(self._buffer) >= bytes_max:
                raise Broken(f"the answer has a line of more than {bytes_max} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise Broken(f"the answer's head is larger than {HEAD_BYTES_MAX} bytes")

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0:
            if len(self._buffer) >= HEAD_BYTES_MAX:
                raise Broken(f"the answer's head is larger than {HEAD_BYTES_MAX} bytes")
            if len(self._buffer) > 5 and not self._buffer.startswith(b"HTTP/"):
                raise Broken("the answer is not HTTP")
            return False
        first, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        self._count_head(end + 4)
        status = _STATUS.fullmatch(first)
        fields = [field for line in lines if (field := _field(line)) is not None]
        if status is None or len(fields) < len(lines):
            raise Broken("the answer's head is malformed")
        self._status = int(status[2])
        self._headers = Headers(fields)
        connection = (self._headers.get("connection") or "").lower()
        self._stays = "keep-alive" in connection if status[1] == b"0" else "close" not in connection
        if 100 <= self._status < 200:
            if self._status == 101:
                raise Broken("the answer wants to speak another protocol")
            return True  # an interim answer; the real one follows
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        if self._bodiless or self._status in (204, 304):
            self._part = _Part.DONE
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise Broken("the answer's body has no clear length")
            self._part = _Part.CHUNK_HEAD
        elif length is not None:
            if not _LENGTH.fullmatch(length) or self._headers.repeated(["content-length"]):
                raise Broken("the answer's Content-Length is no number")
            self._left, self._part = int(length), _Part.LENGTH
        else:
            self._left, self._part, self._stays = None, _Part.LENGTH, False

    def _read_body(self) -> bool:
        size = len(self._buffer) if self._left is None else min(self._left, len(self._buffer))
        if len(self._body) + (self._left or size) > self._body_bytes_max:
            raise Broken(f"the answer's body is larger than {self._body_bytes_max} bytes")
        self._body += self._buffer[:size]
        del self._buffer[:size]
        if self._left is None:
            return False
        self._left -= size
        if self._left:
            return False
        self._part = _Part.DONE if self._part is _Part.LENGTH else _Part.CHUNK_END
        return True
