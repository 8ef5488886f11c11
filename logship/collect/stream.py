"""Core: what is known of one stream, and what a frame makes of it.

``step`` is the only place where a stream's state changes: admission says which frame to write, and the state after it
is what ``step`` makes of that frame, the same at intake as after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from logship.collect.journal import CLOSES, Entry, Kind
from logship.values import Producer, Source, StreamPath

STARTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream. ``created_lsn`` tells it from an earlier stream of the same path.

    ``last_lsn`` is the frame with its last bytes; ``producers`` are id -> (epoch, highest sequence taken);
    ``closed_by`` the producer and sequence that closed it; ``starts`` the newest offsets where its program was started;
    ``retired_ms`` when retention removed it, or it was last asked for since (None: it is not removed); ``proof`` is how
    many bytes before its end have which sha-256, noted when the journal let go of them (None: it has them). What of
    the stream's beginning is still kept is the index's to say.
    """

    path: StreamPath
    created_lsn: int
    created_ms: int
    content_type: str
    source: Source | None = None
    source_path: str | None = None
    next_offset: int = 0
    last_lsn: int | None = None
    last_append_ms: int | None = None
    closed: bool = False
    closed_by: Producer | None = None
    producers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    stream_seq: str | None = None
    starts: tuple[int, ...] = ()
    retired_ms: int | None = None
    proof: tuple[int, bytes] | None = None

    @property
    def retired(self) -> bool:
        """Whether retention removed it: only its end is still known."""
        return self.retired_ms is not None

    def producer(self, producer_id: str | None) -> Producer | None:
        """The highest sequence taken of this producer, None when it is not known."""
        known = self.producers.get(producer_id or "")
        return Producer(producer_id or "", *known) if known else None

    def listing(self, first_offset: int) -> dict[str, Any]:
        """The stream's line in ``GET /v1/streams`` (PROTOCOL.md 8)."""
        source = self.source.fields() if self.source else {}
        if self.source_path is not None:
            source["path"] = self.source_path
        last = None if self.last_append_ms is None else datetime.fromtimestamp(self.last_append_ms / 1000, UTC)
        return {
            "stream": self.path,
            "next_offset": self.next_offset,
            "first_offset": first_offset,
            "closed": self.closed,
            "retired": self.retired,
            "content_type": self.content_type,
            "last_append": last and last.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "starts": list(self.starts),
            "source": source,
        }


def step(state: StreamState | None, lsn: int, kind: Kind, flags: int, entry: Entry) -> StreamState | None:
    """The stream after a frame; None when it is gone. A frame that cannot follow on the state is a broken invariant."""
    if kind is Kind.CREATE:
        assert state is None
        return _created(lsn, flags, entry)
    assert state is not None, f"a frame at {lsn} for a stream that is not there"
    if kind is Kind.DELETE:
        return None
    if kind is Kind.RETIRE:
        return replace(state, retired_ms=entry.time_ms, producers={}, starts=(), stream_seq=None, closed_by=None)
    assert kind in (Kind.APPEND, Kind.CLOSE)
    assert entry.offset == state.next_offset
    producer = Producer(*entry.producer) if entry.producer else None
    closes = bool(flags & CLOSES)
    return StreamState(  # all of it said: ``replace`` takes seven times as long, for each append
        path=state.path,
        created_lsn=state.created_lsn,
        created_ms=state.created_ms,
        content_type=state.content_type,
        source=state.source,
        source_path=state.source_path if entry.source_path is None else entry.source_path,
        next_offset=entry.offset + entry.length,
        last_lsn=lsn if entry.length else state.last_lsn,
        last_append_ms=entry.time_ms if entry.length else state.last_append_ms,
        closed=closes,
        closed_by=producer if closes else None,
        producers=_with(state.producers, producer),
        stream_seq=state.stream_seq if entry.stream_seq is None else entry.stream_seq,
        starts=_with_starts(state.starts, entry.starts) if entry.starts else state.starts,
        retired_ms=state.retired_ms,
        proof=None if entry.length else state.proof,
    )


def proven(state: StreamState | None, entry: Entry) -> StreamState | None:
    """The stream after a frame with a proof of its end; the same where it does not end there any more."""
    assert entry.proof is not None
    _, end, size, digest = entry.proof
    return state if state is None or state.next_offset != end else replace(state, proof=(size, digest))


def _created(lsn: int, flags: int, entry: Entry) -> StreamState:
    return StreamState(
        path=StreamPath(entry.stream),
        created_lsn=lsn,
        created_ms=entry.time_ms,
        content_type=entry.content_type or "",
        source=None if entry.source is None else Source(entry.source),
        next_offset=entry.length,
        last_lsn=lsn if entry.length else None,
        last_append_ms=entry.time_ms if entry.length else None,
        closed=bool(flags & CLOSES),
    )


def _with(producers: Mapping[str, tuple[int, int]], producer: Producer | None) -> Mapping[str, tuple[int, int]]:
    if producer is None:
        return producers
    return {**producers, producer.id: (producer.epoch, producer.sequence)}


def _with_starts(starts: tuple[int, ...], added: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    """The newest starts; one that is told with the bytes before it and again with those after it counts once."""
    found = list(starts)
    for offset, _ in added:
        if not found or found[-1] != offset:
            found.append(offset)
    return tuple(found[-STARTS_KEPT:])
