"""What is known of sources: lines, rate, lag, last line, the outage they survive; and why not, where it is not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from logship.lake.keep import Policy
from logship.lake.tallies import Tally
from logship.ship.log import SNAPSHOT_SECONDS
from logship.values import Loss
from logship.view import sources as sources_module
from logship.view.counts import LineCounts
from logship.view.history import History
from logship.view.items import TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import Line
from logship.view.recent import LEAST_MS, WINDOW_MS, Recent
from logship.view.reports import REPORT_MS, newest, parse_report
from logship.view.select import parse_targets
from logship.view.sources import SourceRecords
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.viewing import Viewer

INCARNATION = "20261123T201501Z-9f2c51aa"
GIB = 1024**3


def report(shelf: Shelf, *sources: dict[str, Any], place: str = "web/1", **more: Any) -> None:
    """ship's snapshot, written now."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(shelf.now_ms / 1000)) + f".{shelf.now_ms % 1000:03}Z"
    budgets = {"program": 2 * GIB, "container": 4 * GIB, "volume": 0}
    words = {"time": stamp, "level": "info", "event": "snapshot", "budgets": budgets, "sources": sources, **more}
    shelf.append(f"{place}/ship/{INCARNATION}", json.dumps(words).encode() + b"\n")


def source(program: str, behind: int | None, incarnation: str = INCARNATION, **more: Any) -> dict[str, Any]:
    return {"program": program, "incarnation": incarnation, "behind_bytes": behind, **more}


def records(shelf: Shelf, *targets: str, lines: bool = True, now_ms: int = 0) -> dict[str, dict[str, Any]]:
    """By stream, as of the shelf's clock."""
    parsed = parse_targets(targets)
    assert isinstance(parsed, list)
    journal = Journal(shelf.folder)
    found = SourceRecords(History(journal)).records(journal.picture(), parsed, now_ms or shelf.now_ms, lines=lines)
    return {one["stream"]: one for one in found}


APP = f"web/1/app/{INCARNATION}"


def test_lines_are_the_newlines_kept(shelf: Shelf) -> None:
    shelf.append(APP, b"one\ntwo\nth")
    shelf.rotate()
    shelf.append(APP, b"ree\n", packed=True)
    assert records(shelf)[APP]["lines"] == 3
    shelf.drop_oldest(1)
    assert records(shelf)[APP]["lines"] == 1
    unasked = records(shelf, lines=False)[APP]
    assert (unasked["lines"], unasked["unknown"]["lines"]) == (None, "they are counted only for who asks for it")


def test_lines_that_only_the_lake_has_any_more_are_counted_and_none_twice(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    for number in range(5):
        shelf.append(APP, b"x\n\n\r\n" * (number + 1) + b"goes on ")  # a line over each seam
        written += 3 * (number + 1)
        shelf.now_ms += 60_000
        shelf.rotate()
    seal(shelf.folder)
    for drops in (0, 1, 2, 1):
        shelf.drop_oldest(drops)
        found = records(shelf)[APP]
        assert (found["lines"], found["kept_bytes"], found["oldest"]) == (
            written, found["bytes"], "2026-11-23T20:00:00.000Z",
        )  # fmt: skip
    monkeypatch.setattr(sources_module, "COUNT_SECONDS", -1.0)
    assert records(shelf)[APP]["unknown"]["lines"].startswith("they are being counted: 2")
    monkeypatch.setattr(sources_module, "COUNT_SECONDS", 60.0)
    size = sum(path.stat().st_size for path in shelf.folder.glob("lake/day=*/*"))
    (gone,) = seal(shelf.folder, Policy(bytes=size * 5 // 8)).manifest.deleted
    found = records(shelf)[APP]
    assert 0 < gone.rows < written
    assert found["lines"] == written - gone.rows
    assert found["oldest"] == f"2026-11-23T20:0{gone.files}:00.000Z", "when the first line that is kept was over"
    shelf.delete(APP)
    shelf.append(APP, b"anew\n")
    assert records(shelf)[APP]["lines"] == 1


def test_what_cannot_be_read_in_the_lake_is_not_counted_as_none(shelf: Shelf) -> None:
    shelf.append(APP, b"one\ntwo\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    next(shelf.folder.rglob("*.parquet")).write_bytes(b"this is none")
    found = records(shelf)[APP]
    assert (found["lines"], found["oldest"]) == (None, None)
    assert "in the lake" in found["unknown"]["lines"]


def test_counting_goes_on_where_it_stopped_and_counts_each_segment_once(shelf: Shelf) -> None:
    for _ in range(4):
        shelf.append(APP, b"x\n" * 10)
        shelf.rotate()
    journal = Journal(shelf.folder)
    ticks = iter(range(1000))
    counts = LineCounts(journal, clock=lambda: next(ticks))  # each look at the clock is a second
    shares = [counts.count(journal.picture(), 1.0) for _ in range(30)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1
    assert shares[-1] == 1.0
    stream = next(iter(journal.picture().streams.values()))
    assert counts.of(stream) == Tally(40, BORN_MS)
    shelf.append(APP, b"y\n")
    assert counts.count(journal.picture(), 100.0) == 1.0
    assert counts.of(stream) == Tally(41, BORN_MS)


def test_what_cannot_be_counted_in_time_or_for_damage_is_not_known(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.append(APP, b"one\n")
    shelf.append(APP, b"two\n")
    monkeypatch.setattr(sources_module, "COUNT_SECONDS", -1.0)
    found = records(shelf)[APP]
    assert found["lines"] is None
    assert found["unknown"]["lines"].startswith("they are being counted: ")
    monkeypatch.setattr(sources_module, "COUNT_SECONDS", 60.0)
    path = shelf.folder / "journal" / f"{0:020}"
    path.write_bytes(path.read_bytes().replace(b"one\n", b"eno\n"))
    found = records(shelf)[APP]
    assert (found["lines"], found["unknown"]["lines"]) == (None, "damage in the journal hides some")


def test_a_rate_is_of_the_last_minutes_and_none_of_too_short_a_time() -> None:
    recent = Recent(began_ms=0)
    recent.add("a", 10_000, 1000)
    assert recent.seconds(LEAST_MS - 1) is None
    assert (recent.seconds(50_000), recent.bytes("a", 50_000)) == (50.0, 1000)
    for second in range(0, 2000, 5):
        recent.add("b", second * 1000, 50)
    assert recent.seconds(2_000_000) == WINDOW_MS / 1000
    assert recent.bytes("b", 2_000_000) == pytest.approx(10 * WINDOW_MS / 1000, rel=0.05)
    assert (recent.bytes("a", 2_000_000), recent.bytes("unknown", 0)) == (0, 0)
    assert "a" not in recent._streams


def test_the_viewer_tells_the_rate_of_what_it_has_seen(shelf: Shelf) -> None:
    shelf.append(APP, b"x" * 999 + b"\n")
    found = records(shelf, now_ms=BORN_MS + 5000)[APP]
    assert found["unknown"]["rate"] == "the viewer has seen less than 20 s of what comes"
    assert records(shelf, now_ms=BORN_MS + 100_000)[APP]["rate"] == 10.0


def test_lag_is_what_the_shipper_says_of_the_stream_that_is_present(shelf: Shelf) -> None:
    shelf.append(APP, b"x\n")
    hole = {"continues": APP, "lost_bytes": 10}
    shelf.create(f"{APP}.00000000000000000012", json.dumps(hole))
    shelf.append(f"{APP}.00000000000000000012", b"y\n")
    shelf.append(f"web/1/serf/{INCARNATION}", b"z\n")
    shelf.now_ms += 10_000
    report(shelf, source("app", 5000, since="2026-11-23T20:00:07.500Z"), source("serf", 0))
    found = records(shelf)
    now = found[f"{APP}.00000000000000000012"]
    assert (now["lag_bytes"], now["lag_seconds"], now["lag_at_least"]) == (5000, 2.5, False)
    assert now["lag_as_of"] == "2026-11-23T20:00:10.000Z"
    assert (found[APP]["lag_bytes"], found[APP]["lag_seconds"]) == (0, 0.0)
    serf = found[f"web/1/serf/{INCARNATION}"]
    assert (serf["lag_bytes"], serf["lag_seconds"]) == (0, 0.0)
    report(shelf, source("app", 5000, since="2026-11-23T20:00:00Z", at_least=True))
    assert records(shelf)[now["stream"]]["lag_at_least"] is True


def test_no_lag_is_made_up(shelf: Shelf) -> None:
    """Each reason for not knowing is told as what it is."""
    shelf.append(APP, b"x\n")
    shelf.append("foreign/stream", b"x\n")
    shelf.append(f"old/1/app/{INCARNATION}", b"x\n")
    shelf.append(f"old/1/ship/{INCARNATION}", b"x\n")
    shelf.append(f"done/1/app/{INCARNATION}", b"x\n", closes=True)
    shelf.append(f"ask/1/app/{INCARNATION[:-1]}b", b"x\n")
    shelf.now_ms += REPORT_MS + 1000
    shelf.append(f"new/1/app/{INCARNATION[:-1]}c", b"x\n")
    report(shelf, source("serf", 0, INCARNATION[:-1] + "c"), place="new/1")
    report(shelf, source("app", None, INCARNATION[:-1] + "b"), place="ask/1")
    found = records(shelf)

    def why(path: str) -> str:
        one = found[path]
        assert (one["lag_bytes"], one["lag_seconds"]) == (None, None)
        assert one["unknown"]["lag_seconds"] == one["unknown"]["lag_bytes"] == one["unknown"]["survives_seconds"]
        return str(one["unknown"]["lag_bytes"])

    assert why(APP) == "its shipper's own lines do not come here"
    assert why("foreign/stream") == "it is not brought by logship ship"
    assert why(f"old/1/app/{INCARNATION}") == "its shipper was heard of last at 2026-11-23T20:00:00.000Z"
    assert why(f"new/1/app/{INCARNATION[:-1]}c") == "its shipper has not told of it yet"
    assert why(f"ask/1/app/{INCARNATION[:-1]}b") == "its shipper was still asking where the stream ends"
    done = found[f"done/1/app/{INCARNATION}"]
    assert (done["lag_bytes"], done["survives_seconds"], done["unknown"].keys() & {"lag_bytes"}) == (0, None, set())


def test_of_a_followed_file_the_shipper_of_its_host_is_meant(shelf: Shelf) -> None:
    file = "web/3f2a9c51d0e4/file/20261123T201501Z-0123456789ab"
    other = "web/aaaaaaaaaaaa/file/20261123T201501Z-0123456789ab"
    ship = f"web/1/ship/{INCARNATION}"
    shelf.append(file, b"x\n")
    shelf.append(other, b"x\n")
    shelf.create(ship, json.dumps({"host": "3f2a9c51d0e4", "service": "web", "program": "ship"}))
    shelf.append(ship, b"x\n")
    found = records(shelf)
    assert found[file]["unknown"]["lag_bytes"] == "its shipper has not told of it yet"
    assert found[other]["unknown"]["lag_bytes"] == "its shipper's own lines do not come here"
    found = records(shelf, now_ms=shelf.now_ms + REPORT_MS + 1)
    assert found[file]["unknown"]["lag_bytes"].startswith("its shipper was heard of last at ")


def test_a_report_is_believed_for_two_and_a_half_turns_of_the_shipper(shelf: Shelf) -> None:
    assert REPORT_MS == 2.5 * SNAPSHOT_SECONDS * 1000
    shelf.append(APP, b"x\n")
    report(shelf, source("app", 7))
    assert records(shelf, now_ms=shelf.now_ms + REPORT_MS)[APP]["lag_bytes"] == 7
    assert records(shelf, now_ms=shelf.now_ms + REPORT_MS + 1)[APP]["lag_bytes"] is None


def test_the_outage_that_is_survived_is_what_a_budget_leaves_at_the_present_rate(shelf: Shelf) -> None:
    for _ in range(10):
        shelf.now_ms += 10_000
        shelf.append(APP, b"x" * 99_999 + b"\n")
        shelf.append(f"web/1/serf/{INCARNATION}", b"s" * 299_999 + b"\n")
    shelf.create(f"web/1/quiet/{INCARNATION}")
    report(shelf, source("app", 1_000_000), source("serf", 0), source("quiet", 0))
    found = records(shelf)
    assert found[APP]["rate"] == 10_000.0
    of_container = sum(one["rate"] for one in found.values())
    by_container = int((4 * GIB - 1_000_000) / of_container)
    assert found[APP]["survives_seconds"] == pytest.approx(by_container, abs=1)
    assert found[f"web/1/serf/{INCARNATION}"]["survives_seconds"] == pytest.approx(2 * GIB / 30_000, abs=1)
    budgets = {"program": 2_000_000, "container": 0, "volume": 0}
    report(shelf, source("app", 1_000_000, since="2026-11-23T20:00:00Z"), source("quiet", 0), budgets=budgets)
    found = records(shelf)
    assert found[APP]["survives_seconds"] == 100
    assert (found[f"web/1/quiet/{INCARNATION}"]["survives_seconds"], found[APP]["unknown"]) == (None, {})
    report(shelf, source("app", 3_000_000), budgets=budgets)
    assert records(shelf)[APP]["survives_seconds"] == 0
    report(shelf, source("app", 3_000_000), budgets={})
    assert records(shelf)[APP]["unknown"]["survives_seconds"] == "its shipper does not tell the budgets"


def test_the_last_line_has_its_own_time_else_that_of_its_receipt(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.now_ms += 60_000
    shelf.append(APP, b"2026-11-23T20:00:01Z first\n2026-11-23T20:00:02Z second\n")
    shelf.append(f"web/1/serf/{INCARNATION}", b"no time\n")
    shelf.create(f"web/1/none/{INCARNATION}")
    found = records(shelf)
    assert found[APP]["last_line"] == "2026-11-23T20:00:02.000Z"
    assert found[f"web/1/serf/{INCARNATION}"]["last_line"] == "2026-11-23T20:01:00.000Z"
    none = found[f"web/1/none/{INCARNATION}"]
    assert (none["last_line"], none["unknown"].get("last_line")) == (None, None)
    monkeypatch.setattr(sources_module, "LAST_LINES_MAX", 0)
    assert "looked for at a time" in records(shelf)[APP]["unknown"]["last_line"]


def test_losses_of_a_stream_are_added_up(shelf: Shelf) -> None:
    shelf.append(APP, b"x\n")
    shelf.lose(Loss("1", APP, 0, 100))
    shelf.lose(Loss("2", APP, count=3, unit="lines"))
    shelf.lose(Loss("3", APP))
    shelf.lose(Loss("4", None, bytes=7))
    one = records(shelf)[APP]
    assert [one[name] for name in ("losses", "lost_bytes", "lost_counts", "lost_unknown")] == [3, 100, {"lines": 3}, 1]


@pytest.mark.parametrize(
    "text",
    [
        b"", b"no JSON", b"[]", b"1", b'{"event":"snapshot"}', b'{"event":"snapshot","sources":[{}]}',
        b'{"event":"snapshot","sources":[{"program":"x","incarnation":"i"}]}', b'{"event":"snapshot","sources":3}',
        b'{"event":"stopped","sources":[]}', b'{"event":"snapshot","sources":["x"]}', b"[" * 100_000,
        b'{"event":"snapshot","sources":[],"budgets":7}',
    ],
)  # fmt: skip
def test_what_anybody_wrote_into_the_stream_of_a_shipper_is_no_report(text: bytes) -> None:
    line = TimedLine(0, Line("web/1/ship/i", 0, text + b"\n", 0, 0), len(text) + 1, b"\n")
    assert parse_report(line) is None
    assert newest([line]) == {}


def test_numbers_that_are_none_are_not_known() -> None:
    text = b'{"event":"snapshot","budgets":{"program":true,"container":-1},"sources":[{"program":"x","incarnation":"i",'
    text += b'"behind_bytes":"7","since":"soon"}]}'
    found = parse_report(TimedLine(0, Line("web/1/ship/i", 0, text, 0, 0), len(text), b""))
    assert found is not None
    assert (found.program_bytes_max, found.container_bytes_max) == (None, None)
    assert found.sources[("i", "x")].bytes is None


def test_the_api_narrows_by_target_and_counts_when_asked(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    shelf.append(APP, b"x\n")
    shelf.append(f"ha/1/serf/{INCARNATION}", b"x\n")
    (one,) = viewer.records("/api/sources?q=web&lines=1")
    assert (one["source"], one["lines"], one["bytes"]) == ("web/1:app", 1, 2)
    assert len(viewer.records("/api/sources")) == 2
    assert viewer.ask("/api/sources?q=nosuch")[0] == 404
    assert viewer.ask("/api/sources?n=3")[0] == 400
    assert tmp_path.exists()
