"""Core: a supervisord.conf with the line of every setting, read as supervisord's own parser reads it.

That parser is Python's RawConfigParser with inline comments (`` ;`` and `` #``), no strictness and its own
expansions; tests feed both the same texts. Values stay as written: ``%(ENV_x)s`` is expanded only where the environment
is known, so a file can be looked at on another machine. What the settings mean is left to the lints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

from logship.audit.lints.lint import Place
from logship.audit.lints.source import Source, Unreadable

PROGRAM_KINDS = ("program", "eventlistener", "fcgi-program")
_SECTION = re.compile(r"\[(.+)\]")
_SETTING = re.compile(r"(?P<key>.*?)\s*[=:]\s*(?P<value>.*)$")
_COMMENT = re.compile(r"(?:^|(?<=\s))[;#].*")
_VARIABLE = re.compile(r"%\((?P<name>[A-Za-z0-9_]+)\)(?P<kind>[0-9]*[sd])")
_UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
_DEVICES = ("/dev/stdout", "/dev/stderr", "/dev/console", "/dev/tty*", "/dev/pts/*", "/dev/fd/*", "/proc/*/fd/*")

DEFAULTS = {
    "autorestart": "unexpected", "startsecs": "1", "stopwaitsecs": "10", "stopasgroup": "false",
    "redirect_stderr": "false", "numprocs": "1", "priority": "999", "buffer_size": "10",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """``key = value``: its line, the value without comment, and the line as a whole."""

    key: str
    value: str
    place: Place
    raw: str


@dataclass(frozen=True)
class Section:
    """``[name]`` with what stands in it; the first of several of the same name has the place."""

    name: str
    place: Place
    settings: dict[str, Setting] = field(default_factory=dict)

    def value(self, key: str, default: str = "") -> str:
        """The value as written, else the default."""
        return self.settings[key].value if key in self.settings else default

    def where(self, *keys: str) -> Place:
        """The line of the first of these settings that is there, else of the section's head."""
        return next((self.settings[key].place for key in keys if key in self.settings), self.place)


@dataclass(frozen=True)
class Output:
    """Where one of a program's streams goes. ``path`` None: supervisord picks a name (AUTO)."""

    stream: str
    path: str | None
    bytes_max: int
    backups: int
    section: Section

    def key(self, suffix: str = "") -> str:
        """The setting's name: ``stdout_logfile``, ``stdout_logfile_maxbytes``."""
        return f"{self.stream}_logfile{suffix}"

    @property
    def nowhere(self) -> bool:
        """Nobody keeps what is written."""
        return self.path is not None and (self.path.upper() == "NONE" or self.path == "/dev/null")

    @property
    def device(self) -> bool:
        """It is no file: supervisord's own output, a terminal."""
        return self.path is not None and any(fnmatch(self.path, item) for item in _DEVICES)

    @property
    def file(self) -> bool:
        """It is a file with a name of its own."""
        return self.path is not None and not self.nowhere and not self.device and self.path != "syslog"


class Program:
    """A ``[program:x]``, ``[eventlistener:x]`` or ``[fcgi-program:x]``."""

    def __init__(self, section: Section, environment: Mapping[str, str] | None) -> None:
        self.section = section
        self.kind, _, self.name = section.name.partition(":")
        self._known = {"program_name": self.name, "group_name": self.name}
        self._known |= {f"ENV_{key}": value for key, value in (environment or {}).items()}

    def value(self, key: str) -> str:
        """The value with what is known expanded, else supervisord's default."""
        return expand(self.section.value(key, DEFAULTS.get(key, "")), self._known)

    def number(self, key: str) -> int:
        """The value as a number; the default where it is none (supervisord itself refuses such a file)."""
        value = self.value(key)
        return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else int(DEFAULTS[key])

    def true(self, key: str) -> bool:
        """Whether a yes-or-no setting says yes."""
        return truth(self.value(key))

    def outputs(self) -> list[Output]:
        """Where its streams go; standard error only where it goes a way of its own."""
        return [self._output(name) for name in (("stdout",) if self.true("redirect_stderr") else ("stdout", "stderr"))]

    def _output(self, stream: str) -> Output:
        path = self.value(f"{stream}_logfile")
        if truth(self.value(f"{stream}_syslog")):
            path = "syslog"
        bytes_max = byte_size(self.value(f"{stream}_logfile_maxbytes") or "50MB")
        backups = self.value(f"{stream}_logfile_backups")
        count = int(backups) if re.fullmatch(r"[0-9]{1,9}", backups) else 10
        return Output(stream, path if path and path.upper() != "AUTO" else None, bytes_max, count, self.section)


class Supervisord:
    """A configuration: the file and what it includes."""

    def __init__(self, sources: Iterable[Source], environment: Mapping[str, str] | None = None) -> None:
        """Read in the order given. Raises Unreadable where supervisord would."""
        self.sections: dict[str, Section] = {}
        self.settings: list[Setting] = []
        self.names: list[str] = []
        for source in sources:
            self.names.append(source.name)
            self._read(source)
        common = self.sections.pop("DEFAULT", None)
        if common:
            for section in self.sections.values():
                section.settings.update({k: v for k, v in common.settings.items() if k not in section.settings})
        self.programs = [
            Program(section, environment)
            for name, section in self.sections.items()
            if name.partition(":")[0] in PROGRAM_KINDS and ":" in name
        ]

    def _read(self, source: Source) -> None:
        section: Section | None = None
        last: str | None = None
        indent = blanks = 0
        for number, raw in enumerate(source.lines(), 1):
            text = _COMMENT.sub("", raw).rstrip()
            depth = len(raw) - len(raw.lstrip())
            if not text.strip():
                blanks += not raw.strip()  # an empty line may stand within a value, a comment is nothing
                continue
            if section and last and depth > indent:
                before = section.settings[last]
                value = before.value + "\n" * (1 + blanks) + text.strip()
                section.settings[last], blanks = Setting(last, value, before.place, before.raw), 0
                continue
            indent, blanks = depth, 0
            head = _SECTION.match(text.strip())
            if head:
                section = self.sections.setdefault(head[1], Section(head[1], source.place(number)))
                last = None
                continue
            found = _SETTING.match(text.strip())
            if section is None or found is None or not found["key"]:
                cause = "a setting before any [section]" if section is None else "neither [section] nor key = value"
                raise Unreadable(source.place(number), cause)
            last = found["key"].lower()
            setting = Setting(last, found["value"].strip(), source.place(number), raw)
            section.settings[last] = setting
            self.settings.append(setting)

    def section(self, name: str) -> Section | None:
        """A section by its name."""
        return self.sections.get(name)

    def listeners(self) -> Iterator[Program]:
        """The event listeners."""
        return (program for program in self.programs if program.kind == "eventlistener")

    def groups(self) -> list[list[Program]]:
        """The programs by group: those of one group are stopped at once, groups one after the other."""
        named = [
            [name.strip() for name in section.value("programs").split(",")]
            for key, section in self.sections.items()
            if key.startswith("group:")
        ]
        found = [[program for program in self.programs if program.name in names] for names in named]
        grouped = {name for names in named for name in names}
        return [group for group in found if group] + [[p] for p in self.programs if p.name not in grouped]

    def is_file(self, path: str) -> bool:
        """Whether a path of the host, from its root, ends as the name does by which this file was given."""
        return bool(self.names) and f"/{path}".endswith(f"/{self.names[0].removeprefix('./').lstrip('/')}")

    def stop_seconds(self) -> tuple[int, list[Program]]:
        """How long all stops may take, one group after the other, and the slowest program of each group.

        (0, []) where it does not stay in front: then it is no PID 1, and whoever is decides.
        """
        main = self.section("supervisord")
        if main is None or not truth(main.value("nodaemon")):
            return 0, []
        slowest = [max(group, key=lambda program: program.number("stopwaitsecs")) for group in self.groups()]
        return sum(program.number("stopwaitsecs") for program in slowest), slowest


def included(main: Supervisord) -> tuple[Place, list[str]] | None:
    """The patterns of ``[include]``, and where they stand."""
    section = main.section("include")
    if section is None or not section.value("files"):
        return None
    return section.where("files"), section.value("files").split()


def expand(text: str, known: Mapping[str, str]) -> str:
    """``%(name)s`` of the known names replaced; the others stay as written."""
    return _VARIABLE.sub(lambda found: known.get(found["name"], found[0]), text)


def variables(text: str) -> list[str]:
    """The names of the environment's variables that a value asks for."""
    return [name[4:] for name in (found["name"] for found in _VARIABLE.finditer(text)) if name.startswith("ENV_")]


def truth(text: str) -> bool:
    """supervisord's yes."""
    return text.lower() in ("true", "yes", "on", "1")


def byte_size(text: str) -> int:
    """``50MB`` in bytes; the default of supervisord where it is no size."""
    found = re.fullmatch(r"\s*([0-9]{1,15})\s*(KB|MB|GB)?\s*", text, re.IGNORECASE)
    return int(found[1]) * _UNITS.get((found[2] or "").upper(), 1) if found else 50 * 1024**2
