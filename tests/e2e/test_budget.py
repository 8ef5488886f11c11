"""A forced loss: the collector is away, a tiny budget is used up, and what is missing is what the ledger says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.collected import Collected
from tests.e2e.stack import TREE, Stack, compose_command, docker, eventually, project, run

pytestmark = pytest.mark.engine

LOGSHIP = str(TREE / ".venv" / "bin" / "logship")
SEGMENT_BYTES, BUDGET_BYTES = 65536, 262144
LINE_BYTES, LINES, FIRST_LINES = 100, 20_000, 50
OVERRIDE = {
    "services": {
        "webapp": {
            "environment": {
                "LOGSHIP_SEGMENT_BYTES": str(SEGMENT_BYTES),
                "LOGSHIP_SPOOL_BYTES_MAX": str(BUDGET_BYTES),
                "LOGSHIP_SPOOL_CONTAINER_BYTES_MAX": "0",
            }
        }
    }
}
SAY = """
import os, sys
first, count = map(int, sys.argv[1:])
program = os.open("/run/supervise/fifo/webapp", os.O_WRONLY)
for number in range(first, first + count):
    os.write(program, f"said {number:08}".encode().ljust(99, b".") + b"\\n")
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of one webapp, whose spool keeps no more than a quarter of a megabyte of a program."""
    override = tmp_path_factory.mktemp("budget") / "override.json"
    override.write_text(json.dumps(OVERRIDE))
    with project() as stack:
        files = ["-f", "compose.yaml", "-f", str(override)]
        words = ["up", "-d", "--no-build", "--scale", "webapp=1", "collector", "webapp"]
        ports = {name: str(port) for name, port in stack.ports.items()}
        run(*compose_command(), "-p", stack.project, *files, *words, timeout=180, environment=ports)
        eventually("every container is healthy", stack.healthy, seconds=120)
        yield stack


def say(container: str, first: int, count: int) -> None:
    """Numbered lines of 100 bytes, as if the program webapp had said them."""
    docker("exec", container, "python3", "-c", SAY, str(first), str(count), timeout=120)


def logs(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """``logship logs`` of the program webapp; what it says on standard error stands where it would on a terminal."""
    url = f"http://127.0.0.1:{stack.ports['VIEWER_PORT']}"
    command = [LOGSHIP, "logs", "--url", url, *words, "webapp:webapp"]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )


def read(stack: Stack) -> list[dict[str, Any]]:
    """All lines and marks in their order; none while the viewer cannot be asked."""
    result = logs(stack, "-n", "all", "-o", "json")
    return [json.loads(line) for line in result.stdout.splitlines()] if result.returncode == 0 else []


def number(item: dict[str, Any]) -> int | None:
    """The number of a line that is whole."""
    text = item.get("text", "")
    return int(text[5:13]) if item["type"] == "line" and text.startswith("said ") and len(text) == 99 else None


def spool(container: str) -> tuple[str, int, int]:
    """The incarnation, and of webapp's stream the end and the bytes that are there."""
    code = (
        "import os; f = os.path.realpath('/run/supervise/spool'); n = sorted(x for x in os.listdir(f + '/webapp') if "
        "x.isdigit()); s = [os.path.getsize(f + '/webapp/' + x) for x in n]; print(os.path.basename(f), int(n[-1]) + "
        "s[-1], sum(s))"
    )
    name, end, held = docker("exec", container, "python3", "-c", code).split()
    return name, int(end), int(held)


@pytest.mark.case(79, 100)
def test_the_ledgers_count_is_what_is_missing_and_reading_shows_it_at_its_place(small: Stack) -> None:
    webapp, collector = small.ids("webapp")[0], small.ids("collector")[0]
    collected = Collected(small)
    say(webapp, 0, FIRST_LINES)
    eventually("the first lines are there", lambda: len(numbers(read(small))) == FIRST_LINES, seconds=60)
    incarnation, base, _ = spool(webapp)  # all of it is at the collector
    docker("stop", collector, timeout=90)
    say(webapp, FIRST_LINES, LINES)
    end = base + LINES * LINE_BYTES
    eventually("all has left the pipe", lambda: spool(webapp)[1] == end, seconds=60)
    _, _, held = spool(webapp)
    assert held <= BUDGET_BYTES + SEGMENT_BYTES
    docker("start", collector, timeout=90)
    eventually(
        "all that is left is at the collector",
        lambda: collected.answers() and collected.length("webapp", incarnation) + lost(collected) >= end,
        seconds=120,
    )
    # Bytes: what is stored and what is lost make up what was written, once.
    stored = collected.length("webapp", incarnation)
    assert stored + lost(collected) == end
    records = [loss for loss in collected.losses() if loss["stream"].split("/")[2] == "webapp"]
    assert [loss["reason"] for loss in records] == ["over budget"]
    assert lost(collected) > (LINES * LINE_BYTES) // 2
    # Lines: those that the hole touches are the ones that are not there whole, and no other.
    before, _ = collected.chain("webapp", incarnation)
    hole = before["next_offset"] - base, before["next_offset"] - base + lost(collected)
    touched = range(FIRST_LINES + hole[0] // LINE_BYTES, FIRST_LINES - (-hole[1] // LINE_BYTES))
    items = eventually("the last line is read", lambda: whole(small), seconds=60)
    assert numbers(items) == [each for each in range(FIRST_LINES + LINES) if each not in touched]
    # The mark stands between the last line before it and the first one after it, on the terminal as well.
    marks = [place for place, item in enumerate(items) if "loss" in item]
    assert [items[place]["bytes"] for place in marks] == [lost(collected)]
    assert max(numbers(items[: marks[0]])) < touched[0]
    assert min(numbers(items[marks[0] :])) > touched[-1]
    shown = logs(small, "-n", "all").stdout.splitlines()
    told = [place for place, line in enumerate(shown) if "over budget" in line]
    assert len(told) == 1, shown[:3]
    assert f"said {touched[0] - 1:08}" in "".join(shown[: told[0]])
    assert f"said {touched[-1] + 1:08}" in "".join(shown[told[0] :])
    # Nothing of PID 1's means against a spool that is gone or hangs was needed.
    assert [event for event in small.events(webapp) if event["event"] in ("stuck", "dropping", "dropped")] == []


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [found for item in items if (found := number(item)) is not None]


def whole(stack: Stack) -> list[dict[str, Any]]:
    """All items, once the last line is among them."""
    items = read(stack)
    return items if FIRST_LINES + LINES - 1 in numbers(items) else []


def lost(collected: Collected) -> int:
    """Bytes of the program webapp that the collector's ledger counts as lost."""
    return sum(loss["bytes"] for loss in collected.losses() if loss["stream"].split("/")[2] == "webapp")
