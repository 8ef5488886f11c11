"""HAProxy that answers every request itself, with our log format: its two ways to log, its counters, what is stored."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.containers import Lab

TREE = Path(__file__).resolve().parent.parent
CONTROL = 9999
COLLECTOR_PORT = 4437
LOG = "/var/spool/logship/haproxy.log"
TO_FILE = ("-c", f"exec /usr/sbin/haproxy -W -S /run/haproxy/master.sock -f /etc/haproxy/haproxy.cfg >{LOG}")

DECLARATION = """
[container]
service = "ha"

[program.ship]
command = ["/usr/local/bin/logship", "ship", "--instance", "1", "--to", "http://collector:4437"]
ready = { started = true }

[program.spool]
command = ["/usr/local/bin/logship", "spool", "--fifo-dir", "/run/supervise/fifo", "--spool", "/run/supervise/spool"]
after = ["ship"]
capture = false
ready = { started = true }
restart = { tries = 0, backoff_seconds = 0.5, backoff_seconds_max = 5, start_seconds = 1 }

[program.counters]
command = ["/usr/local/bin/logship", "counters"]
after = ["spool"]
ready = { started = true }

[program.haproxy]
command = ["/usr/sbin/haproxy", "-W", "-S", "/run/haproxy/master.sock", "-f", "/etc/haproxy/haproxy.cfg"]
after = ["spool", "counters"]
essential = true
pipe_bytes = 1048576
ready = { running = true }    # a probe would be a request too
stop = { signal = "USR1", seconds = 5 }
"""
"""As in images/ha, without Serf and what follows it."""

_LINE = re.compile(rb" pid=(\d+) lc=\d+ tt=\d+ n=(\d+)$")


def configuration(threads: int) -> str:
    """What the frontend does before it chooses a server is the template's, so it logs as the images do.

    A connection without a request is logged, too (``option dontlognull`` is left out): HAProxy counts it as a request.
    """
    template = (TREE / "templates" / "haproxy.cfg.j2").read_text()
    frontend = template.partition("frontend http\n")[2].partition("\nfrontend")[0]
    other = ("bind", "use_backend", "default_backend", "#")
    logging = [line for line in frontend.splitlines() if line.strip() and not line.strip().startswith(other)]
    log = next(line for line in template.splitlines() if line.strip().startswith("log stdout"))
    return "\n".join(
        [
            "global", log, f"    nbthread {threads}", f"    stats socket ipv4@0.0.0.0:{CONTROL} level operator",
            "    stats socket /run/haproxy/admin.sock mode 600 level admin",
            "    hard-stop-after 2s", "defaults", "    mode http", "    timeout client 30s",
            "    timeout http-request 10s", "    timeout http-keep-alive 10s", "frontend http", "    bind :80",
            *logging, "    http-request return status 200 content-type text/plain string ok", "",
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class Counters:
    """HAProxy's own: requests that its frontend took, and lines that it could not write."""

    requests: int
    dropped: int


def counters(host: str) -> Counters:
    """Of the HAProxy there. Raises OSError."""
    rows = csv.DictReader(io.StringIO(_ask(host, "show stat").lstrip("# ")))
    requests = next(int(row["req_tot"]) for row in rows if (row["pxname"], row["svname"]) == ("http", "FRONTEND"))
    facts = dict(line.split(": ", 1) for line in _ask(host, "show info").splitlines() if ": " in line)
    return Counters(requests, int(facts["DroppedLogs"]))


def _ask(host: str, command: str) -> str:
    with socket.create_connection((host, CONTROL), 10) as connection:
        connection.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@dataclass(frozen=True)
class Stored:
    """Lines of a log: all, those that are no request's line as we write it, and bytes."""

    lines: int
    torn: int
    repeated: int
    bytes: int


class Tally:
    """Counts lines in pieces of a log, each known by the worker's process id and the number it gave it."""

    def __init__(self) -> None:
        self._rest = b""
        self._seen: set[tuple[bytes, bytes]] = set()
        self._lines = self._torn = self._bytes = 0

    def take(self, piece: bytes) -> None:
        """The next bytes."""
        self._bytes += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if b" http " not in line:  # what HAProxy says of itself at its start
                continue
            self._lines += 1
            found = _LINE.search(line)
            if found is None:
                self._torn += 1
            else:
                self._seen.add((found[1], found[2]))

    def result(self) -> Stored:
        """What was counted."""
        torn = self._torn + bool(self._rest)
        return Stored(self._lines, torn, self._lines - self._torn - len(self._seen), self._bytes)


def in_file(lab: Lab, name: str) -> Stored:
    """What HAProxy wrote straight into its file."""
    tally = Tally()
    with subprocess.Popen(["docker", "exec", lab.full(name), "cat", LOG], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        while piece := cat.stdout.read(1 << 20):
            tally.take(piece)
    return tally.result()


def at_collector(host: str, name: str) -> Stored:
    """What the collector at ``host`` holds of the program haproxy in the container ``name``."""
    tally = Tally()
    connection = http.client.HTTPConnection(host, COLLECTOR_PORT, timeout=60)
    with contextlib.closing(connection):
        for item in streams(host):
            if (item["source"]["program"], item["source"]["host"]) != ("haproxy", name):
                continue
            offset, more = 0, True
            while more:
                connection.request("GET", f"/v1/stream/{item['stream']}?offset={offset:020}")
                answer = connection.getresponse()
                body = answer.read()
                tally.take(body)
                offset, more = int(answer.headers["Stream-Next-Offset"]), bool(body)
    return tally.result()


def streams(host: str) -> list[dict[str, Any]]:
    """All streams that the collector has. Raises OSError."""
    return _records(host, "/v1/streams")


def losses(host: str) -> list[dict[str, Any]]:
    """The ledger. Raises OSError."""
    return _records(host, "/v1/losses")


def _records(host: str, target: str) -> list[dict[str, Any]]:
    connection = http.client.HTTPConnection(host, COLLECTOR_PORT, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", target)
        return [json.loads(line) for line in connection.getresponse().read().splitlines()]
