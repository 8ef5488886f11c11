"""A compose project of the tests' own: its name, its free ports, its containers, and its removal."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

TREE = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")
PREFIX = f"logship-e2e-{os.environ.get('LOGSHIP_TEST_RUN', '')}"
"""The run's token, from `make test`, lets it remove what a killed test left, and nothing of another run."""
NAMED = "{{.Repository}}:{{.Tag}}"
"""Images are removed by name: one of the same content has the same id, and by its id all its names would go."""
PORTS = ("HTTP_PORT", "STATS_PORT", "ADMIN_PORT", "VIEWER_PORT")


def run(
    *command: str, timeout: float = 120, check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the tree and return what it said; a failure shows all of it."""
    result = subprocess.run(
        command,
        cwd=TREE,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def docker(*words: str, timeout: float = 60, check: bool = True) -> str:
    """Run the docker command and return its output without the last newline."""
    return run("docker", *words, timeout=timeout, check=check).stdout.rstrip("\n")


def compose_command() -> list[str]:
    """The compose of this machine: version 2 as a plug-in, else version 1."""
    if run("docker", "compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "no compose: install docker-compose"
    return ["docker-compose"]


PORTS_FIRST, PORTS_EACH = 20_000, 1_000
"""Each process of a run takes its ports from a thousand of its own, below those the kernel gives to connections."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody holds right now; all different."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = PORTS_FIRST + PORTS_EACH * worker
    found: list[int] = []
    while len(found) < count:
        port = first + secrets.randbelow(PORTS_EACH)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def eventually(
    what: str, probe: Callable[[], T], seconds: float = 60, every: float = 0.1, explain: Callable[[], str] = str
) -> T:
    """The first true answer of ``probe``; an assertion with its last answer and ``explain`` when none comes."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last answer: {answer!r}\n{explain()}")
        time.sleep(every)


@dataclass
class Stack:
    """One compose project with its ports."""

    project: str = field(default_factory=lambda: PREFIX + secrets.token_hex(3))
    ports: dict[str, int] = field(default_factory=lambda: dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))

    def compose(self, *words: str, timeout: float = 180) -> str:
        """Run compose on this project."""
        environment = {name: str(port) for name, port in self.ports.items()}
        return run(*compose_command(), "-p", self.project, *words, timeout=timeout, environment=environment).stdout

    def up(self, nodes: int, *services: str) -> None:
        """Start the services (all by default) without building, and wait for none."""
        self.compose("up", "-d", "--no-build", "--scale", f"webapp={nodes}", *services)

    def supervise(self, *words: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the ``supervise`` command of the checkout on this project."""
        command = str(TREE / ".venv" / "bin" / "supervise")
        return run(command, *words, check=check, timeout=timeout, environment={"SUPERVISE_PROJECT": self.project})

    def ids(self, service: str, *, stopped: bool = False) -> list[str]:
        """Ids of the containers of a service in the order of their numbers."""
        words = ["ps", "-q", "--no-trunc", *(["-a"] if stopped else [])]
        words += ["--filter", f"label=com.docker.compose.project={self.project}"]
        words += ["--filter", f"label=com.docker.compose.service={service}"]
        number = "com.docker.compose.container-number"
        return sorted(docker(*words).split(), key=lambda item: int(inspect(item)["Config"]["Labels"][number]))

    def ha_address(self) -> str:
        """Address of the load balancer's container, where docker's own proxy hides no failure."""
        return address(self.ids("ha")[0])

    def state(self, container: str) -> dict[str, Any]:
        """The container's state.json; empty where there is none yet."""
        text = docker("exec", container, "cat", "/run/supervise/state.json", check=False)
        return json.loads(text) if text else {}

    def events(self, container: str) -> list[dict[str, Any]]:
        """All events of this life of the container's PID 1."""
        text = docker("exec", container, "sh", "-c", "cat /run/supervise/spool/supervise/0*")
        return [json.loads(line) for line in text.splitlines()]

    def serving(self, nodes: int, sessions: int = 0) -> set[str]:
        """Hosts that answered among enough new sessions; empty while something is refused."""
        hosts = set()
        balancer = self.ha_address()
        for _ in range(sessions or nodes * 4):
            try:
                hosts.add(get(balancer).host)
            except (OSError, http.client.HTTPException, ValueError, AssertionError):
                return set()
        return hosts if len(hosts) == nodes else set()

    def picture(self) -> str:
        """What an engineer would ask first when nodes do not serve."""
        asked = [("ps",), ("lb", "status"), ("lb", "history"), ("ctl", "tail", "ha:balance", "ha:serf", "-n", "15")]
        told = [f"$ supervise {' '.join(words)}\n{self.supervise(*words, check=False).stdout}" for words in asked]
        for container in self.ids("ha"):
            told.append(f"$ serf members\n{docker('exec', container, 'serf', 'members', check=False)}")
        return "\n".join(told)

    def healthy(self) -> bool:
        """Every container of the project says so."""
        words = ["ps", "-q", "--filter", f"label=com.docker.compose.project={self.project}"]
        found = docker(*words).split()
        return bool(found) and all(inspect(item)["State"]["Health"]["Status"] == "healthy" for item in found)

    def remove(self) -> None:
        """Remove every container, network and volume of the project."""
        label = f"label=com.docker.compose.project={self.project}"
        for item in docker("ps", "-aq", "--filter", label, check=False).split():
            docker("rm", "-f", "-v", item, check=False)
        for item in docker("network", "ls", "-q", "--filter", label, check=False).split():
            docker("network", "rm", item, check=False)
        for item in docker("volume", "ls", "-q", "--filter", label, check=False).split():
            docker("volume", "rm", item, check=False)


@dataclass(frozen=True)
class Answer:
    """What a webapp said through the balancer."""

    status: int
    host: str
    counter: int
    cookies: dict[str, str]


def get(host: str, port: int = 80, path: str = "/", cookies: dict[str, str] | None = None) -> Answer:
    """One GET through the balancer; 200 and a readable body or an assertion."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        jar = dict(cookies or {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (response.status, body)
        for value in response.headers.get_all("Set-Cookie") or []:
            name, _, content = value.partition(";")[0].partition("=")
            jar[name] = content
        said = json.loads(body)
        return Answer(response.status, said["host"], said["counter"], jar)
    finally:
        connection.close()


def inspect(container: str) -> dict[str, Any]:
    """What the engine says of a container."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


def address(container: str) -> str:
    """The container's address on its (first) network."""
    networks = inspect(container)["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


@contextlib.contextmanager
def project() -> Iterator[Stack]:
    """A project that is gone when the block ends, however it ends."""
    stack = Stack()
    try:
        yield stack
    finally:
        stack.remove()
