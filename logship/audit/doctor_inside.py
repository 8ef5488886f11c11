"""Edge: the container that doctor runs in: which files its programs were started with, and what only it shows.

Needs the rights of PID 1's user to see everything; what may not be read is left out, never guessed. ``Machine`` says
where /proc and the files are, so that tests and unpacked images can be looked at likewise.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from logship.audit.doctor import Document
from logship.audit.doctor_files import document, read
from logship.audit.lints.container import LAYER, MEMORY, VOLUME, Container, Pipe, Stream
from logship.audit.lints.declaration import budgets
from logship.audit.lints.haproxy_cfg import Haproxy
from logship.audit.lints.kinds import Kind
from logship.audit.lints.source import Source, Unreadable
from logship.audit.lints.supervise_toml import PIPE_BYTES, Declaration
from logship.config import Settings
from logship.spool.layout import IDENTITY, parse_segment, stream_end

PROCESSES_MAX = 10_000
STREAMS_MAX = 1000
READ_BYTES_MAX = 1024 * 1024
IN_MEMORY = ("tmpfs", "ramfs")
SUPERVISORD_CONF = ("/etc/supervisor/supervisord.conf", "/etc/supervisord.conf")
LOGROTATE = ("/usr/sbin/logrotate", "/usr/bin/logrotate")
F_GETPIPE_SZ = getattr(fcntl, "F_GETPIPE_SZ", 1032)


@dataclass(frozen=True)
class Machine:
    """Where to look: the container's / and the environment (in an exec: the container's own)."""

    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")
    settings: Settings = Settings()

    def at(self, path: str) -> Path:
        """An absolute path of the container, from here."""
        return self.root / path.lstrip("/")

    def setting(self, name: str, default: str) -> str:
        """A path that ``supervise`` takes from the environment."""
        return self.environment.get(f"SUPERVISE_{name}") or default

    def text(self, path: str) -> str:
        """The text of a small file; "" where it cannot be read."""
        with suppress(OSError):
            return self.at(path).read_bytes()[:READ_BYTES_MAX].decode(errors="replace")
        return ""

    def words(self, pid: str) -> list[str]:
        """A process's command line."""
        return [word for word in self.text(f"/proc/{pid}/cmdline").split("\0") if word]

    def commands(self) -> list[list[str]]:
        """The command lines of all processes."""
        with suppress(OSError):
            pids = sorted((path.name for path in self.at("/proc").iterdir() if path.name.isdigit()), key=int)
            return [words for words in map(self.words, pids[:PROCESSES_MAX]) if words]
        return []


def documents(machine: Machine) -> list[Document]:
    """The files that this container's programs run with. Raises Fault for one that cannot be read."""
    found: list[Document] = []
    commands = machine.commands()
    declared = machine.at(machine.setting("DECLARATION", "/etc/supervise/supervise.toml"))
    if declared.is_file():
        found.append(document(str(declared), Kind.DECLARATION))
    rendered = machine.at(f"{machine.setting('RUN_DIR', '/run/supervise')}/supervisord.conf")
    supervisord = [rendered] if rendered.is_file() else _supervisord(machine, commands)
    found += [document(str(path), Kind.SUPERVISORD, machine.root) for path in supervisord]
    found += [document(str(path), Kind.HAPROXY) for path in _haproxy(machine, commands)]
    rotation = [machine.at("/etc/logrotate.conf"), *sorted(machine.at("/etc/logrotate.d").glob("*"))]
    files = [path for path in rotation if path.is_file()]
    if files and any(machine.at(path).exists() for path in LOGROTATE):
        found.append(Document(Kind.LOGROTATE, tuple(read(str(path)) for path in files)))
    return found


def _supervisord(machine: Machine, commands: Sequence[Sequence[str]]) -> list[Path]:
    """The configuration of a supervisord that runs by itself."""
    for words in commands:
        if any(word.rpartition("/")[2] == "supervisord" for word in words[:3]):
            given = [after for word, after in pairwise(words) if word in ("-c", "--configuration")]
            given += [word.partition("=")[2] for word in words if word.startswith("--configuration=")]
            paths = [machine.at(name) for name in (given or SUPERVISORD_CONF)]
            return [path for path in paths if path.is_file()][:1]
    return []


def _haproxy(machine: Machine, commands: Sequence[Sequence[str]]) -> list[Path]:
    """The files of every HAProxy that runs, else the published one."""
    given: list[Path] = []
    for words in commands:
        if words[0].rpartition("/")[2] == "haproxy":
            names = [after for word, after in pairwise(words) if word == "-f"]
            for path in (machine.at(name) for name in names):
                given += sorted(path.glob("*.cfg")) if path.is_dir() else [path]
    published = machine.at(machine.setting("HAPROXY_CFG", "/etc/haproxy/haproxy.cfg"))
    return list(dict.fromkeys(path for path in (given or [published]) if path.is_file()))


def nofile(machine: Machine) -> int | None:
    """The hard limit of open files of PID 1; None where there is none."""
    for line in machine.text("/proc/1/limits").splitlines():
        if line.startswith("Max open files"):
            hard = line.split()[4:5]
            return int(hard[0]) if hard and hard[0].isdigit() else None
    return None


def container(machine: Machine, files: Sequence[Document]) -> Container:
    """What this container shows of itself; without a spool folder nothing of a spool."""
    declaration = _declaration(files)
    settings = machine.settings
    bounds = {"spool-bytes-max": settings.spool_bytes_max}
    bounds["spool-container-bytes-max"] = settings.spool_container_bytes_max
    if declaration and declaration.spool:
        bounds = budgets(declaration.spool, machine.environment)
    spool = machine.at(str(settings.spool)).resolve()
    there = spool.is_dir()
    room = os.statvfs(spool) if there else None
    return Container(
        pid1=machine.words("1"),
        spool=str(spool) if there else "",
        spool_disk=disk_of(machine.text("/proc/self/mountinfo"), str(spool)) if there else VOLUME,
        free_bytes=room.f_bavail * room.f_frsize if room else 0,
        spool_bytes_max=bounds["spool-bytes-max"],
        container_bytes_max=bounds["spool-container-bytes-max"],
        streams=_streams(spool) if there else [],
        pipes=_pipes(machine, declaration),
        haproxy_maxconn=_maxconn(files),
    )


def disk_of(mountinfo: str, path: str) -> str:
    """What the path lies on: "layer" (mounted at /), "memory", or "volume" (any other mount)."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        point = words[4].replace("\\040", " ")
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    if kind in IN_MEMORY:
        return MEMORY
    return VOLUME if best not in ("", "/") else LAYER


def _declaration(files: Sequence[Document]) -> Declaration | None:
    sources = [source for item in files if item.kind is Kind.DECLARATION for source in item.sources]
    with suppress(Unreadable):
        return Declaration(sources[0]) if sources else None
    return None


def _maxconn(files: Sequence[Document]) -> int | None:
    sources: list[Source] = [source for item in files if item.kind is Kind.HAPROXY for source in item.sources]
    for source in sources:
        with suppress(Unreadable):
            line = Haproxy(source).global_line("maxconn")
            if line and len(line.words) > 1 and line.words[1].isdigit():
                return int(line.words[1])
    return None


def _streams(spool: Path) -> list[Stream]:
    """Every stream of this life of the container, with the sizes and times of its segments."""
    try:
        created = datetime.fromisoformat(json.loads((spool / IDENTITY).read_text())["created"]).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return []
    seconds = max(0.0, time.time() - created)
    found = []
    for folder in sorted(path for path in spool.iterdir() if path.is_dir())[:STREAMS_MAX]:
        listing: list[tuple[str, int, float]] = []
        with suppress(OSError):
            for path in folder.iterdir():
                if parse_segment(path.name) is not None:
                    with suppress(FileNotFoundError):  # spool deletes what is acknowledged meanwhile
                        stat = path.stat()
                        listing.append((path.name, stat.st_size, stat.st_mtime))
        total = stream_end((name, count) for name, count, _ in listing)
        if listing:
            found.append(Stream(folder.name, [(when, count) for _, count, when in listing], total, seconds))
    return found


def _pipes(machine: Machine, declaration: Declaration | None) -> list[Pipe]:
    """The programs' FIFOs. Opened for writing and closed: PID 1 holds them open, so nobody notices."""
    found = []
    for program in declaration.programs if declaration else []:
        path = machine.at(f"{machine.settings.fifo_dir}/{program.name}")
        wanted = program.table.get("pipe_bytes", PIPE_BYTES)
        with suppress(OSError):
            if path.is_fifo() and isinstance(wanted, int):
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    count = fcntl.fcntl(descriptor, F_GETPIPE_SZ)
                finally:
                    os.close(descriptor)
                found.append(Pipe(program.name, str(path), count, wanted))
    return found
