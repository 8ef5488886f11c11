"""Core: what a batch adds to the journal, before it is durable.

Admission of a batch sees the durable state and what the batch has admitted so far, so two appends in one batch follow
on each other. A draft whose write fails is dropped, and nothing of it was ever seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from logship.collect.admission import Admitted
from logship.collect.journal import Entry, Kind, encode
from logship.collect.ledger import unpack_losses
from logship.collect.state import State, losses_of
from logship.collect.stream import StreamState, proven, step
from logship.values import Loss, StreamPath


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame of the draft: where it will be, how large it is, what it says."""

    lsn: int
    bytes: int
    kind: Kind
    entry: Entry


class Draft:
    """Frames to be written from ``lsn`` on, and the streams as they will be. All below ``lsn`` is durable."""

    def __init__(self, state: State, lsn: int) -> None:
        self.frames: list[Placed] = []
        self.buffers: list[bytes] = []
        self.bytes = 0
        self.streams: dict[str, StreamState | None] = {}
        self.losses: list[tuple[int, Loss]] = []
        self._state = state
        self._lsn = lsn
        self._streams_added = 0
        self._loss_ids: set[str] = set()

    @property
    def end(self) -> int:
        """Where the next frame will be."""
        return self._lsn + self.bytes

    @property
    def stream_count(self) -> int:
        """How many streams there will be."""
        return len(self._state.streams) + self._streams_added

    def stream(self, path: StreamPath) -> StreamState | None:
        """A stream as it will be."""
        return self.streams[path] if path in self.streams else self._state.streams.get(path)

    def knows_loss(self, loss_id: str) -> bool:
        """Whether the ledger will have this record."""
        return loss_id in self._loss_ids or loss_id in self._state.ledger

    def add(self, admitted: Admitted) -> None:
        """Take one more frame. What was admitted must have been decided on this draft, just now."""
        lsn = self.end
        head = encode(admitted.kind, admitted.flags, lsn, self._lsn, admitted.entry, admitted.body)
        size = len(head) + len(admitted.body)
        self.frames.append(Placed(lsn, size, admitted.kind, admitted.entry))
        self.buffers.append(head)
        if admitted.body:
            self.buffers.append(admitted.body)
        self.bytes += size
        if admitted.kind is Kind.LOSSES:
            self._lose(lsn, unpack_losses(admitted.body))
            return
        if admitted.entry.proof is not None:
            path = StreamPath(admitted.entry.proof[0])
            self.streams[path] = proven(self.stream(path), admitted.entry)
            return
        path = StreamPath(admitted.entry.stream)
        before = self.stream(path)
        after = step(before, lsn, admitted.kind, admitted.flags, admitted.entry)
        self._streams_added += (after is not None) - (before is not None)
        self.streams[path] = after
        self._lose(lsn, losses_of(admitted.kind, after))

    def commit(self) -> None:
        """The frames are durable: the state becomes what was drafted."""
        self._state.put(self.streams)
        for lsn, loss in self.losses:
            self._state.ledger.add(lsn, (loss,))

    def _lose(self, lsn: int, losses: Iterable[Loss]) -> None:
        for loss in losses:
            self.losses.append((lsn, loss))
            self._loss_ids.add(loss.id)
