"""``logship sources``: a row a program, or a stream; what is not known is said to be so, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from logship.reading.columns import duration, size
from logship.reading.sources import notes, table
from logship.values import Loss
from tests.logship.reading.test_reading_logs import logs
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer

NOW = datetime(2026, 11, 23, 20, 1, tzinfo=UTC)


def record(**more: Any) -> dict[str, Any]:
    return {
        "source": "web/1:app", "place": "web/1", "program": "app", "kind": "plain", "stream": "web/1/app/i",
        "bytes": 2048, "kept_bytes": 1024, "last_append": "2026-11-23T20:00:00.000Z", "closed": False, "retired": False,
        "losses": 0, "lost_bytes": 0, "lost_counts": {}, "lost_unknown": 0, "lines": 12, "rate": 100.0,
        "oldest": "2026-11-23T18:01:00.000Z",
        "lag_bytes": 0, "lag_seconds": 0.0, "last_line": "2026-11-23T20:00:57.000Z", "survives_seconds": 7200,
        "unknown": {}, **more,
    }  # fmt: skip


def cells(*records: dict[str, Any], streams: bool = False) -> list[list[str]]:
    lines = table(records, NOW, streams=streams)
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[1:]]


def test_a_row_is_a_program_with_all_its_lives(shelf: Shelf) -> None:
    closed = record(stream="web/1/app/h", closed=True, survives_seconds=None, rate=0.0, lines=8, lost_bytes=5)
    waits = record(lag_bytes=3000, lag_seconds=12.0, lost_counts={"lines": 2}, lost_unknown=1)
    assert cells(closed, waits) == [
        ["web/1:app", "4.0 KiB", "20", "100 B/s", "2.9 KiB 12s", "3s ago", "2h", "5 B, 2 lines, ?", "open"]
    ]
    assert len(cells(closed, waits, streams=True)) == 2
    assert cells(waits, streams=True)[0][-4:] == ["plain", "1.0 KiB", "2h ago", "web/1/app/i"]
    assert shelf.end > 0


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"lag_bytes": 1, "lag_seconds": 3.0, "lag_at_least": True}, "1 B >3s"),
        ({"lag_bytes": 1, "lag_seconds": None, "unknown": {"lag_seconds": "why"}}, "1 B ?"),
        ({"lag_bytes": None, "lag_seconds": None, "unknown": {"lag_bytes": "why", "lag_seconds": "why"}}, "?"),
        ({}, "0"),
    ],
)
def test_a_lag_that_is_a_bound_or_not_known_is_shown_as_that(facts: dict[str, Any], shown: str) -> None:
    assert cells(record(**facts))[0][4] == shown


def test_each_reason_for_not_knowing_is_noted_once() -> None:
    unknown = {"lag_bytes": "its shipper is gone", "lag_seconds": "its shipper is gone", "lines": "they are counted"}
    found = notes([record(source=f"web/{number}:app", unknown=unknown) for number in range(5)])
    assert found == [
        "lag of web/0:app, web/1:app, web/2:app and 2 more: its shipper is gone",
        "lines of web/0:app, web/1:app, web/2:app and 2 more: they are counted",
    ]


def test_closed_and_removed_streams_survive_nothing() -> None:
    row = cells(record(closed=True, survives_seconds=None, rate=0.0))[0]
    assert row[6:] == ["-", "-", "closed"]
    assert cells(record(closed=True, retired=True, survives_seconds=None))[0][-1] == "removed"


def test_sizes_and_durations_are_for_people() -> None:
    assert [size(count) for count in (0, 1023, 1024, 3.5 * 1024**3)] == ["0 B", "1023 B", "1.0 KiB", "3.5 GiB"]
    assert [duration(seconds) for seconds in (-1, 59.4, 60, 7300, 200_000, 1e9)] == [
        "0s", "59s", "1m", "2h", "2d", "11,574d",
    ]  # fmt: skip


def test_sources_are_read_from_the_viewer(shelf: Shelf, viewer: Viewer) -> None:
    assert b"no stream yet" in logs(viewer, command="sources").stderr
    shelf.append("web/1/app/i", b"x" * 2047 + b"\n", closes=True)
    shelf.append("web/1/app/j", b"x\n", closes=True)
    shelf.append("ha/1/haproxy/i", b"x\n")
    shelf.lose(Loss("x", "web/1/app/i", 4, 1024))
    found = logs(viewer, command="sources")
    head, ha, web = found.stdout.decode().splitlines()
    assert head.split() == ["SOURCE", "BYTES", "LINES", "RATE", "LAG", "LAST", "LINE", "SURVIVES", "LOST", "STATE"]
    assert ha.split()[:6] == ["ha/1:haproxy", "2", "B", "1", "0", "?"]
    assert [*web.split()[:6], *web.split()[-3:]] == ["web/1:app", "2.0", "KiB", "2", "0", "0", "1.0", "KiB", "closed"]
    assert b"? lag of ha/1:haproxy: its shipper's own lines do not come here" in found.stderr
    streams = logs(viewer, "--streams", "web", command="sources").stdout.decode().splitlines()
    assert [row.split()[-1] for row in streams] == ["STREAM", "web/1/app/i", "web/1/app/j"]
    records = [json.loads(line) for line in logs(viewer, "-o", "json", command="sources").stdout.splitlines()]
    assert [record["bytes"] for record in records] == [2, 2048, 2]
    assert logs(viewer, "nosuch", command="sources").returncode == 2
