"""What goes over the wire, as the oracle sees it: answers that were given are promises.

An end that an answer named, or bytes that a reader got, may never be gone. A producer's epoch that was taken fences all
older ones. A session is begun only by a source that holds the bytes the stream ends with.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logship import zstd

if TYPE_CHECKING:
    from tests.sim.oracle import Oracle

EARLIER = frozenset(
    {
        "no-stream",
        "retired",
        "bad-digest",
        "bad-encoding",
        "too-large",
        "closed",
        "content-type",
        "stopping",
        "busy",
        "body-timeout",
    }
)
"""Refusals that come before a stale epoch's, or are not about the stream."""


@dataclass(slots=True)
class Asked:
    """One request as it was sent. ``fence`` and ``known_end`` are filled in when it arrives: the epoch that had been
    taken, and the end that an answer had named, by then. What is answered while it is under way binds it to nothing.
    """

    method: str
    path: str
    fields: dict[str, str]
    fence: int | None = None
    known_end: int = -1
    tail: tuple[int, bytes] | None = None
    length: int = 0
    """Of what it appends, in bytes of the stream."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A session was begun at an offset of a stream: how many bytes before it the source held then, and their digest."""

    path: str
    offset: int
    size: int
    digest: bytes


class Wiretap:
    """All connections of one world."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self.ends: dict[str, int] = {}
        self.epochs: dict[tuple[str, str], int] = {}
        self.claims: list[Claim] = []
        self.answers = 0

    def asked(self, data: bytes) -> Asked | None:
        """A request leaves its sender; None for what is not about a stream."""
        text, _, body = data.partition(b"\r\n\r\n")
        first, _, rest = text.decode("latin-1").partition("\r\n")
        method, target, _ = first.split(" ")
        if not target.startswith("/v1/stream/"):
            return None
        fields = _fields(rest)
        asked = Asked(method, target.removeprefix("/v1/stream/").partition("?")[0], fields)
        if method == "POST" and "stream-expected-offset" in fields:
            asked.length = _length(body, fields)
        if method == "POST" and fields.get("producer-seq") == "0" and "stream-closed" not in fields:
            asked.tail = self._tail(asked.path, int(fields["stream-expected-offset"]))
        return asked

    def arrived(self, asked: Asked) -> None:
        """It begins to arrive."""
        asked.known_end = self.ends.get(asked.path, -1)
        if "producer-epoch" in asked.fields:
            asked.fence = self.epochs.get((asked.path, asked.fields["producer-id"]))

    def answered(self, asked: Asked, data: bytes) -> None:
        """The collector answers."""
        if not data.startswith(b"HTTP/1.1 "):
            return
        first, _, rest = data.partition(b"\r\n\r\n")[0].decode("latin-1").partition("\r\n")
        self.answers += 1
        status = int(first[9:12])
        fields = _fields(rest)
        end_text = fields.get("stream-next-offset", "").lstrip("0")
        said = f"{asked.method} {asked.path} -> {status} {fields.get('stream-error', '')} {end_text}"
        self._oracle.world.tell(said)
        code = fields.get("stream-error")
        if "stream-next-offset" in fields:
            end = int(fields["stream-next-offset"])
            self.ends[asked.path] = max(end, self.ends.get(asked.path, 0))
            if asked.method == "GET":  # as far as its bytes go
                return
            if end < asked.known_end:
                self._oracle.fail(
                    "acked is durable",
                    f"{asked.path} ends at {end}, and an earlier answer had said {asked.known_end}",
                )
        elif code == "no-stream" and asked.known_end >= 0:
            self._oracle.fail("acked is durable", f"{asked.path} is not there, and an earlier answer had told of it")
        if asked.method == "POST" and "producer-epoch" in asked.fields:
            self._fence(asked, status, code)
        if asked.method == "POST" and status == 200 and "stream-expected-offset" in asked.fields:
            wanted, end = int(asked.fields["stream-expected-offset"]), int(fields["stream-next-offset"])
            if asked.length and end - asked.length != wanted:
                self._oracle.fail(
                    "order kept", f"{asked.path}: bytes sent for offset {wanted} were put at {end - asked.length}"
                )
        if asked.method == "POST" and status == 200 and asked.tail is not None:
            offset = int(asked.fields["stream-expected-offset"])
            self.claims.append(Claim(asked.path, offset, asked.tail[0], asked.tail[1]))

    def _fence(self, asked: Asked, status: int, code: str | None) -> None:
        epoch = int(asked.fields["producer-epoch"])
        if asked.fence is not None and epoch < asked.fence and code != "stale-epoch" and code not in EARLIER:
            self._oracle.fail(
                "an older epoch is refused",
                f"{asked.path}: epoch {epoch} was answered {status} {code or ''} after {asked.fence} had been taken",
            )
        if status < 300:
            key = asked.path, asked.fields["producer-id"]
            self.epochs[key] = max(epoch, self.epochs.get(key, 0))

    def _tail(self, path: str, offset: int) -> tuple[int, bytes] | None:
        """The bytes that the source holds before an offset of its stream, as far as they are all there."""
        incarnation, _, base = path.rpartition("/")[2].partition(".")
        program = path.split("/")[2]
        place = int(base.partition(".")[0] or 0) + offset
        size = min(offset, self._oracle.world.plan.knobs.tail_bytes)
        held = self._oracle.held((incarnation, program)) or []
        found = bytearray()
        for segment, data in held:
            low, high = max(segment.offset, place - size), min(segment.end, place)
            if low < high:
                found += data[low - segment.offset : high - segment.offset]
        if not size or len(found) < size:
            return None
        return size, hashlib.sha256(found).digest()


def _fields(lines: str) -> dict[str, str]:
    return dict([line.split(": ", 1) for line in lines.lower().split("\r\n")]) if lines else {}


def _length(body: bytes, fields: dict[str, str]) -> int:
    data = zstd.decode(body, 1 << 24) if fields.get("content-encoding") == "zstd" else body
    return len(data) if isinstance(data, bytes) else 0
