"""Core: what a walk found, as plain values; the report and evidence.json are made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from supervise.fleet.container import Container


@dataclass(frozen=True)
class Timing:
    """``seconds`` from one thing to another, as ``what`` says; ``step`` is where it was measured."""

    step: str
    what: str
    seconds: float


@dataclass(frozen=True)
class Problem:
    """Something that did not work: ``where`` (a step or a file) and the sentence."""

    where: str
    text: str


@dataclass
class StepRecord:
    """One step of the walk as it happened.

    ``did`` is the sentence of what was done, ``containers`` all containers after it and ``nodes`` the web nodes among
    them, ``gone`` the web nodes that it took away, ``outcome`` what the clients saw (None without load),
    ``generations`` the balancer's own records of its changes, ``diff`` the configuration's difference to the step
    before, ``listing`` the files of /nodes.
    """

    name: str
    title: str
    did: str = ""
    time: str = ""
    seconds: float = 0.0
    containers: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    generations: list[dict[str, Any]] = field(default_factory=list)
    diff: str = ""
    listing: str = ""


@dataclass
class Evidence:
    """All of a walk. ``names`` tells for each host name which container it was (``webapp-1``)."""

    project: str
    time: str
    requests_wanted: int
    per_second: float
    versions: dict[str, str] = field(default_factory=dict)
    repository: str = ""
    names: dict[str, str] = field(default_factory=dict)
    spread: dict[str, Any] = field(default_factory=dict)
    restart: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Failed requests of all steps together."""
        return sum(step.outcome["failed"] for step in self.steps if step.outcome)

    @property
    def requests(self) -> int:
        """Requests of all steps under load together."""
        return sum(step.outcome["requests"] for step in self.steps if step.outcome)

    @property
    def good(self) -> bool:
        """Everything worked, and no request failed."""
        return not self.problems and not self.failed

    def name_of(self, host: str) -> str:
        """The container behind a host name, or the host name."""
        return self.names.get(host, host)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"v": 1, "good": self.good, "failed": self.failed, "requests": self.requests, **asdict(self)}


def repository_text(address: str, commit: str, changed: bool) -> str:
    """Where the code comes from, in a line; ``commit`` as ``git log --oneline`` has it. Secrets in the address go."""
    place = re.sub(r"(?<=//)[^/@]*@", "", address.strip()) or "a checkout without a remote named origin"
    state = ", with changes that are not committed" if changed else ""
    return f"{place}, commit {commit.strip()}{state}"


def servers_of(csv: str) -> dict[str, str]:
    """Server name -> status (UP, DOWN, MAINT, no check ...) of backend app in HAProxy's CSV statistics."""
    lines = csv.splitlines()
    if not lines or not lines[0].startswith("# "):
        return {}
    columns = lines[0][2:].split(",")
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
    return {
        row["svname"]: row.get("status", "")
        for row in rows
        if row.get("pxname") == "app" and row.get("svname") not in ("FRONTEND", "BACKEND", None)
    }


def is_out(status: str | None) -> bool:
    """Whether a server of this status (None: there is no such server) gets no new requests."""
    return status is None or status.split(" ")[0] in ("MAINT", "DOWN", "NOLB")


SECRET_WORDS = ("KEY", "SECRET", "PASSWORD", "TOKEN", "CREDENTIAL")


def without_secrets(facts: Mapping[str, Any]) -> dict[str, Any]:
    """``docker inspect`` with the values of variables that look like secrets taken out: the report is handed around."""
    config = dict(facts.get("Config") or {})
    config["Env"] = [
        f"{name}{equals}(not shown)" if value and any(word in name.upper() for word in SECRET_WORDS) else item
        for item in config.get("Env") or []
        for name, equals, value in [item.partition("=")]
    ]
    return {**facts, "Config": config}


def layers_of(histories: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Layers with a size, of several images, each once: ``histories`` is image -> lines of ``docker history``, newest
    first. The same moment, command and size is the same layer."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for image, history in sorted(histories.items()):
        for depth, line in enumerate(reversed(history)):
            size = int(line["Size"])
            if size <= 0:
                continue
            command = " ".join(str(line["CreatedBy"]).removeprefix("/bin/sh -c ").removeprefix("#(nop) ").split())
            key = (str(line["CreatedAt"]), command, size)
            layer = found.setdefault(
                key, {"bytes": size, "command": command or "(the base image)", "depth": depth, "images": []}
            )
            layer["images"].append(image)
    return sorted(found.values(), key=lambda layer: (-len(layer["images"]), layer["images"], layer["depth"]))


def host_of(container: Container) -> str:
    """The host name that compose gives a container: the beginning of its id."""
    return container.id[:12]


def name_of(container: Container) -> str:
    """How files and the report call a container: ``webapp-1``."""
    return f"{container.service}-{container.number}"


def hosts_in(configuration: str) -> set[str]:
    """Hosts of the servers in backend app: a server's name is its host's name, a dash, and its address."""
    backend = configuration.partition("\nbackend app\n")[2].partition("\nbackend ")[0]
    names = [line.split()[1] for line in backend.splitlines() if line.startswith("    server ")]
    return {name.partition("-")[0] for name in names}
