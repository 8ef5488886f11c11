"""`logship counters` beside a HAProxy that reloads, stops, is killed and does not answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.audit.counters_haproxy import Held, Through, Unreachable
from logship.audit.counters_reach import Reach
from logship.audit.counters_run import HEARTBEAT_SECONDS, SILENT_SECONDS, Counters, Plan
from tests.logship.audit.fake_haproxy import FakeHaproxy
from tests.logship.collect_http.live import TREE
from tests.logship.ship.spools import until

WINDOW = 10.0


class Desk:
    """Counters on a clock that tests move."""

    def __init__(self, folder: Path) -> None:
        (folder / "haproxy").mkdir()
        os.mkfifo(folder / "fifo")
        self.fifo = os.open(folder / "fifo", os.O_RDWR)
        self.haproxy = FakeHaproxy(folder)
        self.time = 1000.0
        self.said: list[dict[str, Any]] = []
        plan = Plan(self.haproxy.admin, self.haproxy.master, folder / "haproxy", folder / "fifo", WINDOW)
        self.counters = Counters(plan, self.said.append, clock=lambda: self.time, now=lambda: self.time)

    def turns(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """What is said by the turns of so many seconds, one at least."""
        before, end = len(self.said), self.time + seconds
        while True:
            self.time += self.counters.turn()
            if self.time > end:
                return self.said[before:]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers here may be slow, as the machine is; a test of who does not answer has its own time."""
    monkeypatch.setattr("logship.audit.counters_haproxy.ANSWER_SECONDS", 60.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.counters.stop()
    found.haproxy.close()
    os.close(found.fifo)


def short(said: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["event"], row["pid"], row.get("lines"), row.get("final")) for row in said]


def test_a_window_says_how_many_lines_there_were_and_an_idle_one_nothing(desk: Desk) -> None:
    worker = desk.haproxy.start(7)
    assert short(desk.turns()) == [("counted", 7, 0, False)]
    worker.lines, worker.drops = 5, 2
    (row,) = desk.turns(WINDOW + 2)
    assert (row["lines"], row["dropped"], row["requests"], row["workers"]) == (5, [2, 2], {"http": 5}, [7])
    assert desk.turns(10 * WINDOW) == []
    assert len(desk.turns(HEARTBEAT_SECONDS)) == 1


def test_a_worker_that_stops_is_kept_until_its_last_count_is_read(desk: Desk) -> None:
    """Its table is empty by then, and HAProxy would have ended it: neither costs a number."""
    worker = desk.haproxy.start(7)
    desk.turns()
    worker.lines, worker.connections = 41, 3
    new = desk.haproxy.start(8)
    assert ("counted", 7, 41, False) in short(desk.turns())
    assert [one.pid for one in desk.haproxy.alive] == [7, 8]
    worker.lines, worker.connections = 44, 0
    said = desk.turns(1.0)
    assert ("counted", 7, 44, True) in short(said)
    assert said[-1]["workers"] == [8]
    until(lambda: not worker.held, "HAProxy has seen that it was let go of")
    new.lines = 3
    assert short(desk.turns(WINDOW)) == [("counted", 8, 3, False)]


def test_an_ordered_stop_of_all_is_counted_to_the_end(desk: Desk) -> None:
    worker = desk.haproxy.start(7)
    desk.turns()
    worker.lines, worker.stopping = 9, True
    assert short(desk.turns(1.0)) == [("counted", 7, 9, True)]


def test_a_worker_that_vanishes_is_said_to_be_gone(desk: Desk) -> None:
    worker = desk.haproxy.start(7)
    desk.turns()
    worker.lines = 4
    worker.die()
    (row,) = desk.turns(2.0)
    assert (row["event"], row["pid"], row["workers"]) == ("gone", 7, [])
    assert isinstance(row["reach"], int)


def test_a_connection_that_is_cut_is_made_again(desk: Desk) -> None:
    worker = desk.haproxy.start(7)
    desk.turns()
    for connection in worker.held:
        connection.shutdown(socket.SHUT_RDWR)
    worker.lines = 5
    assert "gone" not in [row["event"] for row in desk.turns(WINDOW)]
    assert ("counted", 7, 5, False) in short(desk.said)


def test_an_old_worker_that_was_not_held_is_asked_through_the_master(desk: Desk) -> None:
    """Counters were started anew while it finished its connections."""
    old = desk.haproxy.start(7)
    old.lines, old.connections = 12, 2
    desk.haproxy.start(8)
    assert ("counted", 7, 12, False) in short(desk.turns())
    old.lines, old.connections = 13, 0
    old.dead = True
    assert ("gone", 7, None, None) in short(desk.turns(1.0))


def test_a_cut_while_lines_are_dropped_is_tried_again_and_says_so_if_that_does_not_help(desk: Desk) -> None:
    worker = desk.haproxy.start(7)
    desk.turns()
    worker.lines, worker.dropping = 5, 3
    (row,) = desk.turns(WINDOW + 2)
    assert row["dropped"] == [3, 3]
    worker.lines, worker.dropping = 6, 1000
    low, high = desk.turns(WINDOW + 2)[0]["dropped"]
    assert low < high


def test_silence_is_said_once(desk: Desk) -> None:
    desk.haproxy.admin.unlink()
    (row,) = desk.turns(3 * SILENT_SECONDS)
    assert (row["event"], row["asked"], row["again_seconds"]) == ("silent", str(desk.haproxy.admin), 1.0)
    assert row["why"] == f"{row['asked']}: No such file or directory"


def test_silence_that_is_over_is_said(desk: Desk) -> None:
    assert [row["event"] for row in desk.turns(3 * SILENT_SECONDS)] == ["silent"]
    desk.haproxy.start(7)
    assert [row["event"] for row in desk.turns(2)] == ["counted", "answers"]


def test_a_worker_that_does_not_answer_in_time_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logship.audit.counters_haproxy.ANSWER_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "deaf.sock"))
        listener.listen()
        with pytest.raises(Unreachable):
            Held(tmp_path / "deaf.sock")
        with pytest.raises(Unreachable):
            Through(tmp_path / "deaf.sock", 7).ask(["show info"])


def test_the_reach_is_what_is_stored_and_what_is_in_the_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    folder = tmp_path / "haproxy"
    folder.mkdir()
    reach = Reach(folder, tmp_path / "fifo")
    assert reach.now() is None, "nobody has the pipe open"
    pipe = os.open(tmp_path / "fifo", os.O_RDWR)
    assert reach.now() == 0
    os.write(pipe, b"0123456789")
    assert reach.now() == 10
    (folder / "00000000000000000000").write_bytes(b"x" * 50)
    (folder / "00000000000000000050").write_bytes(b"x" * 7)
    assert reach.now() == 67
    os.read(pipe, 10)
    assert reach.now() == 57
    os.close(pipe)


def test_the_command_says_its_lines_and_ends_in_order(tmp_path: Path) -> None:
    haproxy = FakeHaproxy(tmp_path)
    haproxy.start(7).lines = 3
    argv = [sys.executable, "-m", "logship", "counters", "--haproxy-admin", str(haproxy.admin)]
    argv += ["--haproxy-master", str(haproxy.master), "--spool", str(tmp_path), "--fifo-dir", str(tmp_path)]
    process = subprocess.Popen(argv, cwd=TREE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    row = json.loads(process.stdout.readline())
    assert (row["pid"], row["lines"], row["reach"]) == (7, 3, None)
    haproxy.workers[0].lines = 5
    process.terminate()
    assert json.loads(process.stdout.readline())["lines"] == 5, "once more at its end"
    assert process.wait(60) == 0
    haproxy.close()


def test_a_window_that_cannot_be_is_a_usage_error() -> None:
    argv = [sys.executable, "-m", "logship", "counters", "--window-seconds", "0"]
    found = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "give 1 to 3600" in found.stderr
