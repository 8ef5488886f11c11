"""Lines that come by the clock and say how things are: hidden and counted, unless somebody asks for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logship.values import Invalid
from logship.view import newest
from logship.view.history import History
from logship.view.items import Hidden
from logship.view.journal_reader import Journal
from logship.view.select import Wanted, identify, is_snapshot, parse_targets
from supervise.init import events
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer

OF_SHIP = '{"time": "2026-11-23T20:00:00.000Z", "level": "info", "event": "snapshot", "sources": []}\n'


def snapshot(time: float) -> bytes:
    """A snapshot as PID 1 writes it."""
    return events.line(time, "snapshot", {"v": 1, "healthy": True, "programs": []})


def answered(viewer: Viewer, query: str) -> tuple[list[str], int]:
    """The texts of an answer, and how many lines it says are hidden."""
    records = viewer.records(f"/api/logs?{query}")
    hidden = [record for record in records if record["type"] == "hidden"]
    assert all(record["what"] == "snapshots" for record in hidden)
    return [record["text"] for record in records if record["type"] == "line"], sum(one["lines"] for one in hidden)


def fill(shelf: Shelf) -> None:
    """Ten snapshots, and an event after each third one."""
    for number in range(10):
        second = shelf.now_ms / 1000
        shelf.append("web/1/supervise/i", snapshot(second))
        if number % 3 == 2:
            shelf.append("web/1/supervise/i", events.line(second, "exit", {"n": number}))
        shelf.now_ms += 15_000


def test_what_is_a_snapshot_is_told_by_how_a_line_begins() -> None:
    assert is_snapshot(snapshot(1_795_464_000.0))
    assert is_snapshot(OF_SHIP.encode())
    assert not is_snapshot(events.line(1_795_464_000.0, "exit", {"text": '"event":"snapshot"'}))
    assert not is_snapshot(b'{"event":"snapshot"}')
    assert not is_snapshot(b"")


@pytest.mark.parametrize(
    ("targets", "path", "hides"),
    [
        (["all"], "web/1/supervise/i", True),
        (["web"], "web/1/supervise/i", True),
        (["web/1", "web/1:ship"], "web/1/supervise/i", True),
        (["*:*"], "web/1/supervise/i", True),
        (["*:super*"], "web/1/supervise/i", True),
        (["*:supervise"], "web/1/supervise/i", False),
        (["all", "web:supervise"], "web/1/supervise/i", False),
        (["all", "ha:supervise"], "web/1/supervise/i", True),
        (["web/1/supervise/i"], "web/1/supervise/i", False),
        (["web/1/*/i"], "web/1/supervise/i", True),
        (["all"], "web/1/ship/i", True),
        (["web:ship"], "web/1/ship/i", False),
        (["all"], "web/1/app/i", False),
        (["all"], "supervise/x", False),
    ],
)
def test_a_target_that_names_the_program_asks_for_its_snapshots(targets: list[str], path: str, hides: bool) -> None:
    parsed = parse_targets(targets)
    assert not isinstance(parsed, Invalid)
    assert Wanted(tuple(parsed)).hides_snapshots(identify(path, {})) is hides
    assert not Wanted(tuple(parsed), snapshots=True).hides_snapshots(identify(path, {}))


def test_the_last_lines_are_counted_without_them_and_they_are_counted_beside(shelf: Shelf, viewer: Viewer) -> None:
    fill(shelf)
    lines, hidden = answered(viewer, "n=2")  # from the first line on: one has the very time of that line
    assert ([json.loads(line)["n"] for line in lines], hidden) == (
        [5, 8],
        5,
    )
    lines, hidden = answered(viewer, "n=10")
    assert ([json.loads(line)["n"] for line in lines], hidden) == ([2, 5, 8], 10)
    lines, hidden = answered(viewer, "n=all")
    assert ([json.loads(line)["n"] for line in lines], hidden) == ([2, 5, 8], 10)
    assert answered(viewer, "n=0") == ([], 0)
    for query in ("n=all&snapshots=1", "n=50&snapshots=1", "n=50&q=web:supervise"):
        lines, hidden = answered(viewer, query)
        assert (len(lines), hidden) == (13, 0)


def test_only_those_that_match_are_counted(shelf: Shelf, viewer: Viewer) -> None:
    fill(shelf)
    shelf.append("web/1/app/i", b"no snapshot\n")
    assert answered(viewer, "grep=snapshot") == (["no snapshot"], 10)
    assert answered(viewer, "exclude=snapshot")[1] == 0
    assert answered(viewer, "since=2026-11-23T20:01:00Z&n=all")[1] == 6
    assert answered(viewer, "q=web:app") == (["no snapshot"], 0)


def test_what_looks_like_one_in_another_stream_is_a_line(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", OF_SHIP.encode())
    shelf.append("foreign/stream", OF_SHIP.encode())
    assert answered(viewer, "") == ([OF_SHIP.rstrip()] * 2, 0)


def test_who_follows_goes_on_over_them(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"first\n")
    (start,) = [record["cursor"] for record in viewer.records("/api/logs") if record["type"] == "cursor"]
    shelf.append("web/1/supervise/i", snapshot(shelf.now_ms / 1000))
    shelf.append("web/1/ship/i", OF_SHIP.encode())
    found: list[dict[str, Any]] = []
    for name, identity, data in viewer.events(f"/api/logs/live?cursor={start}"):
        assert name == "lines"
        found += data
        if identity == str(shelf.end):
            break
    assert found == [{"type": "hidden", "what": "snapshots", "lines": 2}]
    assert answered(viewer, f"cursor={start}") == ([], 2)
    assert answered(viewer, f"cursor={start}&snapshots=1")[1] == 0


def test_an_idle_fleet_of_days_is_counted_in_little_memory(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "HIDDEN_MAX", 5)
    fill(shelf)
    targets = parse_targets(["web"])
    assert not isinstance(targets, Invalid)
    history = History(Journal(shelf.folder))
    *_, found = history.tail(history.journal.picture(), Wanted(tuple(targets)), 100, shelf.end, with_open=False)
    assert found is not None
    hidden = found[-1]
    assert isinstance(hidden, Hidden)
    assert (hidden.lines, hidden.more) == (5, True)
