"""Core: the text of a supervise.toml -> a Declaration, or every fault in it, each with its line and a remedy.

Owns the keys, their defaults and bounds (docs/supervise-toml.md tells them to people). What a value may look like is
``shapes.py``; what only the machine knows (files, users) is asked of a ``Machine``, which an edge gives.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from logship.places import Places
from supervise.init import order, shapes
from supervise.init.values import COMMAND, HTTP, RUNNING, STARTED, TCP, Declaration, Program, Ready, Restart, Stop

PROGRAMS_MAX = 64
TEXT_BYTES_MAX = 1048576
RESERVED = {"supervise": "PID 1's own events", "supervisord": "supervisord's own log"}
COMMAND_CHECK_SECONDS = 1.0
"""Default interval of a command check: each one is a process of its own."""


class Machine(Protocol):
    """What the machine knows. Each answer is what is wrong, or None."""

    def program(self, name: str) -> str | None:
        """What keeps the file (absolute path, or a name in PATH) from being run as a program."""

    def user(self, name: str) -> str | None:
        """What keeps programs from running as this user."""

    def directory(self, path: str) -> str | None:
        """What keeps programs from running in this folder."""


@dataclass(frozen=True, order=True)
class Flaw:
    """One fault: the line it stands on, what is wrong, what to do."""

    line: int
    cause: str
    hint: str

    def tell(self, file: str) -> str:
        """The fault as people read it."""
        return f"{file}:{self.line}: {self.cause}; {self.hint}"


_REQUIRED = object()
Keys = Mapping[str, tuple[shapes.Shape, Any]]

_CONTAINER: Keys = {
    "service": (shapes.text(r"[a-z0-9-]{1,32}", "1 to 32 of a-z, 0-9 and -"), _REQUIRED),
    "stop_seconds": (shapes.seconds(0.1, 3600), 15.0),
    "snapshot_seconds": (shapes.seconds(1, 3600), 15.0),
}
_PROGRAM: Keys = {
    "command": (shapes.command, _REQUIRED),
    "user": (shapes.text(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}", "a user's name or number"), "root"),
    "directory": (shapes.absolute_path, "/"),
    "environment": (shapes.environment, ()),
    "env_files": (shapes.list_of(shapes.absolute_path, "absolute paths"), ()),
    "limits": (shapes.limits, ()),
    "after": (shapes.list_of(shapes.word, "names of programs"), ()),
    "essential": (shapes.boolean, False),
    "capture": (shapes.boolean, True),
    "files": (shapes.list_of(shapes.absolute_path, "absolute paths"), ()),
    "pipe_bytes": (shapes.whole(4096, 1048576), 65536),
}
_READY_KINDS: Mapping[str, shapes.Shape] = {
    HTTP: shapes.http_url,
    TCP: shapes.address,
    COMMAND: shapes.command,
    STARTED: shapes.boolean,
    RUNNING: shapes.boolean,
}
_READY: Keys = {
    **{kind: (shape, None) for kind, shape in _READY_KINDS.items()},
    "status": (shapes.whole(100, 599), 200),
    "interval_seconds": (shapes.seconds(0.02, 60), None),
    "timeout_seconds": (shapes.seconds(0.05, 60), 1.0),
    "within_seconds": (shapes.seconds(0.1, 3600), 30.0),
}
_RESTART: Keys = {
    "tries": (shapes.whole(0, 1000), 5),
    "backoff_seconds": (shapes.seconds(0.05, 3600), 1.0),
    "backoff_seconds_max": (shapes.seconds(0.05, 86400), 30.0),
    "start_seconds": (shapes.whole(1, 3600), 2),
}
_STOP: Keys = {
    "signal": (shapes.text("|".join(shapes.SIGNALS), f"one of {', '.join(shapes.SIGNALS)}"), "TERM"),
    "seconds": (shapes.whole(1, 600), 5),
    "group": (shapes.boolean, True),
}
_TABLES = {"ready": _READY, "restart": _RESTART, "stop": _STOP}


def parse(text: str, machine: Machine | None = None) -> tuple[Declaration | None, list[Flaw]]:
    """The declaration and no flaws, or None and all flaws in the order of their lines.

    Without a ``machine`` what depends on it (program files, users, folders) is not looked at.
    """
    if len(text) > TEXT_BYTES_MAX:
        return None, [Flaw(1, f"the file has {len(text)} characters", f"keep it below {TEXT_BYTES_MAX}")]
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        return None, [Flaw(line, f"not TOML: {error}", "correct the syntax")]
    reader = _Reader(Places(text), machine)
    declaration = reader.declaration(data)
    return (None if reader.flaws else declaration), sorted(set(reader.flaws))


class _Reader:
    """Goes through the tables, gathers flaws, and puts defaults where a key is missing or wrong."""

    def __init__(self, places: Places, machine: Machine | None) -> None:
        self.places = places
        self.machine = machine
        self.flaws: list[Flaw] = []

    def flaw(self, path: tuple[str, ...], cause: str, hint: str) -> None:
        self.flaws.append(Flaw(self.places.line(path), cause, hint))

    def unknown(self, path: tuple[str, ...], known: Iterable[str]) -> None:
        near = difflib.get_close_matches(path[-1], list(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(known))}"
        self.flaw(path, f"unknown key {'.'.join(path)!r}", hint)

    def table(self, path: tuple[str, ...], data: Any) -> dict[str, Any]:
        """The table at ``path``; an empty one, and a flaw, if it is something else."""
        if isinstance(data, dict):
            return data
        self.flaw(path, f"{'.'.join(path)!r} is {shapes.kind_of(data)}", "write a table")
        return {}

    def take(self, path: tuple[str, ...], data: dict[str, Any], keys: Keys, others: Iterable[str] = ()) -> Any:
        """The values of the known ``keys``; ``others`` are known too, and read by someone else."""
        found: dict[str, Any] = {}
        for key in data:
            if key not in keys and key not in others:
                self.unknown((*path, key), [*keys, *others])
        for key, (shape, default) in keys.items():
            found[key] = None if default is _REQUIRED else default
            if key not in data:
                if default is _REQUIRED:
                    self.flaw(path, f"{'.'.join((*path, key))!r} is missing", "add it")
                continue
            try:
                found[key] = shape(data[key])
            except shapes.Wrong as wrong:
                self.flaw((*path, key), f"{'.'.join((*path, key))!r} {wrong.cause}", wrong.hint)
        return found

    def declaration(self, data: dict[str, Any]) -> Declaration:
        for key in data:
            if key not in ("container", "program"):
                self.unknown((key,), ("container", "program"))
        container = self.take(("container",), self.table(("container",), data.get("container", {})), _CONTAINER)
        tables = self.table(("program",), data.get("program", {}))
        if not tables and not self.flaws:
            self.flaw((), "no program is declared", "add a table like [program.web] with its command")
        if len(tables) > PROGRAMS_MAX:
            self.flaw(("program",), f"{len(tables)} programs are declared", f"declare at most {PROGRAMS_MAX}")
            tables = {}
        programs = tuple(self.program(name, value, tables) for name, value in tables.items())
        for cycle in order.find_cycles({program.name: program.after for program in programs}):
            told = " -> ".join(cycle)
            self.flaw(("program", cycle[0], "after"), f"programs wait for each other: {told}", "break the circle")
        return Declaration(programs=programs, **container)

    def program(self, name: str, data: Any, siblings: Mapping[str, Any]) -> Program:
        path = ("program", name)
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name):
            self.flaw(path, f"the program's name is {name!r}", "use 1 to 32 of a-z, 0-9, _ and -, a letter first")
        elif name in RESERVED:
            self.flaw(path, f"the name {name!r} is reserved for {RESERVED[name]}", "choose another name")
        data = self.table(path, data)
        found = self.take(path, data, _PROGRAM, _TABLES)
        ready = self.ready((*path, "ready"), data.get("ready", {}))
        restart = self.restart((*path, "restart"), data.get("restart", {}))
        stop = Stop(**self.take((*path, "stop"), self.table((*path, "stop"), data.get("stop", {})), _STOP))
        for other in found["after"]:
            if other not in siblings:
                near = difflib.get_close_matches(other, [one for one in siblings if one != name], n=1)
                hint = f"did you mean {near[0]!r}?" if near else "declare it or leave it out"
                self.flaw((*path, "after"), f"{'.'.join(path)} comes after {other!r}, which is not declared", hint)
        if self.machine:
            self.look(path, found, ready, self.machine)
        return Program(name=name, ready=ready, restart=restart, stop=stop, **found)

    def ready(self, path: tuple[str, ...], data: Any) -> Ready:
        data = self.table(path, data)
        found = self.take(path, data, _READY)
        kinds = [kind for kind in _READY_KINDS if kind in data]
        if len(kinds) > 1:
            self.flaw(path, f"{'.'.join(path)!r} has {' and '.join(kinds)}", "keep one of them")
        if data and not kinds:
            self.flaw(path, f"{'.'.join(path)!r} says no check", f"add one of {', '.join(_READY_KINDS)}")
        for word in (STARTED, RUNNING):
            if word in data and found[word] is False:
                self.flaw((*path, word), f"'{word} = false' means nothing", "leave it out or write another check")
        if "status" in data and HTTP not in data:
            self.flaw((*path, "status"), "'status' belongs to an http check", "leave it out")
        kind = kinds[0] if kinds else RUNNING
        default = COMMAND_CHECK_SECONDS if kind == COMMAND else Ready.interval_seconds
        return Ready(
            kind=kind,
            target=(found[kind] or "") if kind in (HTTP, TCP) else "",
            command=(found[kind] or ()) if kind == COMMAND else (),
            status=found["status"],
            interval_seconds=default if found["interval_seconds"] is None else found["interval_seconds"],
            timeout_seconds=found["timeout_seconds"],
            within_seconds=found["within_seconds"],
        )

    def restart(self, path: tuple[str, ...], data: Any) -> Restart:
        data = self.table(path, data)
        restart = Restart(**self.take(path, data, _RESTART))
        if restart.backoff_seconds_max < restart.backoff_seconds:
            key = "backoff_seconds_max" if "backoff_seconds_max" in data else "backoff_seconds"
            cause = f"'backoff_seconds' is {restart.backoff_seconds:g}, above its max {restart.backoff_seconds_max:g}"
            self.flaw((*path, key), cause, "raise backoff_seconds_max or lower backoff_seconds")
        return restart

    def look(self, path: tuple[str, ...], found: dict[str, Any], ready: Ready, machine: Machine) -> None:
        """Faults that only this machine shows."""
        for key, words in (("command", found["command"]), ("ready", ready.command)):
            wrong = machine.program(words[0]) if words else None
            if wrong:
                self.flaw(
                    (*path, key), f"'{'.'.join((*path, key))}' runs {words[0]!r}: {wrong}", "install or correct it"
                )
        wrong = machine.user(found["user"])
        if wrong:
            self.flaw(
                (*path, "user"),
                f"'{'.'.join(path)}' runs as {found['user']!r}: {wrong}",
                "create the user or correct it",
            )
        wrong = machine.directory(found["directory"])
        if wrong:
            self.flaw(
                (*path, "directory"),
                f"'{'.'.join(path)}' runs in {found['directory']!r}: {wrong}",
                "create the folder or correct it",
            )
