"""Serf and the collector as sources: what they say in every life arrives, and where a life begins is marked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.collected import Collected
from tests.e2e.stack import Stack, docker, eventually, run
from tests.e2e.test_logs import LOGSHIP, url

pytestmark = pytest.mark.engine

KILL = "import os; os.kill({pid}, 9)"
SPOOLED = "cat /run/supervise/spool/serf/0*"


def serf(stack: Stack, container: str) -> dict[str, Any]:
    """What PID 1 says of Serf."""
    programs = stack.state(container).get("programs", [])
    return next((item for item in programs if item["name"] == "serf"), {})


def lives(stack: Stack) -> list[list[str]]:
    """Serf's lines of the first web node as they are read, a list for each life that the reader marks."""
    command = [LOGSHIP, "logs", "--url", url(stack), "-o", "json", "-n", "all", "webapp/1:serf"]
    found: list[list[str]] = [[]]
    for item in map(json.loads, run(*command).stdout.splitlines()):
        if item["type"] == "line":
            found[-1].append(item["text"])
        elif "started" in item.get("text", ""):
            found.append([])
    return found


@pytest.mark.case(123)
def test_every_line_of_serf_arrives_through_a_restart_and_a_kill_and_each_life_is_marked(stack: Stack) -> None:
    node = stack.ids("webapp")[0]
    before = len(lives(stack))
    stack.supervise("ctl", "restart", "webapp/1:serf")
    eventually("it runs again", lambda: serf(stack, node).get("ready"), seconds=60)
    pid = serf(stack, node)["pid"]
    docker("exec", node, "/usr/bin/python3", "-I", "-c", KILL.format(pid=pid))
    eventually("another one runs", lambda: serf(stack, node).get("pid") not in (None, pid), seconds=60)
    eventually("the nodes serve", lambda: stack.serving(3), seconds=90, explain=stack.picture)
    collected, incarnation = Collected(stack), str(stack.state(node)["incarnation"])

    def same() -> bool:
        spooled = docker("exec", node, "sh", "-c", SPOOLED)
        return b"".join(collected.content("serf", incarnation)).decode().rstrip("\n") == spooled

    eventually("the collector has what the spool has", same, seconds=60)
    eventually("both new lives are read", lambda: len(lives(stack)) == before + 2, seconds=30)
    found = lives(stack)
    assert all("Starting Serf agent" in life[0] for life in found[-2:]), [life[:1] for life in found[-2:]]
    assert any("leave" in line for line in found[-3]), "it left in order before the restart"
    assert not any("leave complete" in line for line in found[-2]), "and was killed in the midst of the next life"
    assert collected.losses() == []


@pytest.mark.case(126)
def test_the_collectors_own_lines_arrive_though_it_restarts_with_all_its_programs(stack: Stack) -> None:
    """Its last words were said when nobody could take them: they lay on its volume, and its next life shipped them."""
    container = stack.ids("collector")[0]
    earlier = str(stack.state(container)["incarnation"])
    docker("restart", "-t", "30", container, timeout=90)
    collected = Collected(stack)
    eventually("it answers again", collected.answers, seconds=60)

    def shipped() -> bool:
        chains = [collected.chain(name, earlier) for name in ("supervise", "collect", "ship", "spool")]
        return all(chain and chain[-1]["closed"] for chain in chains)

    eventually("the streams of its earlier life are closed", shipped, seconds=90)
    events = [json.loads(line) for line in b"".join(collected.content("supervise", earlier)).splitlines()]
    assert events[-1]["event"] == "ended", "PID 1's very last word"
    last = json.loads(b"".join(collected.content("collect", earlier)).splitlines()[-1])
    assert last["event"] == "stopped", "and the collector's own, said when it took nothing any more"
    assert collected.losses() == []
    eventually("every container is healthy", stack.healthy, seconds=90)
