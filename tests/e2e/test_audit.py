"""HAProxy under load, its pipe jammed, reloaded, restarted, killed: produced = stored + dropped, or unverified."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.stack import Stack, docker, eventually, run

pytestmark = pytest.mark.engine

CONNECTIONS = 8
PIPELINED = 20
REQUEST = b"GET /audit HTTP/1.1\r\nHost: test\r\n\r\n"

SIGNAL = """
import os, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    except OSError:
        continue
    if set(sys.argv[2].encode().split()) <= set(words):
        os.kill(int(pid), int(sys.argv[1]))
"""

ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[2].encode() + b"\\n")
    connection.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: connection.recv(65536), b"")).decode())
"""


class Load:
    """Clients that count their answers: each is a line that HAProxy logged, or counted as dropped."""

    def __init__(self, address: str) -> None:
        self.answers = 0
        self._address = address
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client) for _ in range(CONNECTIONS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _client(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection((self._address, 80), 10) as connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        """Whole batches only: what is sent is answered, or the connection ends."""
        while not self._stop.is_set():
            connection.sendall(REQUEST * PIPELINED)
            left, held = PIPELINED, b""
            while left:
                data = connection.recv(1 << 16)
                if not data:
                    return
                held += data
                heads = held.count(b"HTTP/1.1 ")
                held = held[-8:]
                left -= heads
                with self._lock:
                    self.answers += heads


def signal(container: str, number: int, words: str) -> None:
    docker("exec", container, "/usr/bin/python3", "-I", "-c", SIGNAL, str(number), words)


def ask(container: str, path: str, command: str) -> str:
    return docker("exec", container, "/usr/bin/python3", "-I", "-c", ASK, path, command)


def jam(ha: str) -> None:
    """Nobody reads HAProxy's pipe until it is full and HAProxy has dropped something, however long that takes here."""
    before = dropped(ha)
    signal(ha, 19, "spool --fifo-dir")
    try:
        eventually("HAProxy drops", lambda: dropped(ha) > before, seconds=90)
    finally:
        signal(ha, 18, "spool --fifo-dir")


def dropped(ha: str) -> int:
    """What the present worker could not write."""
    return int(ask(ha, "/run/haproxy/admin.sock", "show info").partition("DroppedLogs: ")[2].split()[0])


def reload(ha: str) -> None:
    assert ask(ha, "/run/haproxy/master.sock", "reload").startswith("Success=1")


def found(stack: Stack) -> dict[str, Any]:
    """What the running audit has found; empty before its first note."""
    text = docker("exec", stack.ids("collector")[0], "cat", "/var/lib/logship/store/audit.json", check=False)
    notes = json.loads(text)["found"] if text else {}
    assert isinstance(notes, dict)
    return notes


def total(stack: Stack, name: str) -> int:
    return int(found(stack).get("totals", {}).get(name, 0))


def numbered(ha: str) -> int:
    """How many lines the present worker has numbered."""
    row = ask(ha, "/run/haproxy/admin.sock", "get var proc.lines")
    return int(row.partition("value=<")[2].partition(">")[0] or 0)


def once(stack: Stack) -> tuple[int, list[dict[str, Any]]]:
    """The same, judged anew from the whole journal."""
    words = ["exec", stack.ids("collector")[0], "logship", "audit", "--once", "-o", "json"]
    result = run("docker", *words, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def ledger(stack: Stack) -> list[dict[str, Any]]:
    """The records of the audit."""
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4437/v1/losses').read().decode())"
    text = docker("exec", stack.ids("collector")[0], "/usr/bin/python3", "-I", "-c", script)
    records = [json.loads(line) for line in text.splitlines() if line]
    return [record for record in records if record["id"].startswith("audit:")]


@pytest.fixture(scope="module")
def audited() -> Iterator[Stack]:
    from tests.e2e.stack import project

    with project() as stack:
        stack.up(2)
        eventually("two nodes serve", lambda: stack.serving(2), seconds=90, explain=stack.picture)
        yield stack


def told(stack: Stack) -> str:
    """For a failure: what was said."""
    words = ("logship", "audit", "--once")
    return run("docker", "exec", stack.ids("collector")[0], *words, check=False).stdout[-6000:]


def settled(stack: Stack, lines: int) -> None:
    """All lines are in windows that were judged."""
    eventually(
        f"{lines} lines are judged", lambda: total(stack, "produced") >= lines,
        seconds=120, every=1, explain=lambda: told(stack),
    )  # fmt: skip


@pytest.mark.case(115, 117)
def test_under_load_with_a_jammed_pipe_and_reloads_every_line_is_stored_or_counted(audited: Stack) -> None:
    ha = audited.ids("ha")[0]
    settled(audited, numbered(ha))
    before = {name: total(audited, name) for name in ("produced", "stored", "dropped")}
    with Load(audited.ha_address()) as load:
        for number in range(4):
            jam(ha)
            if number % 2:
                reload(ha)
            time.sleep(1)
    settled(audited, before["produced"] + load.answers)
    after = found(audited)
    produced, stored, dropped = (after["totals"][name] - before[name] for name in ("produced", "stored", "dropped"))
    print(f"{load.answers} answers: {produced} produced, {stored} stored, {dropped} dropped")
    assert dropped > 0, "the pipe was full for a while"
    assert produced == stored + dropped
    assert load.answers <= produced <= load.answers + 4 * CONNECTIONS * PIPELINED, "a reload may cut answers off"
    assert {row["verdict"] for row in after["workers"]} == {"verified"}, told(audited)
    assert len(after["workers"]) >= 3
    records = ledger(audited)
    assert sum(record["count"] for record in records if record["id"].endswith(":dropped")) == after["totals"]["dropped"]
    assert {record["unit"] for record in records} == {"lines"}


@pytest.mark.case(115)
def test_an_ordered_restart_of_haproxy_is_verified_to_its_last_line(audited: Stack) -> None:
    ha = audited.ids("ha")[0]
    workers = len(found(audited)["workers"])
    produced = total(audited, "produced")
    with Load(audited.ha_address()) as load:
        time.sleep(2)
        audited.supervise("ctl", "restart", "ha:haproxy")
        time.sleep(1)
    settled(audited, produced + load.answers)
    assert load.answers > 0
    after = found(audited)
    assert len(after["workers"]) > workers
    assert {row["verdict"] for row in after["workers"]} == {"verified"}, told(audited)
    assert int(docker("inspect", "-f", "{{.RestartCount}}", ha)) == 0


def test_a_killed_worker_is_unverified_and_nothing_is_said_to_be_lost(audited: Stack) -> None:
    """The container ends with it and is started again; the window of its end is told apart from all others."""
    ha = audited.ids("ha")[0]
    with Load(audited.ha_address()):
        time.sleep(3)
        pids = ask(ha, "/run/haproxy/master.sock", "show proc")
        pid = next(line.split()[0] for line in pids.splitlines() if " worker " in line)
        docker("exec", ha, "/usr/bin/python3", "-I", "-c", f"import os; os.kill({pid}, 9)")
        time.sleep(3)
    eventually("the nodes serve again", lambda: audited.serving(2), seconds=90, explain=audited.picture)
    eventually(
        "its end is judged", lambda: total(audited, "windows_unverified") == 1,
        seconds=240, every=2, explain=lambda: told(audited),
    )  # fmt: skip
    after = found(audited)
    assert after["totals"]["lost"] == 0
    worst = [window for window in after["windows"] if window["verdict"] == "unverified"]
    assert [window["pid"] for window in worst] == [int(pid)]
    assert worst[0]["why"]


def test_judged_anew_from_the_journal_everything_is_the_same(audited: Stack) -> None:
    """Also after the audit was killed: the ledger holds nothing twice."""
    collector = audited.ids("collector")[0]
    signal(collector, 9, "audit --store")
    records = ledger(audited)

    def same() -> bool:
        status, rows = once(audited)
        assert status == 1, "lines were dropped, and a window is unverified"
        judged = next(row for row in rows if row["type"] == "totals")
        totals = found(audited)["totals"]
        return all(judged[name] == count for name, count in totals.items())

    eventually("both come to the same", same, seconds=60, every=2, explain=lambda: told(audited))
    assert ledger(audited) == records
    assert len({record["id"] for record in records}) == len(records)
