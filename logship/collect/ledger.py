"""Core: the ledger of losses: every counted hole that somebody reported, once.

Left to others: what a record says (``logship.values.Loss``), where it is journaled (``draft``, ``state``).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgpack

from logship.values import Loss, loss_of

RECORDS_MAX = 10_000
"""Records that are kept; the oldest go, and are counted. Also what bounds their share of a checkpoint (about 4 MB)."""


class Ledger:
    """Loss records by id, oldest first, each with the LSN of the frame that made it durable."""

    def __init__(self, records: Iterable[tuple[int, Loss]] = (), dropped: int = 0) -> None:
        self.dropped = dropped
        self._records = {loss.id: (lsn, loss) for lsn, loss in records}

    def __contains__(self, loss_id: str) -> bool:
        return loss_id in self._records

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ledger) and (self.records(), self.dropped) == (other.records(), other.dropped)

    __hash__ = None  # type: ignore[assignment]  # as of any container that changes

    def records(self) -> list[tuple[int, Loss]]:
        """(LSN, record), oldest first."""
        return list(self._records.values())

    def add(self, lsn: int, losses: Iterable[Loss]) -> None:
        """Take records; one whose id is known is taken already. Beyond the bound the oldest go."""
        for loss in losses:
            self._records.setdefault(loss.id, (lsn, loss))
        while len(self._records) > RECORDS_MAX:
            del self._records[next(iter(self._records))]
            self.dropped += 1


def pack_losses(losses: Iterable[Loss]) -> bytes:
    """The body of a frame of losses."""
    packed: bytes = msgpack.packb([loss.fields() for loss in losses])
    return packed


def unpack_losses(body: bytes) -> list[Loss]:
    """The records in the body of a frame whose checksum holds."""
    return [_kept(loss_of(fields)) for fields in msgpack.unpackb(body)]


def _kept(loss: object) -> Loss:
    assert isinstance(loss, Loss), "what was journaled had been checked"
    return loss
