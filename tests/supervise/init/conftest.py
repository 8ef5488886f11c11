"""`supervise init` as an ordinary process in a folder of its own, asked and watched as a container is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import pytest
from supervisor.xmlrpc import SupervisorTransport

from tests import ports

PATIENCE_SECONDS = 60.0
"""No test depends on speed: this is how long a slow machine may take."""

Event = dict[str, Any]


def until(what: str, found: Callable[[], Any], seconds: float = PATIENCE_SECONDS, every: float = 0.02) -> Any:
    """What ``found`` returns, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(every)


class Life:
    """One `supervise init`, with its run folder, spool folder and programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self.spool_dir = folder / "spool"
        self.declaration = folder / "supervise.toml"
        self.output = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def declare(self, programs: str, container: str = "") -> None:
        self.declaration.write_text(f'[container]\nservice = "test"\n{container}\n{programs}', encoding="utf-8")

    def start(self, programs: str, container: str = "", before: str = "") -> None:
        """Start it; ``before`` is Python that runs in the process first."""
        self.declare(programs, container)
        words = [sys.executable, "-m", "supervise", "init", "--declaration", str(self.declaration)]
        words += ["--run-dir", str(self.run_dir), "--spool-dir", str(self.spool_dir)]
        if before:
            words = [sys.executable, "-c", f"import os\n{before}\nos.execv({sys.executable!r}, {words!r})"]
        self.launch(words)

    def launch(self, words: list[str]) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def events(self, kind: str | None = None, **fields: Any) -> list[Event]:
        """The events so far, of one kind and with these fields where given."""
        lines = b"".join(path.read_bytes() for path in sorted(self.spool_dir.glob("2*/supervise/0*"))).split(b"\n")
        found = [json.loads(line) for line in lines[:-1]]
        return [
            event for event in found if (kind is None or event["event"] == kind) and fields.items() <= event.items()
        ]

    def wait(self, kind: str, count: int = 1, **fields: Any) -> Event:
        """The ``count``-th event of this kind, once it is there."""
        try:
            found: list[Event] = until(
                f"event {kind} {fields}",
                lambda: len(got := self.events(kind, **fields)) >= count and got,
            )
        except AssertionError as error:
            told = "\n".join(json.dumps(event) for event in self.events())
            raise AssertionError(f"{error}; told so far:\n{told}\n{self.output.read_text()}") from None
        return found[count - 1]

    def order(self, *kinds: str) -> list[str]:
        """Events of these kinds as "kind program", in their order."""
        return [
            f"{event['event']} {event.get('program', '')}".strip() for event in self.events() if event["event"] in kinds
        ]

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "state.json").read_text(encoding="utf-8"))
        return found

    def program(self, name: str) -> dict[str, Any]:
        """The program in state.json."""
        found: dict[str, Any] = next(item for item in self.state()["programs"] if item["name"] == name)
        return found

    def wait_program(self, name: str, **fields: Any) -> dict[str, Any]:
        """The program in state.json, once it has these fields; events are told a moment before."""
        found: dict[str, Any] = until(
            f"{name} {fields}", lambda: (item := self.program(name)) and fields.items() <= item.items() and item
        )
        return found

    def wait_healthy(self) -> None:
        self.wait("health", healthy=True)
        until("a healthy state.json", lambda: self.state()["healthy"])

    @property
    def rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.run_dir}/supervisor.sock")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def status(self) -> int:
        """The exit status, once it has ended."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def end(self) -> int:
        """An ordered stop; its exit status."""
        self.signal(signal.SIGTERM)
        return self.status()

    def close(self) -> None:
        """End what is left of it: PID 1 first, then the groups of programs it left behind."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for event in self.events("start"):
            pid = event["pid"]
            if pid and str(self.run_dir).encode() in _environment(pid):
                os.killpg(pid, signal.SIGKILL)


def _environment(pid: int) -> bytes:
    """Environment of a process; a program's names this test's socket."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def life() -> Iterator[Life]:
    folder = Path(tempfile.mkdtemp(prefix="init-"))  # short: a socket lies in it
    found = Life(folder)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def free_port() -> int:
    return ports.free_port()
