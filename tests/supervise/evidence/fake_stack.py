"""A stack in this process: one HTTP server plays the balancer, its nodes and its statistics; no engine."""

# ruff: noqa: ARG002 - methods take what the real ones take

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from logship.errors import Fault
from supervise.evidence.stack import CONFIGURATION_PATH, Stack
from supervise.fleet.container import Container

HOSTS = (f"{number:012x}" for number in count(0xA00000000001))
HISTORY = {"CreatedAt": "2026-01-01", "CreatedBy": "", "Size": "78000000"}


class FakeStack(Stack):
    """Answers like the real one; ``broken`` names methods that raise, ``failing`` makes every tenth request a 503."""

    def __init__(self, nodes: int = 3) -> None:
        self.project = "fake"
        self.broken: set[str] = set()
        self.failing = False
        self.served = 0
        self.all: list[Container] = [_container("collector", 1), _container("ha", 1)]
        self.records: list[dict[str, Any]] = []
        self.restarts = 0
        self.deeds: list[str] = []
        self.exit_status = 0
        self.page = ""
        self.scale(nodes)
        self.deeds.clear()

    def _may(self, what: str) -> None:
        if what in self.broken:
            raise Fault(what, "the stack", "it is broken on purpose", "mend it")

    def containers(self, *, stopped: bool = False) -> list[Container]:
        return [item for item in self.all if stopped or item.is_running]

    def reach(self) -> tuple[str, int]:
        address, port = self.page.removeprefix("http://").rstrip("/").split(":")
        return address, int(port)

    def docker(self, *words: str, seconds: float = 60) -> str:
        self._may(words[0])
        self.deeds.append(" ".join(words[:1]))
        if words[0] in ("stop", "kill"):
            self._change({item.id: "exited" for item in self.all if item.id == words[1]}, f"leave ({words[0]})")
        if words[0] == "history" and "{{json .}}" in words:
            return json.dumps(HISTORY)
        return f"docker {words[0]}\n"

    def repository(self) -> str:
        self._may("repository")
        return "https://example.org/lab.git, commit 1234567 A commit"

    def listing(self, *, stopped: bool = False, as_json: bool = False) -> str:
        self._may("listing")
        rows = [f"{item.id[:12]}  {item.image}  Up  {item.name}" for item in self.containers(stopped=stopped)]
        return "\n".join(["CONTAINER ID  IMAGE  STATUS  NAMES", *rows]) + "\n"

    def inspect(self, container: Container) -> dict[str, Any]:
        state = {"ExitCode": self.exit_status, "StartedAt": datetime.now(UTC).isoformat()}
        return {"Id": container.id, "State": state, "NetworkSettings": {}, "Config": {"Image": container.image}}

    def logs(self, container: Container) -> bytes:
        self._may("logs")
        return b"a line\n"

    def supervise(self, *words: str) -> str:
        self._may("supervise")
        return "a table\n"

    def inside(self, container: Container, *words: str) -> str:
        self._may("inside")
        if words[0] == "/usr/bin/python3":
            self.restarts += 1
        if "-format=json" in words:
            return '{"members": [1]}'
        return "haproxy 3.0.11\n== a-node\n"

    def file(self, container: Container, path: str) -> str:
        self._may("file")
        assert path == CONFIGURATION_PATH
        return self._configuration()

    def program_log(self, container: Container, program: str) -> str:
        return "a line\n"

    def state(self, container: Container) -> dict[str, Any]:
        return {"programs": [{"name": "serf", "pid": 40 + self.restarts, "restarts": self.restarts, "ready": True}]}

    def generations(self, beyond: int) -> list[dict[str, Any]]:
        self._may("generations")
        return [item for item in self.records if item["n"] > beyond]

    def statistics_url(self) -> str:
        return self.page

    def scale(self, nodes: int) -> str:
        self._may("scale")
        self.deeds.append(f"scale {nodes}")
        webapps = [item for item in self.all if item.service == "webapp"]
        gone = {item.id for item in webapps[nodes:]}
        self.all = [item for item in self.all if item.id not in gone]
        self.all += [_container("webapp", number) for number in range(len(webapps) + 1, nodes + 1)]
        self._change({item.id: "running" for item in self.all}, f"scale {nodes}")
        return ""

    def _change(self, states: dict[str, str], cause: str) -> None:
        self.all = [replace(item, state=states.get(item.id, item.state)) for item in self.all]
        members = [{"name": item.id[:12]} for item in self.nodes()]
        number = len(self.records) + 1
        record = {"n": number, "time": "2026-01-01T00:00:00Z", "cause": [cause], "members": members, "error": ""}
        spent = {"milliseconds": {"detect": 1.0, "apply": 2.0}, "method": "runtime", "result": "applied", "diff": ""}
        self.records.append({**record, **spent})

    def _configuration(self) -> str:
        servers = "".join(f"    server {item.id[:12]}-10-0-0-9 10.0.0.9:3000\n" for item in self.nodes())
        return f"frontend http\n    bind :80\n\nbackend app\n    balance roundrobin\n{servers}"

    def answer(self, path: str) -> tuple[int, str]:
        """Status and body for a request to the balancer's port."""
        if path == "/;csv":
            rows = [f"app,{item.id[:12]}-10-0-0-9,UP" for item in self.nodes()]
            return 200, "\n".join(["# pxname,svname,status", *rows, "app,BACKEND,UP"]) + "\n"
        self.served += 1
        nodes = self.nodes()
        if not nodes or (self.failing and self.served % 10 == 0):
            return 503, "no server"
        return 200, json.dumps({"host": nodes[self.served % len(nodes)].id[:12], "counter": 1})


@contextmanager
def running(stack: FakeStack) -> Iterator[FakeStack]:
    """Serve the stack's port on the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, text = stack.answer(self.path)
            body = text.encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
            if self.headers.get("Connection") == "close":
                head += "Connection: close\r\n"
            self.wfile.write(head.encode() + b"\r\n" + body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # with five, clients that come at once wait a second for their second SYN
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stack.page = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield stack
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def browser(folder: Path) -> dict[str, str]:
    """An environment with a browser that always takes the same picture."""
    folder.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">IIBBBBB", 1500, 700, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in ((b"IHDR", head), (b"IDAT", bytes(6000))))
    (folder / "picture").write_bytes(data)
    script = folder / "chromium"
    copy = f'cp "{folder}/picture" "${{word#--screenshot=}}"'
    script.write_text(f"#!/bin/sh\nfor word; do case $word in --screenshot=*) {copy};; esac; done\n")
    script.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _container(service: str, number: int) -> Container:
    return Container(
        id=next(HOSTS) + "0" * 52,
        name=f"fake_{service}_{number}",
        service=service,
        number=number,
        state="running",
        health="healthy",
        image=f"fake/{service}:local",
        addresses=("127.0.0.1",),
        created=0,
    )
