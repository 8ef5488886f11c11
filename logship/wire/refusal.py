"""Core: the one table of refusals: their words, their status, what else they carry (PROTOCOL.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from logship.values import offset_text
from logship.wire.fields import Limits, Pairs, offset_pairs


class Code(StrEnum):
    """The word in ``Stream-Error``: a client decides by it, since one status has several meanings."""

    BAD_PATH = "bad-path"
    BAD_METHOD = "bad-method"
    BAD_HEADER = "bad-header"
    EMPTY_BODY = "empty-body"
    BAD_OFFSET = "bad-offset"
    BAD_RECORD = "bad-record"
    TOO_LARGE = "too-large"
    NO_STREAM = "no-stream"
    RETIRED = "retired"
    BAD_DIGEST = "bad-digest"
    BAD_ENCODING = "bad-encoding"
    OTHER_ENCODING = "other-encoding"
    EXISTS = "exists"
    CLOSED = "closed"
    CONTENT_TYPE = "content-type"
    STALE_EPOCH = "stale-epoch"
    BAD_EPOCH = "bad-epoch"
    SEQUENCE_GAP = "sequence-gap"
    STREAM_SEQ = "stream-seq"
    EXPECTED_OFFSET = "expected-offset"
    BAD_START = "bad-start"
    PRODUCERS = "producers"
    STREAMS = "streams"
    NOT_SUPPORTED = "not-supported"
    BODY_TIMEOUT = "body-timeout"
    HEAD_TOO_LARGE = "head-too-large"
    BUSY = "busy"
    CONNECTIONS = "connections"
    NO_ROOM = "no-room"
    STOPPING = "stopping"
    DAMAGED = "damaged"
    NO_VIEWER = "no-viewer"


STATUS: dict[Code, int] = {
    Code.BAD_PATH: 400,
    Code.BAD_METHOD: 405,
    Code.BAD_HEADER: 400,
    Code.EMPTY_BODY: 400,
    Code.BAD_OFFSET: 400,
    Code.BAD_RECORD: 400,
    Code.TOO_LARGE: 413,
    Code.NO_STREAM: 404,
    Code.RETIRED: 410,
    Code.BAD_DIGEST: 400,
    Code.BAD_ENCODING: 400,
    Code.OTHER_ENCODING: 415,
    Code.EXISTS: 409,
    Code.CLOSED: 409,
    Code.CONTENT_TYPE: 409,
    Code.STALE_EPOCH: 403,
    Code.BAD_EPOCH: 400,
    Code.SEQUENCE_GAP: 409,
    Code.STREAM_SEQ: 409,
    Code.EXPECTED_OFFSET: 409,
    Code.BAD_START: 400,
    Code.PRODUCERS: 429,
    Code.STREAMS: 429,
    Code.NOT_SUPPORTED: 501,
    Code.BODY_TIMEOUT: 408,
    Code.HEAD_TOO_LARGE: 431,
    Code.BUSY: 503,
    Code.CONNECTIONS: 503,
    Code.NO_ROOM: 503,
    Code.STOPPING: 503,
    Code.DAMAGED: 500,
    Code.NO_VIEWER: 503,
}
"""Every code's status; nothing else decides one."""

LIMITED = frozenset({413, 429, 431, 503})
"""Statuses whose answers carry ``Logship-Limits``."""

RETRY_SECONDS: dict[Code, int] = {
    Code.PRODUCERS: 60,
    Code.STREAMS: 60,
    Code.BUSY: 1,
    Code.CONNECTIONS: 1,
    Code.NO_ROOM: 5,
    Code.STOPPING: 1,
    Code.NO_VIEWER: 5,
}
"""What ``Retry-After`` says where asking again later can help."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was written, or nothing is read: ``reason`` is one line for people: what is wrong, where, what to do.

    The other fields are headers of the answer where they are known: the stream's end, its first kept byte, whether it
    is closed, the producer's epoch, the sequence that was expected and the one that came, where damaged bytes end.
    """

    code: Code
    reason: str
    next_offset: int | None = None
    first_offset: int | None = None
    closed: bool = False
    epoch: int | None = None
    expected_sequence: int | None = None
    received_sequence: int | None = None
    damage_end: int | None = None

    @property
    def status(self) -> int:
        """The status of the answer."""
        return STATUS[self.code]

    def headers(self, limits: Limits) -> Pairs:
        """The answer's headers that say what this refusal knows."""
        found = [("Stream-Error", str(self.code)), ("Content-Type", "text/plain; charset=utf-8")]
        found += offset_pairs(self.next_offset, self.first_offset, self.closed)
        for name, number in (
            ("Producer-Epoch", self.epoch),
            ("Producer-Expected-Seq", self.expected_sequence),
            ("Producer-Received-Seq", self.received_sequence),
            ("Retry-After", RETRY_SECONDS.get(self.code)),
        ):
            if number is not None:
                found.append((name, str(number)))
        if self.damage_end is not None:
            found.append(("Stream-Damage-End", offset_text(self.damage_end)))
        if self.status in LIMITED:
            found.append(("Logship-Limits", limits.text()))
        return found

    def body(self) -> bytes:
        """The one line of text."""
        return f"{self.reason}\n".encode()
