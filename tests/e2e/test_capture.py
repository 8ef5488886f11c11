"""HAProxy under full load while its spool is killed at random instants: every line is stored, or counted by HAProxy."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import PREFIX, address, docker, eventually
from tests.e2e.test_images import name_of

pytestmark = pytest.mark.engine

LOAD_SECONDS = int(os.environ.get("LOGSHIP_TEST_LOAD_SECONDS", "8"))
CONNECTIONS = 64
CONTROL = 9999

DECLARATION = """
[container]
service = "ha"

[program.spool]
command = ["/usr/local/bin/logship", "spool", "--fifo-dir", "/run/supervise/fifo", "--spool", "/run/supervise/spool"]
capture = false
restart = { tries = 0, backoff_seconds = 0.2, backoff_seconds_max = 0.2 }

[program.haproxy]
command = ["/usr/sbin/haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"]
after = ["spool"]
essential = true
pipe_bytes = 1048576
ready = { running = true }    # a probe would be a request too
stop = { signal = "USR1", seconds = 5 }
"""

CONFIGURATION = f"""
global
    nbthread 1
    log stdout len 4096 format raw local0 info
    stats socket ipv4@0.0.0.0:{CONTROL} level operator
    hard-stop-after 2s

defaults
    mode http
    log global
    timeout client 10s
    timeout http-request 10s
    log-format "req %pid %lc %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %{{+Q}}r end"

frontend load
    bind :80
    http-request return status 200 content-type text/plain string ok
"""

KILLER = """
import json, os, random, signal, sys, time
chance, end, kills = random.Random(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    time.sleep(chance.uniform(0.1, 1.2))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
            if b"spool" in words and b"--fifo-dir" in words:
                os.kill(int(pid), signal.SIGKILL)
                kills += 1
        except (FileNotFoundError, ProcessLookupError):
            pass
print(kills)
"""

COUNTER = """
import glob, json, re
whole = re.compile(rb"req (\\d+) (\\d+) .* end")
lines = torn = 0
numbers = set()
rest = b""
for path in sorted(glob.glob("/run/supervise/spool/haproxy/" + "[0-9]" * 20)):
    content = rest + open(path, "rb").read()
    *found, rest = content.split(b"\\n")
    for line in found:
        match = whole.fullmatch(line)
        if match:
            lines += 1
            numbers.add(match.groups())
        elif b"req " in line or b" end" in line:
            torn += 1
print(json.dumps({"lines": lines, "distinct": len(numbers), "torn": torn, "rest": len(rest)}))
"""


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[str]:
    """A container of the ha image, with its own PID 1, that answers every request itself."""
    name = f"{PREFIX}{secrets.token_hex(3)}"
    docker("create", "--name", name, name_of("ha"))
    try:
        for text, place in (
            (DECLARATION, "/etc/supervise/supervise.toml"),
            (CONFIGURATION, "/etc/haproxy/haproxy.cfg"),
        ):
            path = tmp_path / Path(place).name
            path.write_text(text)
            path.chmod(0o644)
            docker("cp", str(path), f"{name}:{place}")
        docker("start", name)
        eventually("it answers", lambda: answers(name), seconds=60)
        yield name
    finally:
        docker("rm", "-f", "-v", name, check=False)


def answers(name: str) -> bool:
    connection = http.client.HTTPConnection(address(name), 80, timeout=5)
    with contextlib.suppress(OSError), contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read() == b"ok"
    return False


def ask(name: str, command: str) -> str:
    """HAProxy's answer to a command on its control socket."""
    with socket.create_connection((address(name), CONTROL), 10) as connection:
        connection.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def counters(name: str) -> tuple[int, int]:
    """HAProxy's own counts: requests, and log lines that it could not write."""
    rows = csv.DictReader(io.StringIO(ask(name, "show stat").lstrip("# ")))
    requests = next(int(row["req_tot"]) for row in rows if (row["pxname"], row["svname"]) == ("load", "FRONTEND"))
    facts = dict(line.split(": ", 1) for line in ask(name, "show info").splitlines() if ": " in line)
    return requests, int(facts["DroppedLogs"])


def stored(name: str) -> dict[str, Any]:
    """What is in the stream, counted in the container."""
    found: dict[str, Any] = json.loads(docker("exec", name, "/usr/bin/python3", "-I", "-c", COUNTER))
    return found


@pytest.mark.case(117)
def test_requests_less_dropped_logs_are_the_lines_in_the_spool_though_it_is_killed(balancer: str) -> None:
    """The count is exact: splice loses nothing at a kill, and what finds no place in the pipe HAProxy counts itself."""
    if shutil.which("wrk") is None:
        pytest.skip("wrk, which makes the load, is not installed: apt-get install wrk")
    seed = secrets.token_hex(4)
    killer = subprocess.Popen(
        ["docker", "exec", balancer, "/usr/bin/python3", "-I", "-c", KILLER, seed, str(LOAD_SECONDS)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LOAD_SECONDS}s", f"http://{address(balancer)}/"]
    load = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=LOAD_SECONDS + 60)
    kills = int(killer.communicate(timeout=60)[0])
    eventually("HAProxy counts no more requests", lambda: counters(balancer) == counters(balancer), seconds=30)
    requests, dropped = counters(balancer)
    with contextlib.suppress(AssertionError):  # the numbers below tell more
        eventually("all is stored", lambda: stored(balancer)["lines"] >= requests - dropped, seconds=30, every=1)
    found = stored(balancer)
    print(f"seed {seed}: {requests} requests, {dropped} dropped, {found}, {kills} kills\n{load.stdout}")
    assert requests > 100 * LOAD_SECONDS
    assert kills >= LOAD_SECONDS // 4
    assert found["torn"] == found["rest"] == 0
    assert found["lines"] == requests - dropped
    assert found["distinct"] == found["lines"], "no line is there twice"
    assert int(docker("inspect", "-f", "{{.RestartCount}}", balancer)) == 0


def test_an_ordered_stop_loses_no_line(balancer: str) -> None:
    """HAProxy's last lines are in the copy for docker logs too, after the container has ended with 0."""
    for _ in range(50):
        assert answers(balancer)
    requests, dropped = counters(balancer)
    docker("stop", "-t", "20", balancer)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", balancer) == "0"
    said = docker("logs", balancer)
    lines = [line for line in said.splitlines() if line.startswith("haproxy ") and " | req " in line]
    assert len(lines) == requests - dropped
    assert dropped == 0
