"""What the tests of the HTTP edge talk to: a real `logship collect` process, or its server inside the test's loop."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from logship.collect.follow import Follower
from logship.collect.gate import Bounds, Gate
from logship.collect.http import App
from logship.collect.log import Log
from logship.collect.run import tell_damage
from logship.collect.server import Server, listen
from logship.collect.store import Settings, Store
from logship.wire import Limits

TREE = Path(__file__).resolve().parents[3]
WAIT_SECONDS = 60
BOUNDS = Bounds()
LIMITS = Limits()


@dataclass(frozen=True)
class Reply:
    """An answer: header names in lower case, of a repeated one the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """The word of a refusal."""
        return self.headers.get("stream-error")


class Collector:
    """A process `logship collect` on ``store``; ``options`` are those of the command."""

    def __init__(self, store: Path, *options: str, listen_on: str = "127.0.0.1:0") -> None:
        command = [sys.executable, "-m", "logship", "collect", "--store", str(store), "--listen", listen_on, *options]
        self.errors = store.with_name(store.name + ".log")
        self._log = self.errors.open("ab")
        self.process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().decode()
        self.port = int(self.line.split("http://")[1].split(",")[0].rpartition(":")[2]) if "http://" in self.line else 0

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """One request on a connection of its own; ``target`` goes out as it stands."""
        return ask(self.port, method, target, headers, body)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.end()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Wait for its end."""
        status = self.process.wait(WAIT_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return status


def ask(
    port: int, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    """One request to ``port`` on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def raw(port: int, *pieces: bytes) -> bytes:
    """What comes back for these bytes until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        while data := connection.recv(65536):
            found += data
        return found


def until(holds: object, what: str, seconds: float = WAIT_SECONDS) -> None:
    """Poll ``holds()`` until it is true."""
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass
class Inside:
    """A server in this loop: its parts, and streams to it."""

    port: int
    store: Store
    gate: Gate
    app: App
    server: Server

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """One request, sent from a thread."""
        return await asyncio.to_thread(ask, self.port, method, target, headers, body)

    async def open(self, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which these bytes have been sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        return reader, writer

    async def until(self, holds: object, what: str, seconds: float = WAIT_SECONDS) -> None:
        """Poll ``holds()`` until it is true."""
        assert callable(holds)
        end = asyncio.get_running_loop().time() + seconds
        while not holds():
            assert asyncio.get_running_loop().time() < end, f"not within {seconds} s: {what}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def inside(
    folder: Path,
    *,
    bounds: Bounds = BOUNDS,
    limits: Limits = LIMITS,
    settings: Settings | None = None,
    poll_seconds: float = 0.2,
    sse_seconds: float = 30.0,
    allow_origin: str = "",
) -> AsyncIterator[Inside]:
    """A server with bounds of the test's choice, on a store in ``folder``; ``settings`` are instead of ``limits``."""
    settings = settings or Settings(limits=limits)
    with (folder / "log").open("w") as out:
        log = Log(out)
        store = await Store.open(folder / "store", settings, on_damage=partial(tell_damage, log))
        gate = Gate(bounds, settings.limits.connections_max)
        follower = Follower(store, gate, poll_seconds=poll_seconds, sse_seconds=sse_seconds)
        app = App(store, gate, log, follower, allow_origin)
        sockets, address = listen("127.0.0.1:0")
        server = Server(app, gate, settings.limits, sockets, sweep_seconds=0.02)
        await server.start()
        try:
            yield Inside(int(address.rpartition(":")[2]), store, gate, app, server)
        finally:
            await server.stop(5)
            await store.close()
    mishaps = [line for line in (folder / "log").read_text().splitlines() if "mishap" in line]
    assert mishaps == []


def first_status(answer: bytes) -> int:
    """The status of the first answer in raw bytes."""
    return int(answer.split(b" ", 2)[1])
