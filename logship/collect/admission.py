"""Core: may this append, create or delete be done? Decided on the stream's state alone, in the order of PROTOCOL.md 5.

The answer is a frame to write (``Admitted``), a success that needs none, or a refusal. The rules of producers and of
closing are the base protocol's (5.2.1). Nothing is changed here: what a frame makes of a stream is ``stream.step``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from logship.collect.journal import CLOSES, ZSTD, Entry, Kind
from logship.collect.payload import Payload
from logship.collect.stream import StreamState
from logship.values import Producer, StreamPath
from logship.wire import Append, Appended, Code, Create, Created, Deleted, Found, Listed, Mark, Refusal

PRODUCERS_MAX = 1024
"""Producers that one stream remembers. Forgetting one could take an append twice, so a further one is refused."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A frame to write, and what to answer once it is durable."""

    kind: Kind
    flags: int
    entry: Entry
    body: bytes
    outcome: Appended | Created | Deleted | Listed | None


@dataclass(frozen=True, slots=True)
class _Case:
    """One append and what it meets. ``payload`` is a refusal where the body is not what it says."""

    state: StreamState
    request: Append
    payload: Payload | Refusal

    @property
    def length(self) -> int:
        return self.payload.length if isinstance(self.payload, Payload) else 0

    @property
    def known(self) -> tuple[int, int] | None:
        producer = self.request.producer
        return self.state.producers.get(producer.id) if producer else None

    def refuse(self, code: Code, reason: str, **said: int) -> Refusal:
        return Refusal(code, f"{reason} ({self.state.path})", self.state.next_offset, closed=self.state.closed, **said)


Verdict = Appended | Refusal | None


def _retired(case: _Case) -> Verdict:
    if not case.state.retired:
        return None
    return case.refuse(Code.RETIRED, "retention removed the stream; it ended here and is not made again")


def _body(case: _Case) -> Verdict:
    return case.payload if isinstance(case.payload, Refusal) else None


def _empty(case: _Case) -> Verdict:
    if case.length or case.request.closes:
        return None
    return case.refuse(Code.EMPTY_BODY, "the body decodes to nothing, and an append needs bytes")


def _closed(case: _Case) -> Verdict:
    state, producer = case.state, case.request.producer
    if not state.closed:
        return None
    bare_close = case.request.closes and not case.length and producer is None
    if bare_close or (producer is not None and producer == state.closed_by):
        return Appended(state.next_offset, closed=True, producer=producer, duplicate=True)
    return case.refuse(Code.CLOSED, "the stream is closed and takes no more; begin a new one")


def _content_type(case: _Case) -> Verdict:
    if not case.length or same_type(case.request.content_type or "", case.state.content_type):
        return None
    return case.refuse(Code.CONTENT_TYPE, f"the stream's Content-Type is {case.state.content_type}; send that one")


def _stale_epoch(case: _Case) -> Verdict:
    producer, known = case.request.producer, case.known
    if producer is None or known is None or producer.epoch >= known[0]:
        return None
    reason = (
        f"epoch {producer.epoch} is over: the producer {producer.id} is in epoch {known[0]}; stop, or claim a newer one"
    )
    return case.refuse(Code.STALE_EPOCH, reason, epoch=known[0])


def _bad_epoch(case: _Case) -> Verdict:
    producer, known = case.request.producer, case.known
    if producer is None or known is None or producer.epoch == known[0] or producer.sequence == 0:
        return None
    return case.refuse(Code.BAD_EPOCH, f"epoch {producer.epoch} is new and must begin with sequence 0", epoch=known[0])


def _duplicate(case: _Case) -> Verdict:
    producer, known = case.request.producer, case.known
    if producer is None or known is None or producer.epoch != known[0] or producer.sequence > known[1]:
        return None
    highest = Producer(producer.id, *known)
    return Appended(case.state.next_offset, closed=case.state.closed, producer=highest, duplicate=True)


def _gap(case: _Case) -> Verdict:
    producer, known = case.request.producer, case.known
    if producer is None:
        return None
    expected = known[1] + 1 if known and producer.epoch == known[0] else 0
    if producer.sequence == expected:
        return None
    reason = f"sequence {producer.sequence} came where {expected} was expected; send from there"
    return case.refuse(Code.SEQUENCE_GAP, reason, expected_sequence=expected, received_sequence=producer.sequence)


def _stream_seq(case: _Case) -> Verdict:
    seq, last = case.request.stream_seq, case.state.stream_seq
    if seq is None or last is None or seq > last:
        return None
    return case.refuse(Code.STREAM_SEQ, "Stream-Seq is not greater than the stream's last one")


def _expected_offset(case: _Case) -> Verdict:
    expected = case.request.expected_offset
    if expected is None or expected == case.state.next_offset:
        return None
    return case.refuse(
        Code.EXPECTED_OFFSET, f"the stream ends at {case.state.next_offset}, not at {expected}; go on there"
    )


def _starts(case: _Case) -> Verdict:
    first, last = case.state.next_offset, case.state.next_offset + case.length
    if all(first <= start.offset <= last for start in case.request.starts):
        return None
    return case.refuse(Code.BAD_START, f"Logship-Starts names an offset outside {first} to {last}")


def _producers(case: _Case) -> Verdict:
    if case.request.producer is None or case.known or len(case.state.producers) < PRODUCERS_MAX:
        return None
    return case.refuse(Code.PRODUCERS, f"the stream remembers {PRODUCERS_MAX} producers and takes no other")


APPEND_ORDER: tuple[tuple[int, Callable[[_Case], Verdict]], ...] = (
    (5, _retired),
    (6, _body),
    (7, _empty),
    (8, _closed),
    (9, _content_type),
    (10, _stale_epoch),
    (11, _bad_epoch),
    (12, _duplicate),
    (13, _gap),
    (14, _stream_seq),
    (15, _expected_offset),
    (16, _starts),
    (17, _producers),
)
"""The rows of PROTOCOL.md 5 that depend on the stream, in its order; the first that has something to say is the answer.

Rows 1 to 3 are ``wire``'s, 4 is before there is a stream, 18 is ``commit``'s.
"""


def admit_append(
    state: StreamState | None, request: Append, payload: Payload | Refusal, now_ms: int
) -> Admitted | Appended | Refusal:
    """What to do with an append. ``now_ms`` is the collector's clock; it decides nothing."""
    if state is None:
        return no_stream(request.path)
    case = _Case(state, request, payload)
    for _, check in APPEND_ORDER:
        verdict = check(case)
        if verdict is not None:
            return verdict
    assert isinstance(payload, Payload)
    producer = request.producer
    entry = Entry(
        time_ms=now_ms,
        stream=state.path,
        offset=state.next_offset,
        length=payload.length,
        previous=state.last_lsn,
        producer=(producer.id, producer.epoch, producer.sequence) if producer else None,
        stream_seq=request.stream_seq,
        starts=tuple((start.offset, start.time) for start in request.starts),
        source_path=request.source_path if request.source_path != state.source_path else None,
    )
    flags = (ZSTD if payload.zstd and payload.length else 0) | (CLOSES if request.closes else 0)
    outcome = Appended(state.next_offset + payload.length, request.closes, producer, wrote=payload.length > 0)
    kind = Kind.APPEND if payload.length else Kind.CLOSE
    return Admitted(kind, flags, entry, payload.body if payload.length else b"", outcome)


def admit_create(
    state: StreamState | None, request: Create, payload: Payload | Refusal, streams: int, streams_max: int, now_ms: int
) -> Admitted | Created | Refusal:
    """What to do with a PUT; ``streams`` is how many there are."""
    if state is not None and state.retired:
        reason = f"retention removed the stream; it ended here and is not made again ({state.path})"
        return Refusal(Code.RETIRED, reason, state.next_offset, closed=state.closed)
    if isinstance(payload, Refusal):
        return payload
    if state is not None:
        if same_type(request.content_type, state.content_type) and request.closes == state.closed and not request.wants:
            return Created(state.next_offset, state.content_type, state.closed, new=False)
        is_now = f"{'closed' if state.closed else 'open'}, {state.content_type}, without {request.wants or 'expiry'}"
        reason = f"the stream exists, but otherwise: {is_now} ({state.path})"
        return Refusal(Code.EXISTS, reason, state.next_offset, closed=state.closed)
    if request.wants:
        return Refusal(Code.NOT_SUPPORTED, f"{request.wants.title()} is not supported by this collector; leave it out")
    if streams >= streams_max:
        return Refusal(Code.STREAMS, f"there are {streams} streams already; delete some, or shorten what is kept")
    entry = Entry(
        time_ms=now_ms,
        stream=request.path,
        length=payload.length,
        content_type=request.content_type,
        source=request.source.text if request.source else None,
    )
    flags = (ZSTD if payload.zstd and payload.length else 0) | (CLOSES if request.closes else 0)
    outcome = Created(payload.length, request.content_type, request.closes)
    return Admitted(Kind.CREATE, flags, entry, payload.body if payload.length else b"", outcome)


def admit_delete(state: StreamState | None, path: StreamPath, now_ms: int) -> Admitted | Refusal:
    """What to do with a DELETE. A tombstone stays: what retention removed must not be sent again."""
    if state is None:
        return no_stream(path)
    if state.retired:
        return Refusal(Code.RETIRED, f"retention removed the stream already ({path})", state.next_offset)
    return Admitted(Kind.DELETE, 0, Entry(now_ms, path), b"", Deleted())


def find(state: StreamState | None, path: StreamPath, offset: int | Mark, first_offset: int) -> Found | Refusal:
    """Where a read begins, as a ``Found`` without bytes yet; ``first_offset`` is the first byte that is kept."""
    if state is None:
        return no_stream(path)
    if state.retired:
        return Refusal(Code.RETIRED, f"retention removed the stream ({path})", state.next_offset, closed=state.closed)
    at = {Mark.START: first_offset, Mark.NOW: state.next_offset}[offset] if isinstance(offset, Mark) else offset
    if at > state.next_offset:
        reason = f"offset {at} is beyond the stream's end at {state.next_offset} ({path})"
        return Refusal(Code.BAD_OFFSET, reason, state.next_offset)
    if at < first_offset:
        reason = f"retention removed the bytes before {first_offset}; read from there, or from -1 ({path})"
        return Refusal(Code.RETIRED, reason, state.next_offset, first_offset)
    return Found(
        state.created_lsn, at, at, state.next_offset, state.content_type, state.closed, first_offset, offset is Mark.NOW
    )


def no_stream(path: StreamPath) -> Refusal:
    """Row 4."""
    return Refusal(Code.NO_STREAM, f"there is no stream {path}; create it with PUT")


def same_type(one: str, other: str) -> bool:
    """Whether two content types are the same media type: parameters and case do not count (as in the base server)."""
    return one.partition(";")[0].strip().lower() == other.partition(";")[0].strip().lower()
