"""What is written down: at the start, after each step, at the end.

Each file is tried on its own, so one that cannot be had does not cost the others. The files are those of ``tasks.py``.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from logship.errors import Fault
from supervise.evidence import browser
from supervise.evidence.load import Load
from supervise.evidence.stack import CONFIGURATION_PATH, Stack
from supervise.evidence.tasks import Step
from supervise.evidence.values import StepRecord, hosts_in, layers_of, name_of, servers_of
from supervise.fleet.container import Container

if TYPE_CHECKING:
    from supervise.evidence.run import Walk

SPREAD_REQUESTS = 300
PICTURE_HEIGHT = 540
PICTURE_HEIGHT_A_SERVER = 32
BACK_SECONDS = 40.0


def found(walk: Walk) -> None:
    """Tasks 0, 1, 2 and the images of task 4: the stack as it was found."""
    stack = walk.stack
    _versions(walk)
    with walk.trying("logs/task 0/repository.txt"):
        walk.evidence.repository = stack.repository()
        walk.folder.write("logs/task 0/repository.txt", f"{walk.evidence.repository}\n")
    _put(walk, "logs/task 0/docker-ps.txt", stack.listing)
    with walk.trying("logs/task 0/requests.json"):
        outcome = Load(*walk.door, {"close": 4}, requests_min=SPREAD_REQUESTS, seconds_max=60).start().stop()
        walk.evidence.spread = outcome.as_json()
        walk.folder.write("logs/task 0/requests.json", walk.evidence.spread)
        if outcome.failed:
            raise Fault("get", f"{SPREAD_REQUESTS} answers", f"{outcome.failed} requests failed")
    _put(walk, "logs/task 0/stats.csv", stack.statistics)  # after the requests: the report shows what they did
    picture(walk, "logs/task 0/stats.png")
    _put(walk, "logs/task 1/programs.txt", lambda: stack.supervise("ctl", "status", "all"))
    for container in stack.containers():
        label = name_of(container)
        words = ("top", container.id, "-eo", "pid,ppid,user:10,stat,etime,args")
        _put(walk, f"logs/task 1/processes-{label}.txt", partial(stack.docker, *words))
        _put(walk, f"logs/task 2/docker-logs-{label}.log", partial(stack.logs, container))
        _put(walk, f"logs/task 4/docker-inspect-{label}.json", partial(_inspected, stack, container))
    _restart(walk)
    picture(walk, "logs/task 1/stats.png")
    ha = stack.ha()
    _put(walk, "logs/task 2/serf-members.txt", lambda: stack.inside(ha, "/usr/bin/serf", "members"))
    _put(
        walk,
        "logs/task 2/serf-members.json",
        lambda: json.loads(stack.inside(ha, "/usr/bin/serf", "members", "-format=json")),
    )
    _put(walk, "logs/task 4/docker-ps.txt", stack.listing)
    _layers(walk)


def step(walk: Walk, of: Step, record: StepRecord, configuration: str, generation: int) -> str:
    """Tasks 5 and 6, and the logs of task 3, after a step. Returns the configuration, empty when it cannot be had."""
    stack, five, six = walk.stack, f"logs/task 5/{of.name}", f"logs/task 6/{of.name}"
    ha = stack.ha()
    now = ""
    with walk.trying(f"{five}/haproxy.cfg"):
        now = stack.file(ha, CONFIGURATION_PATH)
        walk.folder.write(f"{five}/haproxy.cfg", now)
        if configuration:
            before, after = configuration.splitlines(keepends=True), now.splitlines(keepends=True)
            record.diff = "".join(difflib.unified_diff(before, after, "before/haproxy.cfg", "after/haproxy.cfg"))
            if of.changes_servers:
                walk.folder.write(f"{five}/haproxy.cfg.diff", record.diff)
    with walk.trying(f"{five}/generations.json"):
        record.generations = stack.generations(generation)
        if of.changes_servers:
            walk.folder.write(f"{five}/generations.json", record.generations)
    with walk.trying(f"{five}/nodes.txt"):
        record.listing = stack.inside(
            ha, "/bin/sh", "-c", 'ls -l /nodes; cd /nodes; for f in *; do echo; echo "== $f"; cat "$f"; done'
        )
        walk.folder.write(f"{five}/nodes.txt", record.listing)
    _put(walk, f"{five}/serf-members.txt", lambda: stack.inside(ha, "/usr/bin/serf", "members"))
    _put(walk, f"{five}/docker-ps.txt", lambda: stack.listing(stopped=True))
    _put(walk, f"{six}/stats.csv", stack.statistics)
    picture(walk, f"{six}/stats.png")
    if record.outcome is not None:
        walk.folder.write(f"{six}/load.json", record.outcome)
    if of.name == "join":
        for container in stack.containers():
            _put(walk, f"logs/task 3/docker-logs-{name_of(container)}.log", partial(stack.logs, container))
    return now


def whole(walk: Walk) -> None:
    """What is told of the walk as a whole."""
    stack = walk.stack
    ha = stack.ha()
    _put(walk, "logs/task 3/serf.log", lambda: stack.program_log(ha, "serf"))
    _put(walk, "logs/task 3/balance.log", lambda: stack.program_log(ha, "balance"))
    _put(walk, "logs/task 4/generations.json", lambda: stack.generations(0))
    for container in stack.containers():
        path = f"logs/task 5/docker-inspect-{name_of(container)}.json"
        _put(walk, path, partial(_inspected, stack, container))
    _put(walk, "logs/task 5/lb-history.txt", lambda: stack.supervise("lb", "history"))
    _put(walk, "logs/task 6/programs.txt", lambda: stack.supervise("ctl", "status", "all"))


def hosts_of(stack: Stack) -> set[str]:
    """The hosts that the published configuration sends requests to."""
    return hosts_in(stack.file(stack.ha(), CONFIGURATION_PATH))


def _put(walk: Walk, path: str, make: Callable[[], str | bytes | Any]) -> None:
    with walk.trying(path):
        walk.folder.write(path, make())


def _inspected(stack: Stack, container: Container) -> list[dict[str, Any]]:
    """As ``docker inspect`` prints it: a list of one."""
    return [stack.inspect(container)]


def picture(walk: Walk, path: str) -> None:
    """A picture of the statistics page as it is now."""
    with walk.trying(path):
        height = PICTURE_HEIGHT + PICTURE_HEIGHT_A_SERVER * len(servers_of(walk.stack.statistics()))
        browser.picture(walk.stack.statistics_url(), walk.folder.path(path), walk.environment, height=height)


def _versions(walk: Walk) -> None:
    with walk.trying("versions"):
        versions = walk.evidence.versions
        versions["Docker engine"] = walk.stack.docker("version", "--format", "{{.Server.Version}}").strip()
        ha = walk.stack.ha()
        words = (
            "/usr/bin/dpkg-query",
            "-W",
            "-f",
            "${Package} ${Version}\\n",
            "haproxy",
            "python3",
            "serf",
            "supervisor",
        )
        for line in walk.stack.inside(ha, *words).splitlines():
            package, _, version = line.partition(" ")
            versions[package] = version


def _restart(walk: Walk) -> None:
    """Kill the Serf agent of one web node and see it come back, while the node goes on serving."""
    with walk.trying("logs/task 1/restart.json"):
        node = walk.stack.nodes()[0]
        before = _program(walk.stack, node, "serf")
        began = time.monotonic()
        walk.stack.inside(node, "/usr/bin/python3", "-I", "-c", f"import os; os.kill({int(before['pid'])}, 9)")
        after = before
        while time.monotonic() < began + BACK_SECONDS:
            after = _program(walk.stack, node, "serf")
            if after["restarts"] > before["restarts"] and after["ready"]:
                break
            time.sleep(0.2)
        back = after["restarts"] > before["restarts"] and bool(after["ready"])
        walk.evidence.restart = {
            "program": f"webapp/{node.number}:serf",
            "killed_with": "SIGKILL",
            "back": back,
            "seconds": round(time.monotonic() - began, 2),
            "before": before,
            "after": after,
        }
        walk.folder.write("logs/task 1/restart.json", walk.evidence.restart)
        if not back:
            raise Fault("see", f"webapp/{node.number}:serf come back", f"not within {BACK_SECONDS:g} s", "supervise ps")


def _program(stack: Stack, container: Container, program: str) -> dict[str, Any]:
    programs: list[dict[str, Any]] = stack.state(container)["programs"]
    return next(item for item in programs if item["name"] == program)


def _layers(walk: Walk) -> None:
    """Layers of the images that run; the ids of layers are not comparable between builders, their making is."""
    with walk.trying("logs/task 4/layers.json"):
        images = sorted({walk.stack.inspect(item)["Config"]["Image"] for item in walk.stack.containers()})
        words = ("history", "--no-trunc", "--human=false", "--format", "{{json .}}")
        histories = {
            image: [json.loads(line) for line in walk.stack.docker(*words, image).splitlines()] for image in images
        }
        walk.evidence.layers = layers_of(histories)
        walk.folder.write("logs/task 4/layers.json", walk.evidence.layers)
        table = "\n".join(f"== {image}\n{walk.stack.docker('history', image)}" for image in images)
        walk.folder.write("logs/task 4/layers.txt", table)
