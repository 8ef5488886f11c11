"""What the fleet's tests share: containers, state files, and an engine whose containers are folders of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from logship.errors import Fault
from supervise.fleet.container import Container, in_order
from supervise.fleet.output import ExecResult

NOW = datetime(2026, 11, 23, 21, 0, 0, tzinfo=UTC).timestamp()


def container(service: str = "webapp", number: int = 1, state: str = "running", **other: Any) -> Container:
    """A container with an id made of its number."""
    fields = {
        "id": f"{number:04x}" + hashlib.sha256(service.encode()).hexdigest()[:60],
        "name": f"logship_{service}_{number}",
        "health": "healthy" if state == "running" else "",
        "image": f"logship/{service}",
        "addresses": (f"172.30.0.{number}",),
        "created": 1_790_000_000,
        "status": "Up 2 minutes (healthy)" if state == "running" else "Exited (137) 3 minutes ago",
    }
    return Container(service=service, number=number, state=state, **{**fields, **other})


def stamp(moment: float) -> str:
    """RFC 3339 as PID 1 writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def program(
    name: str, state: str = "RUNNING", ready: bool = True, now: float = NOW, fields: Any = None, **other: Any
) -> dict[str, Any]:
    """An entry of state.json: up for an hour, or down. ``fields`` replace any of it."""
    up = state in ("RUNNING", "STARTING", "STOPPING")
    return {
        "name": name,
        "state": state,
        "ready": ready and state == "RUNNING",
        "essential": False,
        "pid": 40 if up else 0,
        "started": stamp(now - 3600) if up else None,
        "restarts": 0,
        "next_try": None,
        "rss_bytes": 1 << 20,
        "cpu_seconds": 1.5,
        "last_exit": None,
        **other,
        **(fields or {}),
    }


def ended(text: str, ago: float = 5, now: float = NOW, **other: Any) -> dict[str, Any]:
    """A ``last_exit``."""
    return {"status": None, "signal": None, "time": stamp(now - ago), "text": text, **other}


def state(*programs: dict[str, Any], now: float = NOW, age: float = 2, fields: Any = None, **other: Any) -> bytes:
    """A state.json. ``fields`` replace any of it."""
    whole = {
        "v": 1,
        "time": stamp(now - age),
        "service": "webapp",
        "host": "h",
        "incarnation": "20261123T200000Z-0badcafe",
        "phase": "running",
        "healthy": True,
        "warnings": [],
        "programs": list(programs),
    }
    return json.dumps({**whole, **other, **(fields or {})}).encode()


class FolderStream:
    """The output of a process of this machine, as ``engine.exec_stream`` gives it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 65536):
            yield 1, data
        assert self._process.stderr is not None
        if said := self._process.stderr.read():
            yield 2, said

    def status(self) -> int:
        return self._process.wait(timeout=30)

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait(timeout=30)


@dataclass
class FolderEngine:
    """An engine whose containers are folders: a path in a container is a path below its folder, a command runs here.

    It passes the tests of the real engine (test_engine_contract.py). ``faults`` are raised for a container by its name.
    """

    folder: Path
    listed: list[Container] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    commands: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, item: Container, files: dict[str, bytes] | None = None) -> Path:
        """A container, with its files; returns its folder."""
        self.listed.append(item)
        place = self.folder / item.name
        place.mkdir()
        for name, data in (files or {}).items():
            path = place / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return place

    def containers(self, project: str, include_stopped: bool = False) -> list[Container]:
        return in_order([item for item in self.listed if project == "logship" and (include_stopped or item.is_running)])

    def projects(self) -> list[str]:
        return ["logship"] if self.listed else []

    def read_file(self, container: Container, path: str, bytes_max: int) -> bytes | None:
        self._reach(container)
        place = self.folder / container.name / path.lstrip("/")
        if not place.exists():
            return None
        if not place.is_file():
            raise Fault(f"read {path} of", container.label, "it is not a regular file")
        if place.stat().st_size > bytes_max:
            raise Fault(f"read {path} of", container.label, f"it is longer than {bytes_max} bytes")
        return place.read_bytes()

    def exec(self, container: Container, argv: Sequence[str], timeout_seconds: float) -> ExecResult:
        process = self._start(container, argv)
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Fault("run", argv[0], f"it took longer than {timeout_seconds:g} s", status=5) from None
        return ExecResult(process.returncode, out, err)

    def exec_stream(self, container: Container, argv: Sequence[str]) -> FolderStream:
        return FolderStream(self._start(container, argv))

    def _start(self, container: Container, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        self._reach(container)
        if not container.is_running:
            raise Fault("run", argv[0], f"Container {container.id} is not running", status=4)
        self.commands.append((container.label, list(argv)))
        place = self.folder / container.name
        words = [str(place / word.lstrip("/")) if word.startswith("/run") else word for word in argv]
        if words[0] == "supervise":
            words[:1] = [sys.executable, "-m", "supervise"]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "NO_COLOR": "1"})

    def _reach(self, container: Container) -> None:
        if fault := self.faults.get(container.name):
            raise fault
