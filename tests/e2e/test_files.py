"""A program that writes and rotates a file of its own: declared in supervise.toml, followed by the container's ship."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.collected import Collected
from tests.e2e.killing import Killer
from tests.e2e.stack import TREE, Stack, compose_command, docker, eventually, project, run

pytestmark = pytest.mark.engine

WRITER = """
import os, time
path, number = "/var/log/writer/x.log", 0
os.makedirs(os.path.dirname(path), exist_ok=True)
while True:
    with open(path, "ab", buffering=0) as file:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            lines = b"".join(b"%09d %s\\n" % (each, b"x" * (each % 173)) for each in range(number, number + 100))
            file.write(lines)
            number += 100
            time.sleep(0.01)
    for old in range(200, 0, -1):
        if os.path.exists(f"{path}.{old}"):
            os.rename(f"{path}.{old}", f"{path}.{old + 1}")
    os.rename(path, f"{path}.1")
"""
DECLARED = """
[program.writer]
command = ["/usr/bin/python3", "-c", '''{writer}''']
after = ["spool"]
files = ["/var/log/writer/x.log"]
"""
READ = """
import glob, hashlib, re
names = sorted(glob.glob("/var/log/writer/x.log*"), key=lambda name: -int((re.findall(r"[.](\\d+)$", name) or [0])[0]))
found = hashlib.sha256()
size = 0
for name in names:
    data = open(name, "rb").read()
    size += len(data)
    found.update(data)
print(size, found.hexdigest())
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of one webapp with a writer beside it."""
    folder = tmp_path_factory.mktemp("files")
    declaration = folder / "supervise.toml"
    text = (TREE / "images" / "webapp" / "supervise.toml").read_text(encoding="utf-8")
    declaration.write_text(text + DECLARED.format(writer=WRITER), encoding="utf-8")
    override = folder / "override.json"
    volumes = [f"{declaration}:/etc/supervise/supervise.toml:ro"]
    override.write_text(json.dumps({"services": {"webapp": {"volumes": volumes}}}))
    with project() as stack:
        files = ["-f", "compose.yaml", "-f", str(override)]
        words = ["up", "-d", "--no-build", "--scale", "webapp=1", "collector", "webapp"]
        ports = {name: str(port) for name, port in stack.ports.items()}
        run(*compose_command(), "-p", stack.project, *files, *words, timeout=180, environment=ports)
        eventually("every container is healthy", stack.healthy, seconds=120)
        yield stack


@pytest.mark.case(24, 84, 85, 118)
def test_a_declared_file_arrives_whole_though_it_rotates_and_ship_and_collector_are_killed(small: Stack) -> None:
    webapp, collected = small.ids("webapp")[0], Collected(small)
    eventually("some of it is there", lambda: stored(collected) > 1_000_000, seconds=60)
    kills = Killer(webapp, "files", 20, "ship", pause=(0.5, 4), least=3).done()
    assert kills["ship"] >= 3, kills
    collector = small.ids("collector")[0]
    docker("kill", collector, timeout=90)
    docker("start", collector, timeout=90)
    eventually("the collector answers", collected.answers, seconds=60)
    small.supervise("ctl", "stop", "webapp:writer")
    size, digest = docker("exec", webapp, "python3", "-c", READ).split()
    eventually("all of it is there", lambda: collected.answers() and stored(collected) >= int(size), seconds=120)
    assert (stored(collected), collected.digest_of_files()) == (int(size), digest)
    assert [loss for loss in collected.losses() if loss["stream"].split("/")[2] == "file"] == []
    services = {each["stream"].split("/")[0] for each in collected.files()}
    assert services == {"webapp"}


def stored(collected: Collected) -> int:
    """Bytes of files."""
    try:
        return sum(int(each["next_offset"]) for each in collected.files())
    except OSError:
        return 0
