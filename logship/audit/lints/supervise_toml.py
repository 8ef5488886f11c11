"""Core: a supervise.toml as lints see it: programs, their commands, the order of their stops, the line of each key.

Whether the file is good at all is for ``supervise check`` to say; what is wrong in shape counts as its default here.
Keys and defaults are those of docs/supervise-toml.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logship.audit.lints.lint import Place
from logship.audit.lints.source import Source, Unreadable
from logship.places import Places

STOP_SECONDS = 15.0
PROGRAM_STOP_SECONDS = 5
PIPE_BYTES = 65536


@dataclass(frozen=True)
class Program:
    """A ``[program.NAME]``: its table as TOML has it."""

    name: str
    table: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """The words of its command."""
        words = self.table.get("command", [])
        return [str(word) for word in words] if isinstance(words, list) else []

    @property
    def after(self) -> list[str]:
        """What it waits for, and what stops after it."""
        names = self.table.get("after", [])
        return [str(name) for name in names] if isinstance(names, list) else []

    def sub(self, name: str) -> Mapping[str, Any]:
        """A table within: ``stop``, ``restart``."""
        found = self.table.get(name, {})
        return found if isinstance(found, dict) else {}

    @property
    def stop_seconds(self) -> float:
        """How long its stop may take."""
        seconds = self.sub("stop").get("seconds", PROGRAM_STOP_SECONDS)
        return float(seconds) if isinstance(seconds, int | float) else PROGRAM_STOP_SECONDS

    def runs(self, word: str) -> bool:
        """Whether it is `logship WORD`."""
        at = next((at for at, item in enumerate(self.command) if item.rpartition("/")[2] == "logship"), None)
        return at is not None and self.command[at + 1 : at + 2] == [word]

    def option(self, name: str, environment: Mapping[str, str] | None = None) -> str:
        """The value of an option: ``--name X``, ``--name=X``, else the variable that stands for it."""
        for at, word in enumerate(self.command):
            if word == f"--{name}":
                return next(iter(self.command[at + 1 :]), "")
            if word.startswith(f"--{name}="):
                return word.partition("=")[2]
        variable = f"LOGSHIP_{name.upper().replace('-', '_')}"
        return str(self.sub("environment").get(variable, (environment or {}).get(variable, "")))


class Declaration:
    """A supervise.toml."""

    def __init__(self, source: Source) -> None:
        """Raises Unreadable for what is not TOML."""
        self.source = source
        try:
            data = tomllib.loads(source.text)
        except tomllib.TOMLDecodeError as error:
            raise Unreadable(source.place(0), f"not TOML: {error}") from None
        tables = data.get("program", {})
        self.container: Mapping[str, Any] = data.get("container", {})
        self.programs = [Program(name, table) for name, table in tables.items() if isinstance(table, dict)]
        self._places = Places(source.text)

    def place(self, *path: str) -> Place:
        """The line of a key, else of the table that would hold it."""
        return self.source.place(self._places.line(path))

    @property
    def service(self) -> str:
        """The service's name."""
        return str(self.container.get("service", ""))

    @property
    def stop_seconds(self) -> float:
        """The bound of the ordered stop."""
        seconds = self.container.get("stop_seconds", STOP_SECONDS)
        return float(seconds) if isinstance(seconds, int | float) else STOP_SECONDS

    @property
    def spool(self) -> Program | None:
        """The program that takes what others say."""
        return next((program for program in self.programs if program.runs("spool")), None)

    @property
    def ship(self) -> Program | None:
        """The program that brings it to the collector."""
        return next((program for program in self.programs if program.runs("ship")), None)

    def longest_stop(self) -> tuple[float, list[str]]:
        """The slowest chain of stops: a program stops when all that come after it are down."""
        by_name = {program.name: program for program in self.programs}
        known: dict[str, tuple[float, list[str]]] = {}

        def chain(name: str, path: tuple[str, ...]) -> tuple[float, list[str]]:
            if name not in known:
                below = [one for one in by_name[name].after if one in by_name and one not in path]
                longest = max((chain(one, (*path, name)) for one in below), default=(0.0, []))
                known[name] = (by_name[name].stop_seconds + longest[0], [name, *longest[1]])
            return known[name]

        return max((chain(name, (name,)) for name in by_name), default=(0.0, []))

    def before(self, name: str) -> set[str]:
        """All that a program comes after, at whatever distance."""
        by_name = {program.name: program for program in self.programs}
        found: set[str] = set()
        todo = [name]
        while todo:
            new = [one for one in by_name[todo.pop()].after if one in by_name and one not in found]
            found |= set(new)
            todo += new
        return found
