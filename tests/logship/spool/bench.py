"""A spool as a real process, with its FIFOs held open as PID 1 does."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from logship.spool.layout import sink_name

TREE = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for ``condition``; a generous bound, since the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class SpoolBench:
    """A folder of FIFOs, a spool folder, and the spool process between them."""

    def __init__(self, folder: Path, spool: Path | None = None) -> None:
        self.fifo_dir = folder / "fifo"
        self.fifo_dir.mkdir()
        self.spool = spool or folder / "spool"
        self.spool.mkdir(exist_ok=True)
        self.options: list[str] = []
        self.copy_to = ""
        self.held: dict[str, int] = {}
        self.sinks: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def fifo(self, name: str) -> int:
        """A new FIFO with its sink, both held open as PID 1 holds them."""
        os.mkfifo(self.fifo_dir / name)
        link = self.fifo_dir / sink_name(name)
        if not link.is_symlink():
            self.sinks[name] = os.memfd_create(link.name)
            link.symlink_to(f"/proc/{os.getpid()}/fd/{self.sinks[name]}")
        self.held[name] = os.open(self.fifo_dir / name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return self.held[name]

    def writer(self, name: str) -> int:
        """A program's own open of the FIFO: writing waits when it is full."""
        return os.open(self.fifo_dir / name, os.O_WRONLY | os.O_CLOEXEC)

    def start(self, told: bool = True) -> subprocess.Popen[bytes]:
        """Start spool; it is up when it says so in its own stream, which is waited for where the disk lets it."""
        starts = self.own_log().count('"event":"started"')
        words = ["--fifo-dir", self.fifo_dir, "--spool", self.spool, "--copy-to", self.copy_to, *self.options]
        self.process = subprocess.Popen([sys.executable, "-m", "logship", "spool", *map(str, words)], cwd=TREE)
        if told:
            until(lambda: self.own_log().count('"event":"started"') > starts, "spool is up")
        return self.process

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def stored(self, name: str) -> bytes:
        """The stream, all its segments one after the other; one that spool deletes meanwhile is none."""
        found = []
        for path in self.segments(name):
            with contextlib.suppress(FileNotFoundError):
                found.append(path.read_bytes())
        return b"".join(found)

    def segments(self, name: str) -> list[Path]:
        """The segment files in order."""
        return sorted((self.spool / name).glob("[0-9]" * 20))

    def waiting(self, name: str) -> int:
        """Bytes in the pipe."""
        return int.from_bytes(fcntl.ioctl(self.held[name], termios.FIONREAD, bytes(4)), "little")

    def own_log(self) -> str:
        """What spool said."""
        return self.stored("spool").decode()

    def losses(self) -> list[dict[str, object]]:
        """The records in losses.jsonl."""
        path = self.spool / "losses.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def close(self) -> None:
        """End the process and let go of the FIFOs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for descriptor in [*self.held.values(), *self.sinks.values()]:
            os.close(descriptor)
