"""Core: what a comparison of a source with its streams has found, as a record, and as text for people."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from logship.reading.columns import aligned
from logship.view.shown import harmless

IDENTICAL, DIFFERS, DAMAGED, INCOMPLETE = "identical", "differs", "damaged", "incomplete"
STATUS = {IDENTICAL: 0, DIFFERS: 1, DAMAGED: 1, INCOMPLETE: 3}
BEFORE, AFTER = 16, 48
"""How many bytes are shown before and from a difference on."""
NOTES_MAX = 20
_HEAD = ("SOURCE", "VERDICT", "COMPARED", "LOST", "NOT HELD", "NOT KEPT", "NOT STORED", "SHA-256")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first byte that differs: its offset in source and stream, and both sides from ``shown_from`` of the source.

    A side that ends there has no bytes from ``offset`` on.
    """

    offset: int
    stream: str
    stream_offset: int
    shown_from: int
    source: bytes
    stored: bytes

    def fields(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "offset": self.offset, "stream": self.stream, "stream_offset": self.stream_offset,
            "shown_from": self.shown_from, "source_base64": base64.b64encode(self.source).decode(),
            "stored_base64": base64.b64encode(self.stored).decode(),
        }  # fmt: skip

    def text(self) -> list[str]:
        """Both sides, one below the other."""
        at = self.offset - self.shown_from
        return [
            f"first difference at offset {self.offset} of the source, {self.stream_offset} of {self.stream}:",
            f"  source: {_side(self.source, at)}",
            f"  stored: {_side(self.stored, at)}",
        ]


def _side(data: bytes, at: int) -> str:
    rest = repr(data[at:])[2:-1] if len(data) > at else "(nothing)"
    return f"{repr(data[:at])[2:-1]} >>> {rest}"


@dataclass(slots=True)
class Proof:
    """What is known of one source. Counts are bytes; ``notes`` say of each range why it was not compared."""

    source: str
    streams: list[str]
    start: int = 0
    end: int = 0
    compared: int = 0
    sha256: str = ""
    lost: int = 0
    unexplained: int = 0
    not_kept: int = 0
    not_held: int = 0
    not_stored: int = 0
    unreadable: int = 0
    damages: int = 0
    damaged: int = 0
    difference: Difference | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The worst that was found."""
        if self.difference is not None or self.unexplained:
            return DIFFERS
        if self.damages:
            return DAMAGED
        return INCOMPLETE if self.not_stored or self.unreadable else IDENTICAL

    def note(self, start: int, end: int, what: str, text: str) -> None:
        """One range that was not compared, and why."""
        last = self.notes[-1] if self.notes else {}
        if (last.get("to"), last.get("what"), last.get("text")) == (start, what, text):
            last["to"] = end
            return
        self.notes.append({"from": start, "to": end, "what": what, "text": text})

    def record(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "type": "proof", "source": self.source, "streams": self.streams, "verdict": self.verdict,
            "from": self.start, "to": self.end, "compared": self.compared, "sha256": self.sha256, "lost": self.lost,
            "unexplained": self.unexplained, "not_held": self.not_held, "not_kept": self.not_kept,
            "not_stored": self.not_stored, "unreadable": self.unreadable, "damages": self.damages,
            "damaged": self.damaged,
            "difference": None if self.difference is None else self.difference.fields(), "notes": self.notes,
        }  # fmt: skip


def text(proofs: Sequence[Proof]) -> list[str]:
    """A row a source, and below them what was not compared and where they differ."""
    rows = [
        (
            harmless(one.source), one.verdict, f"{one.compared:,}", f"{one.lost:,}", f"{one.not_held:,}",
            f"{one.not_kept:,}", f"{one.not_stored:,}", one.sha256,
        )
        for one in proofs
    ]  # fmt: skip
    lines = aligned([_HEAD, *rows])
    for one in proofs:
        lines += _told(one)
    return lines


def _told(one: Proof) -> Iterable[str]:
    label = harmless(one.source)
    for note in one.notes[:NOTES_MAX]:
        size = note["to"] - note["from"]
        yield f"{label}: {size:,} bytes from {note['from']} on: {note['what']}: {harmless(note['text'])}"
    if len(one.notes) > NOTES_MAX:
        yield f"{label}: and {len(one.notes) - NOTES_MAX} more such ranges"
    if one.difference is not None:
        head, *sides = one.difference.text()
        yield f"{label}: {head}"
        yield from sides


def status(proofs: Iterable[Proof]) -> int:
    """The exit status: that of the worst, 1 before 3."""
    found = {STATUS[one.verdict] for one in proofs}
    return 1 if 1 in found else max(found, default=0)
