"""Core: the bytes of one HTTP/1.1 answer -> status, headers, body; or the sentence that says why they are none.

Owns the little of HTTP that the load client needs to judge an answer to a GET; sockets and counting are elsewhere.
Strict on purpose: what a browser would forgive is what a load test has to find.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 1_048_576
STATUSES_WITHOUT_BODY = frozenset({204, 304})


class NoAnswer(Exception):
    """The bytes are not the answer that was asked for; ``str()`` says why."""


@dataclass(slots=True)
class Answer:
    """One complete answer. ``closing``: the server said that it closes the connection after it."""

    status: int
    cookies: list[str] = field(default_factory=list)
    body: bytes = b""
    closing: bool = False


class AnswerReader:
    """Collects the bytes of one answer; one reader an answer.

    Feed it as bytes arrive; it returns the answer once that is complete. ``started`` tells whether any byte came.
    Raises NoAnswer for bytes that are no answer, and for bytes after its end (nobody asked for them).
    """

    __slots__ = ("_answer", "_buffer", "_chunked", "_length", "started")

    def __init__(self) -> None:
        self.started = False
        self._buffer = bytearray()
        self._answer: Answer | None = None
        self._length: int | None = None  # bytes of the body; None: until the server closes
        self._chunked = False

    def feed(self, data: bytes) -> Answer | None:
        """Take more bytes; the answer when they complete it."""
        self.started = True
        self._buffer += data
        while self._answer is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise NoAnswer(f"head of more than {HEAD_BYTES_MAX} bytes")
                return None
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            self._take_head(head)
        return self._complete(self._answer)

    def end(self) -> Answer | None:
        """The server closed: the answer when its body is said to last until then, else None (it is cut)."""
        answer = self._answer
        if answer is None or self._chunked or self._length is not None:
            return None
        answer.body = bytes(self._buffer)
        return answer

    def _take_head(self, head: bytes) -> None:
        """Status line and the headers that matter. Interim answers (1xx) are passed over."""
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ", 2)
        if len(words) < 2 or words[0] not in ("HTTP/1.1", "HTTP/1.0") or len(words[1]) != 3 or not words[1].isdecimal():
            raise NoAnswer(f"not HTTP/1.1: {lines[0][:60]!r}")
        status = int(words[1])
        if 100 <= status < 200:
            return
        answer = Answer(status, closing=words[0] == "HTTP/1.0")
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise NoAnswer(f"not a header: {line[:60]!r}")
            self._take_header(answer, name.lower(), value.strip())
        if status in STATUSES_WITHOUT_BODY:
            self._length, self._chunked = 0, False
        if self._length is None and not self._chunked:
            answer.closing = True
        self._answer = answer

    def _take_header(self, answer: Answer, name: str, value: str) -> None:
        if name == "content-length":
            if not (value.isascii() and value.isdecimal()) or int(value) > BODY_BYTES_MAX:
                raise NoAnswer(f"length of the body is {value[:20]!r}, bound {BODY_BYTES_MAX}")
            if self._length not in (None, int(value)):
                raise NoAnswer("two lengths of the body that differ")
            self._length = int(value)
        elif name == "transfer-encoding":
            if value.lower() != "chunked":
                raise NoAnswer(f"transfer encoding {value[:20]!r} was not asked for")
            self._chunked = True
        elif name == "connection":
            answer.closing = answer.closing or "close" in value.lower()
        elif name == "set-cookie":
            answer.cookies.append(value)

    def _complete(self, answer: Answer) -> Answer | None:
        if self._chunked:
            return self._complete_chunked(answer)
        if self._length is None:
            if len(self._buffer) > BODY_BYTES_MAX:
                raise NoAnswer(f"body of more than {BODY_BYTES_MAX} bytes")
            return None
        if len(self._buffer) < self._length:
            return None
        answer.body = bytes(self._buffer[: self._length])
        self._refuse_after(self._length)
        return answer

    def _complete_chunked(self, answer: Answer) -> Answer | None:
        """Decode from the beginning each time: answers are small, and there is no state to get wrong."""
        position, body = 0, bytearray()
        while True:
            end = self._buffer.find(b"\r\n", position)
            if end < 0:
                self._bound(len(self._buffer))
                return None
            try:
                size = int(bytes(self._buffer[position:end]).partition(b";")[0].strip(), 16)
            except ValueError:
                raise NoAnswer(f"not a chunk's size: {bytes(self._buffer[position:end])[:20]!r}") from None
            self._bound(len(body) + max(size, 0))
            start = end + 2
            if size <= 0:
                break
            if len(self._buffer) < start + size + 2:
                return None
            body += self._buffer[start : start + size]
            if self._buffer[start + size : start + size + 2] != b"\r\n":
                raise NoAnswer("a chunk is longer than it said")
            position = start + size + 2
        if len(self._buffer) < start + 2:
            return None
        if self._buffer[start : start + 2] != b"\r\n":
            raise NoAnswer("trailers after the last chunk were not asked for")
        answer.body = bytes(body)
        self._refuse_after(start + 2)
        return answer

    def _bound(self, size: int) -> None:
        if size > BODY_BYTES_MAX * 2:  # framing of one-byte chunks costs more than the body itself
            raise NoAnswer(f"body of more than {BODY_BYTES_MAX} bytes")

    def _refuse_after(self, end: int) -> None:
        if len(self._buffer) > end:
            raise NoAnswer(f"{len(self._buffer) - end} bytes after the answer that nobody asked for")
