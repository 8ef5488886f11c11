"""Core: windows as loss records, as JSON, and as what `logship audit` has found so far."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from logship.audit.audit_life import Window
from logship.audit.verdict import LOST, UNVERIFIED, VERIFIED
from logship.values import LOSS_ID_BYTES_MAX, Loss

WINDOWS_KEPT = 500
WORKERS_KEPT = 200
COUNTS = ("produced", "stored", "dropped", "lost", "unknown", "others", "twice")


def losses_of(window: Window) -> list[Loss]:
    """What the ledger is told of a window; nothing where nothing is missing."""
    verdict = window.verdict
    fates = {
        "dropped": (
            "HAProxy dropped them: its output was full",
            "DroppedLogs and the numbers of the stored lines agree",
        ),
        "others": (
            "HAProxy dropped messages of its own: its output was full",
            "DroppedLogs counts more than is missing",
        ),
        "lost": (_fate(window), "numbers are missing that DroppedLogs does not count"),
        "unknown": (f"dropped by HAProxy or lost after it: {verdict.why}", "numbers are missing"),
    }
    counts = {kind: getattr(verdict, kind) for kind in fates}
    return [_loss(window, kind, counts[kind], *fates[kind]) for kind in fates if counts[kind]]


def _loss(window: Window, kind: str, count: int, reason: str, how: str) -> Loss:
    verdict = window.verdict
    loss_id = f"{window.id}:{kind}"
    assert len(loss_id) <= LOSS_ID_BYTES_MAX, loss_id
    return Loss(
        loss_id, window.stream, window.offset, None, count, "lines", verdict.from_time, verdict.to_time, reason, how
    )


def _fate(window: Window) -> str:
    if window.torn >= window.verdict.lost:
        return "torn, or cut at HAProxy's length of a line: they are stored, but not whole"
    if window.hole_bytes is not None:
        size = f"of {window.hole_bytes:,} bytes " if window.hole_bytes else ""
        return f"in the hole {size}that the ledger has here"
    return "HAProxy wrote them, and they are not stored"


def record_of(window: Window) -> dict[str, Any]:
    """A window as one flat JSON object."""
    verdict = window.verdict
    return {
        "id": window.id,
        "place": f"{window.service}/{window.instance}",
        "incarnation": window.incarnation,
        "pid": verdict.pid,
        "from": verdict.from_time,
        "to": verdict.to_time,
        "first": verdict.first + 1,
        "last": verdict.last,
        **{name: getattr(verdict, name) for name in COUNTS},
        "verdict": verdict.verdict,
        "why": verdict.why,
        "stream": window.stream,
        "offset": window.offset,
    }


def body_of(losses: Iterable[Loss]) -> bytes:
    """Loss records as POST /v1/losses takes them."""
    rows = ({name: value for name, value in loss.fields().items() if value is not None} for loss in losses)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclass(slots=True)
class WorkerTally:
    """What was found of one worker."""

    place: str
    incarnation: str
    pid: int
    started: int
    to: str | None = None
    ended: bool = False
    produced: int = 0
    stored: int = 0
    dropped: int = 0
    lost: int = 0
    unknown: int = 0
    others: int = 0
    twice: int = 0
    verified: int = 0
    lost_windows: int = 0
    unverified: int = 0
    why: str = ""

    def take(self, window: Window) -> None:
        """One more window."""
        verdict = window.verdict
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(verdict, name))
        self.verified += verdict.verdict == VERIFIED
        self.lost_windows += verdict.verdict == LOST
        self.unverified += verdict.verdict == UNVERIFIED
        self.to, self.ended = verdict.to_time or self.to, verdict.ended
        self.why = verdict.why or self.why

    @property
    def word(self) -> str:
        """All of it in one word: the worst of its windows."""
        return LOST if self.lost_windows else UNVERIFIED if self.unverified else VERIFIED


@dataclass(slots=True)
class Tally:
    """The newest windows, and the sums of the newest workers and of all."""

    windows: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=WINDOWS_KEPT))
    workers: dict[str, WorkerTally] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    def take(self, window: Window) -> None:
        """One more window."""
        verdict = window.verdict
        key = f"{window.incarnation}:{verdict.pid}:{verdict.started}"
        worker = self.workers.pop(key, None)
        if worker is None:
            place = f"{window.service}/{window.instance}"
            worker = WorkerTally(place, window.incarnation, verdict.pid, verdict.started)
        worker.take(window)
        self.workers[key] = worker
        while len(self.workers) > WORKERS_KEPT:
            del self.workers[next(iter(self.workers))]
        counts = {name: getattr(verdict, name) for name in COUNTS}
        for name, count in (*counts.items(), (f"windows_{verdict.verdict}", 1)):
            self.totals[name] = self.totals.get(name, 0) + count
        if not verdict.idle:
            self.windows.append(record_of(window))

    def state(self) -> dict[str, Any]:
        """It as JSON values: what readers of the store's audit.json are shown."""
        return {
            "totals": self.totals,
            "workers": [{"key": key, **asdict(worker), "verdict": worker.word} for key, worker in self.workers.items()],
            "windows": list(self.windows),
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Tally:
        """It again."""
        tally = cls(totals=dict(state["totals"]))
        tally.windows.extend(state["windows"])
        for row in state["workers"]:
            fields = {name: value for name, value in row.items() if name not in ("key", "verdict")}
            tally.workers[row["key"]] = WorkerTally(**fields)
        return tally
