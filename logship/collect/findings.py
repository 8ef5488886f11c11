"""Core: what ``logship fsck`` found in a store, in words and as records, and what can be done about it.

Left to others: finding it (``fsck``). What is advised here holds for ``recover`` as it is; tests do what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FINDINGS_MAX = 100
"""Damaged places of one segment that are told one by one; the others are counted."""
_SPANS_SHOWN = 20


class Span(NamedTuple):
    """Bytes of a stream, from ``start`` up to ``end``."""

    stream: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.stream} offsets {self.start} to {self.end}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A damaged place: its LSN, what is wrong, the bytes of streams that it costs (None: that cannot be told).

    ``shut``: a collector does not start over it. (Bodies of finished segments are only looked at when they are read.)
    """

    lsn: int
    reason: str
    lost: tuple[Span, ...] | None
    shut: bool


@dataclass(slots=True)
class Checked:
    """A segment after its check: ``bytes`` looked at, ``frames`` whose heads check, damaged places, a torn tail.

    ``gone``: retention deleted it while the check ran, so there is nothing to say of it.
    """

    name: str
    lsn: int
    bytes: int = 0
    frames: int = 0
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    torn_bytes: int = 0
    gone: bool = False
    shut: bool = False

    def add(self, finding: Finding) -> None:
        """Take note of a damaged place."""
        self.shut |= finding.shut
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.more += 1

    @property
    def verdict(self) -> str:
        """``damaged``, ``gone``, ``torn`` or ``ok``."""
        if self.findings:
            return "damaged"
        return "gone" if self.gone else "torn" if self.torn_bytes else "ok"

    def lines(self) -> list[str]:
        """For people: the segment, then a line a damaged place."""
        told = [f"{self.verdict:8}{self.name}  {self.frames} frames, {self.bytes} bytes"]
        for finding in self.findings:
            told.append(f"  LSN {finding.lsn}, byte {finding.lsn - self.lsn}: {finding.reason}{_cost(finding.lost)}")
        if self.more:
            told.append(f"  and {self.more} more damaged places")
        if self.torn_bytes:
            at = self.bytes - self.torn_bytes
            told.append(
                f"  LSN {self.lsn + at}, byte {at}: the last {self.torn_bytes} bytes are a torn tail, as a crash "
                "leaves it: never acknowledged, cut off at the next start"
            )
        if self.gone:
            told.append("  retention deleted it during the check")
        return told

    def record(self) -> dict[str, object]:
        """As a record of ``-o json``; ``byte`` counts from the beginning of the segment's file."""
        damage = [
            {
                "lsn": found.lsn,
                "byte": found.lsn - self.lsn,
                "reason": found.reason,
                "lost": None if found.lost is None else [span._asdict() for span in found.lost],
                "shut": found.shut,
            }
            for found in self.findings
        ]
        return {
            "segment": self.name, "lsn": self.lsn, "verdict": self.verdict, "frames": self.frames, "bytes": self.bytes,
            "torn_bytes": self.torn_bytes, "damage": damage, "damage_not_listed": self.more,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """All of a check; ``durable``: the LSN up to which a store in use was read, None of one that is not in use."""

    folder: str
    durable: int | None
    segments: Sequence[Checked]

    @property
    def damaged(self) -> int:
        """Damaged places."""
        return sum(len(checked.findings) + checked.more for checked in self.segments)

    def lines(self) -> list[str]:
        """For people: counts, then what to do."""
        frames = sum(checked.frames for checked in self.segments)
        size = sum(checked.bytes for checked in self.segments)
        told = [f"{self.folder}: {len(self.segments)} segments, {frames} frames, {size} bytes: {self._outcome()}"]
        if self.durable is not None:
            told.append(f"in use by a collector: checked up to LSN {self.durable}, all that was durable at the start")
        return told + self.advice()

    def record(self) -> dict[str, object]:
        """As the last record of ``-o json``."""
        return {
            "store": self.folder,
            "segments": len(self.segments),
            "frames": sum(checked.frames for checked in self.segments),
            "bytes": sum(checked.bytes for checked in self.segments),
            "damaged": self.damaged,
            "in_use": self.durable is not None,
            "durable": self.durable,
            "advice": self.advice(),
        }

    def advice(self) -> list[str]:
        """What can be done, a sentence or two each; nothing for a good store."""
        shut = [at for at, checked in enumerate(self.segments) if checked.shut]
        if not shut:
            if not self.damaged:
                return []
            return [
                "a collector starts on this store: leave the files where they are. Reads of the ranges above are "
                "refused until retention deletes the segment; everything before and after them stays readable"
            ]
        now = "the collector that runs would not start again" if self.durable is not None else "no collector starts"
        worst = shut[-1]
        told = [f"{now} on this store as it is; take a copy of the folder before anything else"]
        if worst == len(self.segments) - 1:
            told.append(
                f"the damage is in the newest segment, {self.segments[worst].name}, which cannot be left out. Keep the "
                "folder, and start collector, viewer and audit on a new one: shippers send again what their spools "
                "still hold, and record what is missing of streams that go on; what containers that are gone have "
                "shipped is in the kept folder alone"
            )
        else:
            moved = self.segments[worst].name + (" and all older segments" if worst else "")
            alone = " (moving one alone does not help: recovery wants a journal without holes)" if worst else ""
            told.append(
                f"moving {moved} out of the journal lets a collector start: everything from "
                f"{self.segments[worst + 1].name} on stays readable, what is older is no longer served{alone}"
            )
        if shut[0]:
            told.append(
                f"segments older than {self.segments[shut[0]].name} can be read on their own: copy them and the file "
                "`format` to a new folder (format, journal/) and start a collector there that no shipper knows, with "
                "--keep-bytes 0"
            )
        return told

    def _outcome(self) -> str:
        return f"damaged places: {self.damaged}" if self.damaged else "all good"


def _cost(lost: tuple[Span, ...] | None) -> str:
    if lost is None:
        return "; which bytes of which streams it costs cannot be told"
    if not lost:
        return "; it costs no bytes of any stream that is there after it"
    shown = ", ".join(map(str, lost[:_SPANS_SHOWN]))
    return f"; unreadable: {shown}" + (
        f" and of {len(lost) - _SPANS_SHOWN} more streams" if len(lost) > _SPANS_SHOWN else ""
    )
