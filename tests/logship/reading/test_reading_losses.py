"""``logship losses``: the ledger as people and scripts read it."""

from __future__ import annotations

import json

import pytest

from logship.collect import ledger as collected
from logship.reading.losses import forgotten, total
from logship.values import Loss
from tests.logship.reading.test_reading_logs import logs
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.viewing import Viewer

SPAN = ("2026-11-23T20:00:02.000Z", "2026-11-23T20:00:05.500Z")
DROPS = Loss("drops", "ha/1/haproxy/i", None, None, 37, "lines", *SPAN, "its pipe was full", "DroppedLogs")
HOLE = Loss("hole", "web/1/app/i", 100, 81920, reason="over budget")


def fill(shelf: Shelf) -> None:
    shelf.append("ha/1/haproxy/i", b"x\n")
    shelf.append("web/1/app/i", b"x\n")
    shelf.now_ms = BORN_MS + 60_000
    shelf.lose(DROPS)
    shelf.lose(HOLE)
    shelf.now_ms += 60_000
    shelf.lose(Loss("gone", "web/9/app/i", reason="\x1b[31mthe volume was deleted"))
    shelf.lose(Loss("anyone's", count=2, unit="events"))


def test_a_row_says_when_whose_how_much_why_and_how_it_is_known(shelf: Shelf, viewer: Viewer) -> None:
    fill(shelf)
    found = logs(viewer, command="losses")
    assert (found.returncode, found.stderr) == (0, b"")
    rows = [[cell.strip() for cell in row.split("  ") if cell] for row in found.stdout.decode().splitlines()]
    assert rows == [
        ["WHEN", "SOURCE", "LOST", "REASON", "KNOWN BY"],
        ["2026-11-23 20:00:05.500 (3.5 s)", "ha/1:haproxy", "37 lines", "its pipe was full", "DroppedLogs"],
        ["2026-11-23 20:01:00.000", "web/1:app", "81,920 bytes", "over budget", "-"],
        ["2026-11-23 20:02:00.000", "web/9:app", "?", "the volume was deleted", "-"],
        ["2026-11-23 20:02:00.000", "-", "2 events", "-", "-"],
    ]


def test_json_is_the_ledgers_own_record_and_whose_it_is(shelf: Shelf, viewer: Viewer) -> None:
    fill(shelf)
    records = [json.loads(line) for line in logs(viewer, "-o", "json", command="losses").stdout.splitlines()]
    assert [record["id"] for record in records] == ["drops", "hole", "gone", "anyone's"]
    drops = records[0]
    assert {name: drops[name] for name in DROPS.fields()} == DROPS.fields()
    assert (drops["type"], drops["source"], drops["recorded"]) == ("loss", "ha/1:haproxy", "2026-11-23T20:01:00.000Z")
    (ours,) = [one for one in viewer.records("/v1/losses") if one["id"] == "drops"]
    assert ours == {**DROPS.fields(), "lsn": drops["lsn"]}


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["ha"], ["drops", "anyone's"]),
        (["web:app"], ["hole", "gone", "anyone's"]),
        (["web/9"], ["gone", "anyone's"]),
        (["-S", "2026-11-23T20:01:30Z"], ["gone", "anyone's"]),
        (["-U", "2026-11-23T20:00:03Z"], ["drops"]),
        (["-S", "2026-11-23T20:00:05Z", "-U", "2026-11-23T20:00:10Z"], ["drops"]),
        (["-U", "2026-11-23T20:00:00Z"], []),
    ],
)
def test_targets_and_a_range_of_time_narrow_it(
    shelf: Shelf, viewer: Viewer, arguments: list[str], ids: list[str]
) -> None:
    fill(shelf)
    found = logs(viewer, "-o", "json", *arguments, command="losses")
    assert [json.loads(line)["id"] for line in found.stdout.splitlines()] == ids


def test_the_status_tells_of_losses_only_when_that_is_asked(shelf: Shelf, viewer: Viewer) -> None:
    nothing = logs(viewer, "--exit-code", command="losses")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, b"", b"no loss is recorded\n")
    fill(shelf)
    assert logs(viewer, command="losses").returncode == 0
    assert logs(viewer, "--exit-code", command="losses").returncode == 1
    assert logs(viewer, "--exit-code", "-U", "2026-11-23T19:00:00Z", command="losses").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["web/8"], 2, "no stream is meant by web/8 (did you mean web/9"),
        (["--since", "soon"], 2, "is no time"),
        (["--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
    ],
)
def test_what_cannot_be_answered_is_said(
    shelf: Shelf, viewer: Viewer, arguments: list[str], status: int, said: str
) -> None:
    fill(shelf)
    found = logs(viewer, *arguments, command="losses")
    assert (found.returncode, found.stdout) == (status, b"")
    assert said in found.stderr.decode()


def test_a_parameter_of_lines_is_none_of_losses(shelf: Shelf, viewer: Viewer) -> None:
    status, _, body = viewer.ask("/api/losses?grep=x")
    assert status == 400
    assert b"there are: q, since, until" in body
    assert shelf.end > 0


def test_losses_add_up_and_those_that_the_ledger_let_go_are_counted(
    shelf: Shelf, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shelf)
    *_, sums = viewer.records("/api/losses")
    expected = {"records": 4, "bytes": 81920, "counts": {"lines": 37, "events": 2}, "unknown": 1, "forgotten": 0}
    assert sums == {"type": "total", **expected}
    assert total(sums) == "4 records: 81,920 bytes, 2 events, 37 lines, 1 of which nobody knows how much"
    assert forgotten(sums) == ""
    monkeypatch.setattr(collected, "RECORDS_MAX", 2)
    shelf.lose(Loss("one more"))
    shelf.rotate()  # the checkpoint says it to the viewer
    viewer.stop()
    viewer.start()
    *_, sums = viewer.records("/api/losses")
    assert (sums["records"], sums["forgotten"]) == (2, 3)
    assert "3 older ones" in forgotten(sums)
    assert b"3 older ones" in logs(viewer, command="losses").stderr
