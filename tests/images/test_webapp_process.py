"""The web application as a process: it listens, it ends in order, it refuses a bad port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

PROGRAM = Path(__file__).resolve().parents[2] / "images" / "webapp" / "webapp.py"


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int

    def get(self, path: str, body: bytes | None = None) -> dict[str, object]:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, body, timeout=30) as response:
            document: dict[str, object] = json.loads(response.read())
            return document

    def until_it_serves(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("/health")
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it did not serve in time"
                time.sleep(0.05)
            else:
                return


@pytest.fixture
def running() -> Iterator[Running]:
    with started(str(PROGRAM)) as it:
        yield it


@contextmanager
def started(*words: str) -> Iterator[Running]:
    port = free_port()
    environment = {**os.environ, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True)
    it = Running(process, port)
    try:
        it.until_it_serves()
        yield it
    finally:
        process.kill()
        process.communicate()


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_it_answers_on_ipv4_with_the_address_that_was_asked(running: Running) -> None:
    assert running.get("/")["address"] == "127.0.0.1"


def test_head_has_headers_and_no_body(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_sigterm_closes_the_listener_finishes_what_is_under_way_and_ends_with_0() -> None:
    assert any(map(closed_before_the_answer, (2.5, 10, 40))), "the listener is closed after the last answer"


def closed_before_the_answer(seconds: float) -> bool:
    """Whether nobody is let in any more while a request is under way that takes so long; all else is asserted."""
    program = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import webapp; webapp.DRAIN_SECONDS = 60; "
    with started("-c", f"{program}sys.exit(webapp.main())") as running:
        running.get("/delay", b'{"delay": %d}' % (seconds * 1000))
        with socket.create_connection(("127.0.0.1", running.port), 60) as slow:
            slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            running.get("/health")  # asked later and answered: the loop has the slow one in its hands
            running.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 60
            while not refused(running.port):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            slow.setblocking(False)
            try:
                slow.recv(1, socket.MSG_PEEK)
                before = False
            except BlockingIOError:
                before = True
            slow.settimeout(60)
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in answer
        said, _ = running.process.communicate(timeout=60)
        assert running.process.returncode == 0
        assert [json.loads(line)["path"] for line in said.splitlines()] == ["/delay", "/slow"]
        return before


def test_a_request_that_takes_longer_than_the_drain_is_cut_and_it_still_ends_with_0(running: Running) -> None:
    running.get("/delay", b'{"delay": 60000}')
    with socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        running.get("/health")
        running.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert running.process.wait(50) == 0
        assert time.monotonic() - started < 40


def ended(port: str) -> subprocess.CompletedProcess[str]:
    """The program with this PORT, until its end."""
    environment = {**os.environ, "PORT": port}
    words = [sys.executable, str(PROGRAM)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", ""])
def test_a_port_that_is_none_is_refused_with_status_2(port: str) -> None:
    done = ended(port)
    assert (done.returncode, done.stderr) == (2, f"webapp: PORT is {port!r}: give a number from 1 to 65535\n")


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        done = ended(str(port))
    assert (done.returncode, done.stderr) == (1, f"webapp: cannot listen on port {port}: Address already in use\n")
