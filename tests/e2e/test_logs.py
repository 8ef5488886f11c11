"""From a request to its line at the reader: every output arrives at the collector, once, and is found there."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections import Counter

import pytest

from tests.e2e.stack import TREE, Stack, docker, eventually, get

pytestmark = pytest.mark.engine

LOGSHIP = str(TREE / ".venv" / "bin" / "logship")


def logs(stack: Stack, *words: str, check: bool = True) -> list[dict[str, object]]:
    """The lines that ``logship logs -o json`` prints; starts and losses stand between them and are left out."""
    command = [LOGSHIP, "logs", "--url", url(stack), "-o", "json", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not check or result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [item for item in found if item["type"] == "line"]


def url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.ports['VIEWER_PORT']}"


def sources(stack: Stack) -> set[str]:
    """The streams that the viewer knows, as ``service:program``."""
    command = [LOGSHIP, "sources", "--url", url(stack), "-o", "json"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = [json.loads(line) for line in text.splitlines()]
    return {f"{source['place'].partition('/')[0]}:{source['program']}" for source in found}


def test_every_program_of_every_container_has_its_stream(stack: Stack) -> None:
    get(stack.ha_address())
    wanted = {
        *(
            f"ha:{name}"
            for name in ("haproxy", "counters", "serf", "balance", "supervise", "supervisord", "spool", "ship")
        ),
        *(f"webapp:{name}" for name in ("webapp", "serf", "supervise", "supervisord", "spool", "ship")),
        *(f"collector:{name}" for name in ("collect", "view", "audit", "supervise", "supervisord", "spool", "ship")),
    }
    eventually("every stream is there", lambda: wanted <= sources(stack), seconds=60)


def test_each_of_300_requests_is_one_haproxy_line_at_the_collector(stack: Stack) -> None:
    """Told apart by a path of this test's own; the line and the webapp's line carry the same request id."""
    mark = secrets.token_hex(6)
    for number in range(300):
        get(stack.ha_address(), path=f"/{mark}/{number}")

    def paths() -> Counter[str]:
        lines = logs(stack, "ha:haproxy", "-n", "all", "-g", mark)
        return Counter(str(line["text"]).split('"')[1].split()[1] for line in lines)

    eventually("300 lines are there", lambda: sum(paths().values()) >= 300, seconds=60)
    assert paths() == Counter(f"/{mark}/{number}" for number in range(300))
    ids = Counter(
        str(line["text"]).split(" id=")[1].split()[0] for line in logs(stack, "ha:haproxy", "-n", "all", "-g", mark)
    )
    said = Counter(
        json.loads(str(line["text"]))["request_id"] for line in logs(stack, "webapp:webapp", "-n", "all", "-g", mark)
    )
    assert ids == said


def test_a_follower_sees_a_request_soon_and_once(stack: Stack) -> None:
    mark = secrets.token_hex(6)
    command = [LOGSHIP, "logs", "--url", url(stack), "-f", "-n", "0", "-o", "raw", "-g", mark, "ha:haproxy"]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        time.sleep(1)  # a follower that begins later shows nothing of before: that is what -n 0 asks for
        began = time.monotonic()
        get(stack.ha_address(), path=f"/{mark}")
        line = follower.stdout.readline()
        print(f"from the request to its line at the follower: {time.monotonic() - began:.2f} s")
        assert line.count(f"GET /{mark} ") == 1
    finally:
        follower.terminate()
        follower.wait(timeout=30)
    assert len(logs(stack, "ha:haproxy", "-n", "all", "-g", mark)) == 1


def test_an_outage_of_the_collector_and_kills_of_the_shippers_lose_and_repeat_nothing(stack: Stack) -> None:
    """The collector is down, spool and ship are killed with -9, requests go on: each is one line afterwards."""
    mark = secrets.token_hex(6)
    collector, ha = stack.ids("collector")[0], stack.ids("ha")[0]
    docker("stop", collector)
    for number in range(200):
        get(stack.ha_address(), path=f"/{mark}/{number}")
        if number in (50, 100, 150):
            programs = {item["name"]: item["pid"] for item in stack.state(ha)["programs"]}
            for name in ("spool", "ship"):
                docker("exec", ha, "python3", "-c", f"import os; os.kill({programs[name]}, 9)", check=False)
    docker("start", collector)

    def lines() -> list[str]:
        return [str(line["text"]) for line in logs(stack, "ha:haproxy", "-n", "all", "-g", mark, check=False)]

    eventually("200 lines are there", lambda: len(lines()) >= 200, seconds=90)
    assert Counter(line.split('"')[1].split()[1] for line in lines()) == Counter(f"/{mark}/{n}" for n in range(200))
    eventually("every container is healthy", stack.healthy, seconds=60)
