"""``logship ship`` against the reference server of the Durable Streams project, which knows nothing of our superset.

`make conformance` installs that server (npm, package.json) and runs this; where it is not installed these tests are
left out, with the reason.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.run import FOLDER
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, Writer, until
from tests.ports import free_port

NODE = shutil.which("node")
INSTALLED = FOLDER / "node_modules" / "@durable-streams" / "server"
KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "4"))
NEEDED = "LOGSHIP_TEST_REFERENCE"
"""Set by `make conformance`: then these tests are never left out."""

pytestmark = pytest.mark.skipif(
    NEEDED not in os.environ and (NODE is None or not INSTALLED.is_dir()),
    reason="the reference server of the Durable Streams project is not installed: `make conformance` does it",
)


class ReferenceServer:
    """The server as a process of Node, always at the same port. ``data`` None: all is in its memory."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait for its URL."""
        assert NODE is not None, "node is not installed"
        words = [NODE, str(FOLDER / "reference_server.mjs"), str(self.port), *([str(self._data)] if self._data else [])]
        self._process = subprocess.Popen(
            words, cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("http://"):
                self.port = int(line.strip().rpartition(":")[2])
                return
        raise AssertionError("the reference server did not start")

    def stop(self) -> None:
        """End it in order, by the end of its standard input."""
        if self._process is not None:
            self._process.communicate(timeout=30)
            self._process = None

    def read(self, program: str) -> bytes:
        """The whole stream."""
        found, offset = b"", "-1"
        while True:
            url = f"{self.url}/v1/stream/webapp/1/{program}/{INCARNATION}?offset={offset}"
            with urllib.request.urlopen(url, timeout=60) as reply:
                found += bytes(reply.read())
                offset = reply.headers["Stream-Next-Offset"]
                if reply.headers.get("Stream-Up-To-Date"):
                    return found


@pytest.fixture(params=["files", "memory"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReferenceServer]:
    made = ReferenceServer(tmp_path / "data" if request.param == "files" else None)
    yield made
    made.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spools")
    yield made
    made.end()


def ship(server: ReferenceServer, spool: Spool, *options: str, log: Path | None = None) -> Shipper:
    words = ["--state", str(spool.path.parent / ".state"), "--chunk-bytes-max", "65536", *options]
    return Shipper(server.url, spool.path, options=words, log=log)


def test_every_byte_arrives_once_while_ship_is_killed_at_random_instants(server: ReferenceServer, spool: Spool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    shapes = {"large": (60_000, 0.02), "mixed": (20_000, 0.01), "small": (300, 0.002)}
    writers = {name: Writer(spool, name, seed, *shape) for name, shape in shapes.items()}
    for writer in writers.values():
        writer.start()
    for _ in range(KILLS):
        shipper = ship(server, spool)
        time.sleep(chance.uniform(0.4, 1.2))
        shipper.kill()
    for writer in writers.values():
        writer.enough.set()
        writer.join(60)
    assert ship(server, spool, "--once").process.wait(200) == 0
    for name, writer in writers.items():
        found = server.read(name)
        assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
        assert spool.acked(name) == writer.written
    print({name: writer.written for name, writer in writers.items()})


def test_a_server_that_is_restarted_gets_the_rest_or_all_that_is_held(
    server: ReferenceServer, spool: Spool, tmp_path: Path
) -> None:
    """With files it goes on; without it has forgotten everything, and says so by 404."""
    log = tmp_path / "ship.json"
    spool.write("web", b"before\n")
    shipper = ship(server, spool, log=log)
    until(lambda: spool.acked("web") == 7, "the first line is there")
    server.stop()
    spool.write("web", b"after\n")
    until(lambda: "no answer" in shipper.events(), "it has noticed")
    server.start()
    until(lambda: spool.acked("web") == 13, "the second line is there", 90)
    assert server.read("web") == b"before\nafter\n"
    assert shipper.stop() == 0


def test_a_source_that_is_over_is_closed_there(server: ReferenceServer, spool: Spool) -> None:
    spool.write("web", b"last words\n")
    spool.end()
    assert ship(server, spool, "--once").process.wait(60) == 0
    request = urllib.request.Request(f"{server.url}/v1/stream/webapp/1/web/{INCARNATION}", method="HEAD")
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.headers["Stream-Closed"] == "true"
    assert server.read("web") == b"last words\n"
