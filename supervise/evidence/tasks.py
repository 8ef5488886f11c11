"""Core: the lab's tasks, the steps of the walk, and every file that has to be there in the end, with its shape.

Owns the list; who makes the files is ``run.py``. The same list is checked after each walk and by the tests, so a
deliverable cannot be forgotten quietly. What the lab asks is told in our own words.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

PICTURE_WIDTH_MIN = 800
PICTURE_BYTES_MIN = 5_000


@dataclass(frozen=True)
class Step:
    """One change of the running stack. ``load``: it happens under load, and failed requests are counted."""

    name: str
    title: str
    load: bool
    changes_servers: bool


STEPS = (
    Step("start", "as found", load=False, changes_servers=False),
    Step("up", "scaled up", load=True, changes_servers=True),
    Step("down", "scaled down", load=True, changes_servers=True),
    Step("join", "one node joins, without load", load=False, changes_servers=True),
    Step("stop", "one node stopped with docker stop", load=True, changes_servers=True),
    Step("back", "the stopped node is back, without load", load=False, changes_servers=True),
    Step("kill", "one node killed with docker kill", load=True, changes_servers=True),
    Step("end", "as many nodes again as found", load=False, changes_servers=False),
)


@dataclass(frozen=True)
class Deliverable:
    """Files of one task: ``path`` may hold ``{step}``, and ``{container}`` for each container there was ``at`` a step.

    ``what`` is for people.
    """

    task: int
    path: str
    shape: str
    what: str
    at: str = "start"

    @property
    def folder(self) -> str:
        """Where it lies."""
        return f"logs/task {self.task}/"


@dataclass(frozen=True)
class Task:
    """One task of the lab and what it asks for; its questions are answered under the same title in docs/lab.md."""

    number: int
    title: str
    asks: str

    @property
    def anchor(self) -> str:
        """The fragment that leads to its chapter, as Markdown readers make it of the heading."""
        words = f"task {self.number} {self.title}".lower().replace(",", "")
        return "#" + "-".join(words.split())


TASKS = (
    Task(0, "The stack and its balancer", "the repository, the statistics page, and proof that all nodes are reached"),
    Task(1, "A process supervisor", "why one is needed, and the nodes still served with it in place"),
    Task(2, "Membership by gossip", "the log of each container, and how the membership works"),
    Task(3, "Reacting to joins and leaves", "the log of each container, and Serf's own log of joins and leaves"),
    Task(4, "Configuration from a template", "image layers, each generated configuration, docker ps and inspect"),
    Task(5, "A configuration for every membership", "the configuration and the list of nodes after each step"),
    Task(6, "Changing the balancer while it serves", "the statistics page after each step, and what clients noticed"),
)

_ALWAYS = (
    Deliverable(0, "repository.txt", "text", "the repository, and the commit that ran"),
    Deliverable(0, "docker-ps.txt", "ps", "`docker ps`"),
    Deliverable(0, "stats.csv", "stats", "statistics as CSV"),
    Deliverable(0, "stats.png", "png", "statistics page"),
    Deliverable(0, "requests.json", "spread", "which node answered how many requests, each in a new session"),
    Deliverable(1, "programs.txt", "text", "every program of every container (`supervise ctl status all`)"),
    Deliverable(1, "processes-{container}.txt", "text", "processes as the kernel sees them (`docker top`)"),
    Deliverable(1, "restart.json", "restart", "a program killed with SIGKILL and back again"),
    Deliverable(1, "stats.png", "png", "statistics page after that"),
    Deliverable(2, "docker-logs-{container}.log", "text", "`docker logs`"),
    Deliverable(2, "serf-members.txt", "text", "`serf members` in ha"),
    Deliverable(2, "serf-members.json", "json", "the same as JSON"),
    Deliverable(3, "docker-logs-{container}.log", "text", "`docker logs` after a join", "join"),
    Deliverable(3, "serf.log", "text", "Serf's own log in ha over the whole walk"),
    Deliverable(3, "balance.log", "text", "what the balancer made of it"),
    Deliverable(4, "docker-ps.txt", "ps", "`docker ps`"),
    Deliverable(4, "docker-inspect-{container}.json", "inspect", "`docker inspect`"),
    Deliverable(4, "layers.json", "json", "layers of each image with sizes and which images share them"),
    Deliverable(4, "layers.txt", "text", "`docker history` of each image"),
    Deliverable(4, "generations.json", "json", "every configuration the balancer made, with its cause"),
    Deliverable(5, "docker-inspect-{container}.json", "inspect", "`docker inspect`", "end"),
    Deliverable(5, "lb-history.txt", "text", "`supervise lb history`"),
    Deliverable(6, "kill/stats-at-once.png", "png", "statistics page soon after the kill"),
    Deliverable(6, "programs.txt", "text", "every program of every container at the end"),
)
_EACH_STEP = (
    Deliverable(5, "{step}/haproxy.cfg", "cfg", "the configuration"),
    Deliverable(5, "{step}/nodes.txt", "text", "the files of /nodes"),
    Deliverable(5, "{step}/serf-members.txt", "text", "`serf members`"),
    Deliverable(5, "{step}/docker-ps.txt", "ps", "`docker ps -a`"),
    Deliverable(6, "{step}/stats.csv", "stats", "statistics as CSV"),
    Deliverable(6, "{step}/stats.png", "png", "statistics page"),
)
_EACH_CHANGE = (
    Deliverable(5, "{step}/haproxy.cfg.diff", "diff", "difference to the step before"),
    Deliverable(5, "{step}/generations.json", "json", "the changes the balancer made, with their causes"),
)
_EACH_LOAD = (Deliverable(6, "{step}/load.json", "load", "what the clients saw"),)

WHOLE = {"report.md": "report", "answers.md": "text", "evidence.json": "json"}
"""Files at the top of the folder."""


def deliverables(steps: Sequence[Step] = STEPS) -> tuple[Deliverable, ...]:
    """Every deliverable with ``{step}`` filled in; ``{container}`` still stands."""
    found = list(_ALWAYS)
    for step in steps:
        items = (*_EACH_STEP, *(_EACH_CHANGE if step.changes_servers else ()), *(_EACH_LOAD if step.load else ()))
        found += [replace(item, path=item.path.replace("{step}", step.name)) for item in items]
    return tuple(found)


def wanted(containers: Mapping[str, Sequence[str]], steps: Sequence[Step] = STEPS) -> dict[str, str]:
    """Path -> shape of every file that has to be there; ``containers`` are the names at each step, like ``webapp-1``.

    A step whose containers are not known counts with ``(unknown)``: its files are then missing, not forgotten.
    """
    files = dict(WHOLE)
    for item in deliverables(steps):
        names = (containers.get(item.at) or ["(unknown)"]) if "{container}" in item.path else [""]
        for name in names:
            files[item.folder + item.path.replace("{container}", name)] = item.shape
    return files


def missing(files: Mapping[str, str], read: Callable[[str], bytes | None]) -> dict[str, str]:
    """Path -> what is wrong with it, of the files that are not right. ``read`` gives None where there is no file."""
    problems = {}
    for path, shape in sorted(files.items()):
        data = read(path)
        fault = "it is missing" if data is None else fault_of(shape, data)
        if fault:
            problems[path] = fault
    return problems


def fault_of(shape: str, data: bytes) -> str:
    """Why the bytes do not have the shape; empty when they do."""
    if not data.strip():
        return "it is empty"
    if shape == "png":
        return _png_fault(data)
    try:
        text = data.decode("utf-8", "replace" if shape == "text" else "strict")
        return _CHECKS[shape](text)
    except ValueError as error:
        return f"it is not readable: {error}"


def _png_fault(data: bytes) -> str:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return "it is no PNG"
    width, height = struct.unpack(">II", data[16:24])
    if width < PICTURE_WIDTH_MIN or height < 200 or len(data) < PICTURE_BYTES_MIN:
        return f"it shows nothing: {width} x {height}, {len(data)} bytes"
    return ""


def _lacks(text: str, words: Iterable[str]) -> str:
    absent = [word for word in words if word not in text]
    return f"it lacks {', '.join(map(repr, absent))}" if absent else ""


def _text_fault(text: str) -> str:
    """What a command that failed says instead of what was asked for is no deliverable."""
    first = text.lstrip().partition("\n")[0]
    return f"it is an error: {first[:100]}" if first.startswith(("Error: ", "Error response from daemon")) else ""


def _ps_fault(text: str) -> str:
    return _lacks(text.splitlines()[0], ["CONTAINER ID", "STATUS", "NAMES"]) or (
        "" if len(text.splitlines()) > 2 else "it lists fewer than two containers"
    )


def _stats_fault(text: str) -> str:
    if not text.startswith("# pxname,svname,"):
        return "it is not HAProxy's CSV"
    rows = [line.split(",")[:2] for line in text.splitlines()[1:]]
    servers = [row[1] for row in rows if row[0] == "app" and row[1] not in ("FRONTEND", "BACKEND")]
    return "" if servers else "it shows no server"


def _cfg_fault(text: str) -> str:
    return _lacks(text, ["frontend http", "backend app", "\n    server "]) or (
        "" if text.endswith("\n") else "it is cut: no end of line"
    )


def _diff_fault(text: str) -> str:
    servers = [line for line in text.splitlines() if line[:1] in "+-" and " server " in line]
    return "" if servers else "it changes no server"


def _json_fault(text: str) -> str:
    return "" if json.loads(text) else "it holds nothing"


def _inspect_fault(text: str) -> str:
    value = json.loads(text)
    good = isinstance(value, list) and len(value) == 1 and {"Id", "State", "NetworkSettings"} <= value[0].keys()
    return "" if good else "it is no output of docker inspect"


def _spread_fault(text: str) -> str:
    value = json.loads(text)
    return "" if value["requests"] > 0 and len(value["by_server"]) > 0 else "it shows no request"


def _restart_fault(text: str) -> str:
    value = json.loads(text)
    return "" if value["back"] and value["after"]["restarts"] > value["before"]["restarts"] else "it shows no restart"


def _load_fault(text: str) -> str:
    value = json.loads(text)
    return "" if value["requests"] > 0 and value["by_kind"] else "it shows no request"


def _report_fault(text: str) -> str:
    heads = ["# ", "## Contents", "## Introduction", "## Difficulties", "## Conclusion"]
    return _lacks(text, [*heads, *(f"## Task {task.number}: {task.title}" for task in TASKS)])


_CHECKS: dict[str, Callable[[str], str]] = {
    "text": _text_fault,
    "ps": _ps_fault,
    "stats": _stats_fault,
    "cfg": _cfg_fault,
    "diff": _diff_fault,
    "json": _json_fault,
    "inspect": _inspect_fault,
    "spread": _spread_fault,
    "restart": _restart_fault,
    "load": _load_fault,
    "report": _report_fault,
}
