"""Core: what the requests of a load came to -> the outcome: counts, failures, latencies, sessions.

Owns the judgement (what failed, which session moved and whether that was to be expected). The requests themselves are
made in ``load.py``; times are arguments.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

FAILURES_KEPT_MAX = 100
SERVERS_MAX = 1_000
_STEP = math.log(1.02)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request: ``time`` RFC 3339, ``kind`` of client, ``reason`` (one of few), ``detail`` for people."""

    time: str
    kind: str
    reason: str
    detail: str = ""
    server: str = ""


class Latencies:
    """Milliseconds in buckets 2 % apart: quantiles within 2 % in bounded memory, however long the load lasts."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = 0.0

    def add(self, milliseconds: float) -> None:
        """Take one. Below a microsecond counts as a microsecond."""
        self._buckets[int(math.log(max(milliseconds, 0.001) * 1000) / _STEP)] += 1
        self._max = max(self._max, milliseconds)

    def quantile(self, share: float) -> float:
        """The latency that ``share`` (0 to 1) of the requests did not exceed, in milliseconds; 0 without requests."""
        total = sum(self._buckets.values())
        if not total:
            return 0.0
        wanted, seen = max(1, math.ceil(share * total)), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp((bucket + 1) * _STEP) / 1000, self._max)
        return self._max

    @property
    def largest(self) -> float:
        """The slowest one, exactly, in milliseconds."""
        return self._max


@dataclass(frozen=True)
class Outcome:
    """What a load came to. Times of servers are seconds since the load began; latencies are milliseconds.

    ``sessions_moved`` were answered by another server than before; of these ``sessions_moved_unexplained`` left a
    server that nobody said was gone. ``sessions_reset`` stayed, but their counter did not grow by one.
    ``first_answer`` and ``last_answer`` say from when until when a server answered.
    """

    requests: int
    failed: int
    failures: list[Failure]
    by_reason: dict[str, int]
    by_kind: dict[str, dict[str, int]]
    by_server: dict[str, int]
    first_answer: dict[str, float]
    last_answer: dict[str, float]
    p50: float
    p99: float
    max: float
    seconds: float
    sessions: int
    sessions_moved: int
    sessions_moved_unexplained: int
    sessions_reset: int
    retried: int
    closed_idle: int

    @property
    def bound(self) -> float | None:
        """With no failure among n requests the true share is below 3/n with 95 % confidence (rule of three)."""
        return 3 / self.requests if self.requests and not self.failed else None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["failures"] = [
            {name: getattr(item, name) for name in item.__dataclass_fields__} for item in self.failures
        ]
        return {**values, "bound_95": self.bound, "requests_per_second": round(self.rate, 1)}

    def __str__(self) -> str:
        lines = [f"{self.requests} requests in {self.seconds:.1f} s ({self.rate:.0f}/s), {self.failed} failed"]
        if self.bound is not None:
            lines[0] += f" (share below {self.bound:.2g} with 95 % confidence)"
        lines.append(f"latency in ms: p50 {self.p50:.1f}, p99 {self.p99:.1f}, max {self.max:.1f}")
        lines.append(
            "by kind: "
            + ", ".join(f"{kind} {item['requests']} ({item['failed']} failed)" for kind, item in self.by_kind.items())
        )
        lines.append("by server: " + ", ".join(f"{name} {count}" for name, count in sorted(self.by_server.items())))
        lines.append(
            f"sessions: {self.sessions}, moved {self.sessions_moved}"
            f" (without a known reason {self.sessions_moved_unexplained}), reset {self.sessions_reset}"
        )
        if self.retried or self.closed_idle:
            lines.append(f"connections closed while idle: {self.closed_idle}, requests retried: {self.retried}")
        lines += [f"failed: {count} x {reason}" for reason, count in sorted(self.by_reason.items())]
        lines += [f"  {item.time} {item.kind}: {item.reason}: {item.detail}" for item in self.failures[:10]]
        return "\n".join(lines)


@dataclass
class Session:
    """What a sticky client knows of its session; ``server`` is empty before the first answer."""

    server: str = ""
    counter: int = 0


@dataclass
class Tally:
    """Counts while a load runs. One thread writes; plain numbers may be read from others."""

    requests: int = 0
    failed: int = 0
    retried: int = 0
    closed_idle: int = 0
    sessions: int = 0
    sessions_reset: int = 0
    failures: list[Failure] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)
    requests_by_kind: Counter[str] = field(default_factory=Counter)
    failed_by_kind: Counter[str] = field(default_factory=Counter)
    by_server: Counter[str] = field(default_factory=Counter)
    first_answer: dict[str, float] = field(default_factory=dict)
    last_answer: dict[str, float] = field(default_factory=dict)
    moves_from: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)

    def good(self, kind: str, server: str, milliseconds: float, at: float) -> None:
        """A right answer of ``server``, ``at`` seconds after the load began."""
        self.requests += 1
        self.requests_by_kind[kind] += 1
        self.latencies.add(milliseconds)
        if server not in self.by_server and len(self.by_server) >= SERVERS_MAX:
            server = "(others)"
        self.by_server[server] += 1
        self.first_answer.setdefault(server, at)
        self.last_answer[server] = at

    def bad(self, failure: Failure) -> None:
        """A failed request: always counted, kept in detail while there is room."""
        self.requests += 1
        self.failed += 1
        self.requests_by_kind[failure.kind] += 1
        self.failed_by_kind[failure.kind] += 1
        self.by_reason[failure.reason] += 1
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures.append(failure)

    def session(self, known: Session, server: str, counter: int) -> None:
        """A sticky client was answered: did its session stay, and did its counter grow by one?"""
        if not known.server:
            self.sessions += 1
            if counter != 1:
                self.sessions_reset += 1
        elif known.server != server:
            self.moves_from[known.server] += 1
        elif counter != known.counter + 1:
            self.sessions_reset += 1
        known.server, known.counter = server, counter

    def outcome(self, seconds: float, gone: set[str]) -> Outcome:
        """The end result; ``gone`` are the servers that were taken away on purpose while the load ran."""
        moved = sum(self.moves_from.values())
        return Outcome(
            requests=self.requests,
            failed=self.failed,
            failures=list(self.failures),
            by_reason=dict(self.by_reason),
            by_kind={
                kind: {"requests": count, "failed": self.failed_by_kind[kind]}
                for kind, count in sorted(self.requests_by_kind.items())
            },
            by_server=dict(self.by_server),
            first_answer=dict(self.first_answer),
            last_answer=dict(self.last_answer),
            p50=self.latencies.quantile(0.5),
            p99=self.latencies.quantile(0.99),
            max=self.latencies.largest,
            seconds=seconds,
            sessions=self.sessions,
            sessions_moved=moved,
            sessions_moved_unexplained=sum(n for server, n in self.moves_from.items() if server not in gone),
            sessions_reset=self.sessions_reset,
            retried=self.retried,
            closed_idle=self.closed_idle,
        )
