"""Core: the ledger as people ask for it: whose losses, of which time, and what they add up to.

Left to others: where losses stand among lines (``losses``), what a record says (``logship.values.Loss``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from logship.values import Invalid, Loss, parse_time
from logship.view.losses import concerns
from logship.view.records import stamp
from logship.view.select import Identity, Wanted, identify


@dataclass(slots=True)
class Sum:
    """What losses add up to: ``counts`` by unit; ``unknown`` are those that say neither bytes nor a count."""

    records: int = 0
    bytes: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    unknown: int = 0

    def add(self, loss: Loss) -> None:
        """One more."""
        self.records += 1
        self.bytes += loss.bytes or 0
        if loss.count is not None:
            unit = loss.unit or "units"
            self.counts[unit] = self.counts.get(unit, 0) + loss.count
        self.unknown += loss.bytes is None and loss.count is None

    def fields(self) -> dict[str, Any]:
        """As the API says it."""
        return {"records": self.records, "bytes": self.bytes, "counts": self.counts, "unknown": self.unknown}


def whose(loss: Loss, identities: Mapping[str, Identity]) -> Identity | None:
    """Whose a loss is, also of a stream that never came; None where the record does not say."""
    if loss.stream is None:
        return None
    return identities.get(loss.stream) or identify(loss.stream, {})


def ledger(
    losses: Iterable[tuple[int, Loss]],
    identities: Mapping[str, Identity],
    wanted: Wanted,
    recorded_ms: Callable[[int], int | None],
) -> tuple[list[dict[str, Any]], Sum]:
    """The records that are wanted, by time, and what they add up to. ``recorded_ms`` says when a frame was written."""
    found: list[tuple[int, int, dict[str, Any]]] = []
    total = Sum()
    for lsn, loss in losses:
        if not concerns(loss, identities, wanted):
            continue
        recorded = recorded_ms(lsn)
        first, last = _span(loss, recorded)
        if (wanted.since_ms is not None and last < wanted.since_ms) or (
            wanted.until_ms is not None and first >= wanted.until_ms
        ):
            continue
        identity = whose(loss, identities)
        record = {
            "type": "loss", "time": stamp(last), "source": identity.label if identity else None,
            "place": identity.place if identity else None, "program": identity.program if identity else None,
            **loss.fields(), "lsn": lsn, "recorded": None if recorded is None else stamp(recorded),
        }  # fmt: skip
        found.append((last, lsn, record))
        total.add(loss)
    found.sort(key=lambda one: one[:2])
    return [record for _, _, record in found], total


def _span(loss: Loss, recorded: int | None) -> tuple[int, int]:
    """From when to when, in milliseconds: as the record says, else when it was recorded, else the beginning of time."""
    said = []
    for text in (loss.from_time, loss.to_time):
        moment = parse_time(text or "")
        if not isinstance(moment, Invalid):
            said.append(round(moment.timestamp() * 1000))
    if not said:
        said = [recorded or 0]
    return min(said), max(said)
