"""``logship view`` as its own process, and what asks it."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_port

TREE = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0


class Viewer:
    """A viewer of the store in ``folder``; keeps its port over restarts."""

    def __init__(self, folder: Path, *more: str) -> None:
        self._folder = folder
        self._more = more
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it listens when this returns."""
        command = [sys.executable, "-m", "logship", "view", "--store", str(self._folder), *self._more]
        self.process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{self.port}"], cwd=TREE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        match = re.match(r"logship view: http://127\.0\.0\.1:(\d+), ", said)
        assert match is not None, said
        assert self.port == int(match[1])

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it; its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()

    def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer that ends, once the viewer has read the journal."""
        while True:
            found = self._ask(path, headers or {}, method)
            if found[0] != 503 or b'"reading"' not in found[2]:
                return found
            time.sleep(0.1)

    def _ask(self, path: str, headers: dict[str, str], method: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def records(self, path: str) -> list[dict[str, Any]]:
        """The records of an answer that ends."""
        status, _, body = self.ask(path)
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines() if line]

    def lines(self, path: str, headers: dict[str, str] | None = None) -> Generator[str, None, None]:
        """The lines of an answer, as they come, until the caller closes, once the viewer has read the journal."""
        connection, answer = self._begun(path, headers or {})
        try:
            while line := answer.readline():
                yield line.decode().rstrip("\n")
        finally:
            connection.close()

    def _begun(self, path: str, headers: dict[str, str]) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if answer.status == 200:
                return connection, answer
            said = answer.read()
            connection.close()
            assert answer.status == 503, said
            assert b'"reading"' in said, said
            time.sleep(0.1)

    def events(self, path: str, last_id: str | None = None) -> Iterator[tuple[str, str | None, Any]]:
        """Server-sent events: name, id, data."""
        found: dict[str, str] = {}
        for line in self.lines(path, {} if last_id is None else {"Last-Event-ID": last_id}):
            if not line and "data" in found:
                yield found.get("event", "message"), found.get("id"), json.loads(found["data"])
            if not line:
                found = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = value


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds; fails with ``what``."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def on_terminal(viewer: Viewer, command: str, *arguments: str, **more: str) -> str:
    """What a ``logship`` command shows on a terminal that is its standard output and standard error."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "logship", command, "--url", viewer.url, *arguments]
    utf8 = {**environment(), "PYTHONIOENCODING": "utf-8", **more}
    process = subprocess.Popen(words, cwd=TREE, env=utf8, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = b""
    try:
        while data := os.read(ours, 65536):
            found += data
    except OSError:
        pass  # how a terminal says that the other side has gone
    os.close(ours)
    assert process.wait(PATIENCE_SECONDS) == 0
    return found.decode()


def environment() -> dict[str, str]:
    """The environment of commands under test: plain, in UTC."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TZ": "UTC", "TERM": "xterm"}
