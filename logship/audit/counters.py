"""Core: what a worker of HAProxy says of itself, and the lines `logship counters` says of it.

A line is a cut through a worker's log: up to number ``lines`` it tried to write, and of those (and of its other lines)
``dropped`` found no place in the pipe. HAProxy answers one question after the other while requests go on, so
``dropped`` is asked before and after ``lines``: where both answers are the same, no line was dropped in between, and
the cut is exact. Left to others: sockets (``counters_haproxy``), when to ask (``counters_run``), what it proves
(``judge``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logship.values import Invalid

TABLE = "http"
"""The table whose entry 1 counts the lines of a worker (templates/haproxy.cfg.j2)."""
VARIABLE = "proc.lines"
"""Where the last number is noted, too: HAProxy empties the tables of a worker that stops."""
INFO = "show info"
ASKED = (INFO, f"show table {TABLE}", f"get var {VARIABLE}", INFO, "show stat -1 1 -1")
"""What is asked for a cut, in this order."""
FRONTENDS_MAX = 32
SETTLED_SECONDS = 0.5
LINE_BYTES_MAX = 8192

_FACT = re.compile(r"^([A-Za-z_]+): (\d+)$", re.MULTILINE)
_COUNT = re.compile(r"^\S+: key=1 .*?gpc0=(\d+)", re.MULTILINE)
_VALUE = re.compile(r"type=sint value=<(\d+)>")
_WORKER = re.compile(r"^(\d+) +worker ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Info:
    """The facts wanted of ``show info``. ``started``: seconds since 1970; ``connections``: of clients."""

    pid: int
    started: int
    threads: int
    connections: int
    stopping: bool
    dropped: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One cut. ``lines`` is None where HAProxy does not number them; ``dropped`` lies between its two numbers."""

    pid: int
    started: int
    threads: int
    lines: int | None
    dropped: tuple[int, int]
    connections: int
    stopping: bool
    requests: tuple[tuple[str, int], ...] = ()

    @property
    def exact(self) -> bool:
        """Nothing was dropped while it was asked."""
        return self.dropped[0] == self.dropped[1]

    @property
    def final(self) -> bool:
        """It takes no connection any more and has none: it will write no further line of a request."""
        return self.stopping and self.connections == 0


def parse_info(text: str) -> Info | Invalid:
    """What ``show info`` answers."""
    facts = {name: int(value) for name, value in _FACT.findall(text)}
    try:
        return Info(
            facts["Pid"],
            facts["Start_time_sec"],
            facts["Nbthread"],
            facts["CurrConns"],
            bool(facts["Stopping"]),
            facts["DroppedLogs"],
        )
    except KeyError as missing:
        return Invalid(f"says no {missing.args[0]}")


def parse_lines(table: str, variable: str) -> int | None:
    """What ``show table`` and ``get var`` answer: the last number given, 0 for none yet, None where there is no table.

    Of two threads that number lines at the same moment the one with the lower number may set the variable last.
    """
    if not table.startswith(f"# table: {TABLE},"):
        return None
    found = (_COUNT.search(table), _VALUE.search(variable))
    return max((int(match[1]) for match in found if match), default=0)


def parse_requests(text: str) -> tuple[tuple[str, int], ...]:
    """What ``show stat`` answers of frontends: the requests of each (more than lines: not all are logged)."""
    head, *rows = text.removeprefix("# ").splitlines() or [""]
    columns = head.split(",")
    if not {"pxname", "svname", "req_tot"} <= set(columns):
        return ()
    name, kind, count = (columns.index(column) for column in ("pxname", "svname", "req_tot"))
    cells = [row.split(",") for row in rows]
    found = [
        (row[name], int(row[count])) for row in cells if len(row) > count and row[kind] == "FRONTEND" and row[count]
    ]
    return tuple(found[:FRONTENDS_MAX])


def parse_workers(text: str) -> tuple[int, ...]:
    """What the master's ``show proc`` answers: the pids of all workers, those that finish their connections too."""
    return tuple(sorted(int(pid) for pid in _WORKER.findall(text)))


def reading_of(answers: Sequence[str]) -> Reading | Invalid:
    """The answers to ASKED."""
    before, table, variable, after, stat = answers
    first, last = parse_info(before), parse_info(after)
    if isinstance(first, Invalid):
        return first
    if isinstance(last, Invalid):
        return last
    if (first.pid, first.started) != (last.pid, last.started):
        return Invalid("answers for another process in between")
    return Reading(
        first.pid,
        first.started,
        first.threads,
        parse_lines(table, variable),
        (first.dropped, last.dropped),
        max(first.connections, last.connections),
        first.stopping,
        parse_requests(stat),
    )


def counted(time: str, reading: Reading, settled: bool, reach: int | None, workers: Sequence[int]) -> dict[str, Any]:
    """The line of a cut. ``reach``: offset of HAProxy's stream below which all it wrote by then lies.

    ``settled``: no thread has given a line its number and neither written nor dropped it yet.
    """
    return {
        "time": time,
        "event": "counted",
        "pid": reading.pid,
        "started": reading.started,
        "lines": reading.lines,
        "dropped": list(reading.dropped),
        "connections": reading.connections,
        "threads": reading.threads,
        "stopping": reading.stopping,
        "settled": settled,
        "final": reading.final,
        "requests": dict(reading.requests),
        "reach": reach,
        "workers": list(workers),
    }


def gone(time: str, pid: int, started: int, reach: int | None, workers: Sequence[int]) -> dict[str, Any]:
    """The line of a worker that is not there any more, and was not seen at its end."""
    return {
        "time": time,
        "event": "gone",
        "pid": pid,
        "started": started,
        "reach": reach,
        "workers": list(workers),
    }


@dataclass(frozen=True, slots=True)
class Said:
    """A line of `logship counters` as `logship audit` reads it. ``reading`` is None of a worker that is gone."""

    time: str
    pid: int
    started: int
    reach: int | None
    workers: tuple[int, ...]
    reading: Reading | None
    final: bool = False
    settled: bool = False


def parse_said(line: bytes) -> Said | Invalid | None:
    """A line of the stream ``counters``; None for one that says something else."""
    if len(line) > LINE_BYTES_MAX:
        return Invalid(f"is longer than {LINE_BYTES_MAX} bytes")
    try:
        fields = json.loads(line)
        event = fields["event"]
        if event not in ("counted", "gone"):
            return None
        reading = _reading(fields) if event == "counted" else None
        reach = fields["reach"]
        workers = tuple(int(pid) for pid in fields["workers"])
        return Said(
            str(fields["time"]),
            int(fields["pid"]),
            int(fields["started"]),
            None if reach is None else int(reach),
            workers,
            reading,
            reading is not None and bool(fields["final"]),
            reading is not None and bool(fields["settled"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Invalid("is not what this version of `logship counters` says")


def _reading(fields: dict[str, Any]) -> Reading:
    low, high = (int(value) for value in fields["dropped"])
    return Reading(
        int(fields["pid"]),
        int(fields["started"]),
        int(fields["threads"]),
        None if fields["lines"] is None else int(fields["lines"]),
        (low, high),
        int(fields["connections"]),
        bool(fields["stopping"]),
    )


class Teller:
    """Which cuts are worth a line: one that says something new, and now and then one that does not.

    A thread needs less than SETTLED_SECONDS from numbering a line to writing it, so of a count that stays the same all
    lines are written or dropped; with one thread they always are.
    """

    def __init__(self, heartbeat_seconds: float) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._last: dict[int, tuple[Any, float]] = {}
        self._since: dict[int, tuple[int | None, float]] = {}

    def settled(self, reading: Reading, now: float) -> bool:
        """Whether nothing of it is under way; to be asked once a reading, in order."""
        lines, since = self._since.get(reading.pid, (None, now))
        if lines != reading.lines:
            since = now
        self._since[reading.pid] = (reading.lines, since)
        return reading.threads == 1 or reading.final or now - since >= SETTLED_SECONDS

    def worth(self, reading: Reading, settled: bool, workers: Sequence[int], now: float) -> bool:
        """Whether to say it; then it is taken as said."""
        facts = (
            reading.started, reading.lines, reading.dropped, reading.stopping, reading.final, settled, tuple(workers),
        )  # fmt: skip
        last = self._last.get(reading.pid)
        if last is not None and last[0] == facts and now - last[1] < self._heartbeat_seconds:
            return False
        self._last[reading.pid] = (facts, now)
        return True

    def forget(self, pid: int) -> None:
        """The worker is gone."""
        self._last.pop(pid, None)
        self._since.pop(pid, None)
