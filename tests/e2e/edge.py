"""A load balancer and web nodes in throwaway containers, each process started by hand, without PID 1.

The image only brings the packages (HAProxy, Serf, Python); the code is that of the tree, mounted read-only. The folder
``share`` is at the same path here and in the balancer's container, so its sockets and files are within reach.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from supervise.balance.haproxy import Haproxy, HaproxyDown
from supervise.balance.render import TEMPLATE_NAME, render
from supervise.balance.runtime import Actual
from tests.e2e.stack import PREFIX, TREE, docker, eventually

IMAGES = (os.environ.get("LOGSHIP_TEST_HA_IMAGE", ""), "logship/ha:local")

T = TypeVar("T")

WEB = """
import http.server, socketserver, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one write: an answer that was begun when its server is killed cannot be repeated
    def do_GET(self):
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path[6:]))
        body = (sys.argv[1] + "\\n").encode()
        self.send_response(503 if __import__("os").path.exists("/tmp/sick") and self.path == "/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server(("", 3000), Handler).serve_forever()
"""


def image() -> str:
    """The image to use; "" where none is built."""
    built = docker("images", "--format", "{{.Repository}}:{{.Tag}}", check=False).split()
    return next((name for name in IMAGES if name and (name in built or f"{name}:latest" in built)), "")


@dataclass
class Edge:
    """One network with a balancer and nodes."""

    share: Path
    prefix: str = field(default_factory=lambda: f"{PREFIX}balance-{secrets.token_hex(3)}")

    @property
    def ha(self) -> str:
        return f"{self.prefix}-ha"

    @property
    def cfg(self) -> Path:
        return self.share / "haproxy.cfg"

    @property
    def balance_dir(self) -> Path:
        return self.share / "balance"

    def start(self) -> None:
        """The network and the balancer's container, with nothing running in it."""
        docker("network", "create", self.prefix)
        mounts = [f"{TREE / name}:/opt/logship/{name}:ro" for name in ("supervise", "logship")]
        self._run(self.ha, "ha", *mounts, f"{self.share}:{self.share}")
        (self.share / "templates").mkdir()
        self.template((TREE / "templates" / "haproxy.cfg.j2").read_text())

    def template(self, text: str) -> None:
        """Put a template in place of the balancer's."""
        place = self.share / "templates" / "haproxy.cfg.j2"
        place.with_suffix(".new").write_text(text.replace("/run/haproxy/admin.sock", str(self.share / "admin.sock")))
        place.with_suffix(".new").replace(place)

    def _run(self, name: str, alias: str, *mounts: str) -> None:
        volumes = [word for mount in mounts for word in ("-v", mount)]
        words = ["--network", self.prefix, "--network-alias", alias, "--init", "--entrypoint", "sleep", *volumes]
        docker("run", "-d", "--name", name, *words, image(), "infinity")

    def stop(self) -> None:
        """Remove every container and the network."""
        docker("rm", "-f", *docker("ps", "-aq", "--filter", f"name={self.prefix}").split(), check=False)
        docker("network", "rm", self.prefix, check=False)

    # Processes.

    def begin(self, container: str, name: str, *words: str, environment: dict[str, str] | None = None) -> None:
        """Start a program in a container; its output goes to /tmp/NAME.log there."""
        settings = [word for key, value in (environment or {}).items() for word in ("-e", f"{key}={value}")]
        docker("exec", "-d", *settings, container, "sh", "-c", f'exec "$@" >>/tmp/{name}.log 2>&1', name, *words)

    def kill(self, container: str, pattern: str, signal: str = "KILL") -> None:
        """Signal the processes of a container whose command line matches; it is enough that there was one."""
        script = f"for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q -- '{pattern}' && "
        script += f"[ ${{p#/proc/}} != $$ ] && [ ${{p#/proc/}} != 1 ] && kill -{signal} ${{p#/proc/}}; done; true"
        docker("exec", container, "sh", "-c", script)

    def log(self, name: str, container: str = "") -> str:
        """What a program said so far."""
        return docker("exec", container or self.ha, "cat", f"/tmp/{name}.log", check=False)

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """What the balancer said, of one kind or all."""
        lines = [json.loads(line) for line in self.log("balance").splitlines() if line.startswith("{")]
        return [line for line in lines if not event or line["event"] == event]

    def begin_haproxy(self) -> None:
        self.begin(self.ha, "haproxy", "haproxy", "-W", "-S", str(self.share / "master.sock"), "-f", str(self.cfg))

    def begin_balance(self) -> None:
        settings = {
            "PYTHONPATH": "/opt/logship",
            "SUPERVISE_TEMPLATES": str(self.share / "templates"),
            "SUPERVISE_BALANCE_DIR": str(self.balance_dir),
            "SUPERVISE_NODES_DIR": str(self.share / "nodes"),
            "SUPERVISE_HAPROXY_CFG": str(self.cfg),
            "SUPERVISE_HAPROXY_SOCKET": str(self.share / "admin.sock"),
            "SUPERVISE_HAPROXY_MASTER": str(self.share / "master.sock"),
            "SUPERVISE_COOKIE_KEY": "test",
        }
        self.begin(self.ha, "balance", "python3", "-m", "supervise", "balance", environment=settings)

    def begin_serf(self, container: str, name: str, *tags: str, join: str = "ha") -> None:
        """An agent; its RPC listens on the container's address, too."""
        config = '{"leave_on_terminate": true, "retry_interval": "1s", "rpc_addr": "0.0.0.0:7373", "log_level": "info"}'
        docker("exec", container, "sh", "-c", f"echo '{config}' >/tmp/serf.json")
        words = [word for tag in tags for word in ("-tag", tag)]
        joins = [f"-retry-join={join}"] if join else []
        self.begin(container, "serf", "serf", "agent", "-config-file=/tmp/serf.json", f"-node={name}", *words, *joins)

    def node(self, name: str, *tags: str) -> str:
        """A web node that joins; its container."""
        container = f"{self.prefix}-{name}"
        self._run(container, name)
        self.begin(container, "web", "python3", "-c", WEB, name)
        self.begin_serf(container, name, *(tags or ("role=webapp", "port=3000")))
        return container

    def lb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``supervise lb --local`` in the balancer's container."""
        settings = ["PYTHONPATH=/opt/logship", f"SUPERVISE_BALANCE_DIR={self.balance_dir}"]
        settings.append(f"SUPERVISE_HAPROXY_SOCKET={self.share / 'admin.sock'}")
        options = [word for setting in settings for word in ("-e", setting)]
        command = ["docker", "exec", *options, self.ha, "python3", "-m", "supervise", "lb", "--local", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    # What is seen from outside.

    @property
    def address(self) -> str:
        return self.address_of(self.ha)

    def address_of(self, container: str) -> str:
        return docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)

    def haproxy(self) -> Haproxy:
        """The real HAProxy, spoken to from here; its ``-c`` runs in the container."""
        script = self.share / "haproxy"
        script.write_text(f'#!/bin/sh\nexec docker exec {self.ha} haproxy "$@"\n')
        script.chmod(0o755)
        return Haproxy(self.share / "admin.sock", self.share / "master.sock", str(script))

    def look(self) -> Actual | None:
        try:
            return self.haproxy().look()
        except HaproxyDown:
            return None

    def admitted(self) -> set[str]:
        """Servers that take traffic."""
        actual = self.look()
        entries = actual.entries.values() if actual else ()
        return {entry.name for entry in entries if entry.backend == "app_panic" and not entry.in_maintenance}

    def get(
        self, path: str = "/", cookie: str = "", timeout: float = 5, method: str = "GET"
    ) -> tuple[int, str, dict[str, str]]:
        """One request through the balancer on a connection of its own: status, body, headers."""
        connection = http.client.HTTPConnection(self.address, 80, timeout=timeout)
        try:
            connection.request(method, path, headers={"Cookie": cookie} if cookie else {})
            response = connection.getresponse()
            body = response.read().decode("utf-8", "replace").strip()
            return response.status, body, {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()

    def until(self, what: str, probe: Callable[[], T], seconds: float = 30) -> T:
        """``eventually``, with the balancer's last words when it is not so in time."""
        try:
            return eventually(what, probe, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log('balance')[-3000:]}") from None


@contextmanager
def opened(share: Path) -> Iterator[Edge]:
    """An Edge whose HAProxy answers; removed at the end. Skips the test where there is no image."""
    if not image():
        pytest.skip(f"none of the images {', '.join(name for name in IMAGES if name)} is built: make images")
    edge = Edge(share)
    share.chmod(0o755)
    try:
        edge.start()
        template = (share / "templates" / TEMPLATE_NAME).read_text()
        edge.cfg.write_text(render(template, (), 1, 8000).text)
        edge.begin_haproxy()
        edge.until("HAProxy answers", edge.look)
        yield edge
    finally:
        edge.stop()
