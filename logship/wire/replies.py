"""Core: what an answer says: outcome -> status and header fields (collector), and back (client).

Left to others: refusals' own table (``refusal``), bodies, and header fields of the transport.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from logship.values import Invalid, Producer, parse_integer, parse_offset
from logship.wire.fields import Digest, Headers, Limits, Pairs, offset_pairs, parse_digests, parse_limits
from logship.wire.refusal import Code

T = TypeVar("T")

VERSION = "1"
CURSOR_SECONDS = 20
_CURSOR_EPOCH = 1_728_432_000
"""2024-10-09T00:00:00Z: where the base protocol's cursors count from (10.1)."""
CURSOR_JITTER_SECONDS_MAX = 3600


@dataclass(frozen=True, slots=True)
class Appended:
    """POST taken, now or before (``duplicate``): all bytes up to ``next_offset`` are durable.

    ``producer`` carries the highest sequence taken of the asking producer's epoch.
    """

    next_offset: int
    closed: bool = False
    producer: Producer | None = None
    duplicate: bool = False
    wrote: bool = True

    @property
    def status(self) -> int:
        """200 for new bytes of a producer, else 204 (base protocol, 5.2)."""
        return 200 if self.producer is not None and self.wrote and not self.duplicate else 204

    def headers(self) -> Pairs:
        """The answer's header fields."""
        return offset_pairs(self.next_offset, None, self.closed) + _producer_pairs(self.producer)


@dataclass(frozen=True, slots=True)
class Created:
    """PUT done: the stream is there, ``new`` or as before."""

    next_offset: int
    content_type: str
    closed: bool = False
    new: bool = True

    @property
    def status(self) -> int:
        """201 for a stream that was not there."""
        return 201 if self.new else 200

    def headers(self, location: str = "") -> Pairs:
        """The answer's header fields; ``location`` is the stream's URL, told with a 201."""
        found = [("Content-Type", self.content_type), *offset_pairs(self.next_offset, None, self.closed)]
        return [*found, ("Location", location)] if self.new and location else found


@dataclass(frozen=True, slots=True)
class Deleted:
    """DELETE done."""

    status: int = 204


@dataclass(frozen=True, slots=True)
class Listed:
    """POST of loss records done: all of them are durable; ``added`` were not known before."""

    added: int
    status: int = 204


@dataclass(frozen=True, slots=True)
class Seen:
    """HEAD: what a stream is, where it ends, and proof of its last bytes."""

    next_offset: int
    content_type: str
    closed: bool = False
    first_offset: int = 0
    tail_digest: Digest | None = None
    tail_bytes: int = 0
    producer: Producer | None = None

    def headers(self) -> Pairs:
        """The answer's header fields."""
        found = [("Content-Type", self.content_type), ("Cache-Control", "no-store")]
        found += offset_pairs(self.next_offset, self.first_offset, self.closed)
        if self.tail_digest is not None:
            found.append(("Stream-Tail-Digest", f"{self.tail_digest.text()}; bytes={self.tail_bytes}"))
        return found + _producer_pairs(self.producer)


@dataclass(frozen=True, slots=True)
class Found:
    """GET: bytes from ``offset`` up to ``next_offset`` of a stream that ends at ``tail``.

    ``stream_id`` tells this stream from an earlier one of the same path (for the ETag). ``now`` answers are not cached.
    """

    stream_id: int
    offset: int
    next_offset: int
    tail: int
    content_type: str
    closed: bool = False
    first_offset: int = 0
    now: bool = False
    cursor: int | None = None

    @property
    def at_end(self) -> bool:
        """Whether the bytes reach the stream's end; then a closed stream says that it is."""
        return self.next_offset == self.tail

    def etag(self) -> str:
        """Differs by stream, range and closure (base protocol, 10.1)."""
        return f'"{self.stream_id:x}:{self.offset}:{self.next_offset}{":c" if self.closed and self.at_end else ""}"'

    def matches(self, etags: tuple[str, ...]) -> bool:
        """Whether the client has these very bytes already: then the answer is 304."""
        return not self.now and any(etag.removeprefix("W/") in (self.etag(), "*") for etag in etags)

    def headers(self) -> Pairs:
        """The answer's header fields. Not cacheable while bytes may yet be missing from what a proxy would keep."""
        found = [("Content-Type", self.content_type)]
        found += offset_pairs(self.next_offset, self.first_offset, self.closed and self.at_end)
        if self.at_end:
            found.append(("Stream-Up-To-Date", "true"))
        if self.cursor is not None and not (self.closed and self.at_end):
            found.append(("Stream-Cursor", str(self.cursor)))
        if self.now:
            return [*found, ("Cache-Control", "no-store")]
        return [*found, ("ETag", self.etag()), ("Cache-Control", "private, max-age=60, stale-while-revalidate=300")]


def _producer_pairs(producer: Producer | None) -> Pairs:
    if producer is None:
        return []
    return [("Producer-Epoch", str(producer.epoch)), ("Producer-Seq", str(producer.sequence))]


def next_cursor(unix_seconds: float, echoed: int | None, chance: float) -> int:
    """The cursor of a live answer: the number of the present 20 s, or, where the client already has that, a later one.

    ``chance`` (0 to 1) picks the step of 1 to 3,600 s beyond it, so that a cache never answers itself for ever.
    """
    present = int(unix_seconds - _CURSOR_EPOCH) // CURSOR_SECONDS
    if echoed is None or echoed < present:
        return present
    jitter = 1 + int(chance * (CURSOR_JITTER_SECONDS_MAX - 1))
    return echoed + max(1, jitter // CURSOR_SECONDS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client reads from an answer's header fields; what is missing or malformed is None.

    ``superset`` says that the other side speaks sections 4 to 10 of PROTOCOL.md. ``code`` is None for a
    success, and for a refusal whose word is not known. ``next_text`` is the stream's end as the server writes it, which
    only here is a number.
    """

    status: int
    superset: bool = False
    code: Code | None = None
    next_offset: int | None = None
    first_offset: int | None = None
    closed: bool = False
    up_to_date: bool = False
    epoch: int | None = None
    sequence: int | None = None
    expected_sequence: int | None = None
    tail_digest: Digest | None = None
    tail_bytes: int = 0
    retry_after_seconds: int | None = None
    limits: Limits | None = None
    cursor: str | None = None
    next_text: str | None = None
    damage_end: int | None = None


OFFSET_BYTES_MAX = 1024
"""Of a foreign server's offset; it should keep them below 256 (base protocol, 8)."""
_CODES = {code.value: code for code in Code}
_TAIL = re.compile(r"(.*:) *; *bytes=([0-9]{1,6})")


def parse_answer(status: int, headers: Headers) -> Answer:
    """An answer's status and header fields as one value."""
    code = headers.get("stream-error")
    tail = _TAIL.fullmatch(headers.get("stream-tail-digest") or "")
    digests = parse_digests(tail[1]) if tail else ()
    digest = None if isinstance(digests, Invalid) or not digests else digests[0]
    next_text = headers.get("stream-next-offset")
    return Answer(
        status=status,
        superset=headers.get("logship-protocol") == VERSION,
        code=_CODES.get(code or ""),
        next_offset=_known(headers, "stream-next-offset", parse_offset),
        first_offset=_known(headers, "logship-first-offset", parse_offset),
        closed=headers.is_true("stream-closed"),
        up_to_date=headers.is_true("stream-up-to-date"),
        epoch=_known(headers, "producer-epoch", parse_integer),
        sequence=_known(headers, "producer-seq", parse_integer),
        expected_sequence=_known(headers, "producer-expected-seq", parse_integer),
        tail_digest=digest,
        tail_bytes=int(tail[2]) if tail and digest else 0,
        retry_after_seconds=_known(headers, "retry-after", parse_integer),
        limits=_known(headers, "logship-limits", parse_limits),
        cursor=headers.get("stream-cursor"),
        next_text=next_text if next_text and len(next_text) <= OFFSET_BYTES_MAX else None,
        damage_end=_known(headers, "stream-damage-end", parse_offset),
    )


def _known(headers: Headers, name: str, parse: Callable[[str], T | Invalid]) -> T | None:
    text = headers.get(name)
    value = None if text is None else parse(text)
    return None if isinstance(value, Invalid) else value
