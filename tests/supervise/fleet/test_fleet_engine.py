"""The engine's edge against engines that answer nothing, too late, or all at once."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.fleet import engine as edge
from supervise.fleet.container import Container, from_listing
from supervise.fleet.engine import Engine
from tests.supervise.fleet.places import container

LISTING = {
    "Id": "f" * 64,
    "Names": ["/logship_webapp_2"],
    "Image": "logship/webapp",
    "Command": "/usr/local/bin/supervise init",
    "Created": 1_790_000_000,
    "State": "running",
    "Status": "Up 2 minutes (health: starting)",
    "Labels": {
        "com.docker.compose.project": "logship",
        "com.docker.compose.service": "webapp",
        "com.docker.compose.container-number": "2",
        "com.docker.compose.oneoff": "False",
    },
    "Ports": [
        {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 3000, "Type": "tcp"},
    ],
    "NetworkSettings": {"Networks": {"b": {"IPAddress": "10.0.0.2"}, "a": {"IPAddress": "10.0.0.1"}, "c": {}}},
}


def test_a_container_is_read_from_the_listing() -> None:
    assert from_listing(LISTING) == Container(
        id="f" * 64,
        name="logship_webapp_2",
        service="webapp",
        number=2,
        state="running",
        health="starting",
        image="logship/webapp",
        addresses=("10.0.0.1", "10.0.0.2"),
        created=1_790_000_000,
        status="Up 2 minutes (health: starting)",
        command="/usr/local/bin/supervise init",
        ports=("127.0.0.1:8080->80/tcp", "3000/tcp"),
    )


def test_a_one_off_of_compose_run_is_no_part_of_the_fleet() -> None:
    labels = {**LISTING["Labels"], "com.docker.compose.oneoff": "True"}  # type: ignore[dict-item]  # a mapping, above
    assert from_listing({**LISTING, "Labels": labels}) is None
    assert from_listing({**LISTING, "Labels": None}) is None


class Answers:
    """A socket that plays a Docker engine: each request gets the reply that is kept for a part of its path."""

    def __init__(self, path: Path, replies: dict[str, bytes]) -> None:
        self.path, self.replies = path, replies
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.path}"}

    def close(self) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            held = b""
            while data := connection.recv(65536):
                held += data
                head, end, body = held.partition(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
                if not end or len(body) < length:
                    continue
                held = body[length:]
                path = head.split(b" ")[1].decode()
                reply = next((reply for part, reply in self.replies.items() if part in path), b"")
                connection.sendall(reply)
                if b"101 UPGRADED" in reply:
                    connection.shutdown(socket.SHUT_WR)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


VERSION = {"/version": http(b'{"ApiVersion": "1.41", "Version": "20.10.24"}')}
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, Answers]]:
    made: dict[str, Answers] = {"": Answers(tmp_path / "engine.sock", dict(VERSION))}
    yield made
    made[""].close()


def test_output_that_comes_together_with_the_replys_headers_is_not_lost(place: dict[str, Answers]) -> None:
    """The SDK's own reader skips what lies in the buffer behind the headers."""
    output = b"\x01\0\0\0\0\0\0\x05early\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\x06 later"
    place[""].replies |= {
        "/containers/": http(b'{"Id": "e1"}', "201 Created"),
        "/exec/e1/start": UPGRADED + output,
        "/exec/e1/json": http(b'{"ExitCode": 4}'),
    }
    result = Engine.connect(place[""].environment).exec(container(), ["true"], 30)
    assert (result.status, result.stdout, result.stderr) == (4, b"early later", b"err")


def test_an_engine_that_accepts_and_says_nothing_is_a_fault_in_time(
    place: dict[str, Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "CONNECT_SECONDS", 0.2)
    place[""].replies.clear()
    with pytest.raises(Fault) as caught:
        Engine.connect(place[""].environment)
    assert caught.value.status == 4
    assert str(place[""].path) in str(caught.value)
    assert "timed out" in caught.value.cause


def test_an_engine_that_stops_answering_later_is_a_fault_in_time(
    place: dict[str, Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "REQUEST_SECONDS", 0.2)
    engine = Engine.connect(place[""].environment)
    with pytest.raises(Fault, match=r"did not answer within 0\.2 s") as caught:
        engine.containers("logship")
    assert caught.value.status == 4


def test_an_engine_that_goes_away_is_a_fault(place: dict[str, Answers]) -> None:
    engine = Engine.connect(place[""].environment)
    place[""].close()
    place[""].path.unlink()
    with pytest.raises(Fault, match="went away") as caught:
        engine.containers("logship")
    assert caught.value.status == 4


def test_what_the_engine_explains_is_passed_on(place: dict[str, Answers]) -> None:
    place[""].replies["/containers/"] = http(b'{"message": "Container abc is paused"}', "409 Conflict")
    engine = Engine.connect(place[""].environment)
    with pytest.raises(Fault) as caught:
        engine.exec(container(), ["true"], 5)
    assert (caught.value.cause, caught.value.status) == ("Container abc is paused", 4)


def test_a_torn_archive_is_a_fault(place: dict[str, Answers]) -> None:
    place[""].replies["/containers/"] = http(b"no tar" * 200)
    engine = Engine.connect(place[""].environment)
    with pytest.raises(Fault, match="torn archive"):
        engine.read_file(container(), "/x", 10_000)


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("unix:///no/such/engine.sock", "No such file or directory"),
        ("nonsense", "nonsense"),
        ("ssh://user@host", "paramiko"),
    ],
)
@pytest.mark.parametrize("words", [("ctl", "status"), ("ctl", "restart", "webapp/1:webapp"), ("ps",), ("ps", "-w")])
def test_no_engine_is_one_clear_sentence_and_exit_status_4(host: str, cause: str, words: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "supervise", *words],
        env={**os.environ, "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (4, "")
    first, hint = result.stderr.splitlines()
    assert first.startswith(f"supervise {words[0]}: cannot reach the Docker engine at {host}: ")
    assert cause in first
    assert "DOCKER_HOST" in hint
