"""Core: what is audited of one life of a container: its workers, as far as HAProxy's and the counters' streams tell.

Left to others: what a worker's numbers prove (``judge``), which streams there are (``audit_book``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logship.audit.audit_scan import Scanner
from logship.audit.counters import LINE_BYTES_MAX, Said, parse_said
from logship.audit.judge import Judge
from logship.audit.verdict import LOST, Gone, Seen, Verdict

HAPROXY = "haproxy"
COUNTERS = "counters"
WORKERS_MAX = 256
"""Workers that are not judged to their end; beyond it the oldest is given up."""
CLOSED_MS = 60_000
"""So long after its streams were closed a life is over: a stream that continues one of them would have come."""
UNCOUNTED_MS = 600_000
"""The same where no stream of counters was there to be closed."""


@dataclass(frozen=True, slots=True)
class Window:
    """A verdict and whose it is.

    ``torn``: so many of the lost lines are stored, but not whole. ``hole_bytes``: what is known to be missing from
    HAProxy's stream there, and is in the ledger already; 0: nobody knows how much, None: nothing.
    """

    service: str
    instance: str
    incarnation: str
    stream: str
    offset: int
    verdict: Verdict
    torn: int = 0
    hole_bytes: int | None = None

    @property
    def id(self) -> str:
        """The same whenever it is judged."""
        verdict = self.verdict
        end = ":end" if verdict.ended else ""
        return f"audit:{self.incarnation}:{verdict.pid}:{verdict.started}:{verdict.last}:{verdict.drops}{end}"


@dataclass(slots=True)
class Life:
    """One incarnation. ``whole``: HAProxy's stream is kept from its first byte, else from ``kept_from``.

    ``position``: the offset up to which it has come; ``seen_ms``: when bytes of it came last. ``broken``: what comes
    next follows on a hole.
    """

    service: str
    instance: str
    incarnation: str
    whole: bool = True
    kept_from: int = 0
    position: int = 0
    haproxy_closed: bool = False
    counters_closed: bool = False
    counters_seen: bool = False
    over: bool = False
    closed_ms: int = 0
    seen_ms: int = 0
    links: list[tuple[int, str]] = field(default_factory=list)
    held: bytes = b""
    counters_held: bytes = b""
    torn: int = 0
    hole_bytes: int | None = None
    broken: bool = False
    polled: str = ""
    reach: int = -1
    reach_before: int = -1
    workers: dict[int, Judge] = field(default_factory=dict)

    # What comes.

    def lines(self, at: int, data: bytes, starts: Sequence[int]) -> list[Window]:
        """What HAProxy wrote from offset ``at`` on; ``starts``: where it was started anew."""
        scanner = Scanner(self.held, broken=self.broken)
        found = scanner.take(at, data, starts)
        self.held, self.broken = scanner.held, scanner.broken
        self.position = max(self.position, at + len(data))
        self.torn += found.torn
        for pid, numbers in found.numbers.items():
            judge = self.workers.get(pid) or self._worker(pid, found.begins(pid))
            holes = len(judge.numbers.holes)
            judge.take(numbers, found.locate)
            if len(judge.numbers.holes) > holes:
                self.torn += found.glued()
        return self._judge()

    def counters(self, data: bytes) -> list[Window]:
        """Bytes of the counters' stream."""
        *whole, rest = (self.counters_held + data).split(b"\n")
        self.counters_held = rest[-LINE_BYTES_MAX:]
        self.counters_seen = True
        for line in whole:
            said = parse_said(line)
            if isinstance(said, Said):
                self._said(said)
        return self._judge()

    def hole(self, size: int | None) -> None:
        """HAProxy's stream goes on after a hole of so many bytes; None: nobody knows how many."""
        self.hole_bytes = (self.hole_bytes or 0) + (size or 0)
        self.held, self.broken = b"", True

    def closed(self, program: str, time_ms: int) -> None:
        """Nothing follows in the stream of a program; a stream that continues it may be made yet."""
        if program == HAPROXY:
            self.haproxy_closed = True
        else:
            self.counters_closed = True
        self.closed_ms = max(self.closed_ms, time_ms)

    def passed(self, time_ms: int) -> list[Window]:
        """It is this time, and all that came before it was taken."""
        quiet_ms = time_ms - self.closed_ms
        if self.haproxy_closed and quiet_ms >= (CLOSED_MS if self.counters_closed else UNCOUNTED_MS):
            why = "the container ended before it could be asked" if self.counters_seen else "nobody counted its lines"
            self.over = self.counters_closed or not self.counters_seen
            for judge in self.workers.values() if self.over else ():
                judge.vanished(Gone(None, None, why))
        return self._judge()

    # What it means.

    def _worker(self, pid: int, begins: int = -1) -> Judge:
        judge = self.workers.get(pid)
        if judge is None:
            if len(self.workers) >= WORKERS_MAX:
                next(iter(self.workers.values())).vanished(Gone(None, 0, "too many workers to follow"))
            judge = self.workers[pid] = Judge(pid, begins=begins, whole=self.whole, kept_from=self.kept_from)
        return judge

    def _said(self, said: Said) -> None:
        judge = self.workers.get(said.pid)
        if judge is not None and judge.started and judge.started != said.started:
            judge.vanished(Gone(said.time, 0, "another process has its pid"))
            self.workers[-judge.pid] = self.workers.pop(said.pid)
        judge = self._worker(said.pid)
        at_its_beginning = said.reading is not None and said.reading.lines == 0
        if at_its_beginning and not judge.numbers.end and said.reach is not None and said.reach >= self.kept_from:
            judge.whole = True
        judge.said(said)
        if said.time != self.polled:
            self.polled, self.reach_before = said.time, self.reach
            self.reach = -1 if said.reach is None else said.reach
        # Whoever wrote before the look before this one, and is not there now, is gone.
        for pid, other in self.workers.items():
            if pid > 0 and pid not in said.workers and pid != said.pid and other.begins < self.reach_before:
                other.vanished(Gone(said.time, said.reach, "it was not asked at its end"))

    def _judge(self) -> list[Window]:
        seen = Seen(self.position, self.over)
        found = []
        for key, judge in list(self.workers.items()):
            found += [self._window(judge, verdict) for verdict in judge.verdicts(seen)]
            if judge.ended:
                del self.workers[key]
        return found

    def _window(self, judge: Judge, verdict: Verdict) -> Window:
        place = verdict.place if verdict.place is not None else self.position
        # Without any of its lines (the collector lost them, or the counters came first) it has the name it would have.
        first = self.links[0] if self.links else (0, f"{self.service}/{self.instance}/haproxy/{self.incarnation}")
        base, path = next(((base, path) for base, path in reversed(self.links) if base <= place), first)
        torn, hole_bytes = 0, None
        if verdict.verdict == LOST or verdict.unknown:
            torn, self.torn = min(self.torn, verdict.lost + verdict.unknown), 0
            hole_bytes, self.hole_bytes = self.hole_bytes, None
            if hole_bytes is None and verdict.first_missing:
                hole_bytes = judge.hole_bytes  # the hole of the window before this one reaches into it
        judge.hole_bytes = hole_bytes if verdict.last_missing else None
        offset = max(0, place - base)
        return Window(self.service, self.instance, self.incarnation, path, offset, verdict, torn, hole_bytes)

    # Keeping it.

    def state(self) -> dict[str, Any]:
        """It as JSON values."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {
            **plain,
            "broken": self.broken,
            "links": [list(link) for link in self.links],
            "held": self.held.decode("latin-1"),
            "counters_held": self.counters_held.decode("latin-1"),
            "workers": [[key, judge.state()] for key, judge in self.workers.items()],
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Life:
        """It again."""
        life = cls(**{name: state[name] for name in _PLAIN}, broken=bool(state.get("broken")))
        life.links = [(base, path) for base, path in state["links"]]
        life.held = state["held"].encode("latin-1")
        life.counters_held = state["counters_held"].encode("latin-1")
        life.workers = {key: Judge.load(judge) for key, judge in state["workers"]}
        return life


_PLAIN = (
    "service", "instance", "incarnation", "whole", "kept_from", "position", "haproxy_closed", "counters_closed",
    "counters_seen", "over", "closed_ms", "seen_ms", "torn", "hole_bytes", "polled", "reach", "reach_before",
)  # fmt: skip
