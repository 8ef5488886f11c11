"""A collector in memory that keeps the rules of PROTOCOL.md that a shipper depends on.

Written from the text, apart from ``logship.collect``, so that both sides are held to the text and not to each other.
Answers go through the wire's header fields and back.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field

from logship.values import Loss, Producer, StreamPath
from logship.wire.fields import Digest, Headers, Limits, Pairs
from logship.wire.refusal import Code, Refusal
from logship.wire.replies import Answer, Appended, Created, Seen, parse_answer
from logship.wire.requests import Append, Create, Look

TAIL_BYTES = 4096


@dataclass
class Kept:
    """One stream."""

    content_type: str
    source: dict[str, object]
    data: bytearray = field(default_factory=bytearray)
    closed: bool = False
    retired: bool = False
    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    starts: list[tuple[int, str]] = field(default_factory=list)


class ModelCollector:
    """``refuse_with``, while set, is the answer to everything about streams; the digest of ``tail_bytes`` is told."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.streams: dict[str, Kept] = {}
        self.losses: dict[str, Loss] = {}
        self.limits = limits or Limits()
        self.refuse_with: Refusal | None = None
        self.tail_bytes = TAIL_BYTES
        self.appends = 0

    def backup(self) -> ModelCollector:
        """All it knows, to be put in its place later."""
        return copy.deepcopy(self)

    def restore(self, older: ModelCollector) -> None:
        """Know what was known then, and nothing since."""
        self.streams, self.losses = copy.deepcopy(older.streams), copy.deepcopy(older.losses)

    def wipe(self) -> None:
        """Know nothing."""
        self.streams, self.losses = {}, {}

    def listing(self, incarnation: str = "", **wanted: str) -> bytes:
        """``GET /v1/streams?source.incarnation=...``, or what else of the source is ``wanted``."""
        if incarnation:
            wanted["incarnation"] = incarnation
        lines = [
            {
                "stream": path, "next_offset": len(kept.data), "first_offset": 0, "closed": kept.closed,
                "retired": kept.retired, "source": kept.source,
            }
            for path, kept in sorted(self.streams.items())
            if all(kept.source.get(name) == value for name, value in wanted.items())
        ]  # fmt: skip
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def look(self, look: Look) -> Refusal | Seen:
        """HEAD."""
        if self.refuse_with:
            return self.refuse_with
        kept = self.streams.get(look.path)
        if kept is None:
            return Refusal(Code.NO_STREAM, "there is none")
        if kept.retired:
            return Refusal(Code.RETIRED, "it is gone", next_offset=len(kept.data))
        tail = bytes(kept.data[-self.tail_bytes :]) if self.tail_bytes else b""
        digest = Digest("sha-256", hashlib.sha256(tail).digest()) if tail else None
        known = kept.producers.get(look.producer_id or "")
        producer = Producer(look.producer_id or "", *known) if known else None
        return Seen(len(kept.data), kept.content_type, kept.closed, 0, digest, len(tail), producer)

    def create(self, create: Create) -> Refusal | Created:
        """PUT."""
        if self.refuse_with:
            return self.refuse_with
        kept = self.streams.get(create.path)
        if kept is None:
            assert create.source is not None
            self.streams[create.path] = Kept(create.content_type, create.source.fields())
            return Created(0, create.content_type)
        if kept.retired:
            return Refusal(Code.RETIRED, "it is gone", next_offset=len(kept.data))
        if (kept.content_type, kept.closed) != (create.content_type, create.closes):
            return Refusal(Code.EXISTS, "it is another", next_offset=len(kept.data), closed=kept.closed)
        return Created(len(kept.data), kept.content_type, kept.closed, new=False)

    def append(self, append: Append, data: bytes) -> Refusal | Appended:
        """POST, in the order of PROTOCOL.md 5; ``data`` is decoded."""
        if self.refuse_with:
            return self.refuse_with
        if len(data) > self.limits.append_bytes_max:
            return Refusal(Code.TOO_LARGE, "too large")
        kept = self.streams.get(append.path)
        if kept is None:
            return Refusal(Code.NO_STREAM, "there is none")
        end = len(kept.data)
        if kept.retired:
            return Refusal(Code.RETIRED, "it is gone", next_offset=end)
        assert append.producer is not None
        name, epoch, sequence = append.producer.id, append.producer.epoch, append.producer.sequence
        seen_epoch, seen = kept.producers.get(name, (-1, -1))
        if kept.closed and not (append.closes and (seen_epoch, seen) == (epoch, sequence)):
            return Refusal(Code.CLOSED, "it is closed", next_offset=end, closed=True)
        if data and append.content_type != kept.content_type:
            return Refusal(Code.CONTENT_TYPE, "another type", next_offset=end)
        if epoch < seen_epoch:
            return Refusal(Code.STALE_EPOCH, "fenced", epoch=seen_epoch)
        if epoch > seen_epoch and sequence != 0:
            return Refusal(Code.BAD_EPOCH, "an epoch begins with 0")
        if epoch == seen_epoch and sequence <= seen:
            return Appended(end, kept.closed, Producer(name, epoch, seen), duplicate=True)
        if epoch == seen_epoch and sequence > seen + 1:
            return Refusal(Code.SEQUENCE_GAP, "gap", expected_sequence=seen + 1, received_sequence=sequence)
        if append.expected_offset is not None and append.expected_offset != end:
            return Refusal(Code.EXPECTED_OFFSET, "not the end", next_offset=end)
        for start in append.starts:
            assert end <= start.offset <= end + len(data)
            kept.starts.append((start.offset, start.time))
        kept.data += data
        kept.closed = kept.closed or append.closes
        kept.producers[name] = (epoch, sequence)
        self.appends += 1
        return Appended(len(kept.data), kept.closed, Producer(name, epoch, sequence))

    def record(self, loss: Loss) -> None:
        """``POST /v1/losses`` of one."""
        self.losses.setdefault(loss.id, loss)

    def fence(self, path: StreamPath, producer_id: str) -> None:
        """Somebody else claims the next epoch."""
        producers = self.streams[path].producers
        producers[producer_id] = (producers.get(producer_id, (-1, 0))[0] + 1, 0)


def told(reply: Refusal | Seen | Created | Appended, limits: Limits | None = None) -> tuple[int, Pairs]:
    """Status and header fields of a reply."""
    headers = reply.headers(limits or Limits()) if isinstance(reply, Refusal) else reply.headers()
    status = 200 if isinstance(reply, Seen) else reply.status
    return status, [*headers, ("Logship-Protocol", "1")]


def answer_of(reply: Refusal | Seen | Created | Appended, limits: Limits | None = None) -> Answer:
    """The reply as a client reads it."""
    status, pairs = told(reply, limits)
    return parse_answer(status, Headers(pairs))
