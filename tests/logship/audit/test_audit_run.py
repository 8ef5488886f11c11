"""`logship audit` on a store: following, stopping anywhere, the ledger away, retention, and the same judged anew."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.audit.audit_run import NOTES, Audit, once
from logship.audit.counters import Reading, counted
from logship.errors import Fault
from logship.ship.http_sink import Unanswered
from logship.values import LOSS_ID_BYTES_MAX, Loss
from tests.logship.audit.audit_world import COUNTERS, HAPROXY, SOURCES, World, line
from tests.logship.audit.test_audit_model import played
from tests.logship.collect_http.live import TREE, Collector
from tests.logship.view.shelf import Shelf

LATER_S = 2_000_000_000


class Desk:
    """An audit of a shelf with a ledger that can be away, and what it said."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.said: list[dict[str, Any]] = []
        self.ledger: dict[str, Loss] = {}
        self.away = False
        self.posts = 0
        self.audit = self.begin()

    def begin(self) -> Audit:
        """A new process, as it were."""
        self.audit = Audit(self.shelf.folder, self.said.append, self.post, clock=lambda: 0.0, now=lambda: LATER_S)
        return self.audit

    def post(self, losses: Sequence[Loss]) -> None:
        self.posts += 1
        if self.away:
            raise Unanswered("nobody is there", absent=True)
        for loss in losses:
            assert len(loss.id) <= LOSS_ID_BYTES_MAX
            self.ledger.setdefault(loss.id, loss)

    def run(self) -> None:
        """Until there is nothing more to do."""
        for _ in range(1000):
            if self.audit.turn() > 0:
                return
        raise AssertionError("it never rests")

    @property
    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.shelf.folder / NOTES).read_text())
        return found

    @property
    def windows(self) -> list[dict[str, Any]]:
        return [row for row in self.said if row["event"] == "window"]


def put(shelf: Shelf, world: World, chance: Random, *, close: bool = True) -> None:
    """Both streams of the world, in pieces, among other streams' frames."""
    for path in (HAPROXY, COUNTERS):
        shelf.create(path, json.dumps(SOURCES[path]))
    left = {HAPROXY: bytes(world.haproxy), COUNTERS: bytes(world.counters)}
    while any(left.values()):
        path = chance.choice([path for path, data in left.items() if data])
        size = chance.choice((100, 1000, 20_000))
        shelf.append(path, left[path][:size], packed=chance.random() < 0.5)
        left[path] = left[path][size:]
        if chance.random() < 0.2:
            shelf.append("webapp/1/webapp/x", b"something else\n")
        if chance.random() < 0.1:
            shelf.rotate()
    if close:
        for path in (HAPROXY, COUNTERS):
            shelf.append(path, b"", closes=True)


def world_with(stored: int, dropped: int, lost: int) -> World:
    world = World(Random(1))
    worker = world.start()
    for fate, count in (("stored", stored), ("dropped", dropped), ("lost", lost), ("stored", 1)):
        for _ in range(count):
            world.request(worker, fate)
    world.count(worker, final=True)
    return world


def test_windows_are_said_and_what_is_missing_is_in_the_ledger(shelf: Shelf) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    desk = Desk(shelf)
    desk.run()
    (window,) = desk.windows
    assert (window["produced"], window["stored"], window["dropped"], window["lost"]) == (16, 11, 3, 2)
    assert window["verdict"] == "lost"
    counts = {loss_id.rpartition(":")[2]: loss.count for loss_id, loss in desk.ledger.items()}
    assert counts == {"dropped": 3, "lost": 2}
    assert {(loss.unit, loss.stream) for loss in desk.ledger.values()} == {("lines", HAPROXY)}
    assert desk.notes["found"]["totals"]["lost"] == 2
    assert desk.notes["found"]["workers"][0]["verdict"] == "lost"


def test_an_idle_audit_says_and_writes_nothing(shelf: Shelf) -> None:
    put(shelf, world_with(10, 0, 0), Random(1))
    desk = Desk(shelf)
    desk.run()
    said, notes = len(desk.said), (shelf.folder / NOTES).stat().st_mtime_ns
    for _ in range(5):
        desk.run()
    assert (len(desk.said), (shelf.folder / NOTES).stat().st_mtime_ns) == (said, notes)
    assert desk.ledger == {}


def test_while_the_ledger_is_away_nothing_is_forgotten(shelf: Shelf) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    desk = Desk(shelf)
    desk.away = True
    waits = [desk.audit.turn() for _ in range(9)]
    assert waits[-1] > waits[0] > 0, "it asks less and less often"
    assert max(waits) <= 30
    assert not (shelf.folder / NOTES).exists()
    assert [row["event"] for row in desk.said] == ["no-ledger"], "said once"
    desk.away = False
    desk.run()
    assert len(desk.ledger) == 2
    assert len(desk.windows) == 1


@given(st.randoms(use_true_random=False), st.integers(1, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_stopped_anywhere_it_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, chance: Random, threads: int
) -> None:
    """Three audits of one store as it grows: never stopped, begun anew at each turn, and begun when all was there."""
    shelf = Shelf(tmp_path_factory.mktemp("audit") / "store")
    world = played(chance, threads, losing=True, events=False)
    through = Desk(shelf)
    stopped = Desk(shelf)
    stopped_notes = shelf.folder / NOTES
    kept = b""
    for _ in range(3):
        put_some = chance.random() < 0.5
        if put_some and HAPROXY not in shelf.state.streams:
            put(shelf, world, chance)
        stopped_notes.unlink(missing_ok=True)
        if kept:
            stopped_notes.write_bytes(kept)
        stopped.begin()
        stopped.run()
        stopped.audit.stop()
        kept = stopped_notes.read_bytes() if stopped_notes.exists() else b""
        stopped_notes.unlink(missing_ok=True)
        through.run()
    if HAPROXY not in shelf.state.streams:
        put(shelf, world, chance)
    through.run()
    if kept:
        stopped_notes.write_bytes(kept)
    stopped.begin()
    stopped.run()
    stopped_notes.unlink(missing_ok=True)
    late = Desk(shelf)
    late.run()
    shelf.close()
    assert through.ledger == stopped.ledger == late.ledger
    ids = [[row["id"] for row in desk.windows] for desk in (through, stopped, late)]
    assert ids[0] == ids[1] == ids[2]


def test_a_kill_between_ledger_and_note_costs_nothing(shelf: Shelf) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    desk = Desk(shelf)
    desk.run()
    before = dict(desk.ledger)
    (shelf.folder / NOTES).unlink()
    desk.begin()
    desk.run()
    assert desk.ledger == before
    assert desk.notes["found"]["totals"]["produced"] == 16


@pytest.mark.case(112)
def test_notes_that_cannot_be_used_are_made_anew(shelf: Shelf) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    desk = Desk(shelf)
    desk.run()
    for text in ("", "{", '{"v": 99}', '{"v": 1, "mark": 3}'):
        (shelf.folder / NOTES).write_text(text)
        desk.begin()
        assert desk.said[-1]["event"] == "anew"
        desk.run()
        assert desk.notes["found"]["totals"]["produced"] == 16
    assert len(desk.ledger) == 2


def test_notes_of_another_journal_are_not_believed(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    desk = Desk(shelf)
    desk.run()
    other = Shelf(tmp_path / "other")
    put(other, world_with(500, 0, 0), Random(2))
    (other.folder / NOTES).write_bytes((shelf.folder / NOTES).read_bytes())
    found = Desk(other)
    found.run()
    assert [row["produced"] for row in found.windows] == [501]
    other.close()


def test_what_retention_took_is_unverified_and_never_lost(shelf: Shelf) -> None:
    world = World(Random(1))
    worker = world.start()
    for number in range(400):
        world.request(worker, "dropped" if number % 10 == 5 else "stored")
        if number % 40 == 39:
            world.count(worker)
    world.count(worker, final=True)
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    half = bytes(world.haproxy).index(line(worker.pid, 201))
    shelf.append(HAPROXY, bytes(world.haproxy[:half]))
    shelf.rotate()
    shelf.append(HAPROXY, bytes(world.haproxy[half:]))
    shelf.append(COUNTERS, bytes(world.counters), closes=True)
    shelf.append(HAPROXY, b"", closes=True)
    shelf.drop_oldest(1)
    desk = Desk(shelf)
    desk.run()
    assert {row["verdict"] for row in desk.windows} == {"unverified", "verified"}
    assert desk.windows[0]["verdict"] == "unverified"
    assert "not kept" in desk.windows[0]["why"]
    assert sum(row["lost"] for row in desk.windows) == 0
    assert sum(row["stored"] for row in desk.windows) == 180


def test_a_hole_that_the_ledger_has_is_named(shelf: Shelf) -> None:
    """The spool was over its budget: the stream goes on in another one, and the lost lines are known by number."""
    world = World(Random(1))
    worker = world.start()
    for _ in range(100):
        world.request(worker)
    world.count(worker, final=True)
    data = bytes(world.haproxy)
    low, high = data.index(line(worker.pid, 31)), data.index(line(worker.pid, 51))
    following = f"{HAPROXY}.{high:020}"
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    shelf.append(HAPROXY, data[:low], closes=True)
    shelf.append(COUNTERS, bytes(world.counters))
    source = {**SOURCES[HAPROXY], "continues": HAPROXY, "lost_bytes": high - low, "lost_reason": "over budget"}
    shelf.create(following, json.dumps(source))
    shelf.append(following, data[high:])
    desk = Desk(shelf)
    desk.run()
    (window,) = desk.windows
    assert (window["stored"], window["lost"]) == (80, 20)
    (loss,) = desk.ledger.values()
    assert loss.reason is not None
    assert f"{high - low:,} bytes" in loss.reason


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("counters_first", [False, True])
def test_a_hole_over_several_windows_is_named_in_each_and_what_it_cut_is_not_stored(
    shelf: Shelf, counters_first: bool, stopped: bool
) -> None:
    """It begins in one line and ends in another: neither is whole. Where audit was started anew makes no difference."""
    world = World(Random(1))
    worker = world.start()
    for number in range(1, 101):
        world.request(worker)
        if number in (40, 50, 70, 80):
            world.count(worker)
    world.count(worker, final=True)
    data = bytes(world.haproxy)
    low, high = data.index(line(worker.pid, 31)) + 50, data.index(line(worker.pid, 61)) + 150
    following = f"{HAPROXY}.{high:020}"
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    shelf.append(HAPROXY, data[:low], closes=True)
    source = {**SOURCES[HAPROXY], "continues": HAPROXY, "lost_bytes": high - low, "lost_reason": "over budget"}
    desk = Desk(shelf)

    def bring(path: str, data: bytes) -> None:
        shelf.append(path, data)
        desk.run()
        if stopped:
            desk.audit.stop()
            desk.begin()

    shelf.create(following, json.dumps(source))
    if counters_first:
        bring(COUNTERS, bytes(world.counters))
    for start in range(high, len(data), 500):
        bring(following, data[start : start + 500])
    if not counters_first:
        bring(COUNTERS, bytes(world.counters))
    told = [(row["last"], row["stored"], row["lost"]) for row in desk.windows]
    assert told == [(40, 30, 10), (50, 0, 10), (70, 9, 11), (80, 10, 0), (100, 20, 0)]
    reasons = {loss.reason for loss in desk.ledger.values()}
    assert reasons == {f"in the hole of {high - low:,} bytes that the ledger has here"}


def test_lines_that_come_late_are_waited_for(shelf: Shelf) -> None:
    """The counters' stream arrives first: nothing is judged before HAProxy's has passed the same moment."""
    world = world_with(50, 2, 0)
    data = bytes(world.haproxy)
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    shelf.append(COUNTERS, bytes(world.counters))
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    desk = Desk(shelf)
    for start in range(0, len(data), 1000):
        desk.run()
        assert desk.windows == []
        shelf.append(HAPROXY, data[start : start + 1000])
    desk.run()
    assert [row["verdict"] for row in desk.windows] == ["verified"]


def test_a_store_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    audit = Audit(tmp_path / "store", said.append, lambda _: None, now=lambda: LATER_S)
    for _ in range(3):
        assert audit.turn() > 0
    assert [row["event"] for row in said] == ["waiting"]
    audit.stop()


# The command.


def command(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "logship", "audit", *words]
    return subprocess.run(argv, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)


def test_once_prints_a_row_a_worker_and_says_by_its_status_whether_all_is_there(shelf: Shelf) -> None:
    put(shelf, world_with(10, 0, 0), Random(1))
    good = command("--once", "--store", str(shelf.folder))
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines()[1].split() == [
        "ha/1",
        "100",
        "2026-11-23T20:00:01.000Z",
        "11",
        "11",
        "0",
        "0",
        "0",
        "verified",
    ]
    assert not (shelf.folder / NOTES).exists(), "it writes nothing"


def test_once_shows_the_windows_that_miss_something(shelf: Shelf) -> None:
    put(shelf, world_with(10, 3, 2), Random(1))
    bad = command("--once", "--store", str(shelf.folder))
    assert bad.returncode == 1
    assert bad.stdout.count("lost") >= 2
    rows = command("--once", "-o", "json", "--store", str(shelf.folder))
    assert rows.returncode == 1
    records = [json.loads(row) for row in rows.stdout.splitlines()]
    assert [record["type"] for record in records] == ["window", "worker", "totals"]
    assert records[-1]["lost"] == 2
    assert not records[-1]["passed"]


def test_once_says_what_is_not_judged_yet(shelf: Shelf) -> None:
    world = World(Random(1))
    worker = world.start()
    for _ in range(10):
        world.request(worker)
    put(shelf, world, Random(1), close=False)
    found = command("--once", "--store", str(shelf.folder))
    assert "10 lines of pid 100 of ha/1 are stored and not judged yet" in found.stdout
    assert found.returncode == 1, "they came long ago: nobody counts them"


def test_lines_of_the_last_seconds_wait_for_their_window(shelf: Shelf) -> None:
    shelf.now_ms = round(time.time() * 1000)
    world = World(Random(1))
    worker = world.start()
    for _ in range(10):
        world.request(worker)
    put(shelf, world, Random(1), close=False)
    found = command("--once", "--store", str(shelf.folder))
    assert "10 lines of pid 100 of ha/1 are stored and not judged yet" in found.stdout
    assert found.returncode == 0


def test_a_haproxy_that_numbers_no_lines_is_unverified_at_once(shelf: Shelf) -> None:
    taken = Reading(100, 1, 1, None, (0, 0), 1, False)
    row = json.dumps(counted("2026-11-23T20:00:01.000Z", taken, True, 0, [100])).encode() + b"\n"
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    shelf.append(COUNTERS, row)
    shelf.append(COUNTERS, row)
    desk = Desk(shelf)
    desk.run()
    assert [(row["verdict"], row["why"]) for row in desk.windows] == [
        ("unverified", "HAProxy does not number its lines")
    ]
    assert desk.ledger == {}


def test_counts_whose_lines_never_came_are_not_good(shelf: Shelf) -> None:
    world = world_with(10, 0, 0)
    shelf.create(HAPROXY, json.dumps(SOURCES[HAPROXY]))
    shelf.create(COUNTERS, json.dumps(SOURCES[COUNTERS]))
    shelf.append(COUNTERS, bytes(world.counters))
    shelf.now_ms -= 10**9
    found = command("--once", "--store", str(shelf.folder))
    assert found.returncode == 1
    assert "unverified" in found.stdout


@pytest.mark.parametrize("words", [["--once", "--store", "nowhere"], ["--to", "what"]])
def test_what_cannot_be_is_told(words: list[str]) -> None:
    found = command(*words)
    assert found.returncode in (1, 2)
    assert "hint:" in found.stderr
    assert "Traceback" not in found.stderr


def test_once_on_what_is_no_folder_is_bad_usage_and_on_one_without_a_store_yet_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, cause, status in (
        ("nope", "there is no such folder", 2),
        ("file/nope", "there is no such folder", 2),
        ("file", "it is no folder", 2),
        ("", "is no store yet", 1),
    ):
        with pytest.raises(Fault, match=cause) as caught:
            once(tmp_path / name, as_json=False)
        assert caught.value.status == status, name


def test_following_waits_for_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    said: list[dict[str, Any]] = []
    audit = Audit(folder, said.append, lambda _: None, clock=lambda: 0.0, now=lambda: LATER_S)
    assert audit.turn() > 0
    assert [row["event"] for row in said] == ["waiting"]
    later = Shelf(folder)
    try:
        put(later, world_with(10, 0, 0), Random(1))
        while audit.turn() == 0:
            pass
    finally:
        later.close()
    assert {row["verdict"] for row in said if row["event"] == "window"} == {"verified"}


def test_the_process_follows_a_living_collector_and_fills_its_ledger(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    world = world_with(100, 5, 0)
    for path, data in ((HAPROXY, world.haproxy), (COUNTERS, world.counters)):
        headers = {"Content-Type": "application/octet-stream", "Logship-Source": json.dumps(SOURCES[path])}
        assert collector.ask("PUT", f"/v1/stream/{path}", headers).status == 201
        assert collector.ask("POST", f"/v1/stream/{path}", headers, bytes(data)).status == 204
    argv = [sys.executable, "-m", "tests.logship.awake", "audit", "--store", str(tmp_path / "store")]
    argv += ["--to", f"http://127.0.0.1:{collector.port}"]
    process = subprocess.Popen(argv, cwd=TREE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    window = json.loads(process.stdout.readline())
    assert (window["event"], window["verdict"], window["dropped"]) == ("window", "verified", 5)
    records = [json.loads(row) for row in collector.ask("GET", "/v1/losses").body.splitlines()]
    assert [(record["count"], record["unit"]) for record in records] == [(5, "lines")]
    process.terminate()
    assert process.wait(60) == 0
    assert json.loads((tmp_path / "store" / NOTES).read_text())["found"]["totals"]["stored"] == 101
    assert collector.stop() == 0
