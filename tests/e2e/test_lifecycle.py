"""Containers start in any order, stop in order, and end with the status of their cause."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, docker, eventually, inspect

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("order", list(itertools.permutations(("ha", "webapp", "collector"))), ids="-".join)
def test_every_start_order_converges_without_hands(fresh_stack: Stack, order: tuple[str, ...]) -> None:
    for service in order:
        fresh_stack.up(2, service)
    eventually("two nodes serve", lambda: fresh_stack.ids("ha") and fresh_stack.serving(2), seconds=60)
    eventually("every container is healthy", fresh_stack.healthy, seconds=60)


def test_a_restarted_balancer_is_back_to_full_traffic_by_itself(stack: Stack) -> None:
    began = time.monotonic()
    docker("restart", stack.ids("ha")[0])
    eventually("three nodes serve", lambda: stack.serving(3), seconds=60)
    print(f"docker restart of ha until all serve: {time.monotonic() - began:.1f} s")


def test_a_killed_balancer_is_back_to_full_traffic_once_started(stack: Stack) -> None:
    ha = stack.ids("ha")[0]
    docker("kill", ha)
    docker("start", ha)
    eventually("three nodes serve", lambda: stack.serving(3), seconds=60)


def test_a_webapp_leaves_the_members_before_its_program_is_told_to_stop(stack: Stack) -> None:
    """In the stopped container's own events serf has ended before the webapp is stopped, and nothing was killed."""
    node = stack.ids("webapp")[0]
    incarnation = stack.state(node)["incarnation"]
    docker("stop", node)
    assert inspect(node)["State"]["ExitCode"] == 0
    spool = next(mount["Source"] for mount in inspect(node)["Mounts"] if mount["Destination"] == "/var/spool/logship")
    text = "".join(path.read_text() for path in sorted(Path(spool, incarnation, "supervise").glob("0*")))
    events = [json.loads(line) for line in text.splitlines()]
    begun = next(index for index, item in enumerate(events) if item["event"] == "stop")
    events = events[begun:]  # what earlier tests did to this node is another story
    moments = {(item["program"], item["to"]): index for index, item in enumerate(events) if item["event"] == "state"}
    assert moments["serf", "STOPPED"] < moments["webapp", "STOPPING"] < moments["spool", "STOPPING"]
    assert not [item for item in events if item.get("signal") == "SIGKILL"]


def test_a_program_killed_with_9_is_back_and_that_is_told(stack: Stack) -> None:
    """Every program of every container but the essential ones: killed, back by its policy, told in ps and events."""
    killed = []
    for service in ("ha", "webapp", "collector"):
        container = stack.ids(service)[0]
        for program in stack.state(container)["programs"]:
            if program["essential"]:
                continue
            before = program["restarts"]
            docker("exec", container, "python3", "-c", f"import os; os.kill({program['pid']}, 9)")
            killed.append((container, program["name"], before))
    assert len(killed) >= 6
    for container, name, before in killed:

        def back(container: str = container, name: str = name, before: int = before) -> bool:
            found = next(item for item in stack.state(container)["programs"] if item["name"] == name)
            return bool(found["state"] == "RUNNING" and found["ready"] and found["restarts"] == before + 1)

        eventually(f"{name} is back", back)
        exits = [item for item in stack.events(container) if item["event"] == "exit" and item["program"] == name]
        assert exits[-1]["signal"] == "SIGKILL"
    assert "SIGKILL" in stack.supervise("ctl", "status", "all").stdout


def test_an_essential_program_that_ends_ends_its_container_with_its_status(stack: Stack) -> None:
    """The webapp is killed by SIGKILL: its container ends with 137, not with 0."""
    node = stack.ids("webapp")[0]
    docker("update", "--restart=no", node)
    pid = next(item["pid"] for item in stack.state(node)["programs"] if item["name"] == "webapp")
    docker("exec", node, "python3", "-c", f"import os; os.kill({pid}, 9)")
    eventually("the container has ended", lambda: not inspect(node)["State"]["Running"], seconds=60)
    assert inspect(node)["State"]["ExitCode"] == 137
