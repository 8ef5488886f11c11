"""What is compared: a shipper and a collector of one make, as processes, and what is known of what has arrived."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.loglines import WRITER_BYTES


class Failed(Exception):
    """A run that shows nothing: wrong bytes, or a process that ended."""


@dataclass
class Running:
    """A process that was started here; its output goes to a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        """Raise Failed when it has ended."""
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace")[-600:].strip()
            raise Failed(f"{self.name} ended with {self.process.returncode}: {said}")

    def stop(self, *, kill: bool = False) -> None:
        """End it, and wait."""
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Peer(Protocol):
    """One make with one configuration. ``folder`` is that of one run, for all it writes."""

    name: str

    def collector(self, folder: Path, port: int) -> Running:
        """Start the receiving side; a second time on what the first one left. It accepts soon after."""

    def shipper(self, folder: Path, number: int, source: Path, port: int) -> Running:
        """Start the sending side of one file, with a state of its own."""

    def arrived(self, folder: Path, port: int) -> int:
        """Bytes that are where they are to be: acknowledged as durable, or in the destination file."""

    def digests(self, folder: Path, port: int) -> Mapping[str, str]:
        """SHA-256 of all that has arrived of each writer."""


@dataclass
class Started:
    """Processes to be ended when a block ends."""

    running: list[Running] = field(default_factory=list)

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        for each in reversed(self.running):
            each.stop()

    def add(self, running: Running) -> Running:
        """One more."""
        self.running.append(running)
        return running

    def check(self) -> None:
        """Raise Failed when one has ended by itself."""
        for each in self.running:
            each.check()


def start(name: str, words: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path) -> Running:
    """Start a process."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment), cwd=cwd
        )
    return Running(name, process, log)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody listens there: asked of the kernel, so that no connection is made that a peer would count."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


def digests_of_lines(path: Path) -> dict[str, str]:
    """SHA-256 of each writer's lines in one file, in the order they are there."""
    found: dict[bytes, hashlib._Hash] = {}
    with path.open("rb") as file:
        while block := file.readlines(8 * 1024 * 1024):
            first = block[0][:WRITER_BYTES]
            if all(line.startswith(first) for line in block):
                found.setdefault(first, hashlib.sha256()).update(b"".join(block))
                continue
            apart: dict[bytes, list[bytes]] = {}
            for line in block:
                apart.setdefault(line[:WRITER_BYTES], []).append(line)
            for writer, lines in apart.items():
                found.setdefault(writer, hashlib.sha256()).update(b"".join(lines))
    return {writer.decode(errors="replace").rstrip(): each.hexdigest() for writer, each in found.items()}
