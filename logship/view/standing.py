"""Core: how far behind a stream is, and what outage it can survive: what is known, and why not where it is not.

Left to others: where the facts come from (``reports``, ``recent``), the rest of a stream's record (``sources``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from logship.collect.stream import StreamState
from logship.view.alerts.rule import is_own
from logship.view.records import stamp
from logship.view.reports import REPORT_MS, Behind, Report
from logship.view.select import Identity

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known, by name; and why something is not, by its name. None and no why: there is no such thing."""

    known: Facts = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Any, why_not: str = "") -> None:
        """One fact; with a ``why_not`` it is not known."""
        self.known[name] = None if why_not else value
        if why_not:
            self.unknown[name] = why_not


def present(streams: Iterable[StreamState], identities: Mapping[str, Identity]) -> set[str]:
    """The paths of streams that nothing continues: of a program of an incarnation the newest one."""
    newest: dict[tuple[str, str], StreamState] = {}
    for stream in streams:
        key = source_key(identities[stream.path])
        if key is not None and (key not in newest or newest[key].created_lsn < stream.created_lsn):
            newest[key] = stream
    return {stream.path for stream in newest.values()}


def source_key(identity: Identity) -> tuple[str, str] | None:
    """(incarnation, program) of a stream of our shipper, as it tells of it."""
    if identity.program is None:
        return None
    return identity.path.rpartition("/")[2].partition(".")[0], identity.program


@dataclass(slots=True)
class Shippers:
    """What all shippers say, at ``now_ms``; ``reports`` by the streams of their own lines.

    ``spoke``: when each container's shipper was heard of last, in any line.
    """

    now_ms: int
    reports: Mapping[str, Report]
    spoke: Callable[[Identity], int | None]
    _of: dict[tuple[str, str], Report] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for report in sorted(self.reports.values(), key=lambda report: report.said_ms):
            if self.now_ms - report.said_ms <= REPORT_MS:
                self._of |= dict.fromkeys(report.sources, report)

    def report(self, identity: Identity) -> Report | None:
        """The word that counts for a stream, if there is one."""
        key = source_key(identity)
        return None if key is None else self._of.get(key)

    def behind(self, identity: Identity) -> Behind | str:
        """How far behind a stream is, or why nobody can tell."""
        key = source_key(identity)
        if key is None:
            return "it is not brought by logship ship"
        if is_own(identity):
            return "it is brought by the viewer that evaluates alerts: logship alerts"
        report = self._of.get(key)
        if report is None:
            spoke = self.spoke(identity)
            if spoke is None:
                return "its shipper's own lines do not come here"
            if self.now_ms - spoke > REPORT_MS:
                return f"its shipper was heard of last at {stamp(spoke)}"
            return "its shipper has not told of it yet"
        behind = report.sources[key]
        return behind if behind.bytes is not None else "its shipper was still asking where the stream ends"


def lag(stream: StreamState, is_present: bool, behind: Behind | str, found: Found) -> None:
    """Bytes and seconds. A stream that is closed, or was gone on from, is all here: it is closed after that."""
    if stream.closed or stream.retired or (not is_present and not isinstance(behind, str)):
        found.add("lag_bytes", 0)
        found.add("lag_seconds", 0.0)
    elif isinstance(behind, str):
        found.add("lag_bytes", None, behind)
        found.add("lag_seconds", None, behind)
    else:
        found.add("lag_bytes", behind.bytes)
        found.add("lag_seconds", behind.seconds, "" if behind.seconds is not None else "its shipper does not tell")
        found.add("lag_at_least", behind.at_least)
        found.add("lag_as_of", stamp(behind.said_ms))


@dataclass(frozen=True, slots=True)
class Outage:
    """What decides how long the collector may be away: of a program, and of its container. Rates in bytes a second."""

    report: Report
    behind_bytes: int
    rate: float
    container_rate: float

    def seconds(self) -> float | str | None:
        """How long until a budget of program or container is full at the present rates; why that is not known.

        None where it never is: nothing is written at present, or there is no budget.
        """
        report = self.report
        if report.program_bytes_max is None or report.container_bytes_max is None:
            return "its shipper does not tell the budgets"
        held = sum(behind.bytes or 0 for behind in report.sources.values())
        left = []
        if report.program_bytes_max and self.rate:
            left.append((report.program_bytes_max - self.behind_bytes) / self.rate)
        if report.container_bytes_max and self.container_rate:
            left.append((report.container_bytes_max - held) / self.container_rate)
        return max(0.0, min(left)) if left else None
