"""`supervise evidence` on real containers: every deliverable of the lab, no failed request, the stack as before."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from supervise.evidence.browser import find
from supervise.evidence.collect import SPREAD_REQUESTS
from supervise.evidence.folder import Folder
from supervise.evidence.tasks import missing, wanted
from tests.e2e.stack import Stack, docker, eventually

pytestmark = pytest.mark.engine

REQUESTS = 2_000


@pytest.mark.timeout(600)
def test_every_deliverable_of_the_lab_is_collected_and_the_stack_is_as_before(stack: Stack, tmp_path: Path) -> None:
    assert find(dict(os.environ)), "no browser for the pictures: apt-get install chromium (make test does it)"
    eventually("every container is healthy", stack.healthy)
    before = len(stack.ids("webapp"))
    others = {service: stack.ids(service) for service in ("ha", "collector")}
    words = ["evidence", str(tmp_path / "out"), "--requests", str(REQUESTS), "--nodes-max", "4"]
    result = stack.supervise(*words, check=False, timeout=500)
    keep(tmp_path / "out")
    assert result.returncode == 0, result.stdout + result.stderr

    folder = Folder(tmp_path / "out")
    record = json.loads(folder.read("evidence.json") or b"{}")
    assert record["complete"]
    assert record["failed"] == 0
    assert record["requests"] >= 4 * REQUESTS
    files = wanted({step["name"]: step["containers"] for step in record["steps"]})
    assert missing(files, folder.read) == {}

    assert len(stack.ids("webapp")) == len(stack.ids("webapp", stopped=True)) == before
    assert {service: stack.ids(service) for service in others} == others, "ha and collector were left alone"
    assert stack.serving(before)
    eventually("every container is healthy", stack.healthy)

    sent = json.loads(folder.read("logs/task 0/requests.json") or b"{}")["requests"]
    assert sent >= SPREAD_REQUESTS
    assert requests_in((folder.read("logs/task 0/stats.csv") or b"").decode()) >= sent, "the report shows what they did"

    # What the walk saw, not just that it saw something.
    by_name = {step["name"]: step for step in record["steps"]}
    assert len(by_name["up"]["nodes"]) == 4
    assert len(by_name["down"]["nodes"]) == 2
    for step in by_name.values():
        if step["outcome"]:
            assert step["outcome"]["sessions_moved_unexplained"] == step["outcome"]["sessions_reset"] == 0, step["name"]
    assert {"join", "leave"} <= {
        cause.split()[0] for s in by_name.values() for g in s["generations"] for cause in g["cause"]
    }
    serf = (folder.read("logs/task 3/serf.log") or b"").decode()
    assert all(event in serf for event in ("EventMemberJoin", "EventMemberLeave", "EventMemberFailed"))
    assert (
        docker("ps", "-q", "--filter", "status=exited", "--filter", f"label=com.docker.compose.project={stack.project}")
        == ""
    )


def requests_in(statistics: str) -> int:
    """How many requests the frontend has had, by HAProxy's CSV statistics."""
    rows = csv.DictReader(io.StringIO(statistics.removeprefix("# ")))
    return sum(int(row["req_tot"]) for row in rows if (row["pxname"], row["svname"]) == ("http", "FRONTEND"))


def keep(folder: Path) -> None:
    """Where EVIDENCE_KEEP names a folder, copy the report there, for people to look at."""
    if place := os.environ.get("EVIDENCE_KEEP"):
        shutil.copytree(folder, place, dirs_exist_ok=True)
