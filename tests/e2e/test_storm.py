"""HAProxy under load while spool, ship, balance and the collector are killed in turn: every line is stored, or counted.

The judge is HAProxy: it numbers the lines of a worker (``n=`` at their end, kept in a stick table) and counts those it
could not write (``DroppedLogs``). What the collector holds is read back over the wire.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.collected import Collected
from tests.e2e.killing import Killer
from tests.e2e.stack import TREE, Stack, eventually, get
from tests.e2e.test_images import inside

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

LONG = os.environ.get("LONG") == "1"
STORM_SECONDS = 60 if LONG else 20
CONNECTIONS = 64
CONTROL = 9999
TEMPLATE = "/opt/logship/templates/haproxy.cfg.j2"
RULE = '    http-request return status 200 content-type application/json string "{\\"host\\":\\"ha\\",\\"counter\\":0}"'
LINE = re.compile(rb'"GET /load/.* pid=(\d+) lc=\d+ tt=\d+ n=(\d+)$')
LINES_A_SECOND = 2000 if LONG else 200
PATH_BYTES = 850
"""A line of these has about 1,000 bytes. While spool starts again the pipe holds 1 MiB: half a second of the long form,
five of the short one, which so depends on no machine's speed."""


@dataclass(frozen=True)
class Counters:
    """Of the worker that runs: its process id, requests, lines it numbered, lines it could not write."""

    pid: int
    requests: int
    numbered: int
    dropped: int


class Weather:
    """A balancer that answers requests for /load itself, a web node, and a collector."""

    def __init__(self, stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.seed = os.environ.get("SEED") or secrets.token_hex(4)
        print(f"SEED={self.seed}")
        template = inside("ha", "cat", TEMPLATE)
        before, rule, after = template.partition("    use_backend app_panic")
        assert rule
        path = folder / "haproxy.cfg.j2"
        path.write_text(f"{before}{RULE} if {{ path_beg /load/ }}\n{rule}{after}\n")
        override = {"services": {"ha": {"volumes": [f"{path}:{TEMPLATE}:ro"]}}}
        (folder / "override.yaml").write_text(json.dumps(override))
        monkeypatch.setenv("COMPOSE_FILE", f"{TREE / 'compose.yaml'}:{folder / 'override.yaml'}")
        stack.up(1)
        eventually("the node serves", lambda: stack.serving(1), 90, explain=stack.picture)
        eventually("all are healthy", stack.healthy, 60)
        self.host = stack.ha_address()
        eventually("/load/ is answered by the balancer", lambda: get(self.host, path="/load/0").host == "ha")
        self.ha, self.collector = stack.ids("ha")[0], stack.ids("collector")[0]
        self.incarnation = str(stack.state(self.ha)["incarnation"])
        self.collected = Collected(stack)

    def killers(self, seconds: float, pause: tuple[float, float]) -> list[Killer]:
        """In both containers, from now on."""
        return [
            Killer(self.ha, self.seed, seconds, "spool", "ship", "balance", pause=pause),
            Killer(self.collector, self.seed, seconds, "collect", pause=(2 * pause[0], 2 * pause[1])),
        ]

    def ask(self, command: str) -> str:
        """HAProxy's answer to a command on its control socket."""
        with socket.create_connection((self.host, CONTROL), 10) as connection:
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def counters(self) -> Counters:
        """HAProxy's own counts."""
        rows = csv.DictReader(io.StringIO(self.ask("show stat").lstrip("# ")))
        requests = next(int(row["req_tot"]) for row in rows if (row["pxname"], row["svname"]) == ("http", "FRONTEND"))
        facts = dict(line.split(": ", 1) for line in self.ask("show info").splitlines() if ": " in line)
        numbered = re.search(r"gpc0?(?:\[?0\]?)?=(\d+)", self.ask("show table http"))
        assert numbered
        return Counters(int(facts["Pid"]), requests, int(numbered[1]), int(facts["DroppedLogs"]))

    def numbers(self, pid: int) -> tuple[list[int], bytes]:
        """The number of each line for /load/ that the collector has of this worker, and the begun line at the end.

        No line may be torn. While more is on its way the last line may be there in part: nobody cuts at line ends.
        """
        found, rest = [], b""
        for piece in self.collected.content("haproxy", self.incarnation):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                match = LINE.search(line)
                assert match or b" /load/" not in line, f"torn: {line!r}"
                if match and int(match[1]) == pid:
                    found.append(int(match[2]))
        return found, rest

    def missing(self) -> Counter[str]:
        """Lines that the ledger says are missing, by what the audit says became of them; it may hold nothing else."""
        found: Counter[str] = Counter()
        for loss in self.collected.losses():
            assert loss["unit"] == "lines", f"bytes that were written are lost: {loss}"
            found[str(loss["id"]).rpartition(":")[2]] += loss["count"]
        return found

    def quiet(self) -> Counters:
        """The counts when HAProxy counts no more."""
        eventually("HAProxy counts no more requests", lambda: self.counters() == self.counters())
        return self.counters()

    def stored(self, pid: int, wanted: int) -> list[int]:
        """The numbers, once there are so many, or for two minutes are not."""
        eventually("the collector answers", self.collected.answers)
        with contextlib.suppress(AssertionError):  # the judgement that follows tells more
            eventually("all is there", lambda: len(self.numbers(pid)[0]) >= wanted, seconds=120, every=2)
        found, rest = self.numbers(pid)
        assert rest == b"", f"the end of a line is missing: {rest!r}"
        return found


@pytest.fixture
def weather(fresh_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weather:
    return Weather(fresh_stack, tmp_path, monkeypatch)


@pytest.mark.case(84, 85, 117)
def test_requests_at_full_load_are_the_lines_stored_and_those_haproxy_dropped(weather: Weather) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk, which makes the load, is not installed: apt-get install wrk")
    before = weather.counters()
    killers = weather.killers(STORM_SECONDS, (0.1, 1.5))
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{STORM_SECONDS}s", f"http://{weather.host}/load/storm"]
    load = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=STORM_SECONDS + 60).stdout
    kills = killers[0].done() + killers[1].done()
    answered = int(re.search(r"(\d+) requests in", load)[1])  # type: ignore[index]  # wrk always says it
    after = weather.quiet()
    numbered, dropped = after.numbered - before.numbered, after.dropped - before.dropped
    found = [number for number in weather.stored(after.pid, numbered - dropped) if number > before.numbered]
    print(f"{answered} answered, {numbered} numbered, {dropped} dropped, {len(found)} stored, {dict(kills)}\n{load}")
    assert after.pid == before.pid, "the same worker all the time"
    assert set(kills) == {"spool", "ship", "balance", "collect"}, "each was killed"
    assert answered <= numbered <= answered + CONNECTIONS, "one line a request; the last ones were not waited for"
    assert len(set(found)) == len(found), "no line is there twice"
    eventually("the ledger has all", lambda: sum(weather.missing().values()) >= after.dropped, seconds=120, every=1)
    missing = weather.missing()
    assert missing.keys() <= {"dropped", "others"}, "nothing that HAProxy wrote is lost"
    assert missing["dropped"] + missing["others"] == after.dropped, "what it dropped, lines without a number among it"
    assert len(found) + missing["dropped"] == numbered, "stored and ledger, to the line"


class Drizzle(threading.Thread):
    """Requests on one connection at an even pace: ``rate`` a second with ``path_bytes`` each. Answers are counted."""

    def __init__(self, host: str, rate: int, path_bytes: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.sent = self.answered = 0
        self._connection = socket.create_connection((host, 80), 30)
        self._all_sent = threading.Event()
        self._rate, self._seconds = rate, seconds
        self._request = f"GET /load/{'x' * path_bytes} HTTP/1.1\r\nHost: ha\r\n\r\n".encode()

    def run(self) -> None:
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < self._seconds:
            due = int(passed * self._rate) - self.sent
            self._connection.sendall(self._request * due)
            self.sent += due
            time.sleep(0.01)
        self._all_sent.set()
        reader.join(30)

    def _read(self) -> None:
        rest = b""
        while not self._all_sent.is_set() or self.answered < self.sent:
            *answers, rest = (rest + self._connection.recv(1 << 16)).split(b"HTTP/1.1 200 ")
            self.answered += len(answers)


@pytest.mark.case(84, 85)
def test_at_an_even_pace_nothing_is_lost_whatever_is_killed(weather: Weather) -> None:
    before = weather.counters()
    start = weather.collected.length("haproxy", weather.incarnation)
    killers = weather.killers(STORM_SECONDS, (1.0, 3.0))
    drizzle = Drizzle(weather.host, LINES_A_SECOND, PATH_BYTES, STORM_SECONDS)
    drizzle.start()
    kills = killers[0].done() + killers[1].done()
    drizzle.join(STORM_SECONDS + 60)
    after = weather.quiet()
    numbered = after.numbered - before.numbered
    found = [number for number in weather.stored(after.pid, numbered) if number > before.numbered]
    size = weather.collected.length("haproxy", weather.incarnation) - start
    rate = size / STORM_SECONDS / 1e6
    print(f"{drizzle.sent} sent, {drizzle.answered} answered, {len(found)} stored, {rate:.2f} MB/s, {dict(kills)}")
    print(f"{after}, before {before}")
    assert set(kills) == {"spool", "ship", "balance", "collect"}, "each was killed"
    assert after.dropped - before.dropped == 0, "HAProxy could write every line"
    assert rate > 0.9 * LINES_A_SECOND * PATH_BYTES / 1e6, "it was as much as it was meant to be"
    assert found == list(range(before.numbered + 1, after.numbered + 1)), "all, each once, in order"
    assert len(found) == drizzle.sent == drizzle.answered
    assert weather.collected.losses() == []
