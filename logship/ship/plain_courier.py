"""Edge: carrying out one request of a plain sender: read the bytes, write the checkpoint, talk to the server.

In this order: what goes out is on disk, with its number, before the first byte of it leaves.

Left to others: threads and time (``courier``), what follows from an answer (``plain``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from logship.ship.checkpoint import PROOF_BYTES, Checkpoint, Flight, Proof
from logship.ship.http1 import Reply
from logship.ship.http_sink import Unanswered
from logship.ship.plain_states import Make, Note, PlainRequest, Push, Recall, Shut
from logship.wire.replies import Answer, parse_answer
from logship.wire.requests import Append, Create


class Readable(Protocol):
    """A source."""

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from exactly ``offset``, at most ``size``. Raises OSError."""


class Writable(Protocol):
    """What keeps checkpoints (``book``). Raises OSError."""

    def read(self, incarnation: str, program: str) -> Checkpoint | None:
        """That of one source."""

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep it; durable when this returns."""


class Wire(Protocol):
    """What brings a request there and its answer back (``http_sink``)."""

    def exchange(
        self, method: str, target: str, fields: Iterable[tuple[str, str]], body: bytes | None, seconds: float, /
    ) -> Reply:
        """The answer. Raises Unanswered."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of it. ``kept`` is what was written; ``changed``: the bytes to be sent again are not there any more."""

    answer: Answer | None = None
    kept: Checkpoint | None = None
    recalled: Checkpoint | None = None
    size: int = 0
    failure: Unanswered | None = None
    changed: bool = False


def carry(sink: Wire, book: Writable, request: PlainRequest, source: Readable | None, seconds: float) -> Carried:
    """Carry out ``request``. Raises OSError where the disk refuses; nothing was sent then."""
    if isinstance(request, Recall):
        return Carried(recalled=book.read(request.incarnation, request.program))
    body, kept = b"", request.checkpoint
    again = isinstance(request, Push) and request.again
    if isinstance(request, Push):
        assert source is not None
        assert kept.flight is not None
        body = source.read(kept.end, kept.flight.size)
        if again:
            if hashlib.sha256(body).hexdigest() != kept.flight.sha256:
                return Carried(changed=True)
        else:
            if not body:
                raise OSError(0, "the bytes are gone")
            kept = replace(kept, flight=_flight(kept, body, source))
    if not again:
        book.write(kept)
    written = None if again else kept
    if isinstance(request, Note):
        return Carried(kept=written)
    try:
        answer = _exchange(sink, request, body, seconds)
    except Unanswered as failure:
        return Carried(kept=written, failure=failure)
    return Carried(answer, written, size=len(body))


def _flight(checkpoint: Checkpoint, body: bytes, source: Readable) -> Flight:
    """What was read, and what proves later that the source holds it; before a short body stands what came before."""
    end = checkpoint.end + len(body)
    before = body
    if len(body) < PROOF_BYTES:
        start = max(checkpoint.base, end - PROOF_BYTES)
        earlier = source.read(start, checkpoint.end - start) if start < checkpoint.end else b""
        before = earlier + body if len(earlier) == checkpoint.end - start else body
    tail = before[-PROOF_BYTES:]
    proof = Proof(len(tail), hashlib.sha256(tail).hexdigest())
    return Flight(len(body), hashlib.sha256(body).hexdigest(), proof)


def _exchange(sink: Wire, request: Make | Push | Shut, body: bytes, seconds: float) -> Answer:
    wanted: Create | Append = request.create if isinstance(request, Make) else request.append
    method = "PUT" if isinstance(request, Make) else "POST"
    reply = sink.exchange(method, f"/v1/stream/{wanted.path}", wanted.headers(), body, seconds)
    return parse_answer(reply.status, reply.headers)
