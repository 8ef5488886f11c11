"""From a request to its line at the reader: every output arrives at the collector, once, and is found there."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from tests.e2e.stack import TREE, Stack, docker, eventually, get
from tests.logship.prometheus import value

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


def source_records(stack: Stack) -> list[dict[str, Any]]:
    """What ``logship sources -o json`` tells of each stream."""
    command = [LOGSHIP, "sources", "--url", url(stack), "-o", "json"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def sources(stack: Stack) -> set[str]:
    """The streams that the viewer knows, as ``service:program``."""
    return {f"{source['place'].partition('/')[0]}:{source['program']}" for source in source_records(stack)}


@pytest.mark.case(126)
def test_every_program_of_every_container_has_its_stream(stack: Stack) -> None:
    get(stack.ha_address())
    wanted = {
        *(
            f"ha:{name}"
            for name in ("haproxy", "counters", "serf", "balance", "supervise", "supervisord", "spool", "ship")
        ),
        *(f"webapp:{name}" for name in ("webapp", "serf", "supervise", "supervisord", "spool", "ship")),
        *(
            f"collector:{name}"
            for name in ("collect", "view", "audit", "seal", "supervise", "supervisord", "spool", "ship")
        ),
    }
    eventually("every stream is there", lambda: wanted <= sources(stack), seconds=60)


def test_of_every_open_stream_it_is_known_how_far_behind_it_is_and_what_outage_it_survives(stack: Stack) -> None:
    get(stack.ha_address())
    wanted = ("lag_bytes", "lag_seconds", "rate", "survives_seconds", "lines", "last_line")

    def unknown() -> list[str]:
        still = [one for one in source_records(stack) if not one["closed"]]
        return [
            f"{one['source']} {name}: {one['unknown'][name]}"
            for one in still
            for name in wanted
            if name in one["unknown"]
        ]

    eventually("all of it is known", lambda: not unknown(), seconds=120, every=2, explain=lambda: "\n".join(unknown()))
    alive = [one for one in source_records(stack) if not one["closed"]]
    (haproxy,) = [one for one in alive if one["source"].startswith("ha/") and one["kind"] == "haproxy"]
    print({name: haproxy[name] for name in wanted})
    assert haproxy["lag_seconds"] < 60
    assert haproxy["lines"] >= 1
    assert haproxy["survives_seconds"] is None or haproxy["survives_seconds"] > 3600


def test_snapshots_are_hidden_and_counted_unless_they_are_asked_for(stack: Stack) -> None:
    def snapshots(*words: str) -> int:
        return sum(json.loads(str(line["text"]))["event"] == "snapshot" for line in logs(stack, "-n", "all", *words))

    eventually("both programs have told", lambda: snapshots("webapp:supervise") and snapshots("webapp:ship"))
    for line in logs(stack, "-n", "all", "webapp"):
        assert '"snapshot"' not in str(line["text"])[:100], line
    command = [LOGSHIP, "logs", "--url", url(stack), "-n", "all", "webapp"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "snapshots hidden; --snapshots shows them" in result.stderr
    assert len(logs(stack, "-n", "all", "--snapshots", "webapp")) > len(logs(stack, "-n", "all", "webapp"))


def test_viewer_and_collector_tell_prometheus_how_they_are(stack: Stack) -> None:
    with urllib.request.urlopen(f"{url(stack)}/metrics", timeout=60) as answer:
        text = answer.read()
    assert value(text, "logship_stream_bytes_total", service="ha", program="haproxy") > 0
    inside = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4437/metrics').read().decode(), end='')"
    own = docker("exec", stack.ids("collector")[0], "python3", "-c", inside) + "\n"
    assert value(own.encode(), "logship_collect_appends_total") > 0
    assert value(own.encode(), "logship_collect_accepting") == 1


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


def _read(lines: Iterable[str], seen: list[str]) -> None:
    for line in lines:
        seen.append(line)  # each as it comes


def test_a_follower_sees_a_request_soon_and_once(stack: Stack) -> None:
    mark = secrets.token_hex(6)
    command = [LOGSHIP, "logs", "--url", url(stack), "-f", "-n", "0", "-o", "raw", "-g", mark, "ha:haproxy"]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    seen: list[str] = []
    reader = threading.Thread(target=_read, args=(follower.stdout, seen), daemon=True)
    reader.start()

    def follows() -> bool:
        get(stack.ha_address(), path=f"/{mark}/first")
        time.sleep(0.2)
        return bool(seen)

    try:
        eventually("it follows", follows)  # what was before it began it does not show: that is what -n 0 asks for
        began = time.monotonic()
        get(stack.ha_address(), path=f"/{mark}/then")
        eventually("its line is there", lambda: f"GET /{mark}/then " in "".join(seen), every=0.01)
        print(f"from the request to its line at the follower: {time.monotonic() - began:.2f} s")
    finally:
        follower.terminate()
        follower.wait(timeout=30)
    reader.join(30)
    assert "".join(seen).count(f"GET /{mark}/then ") == 1
    assert len(logs(stack, "ha:haproxy", "-n", "all", "-g", f"{mark}/then")) == 1


@pytest.mark.case(79, 84)
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
