"""Core: what shippers say of themselves, by the clock: how far behind each source is, and what its spool may keep.

Only ship knows what a source still holds. Its newest snapshot is believed for REPORT_MS; an older one says nothing of
now, and no number is made up in its place. Left to others: what follows for a stream (``standing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from logship.values import Invalid, parse_time
from logship.view.items import TimedLine

REPORT_MS = 75_000
"""Two and a half times as long as from one snapshot of ship to the next."""


@dataclass(frozen=True, slots=True)
class Behind:
    """How far behind a source was at ``said_ms``: ``bytes`` None: ship was asking the collector.

    The oldest byte that waits was found at ``since_ms``; ``at_least``: it waits longer than that.
    """

    said_ms: int
    bytes: int | None
    since_ms: int | None = None
    at_least: bool = False

    @property
    def seconds(self) -> float | None:
        """How long the oldest byte had waited; None where that is not known."""
        if self.bytes == 0:
            return 0.0
        return None if self.since_ms is None else max(0, self.said_ms - self.since_ms) / 1000


@dataclass(frozen=True, slots=True)
class Report:
    """One shipper's word: sources by (incarnation, program), and budgets in bytes (0: no bound).

    ``untold``: how many sources it does not tell of.
    """

    said_ms: int
    sources: Mapping[tuple[str, str], Behind]
    program_bytes_max: int | None
    container_bytes_max: int | None
    untold: int


def parse_report(line: TimedLine) -> Report | None:
    """The report in a snapshot line of ship; None for what is none: its streams hold what anybody wrote."""
    try:
        words = json.loads(line.line.text)
        if words["event"] != "snapshot":
            return None
        budgets = words.get("budgets", {})
        sources = dict(_behind(each, line.time_ms) for each in words["sources"])
        program, container = (_count(budgets.get(name)) for name in ("program", "container"))
        return Report(line.time_ms, sources, program, container, _count(words.get("untold")) or 0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def newest(lines: Iterable[TimedLine]) -> dict[str, Report]:
    """The newest report in each stream of a shipper."""
    found: dict[str, Report] = {}
    for line in lines:
        report = parse_report(line)
        if report is not None and (line.stream not in found or report.said_ms >= found[line.stream].said_ms):
            found[line.stream] = report
    return found


def _behind(words: Any, said_ms: int) -> tuple[tuple[str, str], Behind]:
    since = parse_time(str(words.get("since")))
    since_ms = None if isinstance(since, Invalid) else round(since.timestamp() * 1000)
    behind = Behind(said_ms, _count(words["behind_bytes"]), since_ms, words.get("at_least") is True)
    return (str(words["incarnation"]), str(words["program"])), behind


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
