"""Core: the event lines of stream ``supervise``, and the snapshot that is also state.json.

One JSON object a line: ``time`` (RFC 3339, UTC, milliseconds), ``event``, and the fields told here. A fleet's picture
is a replay of these lines; ``snapshot`` comes every 15 s (snapshot_seconds) and heals a lost beginning. Durations are
``milliseconds``, sizes bytes; ``program`` is a declared name.

    init         pid, incarnation, service, host, supervisor (its version), programs (in start order), milliseconds
                 (from the start of PID 1); again after SIGHUP, then with life 2, 3 ..
    signal       signal                              PID 1 received it
    operator     action, program                     a person's start, stop, signal .. through supervisord's RPC
    start        program, pid, start (1, 2 ..)       forked; pid null: not even that worked, an exit follows
    state        program, from, to                   supervisord's words
    ready        program, milliseconds, text         since its start; text: what the check answered
    late         program, milliseconds, text         not ready within_seconds; asking goes on
    unready      program, milliseconds, text         three bad answers in a row
    exit         program, pid, status, signal, text, milliseconds (it ran), said
                 text: "exit status 3", "killed by SIGKILL, out of memory"; said: what came through supervisord's own
                 pipe, where `supervise exec` tells why it could not start the program (last 2000 characters)
    backoff      program, failures, tries, milliseconds, next_try
    gave_up      program, failures, text             FATAL: nothing starts it again but a person
    essential    program, status, text               its end ends the container, with this status
    stop         mode (shutdown, restart), reason, programs (in stop order)
    stopping     program, signal                     asked to stop
    stopped      program, milliseconds, text         gone, that long after it was asked
    overdue      program, milliseconds, text         the stop did not wait longer for it
    ended        mode, status, milliseconds          of the ordered stop as a whole; the last line of a life
    health       healthy, because (one line a program that is not well)
    stuck        programs, readers, text             FIFOs are full and nobody takes anything: the reader is killed
    dropping     programs, text                      nobody reads the FIFOs: PID 1 empties them, so that nobody hangs
    dropped      program, bytes, unplaced_bytes, milliseconds    what that cost, when a reader was started again;
                 unplaced_bytes of it have no record in the ledger and no place in the stream
    fault        where, text, count                  init's own mistake, survived; at most 20 lines a minute. Where
                 "spool": the volume took no spool folder, and where it lies instead (also in ``warnings``)
    snapshot     the fields of state.json, reaped (orphans so far), dropped_bytes (events not stored),
                 undrained_bytes (program output that PID 1 had to drop), faults

rss_bytes and cpu_seconds are those of the program's process group: sum of resident sets (shared pages count in each),
user and system time of its living processes and the children they waited for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

STATE_VERSION = 1
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
"""The phases of a container."""


@dataclass(frozen=True)
class LastExit:
    """How a program ended last, as state.json tells it; ``time`` in seconds since the epoch."""

    status: int | None
    signal: str | None
    time: float
    text: str


@dataclass(frozen=True)
class ProgramState:
    """One program at one moment; times in seconds since the epoch. ``by_person``: a person stopped it."""

    name: str
    state: str
    ready: bool
    essential: bool
    pid: int | None
    started: float | None
    restarts: int
    next_try: float | None
    rss_bytes: int | None
    cpu_seconds: float | None
    last_exit: LastExit | None
    by_person: bool


def stamp(seconds: float | None) -> str | None:
    """A moment in RFC 3339, UTC, with milliseconds; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(time: float, event: str, fields: dict[str, Any]) -> bytes:
    """One event as a line of the stream. Text that is not UTF-8 (surrogates) is told with escapes."""
    return json.dumps({"time": stamp(time), "event": event, **fields}, separators=(",", ":")).encode("ascii") + b"\n"


def unwell(phase: str, programs: Sequence[ProgramState]) -> list[str]:
    """Why the container is not healthy, a line a cause; empty when it is. A program a person stopped is no cause."""
    found = [] if phase == RUNNING else [f"the container is {phase}"]
    for program in programs:
        if program.by_person:
            continue
        if program.state != "RUNNING":
            found.append(f"{program.name} is {program.state}")
        elif not program.ready:
            found.append(f"{program.name} is not ready")
    return found


def state(
    time: float,
    service: str,
    host: str,
    incarnation: str,
    phase: str,
    programs: Sequence[ProgramState],
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The object of state.json (ARCHITECTURE.md 5)."""
    return {
        "v": STATE_VERSION,
        "time": stamp(time),
        "service": service,
        "host": host,
        "incarnation": incarnation,
        "phase": phase,
        "healthy": not unwell(phase, programs),
        "warnings": list(warnings),
        "programs": [_program(program) for program in programs],
    }


def _program(program: ProgramState) -> dict[str, Any]:
    ended = program.last_exit
    return {
        "name": program.name,
        "state": program.state,
        "ready": program.ready,
        "essential": program.essential,
        "pid": program.pid,
        "started": stamp(program.started),
        "restarts": program.restarts,
        "next_try": stamp(program.next_try),
        "rss_bytes": program.rss_bytes,
        "cpu_seconds": program.cpu_seconds,
        "last_exit": ended
        and {"status": ended.status, "signal": ended.signal, "time": stamp(ended.time), "text": ended.text},
    }
