"""Core: what was found of a stored stream by itself: its digest, damage, and what ledger and audit say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from logship.reading.columns import aligned
from logship.view.shown import harmless

Record = dict[str, Any]
SOUND, DAMAGED, UNREAD = "sound", "damaged", "unread"
DIGITS = 64
_HEAD = ("STREAM", "VERDICT", "VERIFIED", "FROM", "LOST", "AUDIT", "SHA-256")


def record(source: Record, answer: Iterable[Record], tell: Callable[[int], None]) -> Record:
    """One stream, from its record in the list of sources and the digests of all that is kept of it."""
    holes: list[Record] = []
    total: Record = {}
    for one in answer:
        if one["type"] == "digest":
            holes += one["holes"]
            tell(one["to"] - one["from"])
        elif one["type"] == "total":
            total = one
    return {
        "type": "stream", "stream": source["stream"], "source": source["source"],
        "verdict": DAMAGED if total["damages"] else UNREAD if total["unreadable_bytes"] else SOUND,
        "from": total["from"], "to": total["to"], "verified": total["bytes"], "sha256": total["sha256"],
        "damages": total["damages"], "damaged": total["damaged_bytes"], "unreadable": total["unreadable_bytes"],
        "holes": holes, "losses": total["losses"], "audit": total["audit"],
    }  # fmt: skip


def text(records: Sequence[Record]) -> list[str]:
    """A row a stream, and below them each damaged place and each window that the audit could not verify."""
    lines = aligned([_HEAD, *(_row(one) for one in records)])
    for one in records:
        for hole in one["holes"]:
            size = hole["to"] - hole["from"]
            what = f"{hole['what']}: {harmless(hole['text'])}"
            lines.append(f"{harmless(one['stream'])}: {size:,} bytes from {hole['from']} on: {what}")
        for window in (one["audit"] or {}).get("windows", ()):
            span = f"{window['from'] or '?'} to {window['to'] or '?'}"
            lines.append(
                f"{harmless(one['stream'])}: audit: {window['verdict']} {span}: {harmless(window['why'] or '')}"
            )
    damaged = sum(one["verdict"] == DAMAGED for one in records)
    told = sum(one["verified"] for one in records)
    unread = sum(one["verdict"] == UNREAD for one in records)
    more = f", {unread:,} not read as a whole" if unread else ""
    lines.append(f"{len(records):,} streams, {told:,} bytes verified, {damaged:,} damaged{more}")
    return lines


def _row(one: Record) -> tuple[str, ...]:
    audit = one["audit"]
    said = (
        "-" if audit is None else f"{audit['verified']:,} verified, {audit['unverified']:,} not, {audit['lost']:,} lost"
    )
    return (
        harmless(one["stream"]), one["verdict"], f"{one['verified']:,}", f"{one['from']:,}", _lost(one["losses"]), said,
        one["sha256"],
    )  # fmt: skip


def _lost(losses: Sequence[Record]) -> str:
    if not losses:
        return "0"
    known = sum(loss["bytes"] or 0 for loss in losses)
    units = dict.fromkeys(sorted({loss["unit"] or "units" for loss in losses if loss["count"] is not None}), 0)
    for loss in losses:
        if loss["count"] is not None:
            units[loss["unit"] or "units"] += loss["count"]
    unknown = sum(loss["bytes"] is None and loss["count"] is None for loss in losses)
    parts = [f"{known:,} bytes"] if known else []
    parts += [f"{count:,} {unit}" for unit, count in units.items()]
    return ", ".join(parts + ([f"{unknown} unknown"] if unknown else []))


def status(records: Iterable[Record]) -> int:
    """The exit status: that of the worst."""
    found = {one["verdict"] for one in records}
    return 1 if DAMAGED in found else 3 if UNREAD in found else 0
