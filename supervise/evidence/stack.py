"""The running stack as the walk uses it: asked through the engine, HAProxy and the commands that people use.

An edge: every method is one question or one deed, bounded in time, and raises Fault. Requests go to the address of
ha's container; docker's own proxy on the published ports would hide failures.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logship.errors import Fault
from supervise.evidence.statistics import csv
from supervise.evidence.values import repository_text, without_secrets
from supervise.fleet.container import Container
from supervise.fleet.engine import Engine
from supervise.up.shell import Shell

HTTP_PORT = 80
STATS_PORT = 1936
STATE_PATH = "/run/supervise/state.json"
CONFIGURATION_PATH = "/etc/haproxy/haproxy.cfg"
GENERATIONS_PATH = "/var/lib/supervise/balance/generations"
LOG_LINES_MAX = 5_000
FILE_BYTES_MAX = 4 << 20
SCALE_SECONDS = 300.0
COMMAND_SECONDS = 60.0


class Stack:
    """One compose project that runs."""

    def __init__(self, engine: Engine, project: str, environment: Mapping[str, str]) -> None:
        self._engine = engine
        self.project = project
        self._shell = Shell(environment)
        self._namespace: dict[str, str] = {}

    def containers(self, *, stopped: bool = False) -> list[Container]:
        """The containers of the project, by service and number."""
        return self._engine.containers(self.project, include_stopped=stopped)

    def nodes(self) -> list[Container]:
        """The web nodes that run."""
        return [item for item in self.containers() if item.service == "webapp" and item.is_running]

    def ha(self) -> Container:
        """The balancer's container. Raises Fault when it does not run or cannot be reached from here."""
        found = [item for item in self.containers() if item.service == "ha" and item.is_running]
        if not found:
            raise Fault("find", f"a running ha in project {self.project}", "there is none", "make up NODES=3")
        if not found[0].addresses:
            raise Fault("find", "the address of ha", "its container is on no network", "make down, make up")
        return found[0]

    def reach(self) -> tuple[str, int]:
        """Address and port of ha's own front door, after a connection to it. Raises Fault."""
        address = self.ha().addresses[0]
        try:
            socket.create_connection((address, HTTP_PORT), 5).close()
        except OSError as error:
            hint = "run this on the machine of the engine: the addresses of containers are reachable only there"
            raise Fault("reach", f"ha at {address}:{HTTP_PORT}", str(error), hint) from None
        return address, HTTP_PORT

    def docker(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """What a docker command says."""
        return self._shell.must("run", "docker", *words, seconds=seconds)

    def repository(self) -> str:
        """Where the code comes from, and which commit of it this is."""
        git = ("git", "-C", str(Path(__file__).resolve().parents[2]))
        commit = self._shell.run(*git, "log", "-1", "--oneline", seconds=COMMAND_SECONDS)
        if commit.status:
            return "no checkout of git: the code came as files"
        origin = self._shell.run(*git, "remote", "get-url", "origin", seconds=COMMAND_SECONDS)
        changed = self._shell.run(*git, "status", "--porcelain", seconds=COMMAND_SECONDS).text.strip()
        return repository_text("" if origin.status else origin.text, commit.text, bool(changed))

    def listing(self, *, stopped: bool = False, as_json: bool = False) -> str:
        """``docker ps`` of the project."""
        words = ["--all"] if stopped else []
        words += ["--format", "{{json .}}"] if as_json else []
        return self.docker("ps", *words, "--filter", f"label=com.docker.compose.project={self.project}")

    def inspect(self, container: Container) -> dict[str, Any]:
        """``docker inspect`` without values of secrets."""
        return without_secrets(self._engine.inspect(container))

    def logs(self, container: Container) -> bytes:
        """``docker logs``: the last LOG_LINES_MAX lines."""
        return self._engine.logs(container, lines=LOG_LINES_MAX)

    def supervise(self, *words: str) -> str:
        """What a ``supervise`` command on this machine says."""
        environment = {"SUPERVISE_PROJECT": self.project}
        command = (sys.executable, "-m", "supervise", *words)
        return self._shell.must(f"run supervise {words[0]}", *command, seconds=COMMAND_SECONDS, environment=environment)

    def inside(self, container: Container, *words: str) -> str:
        """What a command in a container says."""
        result = self._engine.exec(container, words, COMMAND_SECONDS)
        if result.status:
            cause = result.stderr.decode("utf-8", "replace").strip()[-500:] or f"status {result.status}"
            raise Fault("run", f"`{' '.join(words)}` in {container.label}", cause)
        return result.stdout.decode("utf-8", "replace")

    def file(self, container: Container, path: str) -> str:
        """A file of a container."""
        data = self._engine.read_file(container, path, FILE_BYTES_MAX)
        if data is None:
            raise Fault(f"read {path} of", container.label, "there is no such file")
        return data.decode("utf-8", "replace")

    def program_log(self, container: Container, program: str) -> str:
        """The end of what a program of a container said, from its spool: at most FILE_BYTES_MAX bytes."""
        command = f"cat /run/supervise/spool/{program}/[0-9]* | tail -c {FILE_BYTES_MAX}"
        return self.inside(container, "/bin/sh", "-c", command)

    def state(self, container: Container) -> dict[str, Any]:
        """What PID 1 of a container says of its programs."""
        value: dict[str, Any] = json.loads(self.file(container, STATE_PATH))
        return value

    def generations(self, beyond: int) -> list[dict[str, Any]]:
        """The balancer's records of its changes with a number above ``beyond``, each with ``diff``; oldest first."""
        ha = self.ha()
        names = [name for name in self.inside(ha, "/bin/ls", GENERATIONS_PATH).split() if name.isdecimal()]
        found = []
        for name in sorted(names, key=int):
            if int(name) > beyond:
                folder = f"{GENERATIONS_PATH}/{name}"
                record = json.loads(self.file(ha, f"{folder}/generation.json"))
                found.append({**record, "diff": self.file(ha, f"{folder}/diff")})
        return found

    def statistics(self) -> str:
        """HAProxy's statistics as CSV."""
        return csv(self.statistics_url())

    def statistics_url(self) -> str:
        """Where the statistics page is."""
        return f"http://{self.ha().addresses[0]}:{STATS_PORT}/"

    def scale(self, nodes: int) -> str:
        """``make scale NODES=n`` on this project, with the images and keys that its web nodes have now."""
        if not self._namespace:
            self._namespace = self._variables()
        variables = {**self._namespace, "NODES": str(nodes), "PROJECT": self.project, "MAKEFLAGS": "", "PLAN": ""}
        command = (sys.executable, "-m", "supervise.up", "scale")
        return self._shell.must(f"scale to {nodes}", *command, seconds=SCALE_SECONDS, environment=variables)

    def _variables(self) -> dict[str, str]:
        """What compose has to be told so that a new node is like those that run."""
        config = self._engine.inspect(self.nodes()[0])["Config"]
        image, _, tag = str(config["Image"]).rpartition(":")
        variables = {"LOGSHIP_IMAGES": image.removesuffix("/webapp"), "LOGSHIP_TAG": tag} if image else {}
        environment = dict(item.partition("=")[::2] for item in config["Env"])
        return {**variables, **{name: environment[name] for name in ("SERF_KEY", "WEIGHT") if environment.get(name)}}


def answers_path() -> Path:
    """docs/lab.md of this checkout."""
    return Path(__file__).resolve().parent.parent.parent / "docs" / "lab.md"
