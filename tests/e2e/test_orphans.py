"""What removed, restarted and scaled-away containers leave on their volume arrives at the collector, once, and is gone.

The judge is a writer outside our code: numbered lines, each with its own hash, into the FIFO of a program, and a count
of what it has written, told to the test from outside the pipe.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.e2e.stack import Stack, address, docker, eventually, project
from tests.e2e.test_images import name_of

pytestmark = pytest.mark.engine

PIPE_BYTES = 65536
PROGRAM = "webapp"

WRITER = """
import hashlib, os, sys, time
mark, number, count = sys.argv[1], 0, 0
pipe = os.open("/run/supervise/fifo/" + sys.argv[2], os.O_WRONLY)
while True:
    for _ in range(40):
        filler = "x" * (number * 7919 % 2500)
        text = f"{mark} {number} {filler} "
        line = (text + hashlib.sha256(text.encode()).hexdigest() + "\\n").encode()
        count += os.write(pipe, line)  # at most PIPE_BUF: whole, or not at all
        number += 1
    os.write(1, b"%d %d\\n" % (number, count))
    time.sleep(0.02)
"""


class Writer:
    """Writes in a container until that is killed. ``lines`` and ``size`` are what it told last."""

    def __init__(self, container: str, mark: str) -> None:
        words = ["docker", "exec", container, "/usr/bin/python3", "-I", "-c", WRITER, mark, PROGRAM]
        self.mark = mark
        self.lines = self.size = 0
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # torn by the kill
                lines, size = map(int, line.split())
                self.lines, self.size = lines, size

    def wait(self) -> None:
        """Its container is gone."""
        self._process.wait(60)
        self._reader.join(60)

    def check(self, content: bytes) -> None:
        """Of ``content`` its lines are whole, in order, each once, and all but a pipe full of what it wrote."""
        own = [line for line in content.splitlines(keepends=True) if line.startswith(f"{self.mark} ".encode())]
        for number, line in enumerate(own):
            text, digest = line[:-65], line[-65:-1].decode()
            assert text.split(b" ")[1] == b"%d" % number, f"line {number}: {line[:60]!r}"
            assert hashlib.sha256(text).hexdigest() == digest, f"line {number} is not as it was written"
        stored = sum(map(len, own))
        print(f"{self.mark}: {self.size} bytes written at least, {stored} stored, {len(own)} lines")
        assert stored >= self.size - PIPE_BYTES


class Fleet:
    """A stack and what its collector holds."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def up(self, nodes: int) -> list[str]:
        """So many webapps; their ids."""
        self.stack.up(nodes)
        eventually("every container is healthy", self.stack.healthy, seconds=120, explain=self.stack.picture)
        return self.stack.ids("webapp")

    @property
    def _collector(self) -> str:
        return f"http://{address(self.stack.ids('collector')[0])}:4437"

    def streams(self, **source: str) -> list[dict[str, Any]]:
        """The collector's list."""
        query = "&".join(f"source.{name}={value}" for name, value in source.items())
        with urlopen(f"{self._collector}/v1/streams?{query}", timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def read(self, path: str) -> bytes:
        """All of a stream."""
        found = b""
        while True:
            with urlopen(f"{self._collector}/v1/stream/{path}?offset={len(found):020}", timeout=60) as answer:
                found += bytes(answer.read())
                if answer.headers.get("Stream-Up-To-Date"):
                    return found

    def said(self, container: str) -> bytes:
        """What the program said in all lives of the container. A stream that goes on after a loss is a fault here."""
        found = self.streams(container=container, program=PROGRAM)
        assert not [stream for stream in found if "continues" in stream["source"]], found
        return b"".join(self.read(stream["stream"]) for stream in found)

    def folders(self, service: str = "webapp") -> list[str]:
        """What lies on the volume of a service."""
        collector = self.stack.ids("collector")[0]
        return sorted(docker("exec", collector, "ls", "-A", f"/var/spool/services/{service}").split())

    def living(self) -> list[str]:
        """The incarnations of the webapps that run."""
        words = ["readlink", "-f", "/run/supervise/spool"]
        found = [docker("exec", container, *words, check=False) for container in self.stack.ids("webapp")]
        return sorted(path.rpartition("/")[2] for path in found)

    def cleared(self) -> bool:
        """Nothing but the living have folders."""
        return self.folders() == self.living()

    def explain(self) -> str:
        """What ships say, and what lies there."""
        told = [f"folders {self.folders()}", f"living {self.living()}"]
        for service in ("collector", "webapp"):
            for container in self.stack.ids(service):
                told.append(
                    docker("exec", container, "sh", "-c", "tail -n 30 /run/supervise/spool/ship/0*", check=False)
                )
        return "\n".join(told)

    def losses(self) -> bytes:
        with urlopen(f"{self._collector}/v1/losses", timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A stack whose tests say how many nodes they want."""
    with project() as stack:
        yield Fleet(stack)


def write(container: str, mark: str, size: int = 3_000_000) -> Writer:
    """A writer that has written so much."""
    writer = Writer(container, mark)
    eventually("the writer has written much", lambda: writer.size > size, seconds=120)
    return writer


@pytest.mark.case(114, 132)
def test_every_byte_that_left_the_pipe_of_a_killed_and_removed_container_arrives(fleet: Fleet) -> None:
    victim, sibling = fleet.up(2)
    writer = write(victim, "killed")
    docker("kill", victim)
    docker("rm", victim)
    writer.wait()
    fleet.up(2)
    eventually("the folder is gone", fleet.cleared, seconds=90, every=1, explain=fleet.explain)
    writer.check(fleet.said(victim))
    found = fleet.streams(container=victim)
    assert {"webapp", "serf", "supervise", "supervisord", "spool", "ship"} <= {s["source"]["program"] for s in found}
    assert all(stream["closed"] for stream in found)
    assert {stream["source"]["instance"] for stream in found} == {"1"}, "the number it had"
    assert not any(stream["closed"] for stream in fleet.streams(container=sibling)), "who lives is left alone"
    assert fleet.losses() == b""


@pytest.mark.case(114, 132)
def test_also_when_all_of_a_service_are_killed_while_the_collector_is_away(fleet: Fleet) -> None:
    victims = fleet.up(2)
    docker("stop", fleet.stack.ids("collector")[0])
    writers = [write(victim, f"away{number}") for number, victim in enumerate(victims)]
    for victim in victims:
        docker("kill", victim)
        docker("rm", victim)
    for writer in writers:
        writer.wait()
    fleet.up(1)
    eventually("the folders are gone", fleet.cleared, seconds=120, every=1, explain=fleet.explain)
    for victim, writer in zip(victims, writers, strict=True):
        writer.check(fleet.said(victim))
        assert all(stream["closed"] for stream in fleet.streams(container=victim))
    assert fleet.losses() == b""


def test_a_container_killed_before_its_ship_ever_ran_keeps_its_number(fleet: Fleet, tmp_path: Path) -> None:
    fleet.up(1)
    idle = tmp_path / "logship"
    idle.write_text("#!/bin/sh\nexec sleep 1000\n")
    idle.chmod(0o755)
    network, volume = f"{fleet.stack.project}_default", f"{fleet.stack.project}_webapp-spool"
    mounts = ["-v", f"{volume}:/var/spool/logship", "-v", f"{idle}:/usr/local/bin/logship:ro"]
    name = f"{fleet.stack.project}_webapp_9"
    victim = docker("run", "-d", "--name", name, "--network", network, *mounts, name_of("webapp"))
    try:
        state = ["exec", victim, "cat", "/run/supervise/state.json"]
        eventually("PID 1 has begun", lambda: "programs" in docker(*state, check=False), seconds=60)
    finally:
        docker("rm", "-f", victim)
    eventually("the folder is gone", fleet.cleared, seconds=90, every=1, explain=fleet.explain)
    found = fleet.streams(container=victim)
    assert {"supervise", "supervisord"} <= {stream["source"]["program"] for stream in found}
    assert {stream["stream"].split("/")[1] for stream in found} == {"9"}, "PID 1 had noted it"
    assert fleet.losses() == b""


@pytest.mark.case(125)
def test_the_earlier_life_of_a_restarted_container_is_shipped_by_the_next(fleet: Fleet) -> None:
    (node,) = fleet.up(1)
    (earlier,) = fleet.living()
    writer = write(node, "restarted", 1_000_000)
    docker("restart", "-t", "20", node)
    writer.wait()
    eventually("the earlier folder is gone", lambda: earlier not in fleet.folders(), seconds=60, explain=fleet.explain)
    eventually("every container is healthy", fleet.stack.healthy, seconds=60)
    writer.check(fleet.said(node))
    assert all(stream["closed"] for stream in fleet.streams(incarnation=earlier))
    (path,) = [stream["stream"] for stream in fleet.streams(incarnation=earlier, program="supervise")]
    last = json.loads(fleet.read(path).splitlines()[-1])
    assert last["event"] == "ended", "PID 1's very last word, said when its own ship had ended"


@pytest.mark.case(132)
def test_the_collector_ships_what_a_service_scaled_to_nothing_left(fleet: Fleet) -> None:
    victim, stopped = fleet.up(2)
    writer = write(victim, "scaled", 1_000_000)
    docker("kill", victim)
    writer.wait()
    fleet.stack.up(0)
    assert fleet.stack.ids("webapp", stopped=True) == []
    eventually("no folder is left", lambda: fleet.folders() == [], seconds=180, every=1, explain=fleet.explain)
    writer.check(fleet.said(victim))
    for container in (victim, stopped):
        assert all(stream["closed"] for stream in fleet.streams(container=container))
    assert fleet.losses() == b""
