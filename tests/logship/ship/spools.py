"""Spool folders for tests: made as PID 1 and spool make them, written by a writer that hashes what it writes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from logship.spool.segment import SegmentWriter

TREE = Path(__file__).resolve().parents[3]
INCARNATION = "20261123T201501Z-9f2c51aa"


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for ``condition``; a generous bound, since the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class Spool:
    """The folder of one incarnation."""

    def __init__(
        self,
        parent: Path,
        incarnation: str = INCARNATION,
        segment_bytes: int = 256 * 1024,
        service: str = "webapp",
        host: str = "3f2a9c",
    ) -> None:
        self.path = parent / incarnation
        self.incarnation = incarnation
        self.path.mkdir(parents=True)
        words = {"v": 1, "incarnation": incarnation, "service": service, "host": host, "programs": []}
        (self.path / "identity.json").write_text(json.dumps({**words, "created": "2026-11-23T20:15:01.123Z"}))
        self.alive = os.open(self.path / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        fcntl.flock(self.alive, fcntl.LOCK_EX)
        self.segment_bytes = segment_bytes
        self.writers: dict[str, SegmentWriter] = {}

    def write(self, program: str, data: bytes) -> None:
        """The program says ``data``."""
        if program not in self.writers:
            self.writers[program] = SegmentWriter(self.path / program, self.segment_bytes)
        writer = self.writers[program]
        writer.write(data)
        assert writer.last_error is None

    def content(self, program: str) -> bytes:
        """All that is there."""
        return b"".join(path.read_bytes() for path in self.segments(program))

    def segments(self, program: str) -> list[Path]:
        """The segment files, in order."""
        return sorted((self.path / program).glob("[0-9]" * 20))

    def acked(self, program: str) -> int:
        """What ship noted."""
        with contextlib.suppress(FileNotFoundError):
            return int((self.path / program / "acked").read_text())
        return -1

    def end(self) -> None:
        """PID 1 is gone."""
        if self.alive >= 0:
            os.close(self.alive)
            self.alive = -1


class Writer(threading.Thread):
    """A program that writes pieces of random size and content, and hashes them, until it is told to stop."""

    def __init__(self, spool: Spool, program: str, seed: int, piece_bytes_max: int, pause_seconds: float) -> None:
        super().__init__(daemon=True)
        self.digest = hashlib.blake2b()
        self.written = 0
        self.enough = threading.Event()
        self._spool = spool
        self._program = program
        self._chance = random.Random(seed)
        self._piece_bytes_max = piece_bytes_max
        self._pause_seconds = pause_seconds

    def run(self) -> None:
        noise = self._chance.randbytes(1 << 20) + b"\0" * 4096 + b"\r\n\n\r" * 100
        while not self.enough.is_set():
            start = self._chance.randrange(len(noise))
            piece = noise[start : start + self._chance.randrange(1, self._piece_bytes_max)]
            self._spool.write(self._program, piece)
            self.digest.update(piece)
            self.written += len(piece)
            time.sleep(self._pause_seconds)


class Shipper:
    """``logship ship`` as a process."""

    def __init__(
        self,
        url: str,
        *spools: Path,
        options: list[str] | None = None,
        log: Path | None = None,
        before: list[str] | None = None,
    ) -> None:
        words = ["ship", *(["--to", url] if url else []), "--instance", "1", *(options or [])]
        words += ["--spool", *map(str, spools)] if spools else []
        self._log = log
        error = log.open("ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*(before or []), sys.executable, "-m", "logship", *words], cwd=TREE, stderr=error
        )

    def said(self) -> list[dict[str, object]]:
        """What it logged; ``log`` was given."""
        assert self._log is not None
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def events(self) -> list[str]:
        """The names of what it logged."""
        return [str(line["event"]) for line in self.said()]

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)
