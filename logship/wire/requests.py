"""Core: what a request asks, as values, and the header fields a client writes for them (PROTOCOL.md 2 to 7).

Left to others: reading those fields (``parsing``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from logship.values import Producer, Source, StreamPath, offset_text
from logship.wire.fields import Digest, Limits, Pairs, Start, percent_encode, starts_text
from logship.wire.refusal import Code, Refusal

DEFAULT_CONTENT_TYPE = "application/octet-stream"


class Encoding(StrEnum):
    """How a body is written. ``OTHER`` is what this collector does not read: refused, but not before its turn."""

    IDENTITY = "identity"
    ZSTD = "zstd"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Append:
    """POST: bytes for the end of a stream, its end, or both. The body travels beside this value."""

    path: StreamPath
    content_type: str | None = None
    closes: bool = False
    producer: Producer | None = None
    stream_seq: str | None = None
    expected_offset: int | None = None
    encoding: Encoding = Encoding.IDENTITY
    digests: tuple[Digest, ...] = ()
    starts: tuple[Start, ...] = ()
    source_path: str | None = None

    def check_body(self, body_bytes: int, limits: Limits) -> Refusal | None:
        """What is wrong with a body of this many bytes, as sent. The Content-Length will do, before reading."""
        if body_bytes == 0 and not self.closes:
            return Refusal(Code.EMPTY_BODY, "an append needs a body, or Stream-Closed: true to close the stream")
        if body_bytes and self.content_type is None:
            return Refusal(Code.BAD_HEADER, "Content-Type is missing; send the stream's own")
        return check_size(body_bytes, limits)

    def of_body(self, encoding: Encoding, digest: Digest) -> Append:
        """The same with a body that is written so, and has this digest."""
        return Append(
            self.path, self.content_type, self.closes, self.producer, self.stream_seq, self.expected_offset,
            encoding, (digest,), self.starts, self.source_path,
        )  # fmt: skip

    def headers(self) -> Pairs:
        """The request's header fields, without those of the transport."""
        found: Pairs = _body_pairs(self.content_type, self.closes, self.encoding, self.digests)
        if self.producer is not None:
            numbers = (self.producer.id, str(self.producer.epoch), str(self.producer.sequence))
            found += zip(("Producer-Id", "Producer-Epoch", "Producer-Seq"), numbers, strict=True)
        if self.stream_seq is not None:
            found.append(("Stream-Seq", self.stream_seq))
        if self.expected_offset is not None:
            found.append(("Stream-Expected-Offset", offset_text(self.expected_offset)))
        if self.starts:
            found.append(("Logship-Starts", starts_text(self.starts)))
        if self.source_path is not None:
            found.append(("Logship-Path", percent_encode(self.source_path)))
        return found


@dataclass(frozen=True, slots=True)
class Create:
    """PUT: a stream shall be there; the body, if any, is its beginning. ``wants`` names a feature that is not here."""

    path: StreamPath
    content_type: str = DEFAULT_CONTENT_TYPE
    closes: bool = False
    source: Source | None = None
    encoding: Encoding = Encoding.IDENTITY
    digests: tuple[Digest, ...] = ()
    wants: str | None = None

    def check_body(self, body_bytes: int, limits: Limits) -> Refusal | None:
        """What is wrong with a body of this many bytes, as sent."""
        return check_size(body_bytes, limits)

    def headers(self) -> Pairs:
        """The request's header fields, without those of the transport."""
        found = _body_pairs(self.content_type, self.closes, self.encoding, self.digests)
        if self.source is not None:
            found.append(("Logship-Source", self.source.text))
        return found


class Mark(StrEnum):
    """Places in a stream that a reader may name without knowing their offset."""

    START = "-1"
    NOW = "now"


class Live(StrEnum):
    """How a reader wants what comes later."""

    LONG_POLL = "long-poll"
    SSE = "sse"


@dataclass(frozen=True, slots=True)
class Read:
    """GET: bytes from ``offset`` on, and how to go on; ``cursor`` and ``etags`` as the client echoes them."""

    path: StreamPath
    offset: int | Mark = Mark.START
    live: Live | None = None
    cursor: int | None = None
    etags: tuple[str, ...] = ()

    def query(self) -> Pairs:
        """The request's query, keys sorted."""
        found = [("offset", offset_text(self.offset) if isinstance(self.offset, int) else str(self.offset))]
        if self.live is not None:
            found.insert(0, ("live", str(self.live)))
        if self.cursor is not None:
            found.insert(0, ("cursor", str(self.cursor)))
        return found


@dataclass(frozen=True, slots=True)
class Look:
    """HEAD: where does the stream end, and what does the collector know of ``producer_id``."""

    path: StreamPath
    producer_id: str | None = None

    def headers(self) -> Pairs:
        """The request's header fields."""
        return [] if self.producer_id is None else [("Producer-Id", self.producer_id)]


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE: the stream and its bytes shall be gone, without a trace."""

    path: StreamPath


def check_size(body_bytes: int, limits: Limits) -> Refusal | None:
    """Row 3 of PROTOCOL.md 5: a body, as sent, over the bound."""
    if body_bytes > limits.append_bytes_max:
        reason = f"the body is larger than {limits.append_bytes_max} bytes; send it in several appends"
        return Refusal(Code.TOO_LARGE, reason)
    return None


def _body_pairs(content_type: str | None, closes: bool, encoding: Encoding, digests: tuple[Digest, ...]) -> Pairs:
    found: Pairs = []
    if content_type is not None:
        found.append(("Content-Type", content_type))
    if encoding is not Encoding.IDENTITY:
        found.append(("Content-Encoding", str(encoding)))
    if digests:
        found.append(("Content-Digest", ", ".join(digest.text() for digest in digests)))
    if closes:
        found.append(("Stream-Closed", "true"))
    return found
