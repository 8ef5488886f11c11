"""Core: what a container says of its programs (state.json, ARCHITECTURE 5), and what keeps it from being believed.

A container that cannot be asked is a ``View`` with a reason, never a missing one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from logship.errors import Fault
from supervise.fleet.container import Container

VERSION = 1
STALE_SECONDS = 60
"""PID 1 writes the file at each change and every 15 s; the images' health check draws the line here, too."""

STATE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Exit:
    """How a program last ended: its status or its signal, when (seconds since 1970), and that in words."""

    status: int | None
    signal: str | None
    time: float | None
    text: str


@dataclass(frozen=True)
class Program:
    """One program: ``state`` is supervisord's word, times are in seconds since 1970."""

    name: str
    state: str
    ready: bool
    essential: bool
    pid: int
    started: float | None
    restarts: int
    next_try: float | None
    rss_bytes: int
    cpu_seconds: float
    last_exit: Exit | None

    @property
    def is_well(self) -> bool:
        """Running, and ready for what depends on it."""
        return self.state == "RUNNING" and self.ready


@dataclass(frozen=True)
class Snapshot:
    """All programs of a container at ``time``, in the container's own order; what else it warns of, in words."""

    time: float
    service: str
    incarnation: str
    phase: str
    healthy: bool
    programs: tuple[Program, ...]
    warnings: tuple[str, ...] = ()

    def program(self, name: str) -> Program | None:
        return next((program for program in self.programs if program.name == name), None)


@dataclass(frozen=True)
class View:
    """What is known of a container now. ``reason`` says why ``snapshot`` is None or not to be relied on; else empty."""

    container: Container
    snapshot: Snapshot | None
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Everything in it is running and ready."""
        return self.snapshot is not None and not self.reason and all(p.is_well for p in self.snapshot.programs)


def view(container: Container, answer: bytes | Fault | None, now: float) -> View:
    """A container as seen at ``now`` through its state.json, as read by the engine (None: there is no such file)."""
    if not container.is_running:
        return View(container, None, (container.status or container.state).lower())
    if isinstance(answer, Fault):
        return View(container, None, f"cannot be asked: {answer.cause}")
    if answer is None:
        return View(container, None, "has no state.json: is PID 1 supervise init?")
    try:
        snapshot = parse(answer)
    except ValueError as error:
        return View(container, None, f"state.json is unreadable: {error}")
    age = now - snapshot.time
    if age > STALE_SECONDS:
        return View(container, snapshot, f"state.json is {age:.0f} s old: PID 1 hangs, or clocks differ")
    if snapshot.phase == "stopping":
        return View(container, snapshot, "is being stopped")
    return View(container, snapshot)


def parse(text: bytes) -> Snapshot:
    """Read state.json. Raises ValueError that names the field which is missing or of the wrong kind."""
    try:
        fields = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    if fields.get("v") != VERSION:
        raise ValueError(f"version {fields.get('v')!r}, this command knows {VERSION}")
    time = _time(fields, "time")
    if time is None:
        raise ValueError("time is null")
    programs = _field(fields, "programs", list)
    return Snapshot(
        time=time,
        service=_field(fields, "service", str),
        incarnation=_field(fields, "incarnation", str),
        phase=_field(fields, "phase", str),
        healthy=_field(fields, "healthy", bool),
        programs=tuple(_program(item) for item in programs),
        warnings=tuple(str(text) for text in (_field(fields, "warnings", list) if "warnings" in fields else ())),
    )


def _program(fields: Any) -> Program:
    if not isinstance(fields, dict):
        raise ValueError("a program is not an object")
    last_exit = fields.get("last_exit")
    return Program(
        name=_field(fields, "name", str),
        state=_field(fields, "state", str),
        ready=_field(fields, "ready", bool),
        essential=_field(fields, "essential", bool),
        pid=_count(fields, "pid"),
        started=_time(fields, "started"),
        restarts=_count(fields, "restarts"),
        next_try=_time(fields, "next_try"),
        rss_bytes=_count(fields, "rss_bytes"),
        cpu_seconds=_number(fields, "cpu_seconds"),
        last_exit=_exit(last_exit) if isinstance(last_exit, dict) else None,
    )


def _exit(fields: Mapping[str, Any]) -> Exit:
    status, signal = fields.get("status"), fields.get("signal")
    return Exit(
        status=status if isinstance(status, int) else None,
        signal=signal if isinstance(signal, str) else None,
        time=_time(fields, "time"),
        text=_field(fields, "text", str),
    )


def _field(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r:.40}")
    return value


def _count(fields: Mapping[str, Any], name: str) -> int:
    return int(_number(fields, name))


def _number(fields: Mapping[str, Any], name: str) -> float:
    """A number; 0 for null, as of the pid of a program that is down."""
    value = fields.get(name)
    if value is None:
        return 0
    if not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise ValueError(f"{name} is {value!r:.40}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _time(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r:.40}") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return moment.timestamp()
