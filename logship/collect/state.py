"""Core: everything the collector knows of its streams and losses, as the journal's frames made it.

``apply`` replays a frame, ``checkpoint`` and ``load`` carry the whole from one segment to the next: replaying all
frames, and loading a checkpoint and replaying the rest, give the same state (a property test holds them to it).
Left to others: which bytes are where (``index``), what a batch adds before it is durable (``draft``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack

from logship import zstd
from logship.collect.journal import Entry, Frame, Kind
from logship.collect.ledger import Ledger, pack_losses, unpack_losses
from logship.collect.stream import StreamState, proven, step
from logship.values import Invalid, Loss, Producer, Source

CHECKPOINT_VERSION = 1
_CHECKPOINT_BYTES_MAX = 4 * 1024**3


class State:
    """All streams by path, tombstones among them, and the ledger. What is here is durable."""

    def __init__(self, streams: dict[str, StreamState] | None = None, ledger: Ledger | None = None) -> None:
        self.streams = streams if streams is not None else {}
        self.ledger = ledger if ledger is not None else Ledger()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.streams, self.ledger) == (other.streams, other.ledger)

    __hash__ = None  # type: ignore[assignment]  # as of any container that changes

    def apply(self, frame: Frame, body: bytes) -> None:
        """Replay one frame other than a checkpoint; ``body`` is asked for of frames of losses only."""
        if frame.kind is Kind.LOSSES:
            self.ledger.add(frame.lsn, unpack_losses(body))
            return
        if frame.entry.proof is not None:
            path = frame.entry.proof[0]
            self.put({path: proven(self.streams.get(path), frame.entry)})
            return
        path = frame.entry.stream
        self.put({path: step(self.streams.get(path), frame.lsn, frame.kind, frame.flags, frame.entry)})
        self.ledger.add(frame.lsn, losses_of(frame.kind, self.streams.get(path)))

    def put(self, streams: dict[str, StreamState | None]) -> None:
        """Replace some streams; None removes."""
        for path, stream in streams.items():
            if stream is None:
                self.streams.pop(path, None)  # made and deleted in one batch: it was never here
            else:
                self.streams[path] = stream

    def checkpoint(self) -> bytes:
        """All of it, as the body of a checkpoint frame. Streams are values, so a thread may do this."""
        records = self.ledger.records()
        whole = {
            "v": CHECKPOINT_VERSION,
            "streams": [_pack_stream(stream) for stream in self.streams.values()],
            "loss_lsns": [lsn for lsn, _ in records],
            "losses": pack_losses(loss for _, loss in records),
            "losses_dropped": self.ledger.dropped,
        }
        return zstd.compress(msgpack.packb(whole))


def losses_of(kind: Kind, stream: StreamState | None) -> Iterable[Loss]:
    """The losses that a frame records besides its own: a new stream's, when it goes on after a hole."""
    if kind is not Kind.CREATE or stream is None or stream.source is None:
        return ()
    loss = stream.source.loss(stream.path)
    return () if loss is None else (loss,)


def load(body: bytes) -> State | Invalid:
    """The state in the body of a checkpoint whose checksum holds."""
    packed = zstd.decode(body, _CHECKPOINT_BYTES_MAX)
    if isinstance(packed, Invalid):
        return packed
    whole = msgpack.unpackb(packed, use_list=False)
    if whole["v"] != CHECKPOINT_VERSION:
        return Invalid(f"the checkpoint is of version {whole['v']}, this program knows {CHECKPOINT_VERSION}")
    losses = zip(whole["loss_lsns"], unpack_losses(whole["losses"]), strict=True)
    streams = (_unpack_stream(item) for item in whole["streams"])
    return State({stream.path: stream for stream in streams}, Ledger(losses, whole["losses_dropped"]))


def _pack_stream(stream: StreamState) -> tuple[Any, ...]:
    return (
        stream.path, stream.created_lsn, stream.created_ms, stream.content_type,
        None if stream.source is None else stream.source.text, stream.source_path, stream.next_offset, stream.last_lsn,
        stream.last_append_ms, stream.closed, stream.closed_by and _triple(stream.closed_by), stream.producers,
        stream.stream_seq, stream.starts, stream.retired_ms, stream.proof,
    )  # fmt: skip


def _unpack_stream(item: tuple[Any, ...]) -> StreamState:
    path, created_lsn, created_ms, content_type, source, *rest = item
    source_path, next_offset, last_lsn, last_append_ms, closed, closed_by, *rest = rest
    kept = None if source is None else Source(source)
    closer = None if closed_by is None else Producer(*closed_by)
    ends = source_path, next_offset, last_lsn, last_append_ms, closed, closer
    return StreamState(path, created_lsn, created_ms, content_type, kept, *ends, *rest)


def _triple(producer: Producer) -> tuple[str, int, int]:
    return producer.id, producer.epoch, producer.sequence


def checkpoint_entry(now_ms: int) -> Entry:
    """The meta of a checkpoint frame."""
    return Entry(now_ms)
