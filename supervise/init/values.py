"""The declared programs as frozen values, and their way through plan.json.

Owns the shape of a declaration after it was found good. Reading TOML and finding faults is ``declaration.py``;
what is done with the values is told by ``order.py``, ``restart.py`` and ``readiness.py``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

PLAN_VERSION = 1

STARTED, RUNNING, HTTP, TCP, COMMAND = "started", "running", "http", "tcp", "command"
"""The kinds of readiness: the process is there; it is RUNNING; a good HTTP status; a connection; exit status 0."""

CHECK_SUFFIX = ".ready"
"""A command check is a hidden program called ``<program>.ready``; a declared name has no dot."""


@dataclass(frozen=True)
class Ready:
    """When a program counts as ready. Times in seconds; the first check comes at once, the next after ``interval``."""

    kind: str = RUNNING
    target: str = ""
    command: tuple[str, ...] = ()
    status: int = 200
    interval_seconds: float = 0.1
    timeout_seconds: float = 1.0
    within_seconds: float = 30.0


@dataclass(frozen=True)
class Restart:
    """``tries`` failed starts in a row end in FATAL (0: never); waits double from ``backoff_seconds`` to its max."""

    tries: int = 5
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 30.0
    start_seconds: int = 2


@dataclass(frozen=True)
class Stop:
    """``signal`` without SIG, then SIGKILL after ``seconds``; ``group``: to the whole process group."""

    signal: str = "TERM"
    seconds: int = 5
    group: bool = True


@dataclass(frozen=True)
class Program:
    """One ``[program.NAME]``. ``limits``: setrlimit names without RLIMIT_, soft = hard, -1 is unlimited."""

    name: str
    command: tuple[str, ...]
    user: str = "root"
    directory: str = "/"
    environment: tuple[tuple[str, str], ...] = ()
    env_files: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    after: tuple[str, ...] = ()
    essential: bool = False
    capture: bool = True
    pipe_bytes: int = 65536
    files: tuple[str, ...] = ()
    ready: Ready = Ready()
    restart: Restart = Restart()
    stop: Stop = Stop()


@dataclass(frozen=True)
class Declaration:
    """A whole supervise.toml, in the order of the file."""

    service: str
    programs: tuple[Program, ...]
    stop_seconds: float = 15.0
    snapshot_seconds: float = 15.0

    def after(self) -> dict[str, tuple[str, ...]]:
        """What each program waits for."""
        return {program.name: program.after for program in self.programs}


def program_entry(program: Program, fifo: str | None) -> dict[str, Any]:
    """The program as plan.json holds it; ``supervise exec`` reads it from there."""
    entry = asdict(program)
    entry["environment"] = dict(program.environment)
    entry["limits"] = dict(program.limits)
    entry["fifo"] = fifo
    return entry


def program_from(entry: dict[str, Any]) -> Program:
    """The program that ``program_entry`` wrote, after a way through JSON."""
    names = {item.name for item in fields(Program)}
    values = {key: value for key, value in entry.items() if key in names}
    for key in ("command", "env_files", "after", "files"):
        values[key] = tuple(values[key])
    for key in ("environment", "limits"):
        values[key] = tuple(values[key].items())
    ready = dict(values["ready"], command=tuple(values["ready"]["command"]))
    return Program(
        **{**values, "ready": Ready(**ready), "restart": Restart(**values["restart"]), "stop": Stop(**values["stop"])}
    )
