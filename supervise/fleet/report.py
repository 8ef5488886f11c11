"""Core: what is seen of the fleet -> tables, JSON lines, sentences of trouble.

JSON lines carry ``"v": 1``; docs/control.md says what is in them. Times in them are RFC 3339, durations seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from supervise.fleet.container import Container
from supervise.fleet.snapshot import Program, View
from supervise.fleet.table import BAD, DIM, PLAIN, WARN, Cell, cell, duration, table

STATUS_HEADERS = ("", "CONTAINER", "PROGRAM", "STATE", "READY", "PID", "UPTIME", "RESTARTS", "LAST EXIT")


def status_table(views: Sequence[tuple[View, Sequence[str]]], now: float, colour: bool) -> list[str]:
    """A row a program, in stable order; a container that cannot be asked, or not believed, has a row with the reason.

    Marks: ``!`` trouble, ``-`` stopped, ``?`` as it was when the container last said so.
    """
    rows: list[list[Cell]] = []
    for view, names in views:
        if view.reason:
            rows.append(_reason_row(view))
        rows.extend(_status_row(view, program, now) for program in chosen(view, names))
    return table(STATUS_HEADERS, rows, colour)


def chosen(view: View, names: Sequence[str]) -> list[Program]:
    """The programs of a view that were asked for."""
    return [program for program in (view.snapshot.programs if view.snapshot else ()) if program.name in names]


def _reason_row(view: View) -> list[Cell]:
    state = view.container.state if view.snapshot is None and not view.container.is_running else "unknown"
    blank = [cell("")] * 4
    return [cell("!", BAD), cell(view.container.label), cell(""), cell(state, BAD), *blank, cell(view.reason, BAD)]


def _status_row(view: View, program: Program, now: float) -> list[Cell]:
    mark, style = mark_of(program)
    if view.reason:
        mark, style = "?", DIM
    return [
        cell(mark, style),
        cell(view.container.label),
        cell(program.name),
        cell(program.state, style),
        cell("yes" if program.ready else "no", PLAIN if program.ready else style),
        cell(program.pid or ""),
        cell(uptime(program, now)),
        cell(program.restarts, WARN if program.restarts and style == PLAIN else PLAIN),
        cell(_last_exit(program, now)),
    ]


def mark_of(program: Program) -> tuple[str, str]:
    """Mark and style of a program: what a glance should find."""
    if program.is_well:
        return " ", PLAIN
    if program.state == "STOPPED":
        return "-", DIM
    return "!", BAD if program.state in ("FATAL", "EXITED", "BACKOFF", "UNKNOWN") else WARN


def uptime(program: Program, now: float) -> str:
    """How long it has been up; empty when it is not."""
    up = program.started is not None and program.state in ("RUNNING", "STARTING", "STOPPING")
    return duration(now - program.started) if up and program.started is not None else ""


def _last_exit(program: Program, now: float) -> str:
    parts = []
    if program.last_exit:
        ago = f" {duration(now - program.last_exit.time)} ago" if program.last_exit.time is not None else ""
        parts.append(program.last_exit.text + ago)
    if program.next_try is not None and program.state == "BACKOFF":
        parts.append(_next_try(program.next_try, now))
    return ", ".join(parts)


def _next_try(moment: float, now: float) -> str:
    return f"next try in {max(0, round(moment - now))} s"


def trouble(program: Program, now: float) -> str:
    """What is wrong with a program, in words; empty when it is running and ready, or was stopped by a person."""
    if program.is_well or program.state == "STOPPED":
        return ""
    if program.state == "RUNNING":
        return "is running but not ready"
    said = {"STARTING": "is starting", "STOPPING": "is stopping", "FATAL": "was given up"}.get(program.state, "exited")
    if program.last_exit and program.state != "STOPPING":
        said += f"{', last exit' if program.state == 'STARTING' else ''}: {program.last_exit.text}"
    if program.restarts:
        said += f", {program.restarts} restart{'s' if program.restarts > 1 else ''}"
    if program.state == "BACKOFF" and program.next_try is not None:
        said += f", {_next_try(program.next_try, now)}"
    return said


def troubles(view: View, now: float, names: Sequence[str]) -> list[str]:
    """Everything that is wrong with a container and the programs of it that were asked for, each as a sentence."""
    if view.reason:
        return [f"{view.container.label} {view.reason}"]
    said = ((program.name, trouble(program, now)) for program in chosen(view, names))
    warnings = view.snapshot.warnings if view.snapshot else ()
    told = [f"{name} {text}" for name, text in said if text]
    return [f"{view.container.label}: {text}" for text in [*warnings, *told]]


def status_lines(views: Sequence[tuple[View, Sequence[str]]], now: float) -> list[dict[str, Any]]:
    """JSON: an object a program; one with ``"program": null`` for a container that cannot be asked or believed."""
    lines: list[dict[str, Any]] = []
    for view, names in views:
        head = {"v": 1, **_identity(view.container)}
        if view.reason:
            lines.append({**head, "program": None, "well": False, "trouble": view.reason})
        for program in chosen(view, names):
            body = program_fields(program, now)
            lines.append({**head, **body, "well": program.is_well and not view.reason})
    return lines


def container_line(view: View, names: Sequence[str], now: float) -> dict[str, Any]:
    """JSON of ``ps``: an object a container, with its programs."""
    snapshot = view.snapshot
    return {
        "v": 1,
        "time": rfc3339(now),
        **_identity(view.container),
        "state": view.container.state,
        "health": view.container.health or None,
        "addresses": list(view.container.addresses),
        "phase": snapshot.phase if snapshot else None,
        "well": view.is_well,
        "trouble": troubles(view, now, names),
        "programs": [program_fields(program, now) for program in chosen(view, names)],
    }


def _identity(container: Container) -> dict[str, Any]:
    return {
        "container": container.label,
        "service": container.service,
        "number": container.number,
        "name": container.name,
        "id": container.id,
    }


def program_fields(program: Program, now: float) -> dict[str, Any]:
    """The fields of one program in every JSON line."""
    end = program.last_exit
    up = program.started is not None and bool(uptime(program, now))
    return {
        "program": program.name,
        "state": program.state,
        "ready": program.ready,
        "essential": program.essential,
        "pid": program.pid or None,
        "started": rfc3339(program.started),
        "uptime_seconds": round(now - program.started, 3) if up and program.started is not None else None,
        "restarts": program.restarts,
        "next_try": rfc3339(program.next_try),
        "rss_bytes": program.rss_bytes,
        "cpu_seconds": program.cpu_seconds,
        "last_exit": None
        if end is None
        else {"status": end.status, "signal": end.signal, "time": rfc3339(end.time), "text": end.text},
        "trouble": trouble(program, now),
    }


def rfc3339(moment: float | None) -> str | None:
    """Seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
