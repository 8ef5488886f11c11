"""What retention deleted is told in the place of the lines, once, as such: it is no loss and no damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect.journal import Entry, Kind
from logship.lake.folder import LAKE, MANIFEST
from logship.lake.keep import Policy
from logship.lake.manifest import RETENTION
from logship.view.deleted import STREAMS_MAX
from logship.view.history import History
from logship.view.items import DELETED, Item, Mark, TimedLine
from logship.view.journal_reader import Journal
from tests.logship.lake.lakes import seal
from tests.logship.lake.test_lake_lines import PIECES, fill
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_history import everything, tail, texts, wanted
from tests.logship.view.test_view_older import batches, counted
from tests.logship.view.viewing import TREE, Viewer, environment

APP = "web/1/app/i"
SERF = "web/1/serf/i"
MINUTE_MS = 60_000
KEPT = Policy(streams=((APP, 90),))
"""Lines of APP for a minute and a half."""


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    """A line of 7 bytes of each of two streams in each of four segments, a minute apart."""
    found = Shelf(tmp_path / "store")
    for number in range(4):
        found.now_ms = BORN_MS + number * MINUTE_MS
        for path in (APP, SERF):
            found.append(path, b"line %d\n" % number)
        found.rotate()
    yield found
    found.close()


def history(shelf: Shelf) -> History:
    return History(Journal(shelf.folder))


def deleted(items: list[Item]) -> list[Mark]:
    assert {item.what for item in items if isinstance(item, Mark)} <= {DELETED}
    return [item for item in items if isinstance(item, Mark)]


def told(items: list[Item]) -> list[tuple[str, int, int | None]]:
    """Stream, place, bytes."""
    return [(mark.stream, mark.offset, mark.bytes) for mark in deleted(items)]


def retained(shelf: Shelf, files: int, at_ms: int = 0) -> None:
    """Let the lake have all, the journal nothing that is finished, and delete the oldest files of the lake."""
    manifest = seal(shelf.folder).manifest
    shelf.drop_oldest(len(Journal(shelf.folder).segments()) - 1)
    most = sum(file.stored_bytes for file in manifest.files[files:])
    seal(shelf.folder, Policy(bytes=most), lambda: at_ms or shelf.now_ms)


def test_what_the_journal_alone_has_let_go_of_stands_before_the_first_line_of_its_stream(shelf: Shelf) -> None:
    assert deleted(everything(history(shelf), wanted())) == []
    shelf.drop_oldest(2)
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        assert told(found) == [(APP, 0, 14), (SERF, 0, 14)]
        assert all(isinstance(item, Mark) for item in found[:2])
        assert deleted(found)[0].text == (
            "retention deleted its beginning: 14 bytes, received up to 2026-11-23T20:01:00.000Z"
        )
        assert texts(found) == [b"line 2\n"] * 2 + [b"line 3\n"] * 2
    assert told(everything(history(shelf), wanted(SERF))) == [(SERF, 0, 14)]
    assert counted(history(shelf))["damaged"] == 0


def test_only_who_comes_so_far_back_is_told(shelf: Shelf) -> None:
    shelf.drop_oldest(2)
    assert told(tail(history(shelf), wanted(), 4)) == []
    assert told(tail(history(shelf), wanted(), 5)) == [(APP, 0, 14), (SERF, 0, 14)]
    assert told(tail(history(shelf), wanted(grep="not there"), 1)) == [(APP, 0, 14), (SERF, 0, 14)]
    assert told(everything(history(shelf), wanted(since_ms=BORN_MS + 2 * MINUTE_MS))) == []
    assert len(told(everything(history(shelf), wanted(since_ms=BORN_MS + MINUTE_MS)))) == 2
    for mark in deleted(everything(history(shelf), wanted(until_ms=BORN_MS + 1000))):
        assert BORN_MS <= mark.time_ms < BORN_MS + 1000
    assert told(everything(history(shelf), wanted(until_ms=BORN_MS + 1000))) == [(APP, 0, 14), (SERF, 0, 14)]
    assert told(everything(history(shelf), wanted(until_ms=BORN_MS))) == [], "there was nothing yet"


def test_a_lake_that_has_all_hides_nothing_and_what_left_it_is_told(shelf: Shelf) -> None:
    retained(shelf, 0)
    assert told(everything(history(shelf), wanted())) == []
    retained(shelf, 3)
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        assert told(found) == [(APP, 0, 21), (SERF, 0, 21)]
        assert texts(found) == [b"line 3\n"] * 2
    assert counted(history(shelf)) == {"lines": 2, "damaged": 0, "share": 1.0}


def test_a_stream_that_is_kept_less_long_than_others_has_the_mark_alone(shelf: Shelf) -> None:
    retained(shelf, 0)
    seal(shelf.folder, KEPT, lambda: BORN_MS + 3 * MINUTE_MS)
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        assert told(found) == [(APP, 0, 14)]
        assert [item.stream for item in found].index(APP) < len(found)
        (mark,) = deleted(found)
        assert mark.time_ms == BORN_MS + MINUTE_MS
        behind = found[found.index(mark) + 1 :]
        assert [item.offset for item in behind if item.stream == APP] == [14, 21]
    assert told(everything(history(shelf), wanted(SERF))) == []


def test_of_a_tombstone_all_there_was_is_told(shelf: Shelf) -> None:
    shelf.drop_oldest(4)
    shelf._commit(Kind.RETIRE, 0, Entry(shelf.now_ms, APP), b"")
    for found in (everything(history(shelf), wanted(APP)), tail(history(shelf), wanted(APP), 10)):
        assert told(found) == [(APP, 0, 28)]
        assert "all there was of it: 28 bytes" in deleted(found)[0].text


def test_of_streams_that_nobody_knows_any_more_it_is_told_how_much_left_the_lake(shelf: Shelf) -> None:
    retained(shelf, 4)
    for path in (APP, SERF):
        shelf.delete(path)
    shelf.append("web/2/app/i", b"another\n")
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        (mark,) = deleted(found)
        assert (mark.stream, mark.bytes, mark.time_ms) == ("", 8 * 7, BORN_MS + 3 * MINUTE_MS)
        assert "8 lines of 56 bytes" in mark.text
        assert found[0] is mark
    assert told(everything(history(shelf), wanted("web/2"))) == [], "it is nobody's of them"


def test_of_very_many_streams_one_mark_tells(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "store")
    for number in range(STREAMS_MAX + 1):
        shelf.append(f"web/{number}/app/i", b"gone\n")
    shelf.rotate()
    shelf.append(APP, b"kept\n")
    retained(shelf, 1)
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        (mark,) = deleted(found)
        assert (mark.stream, mark.bytes) == ("", 5 * (STREAMS_MAX + 1))
        assert f"the beginnings of {STREAMS_MAX + 1} streams" in mark.text
        assert "21 lines of 105 bytes left the lake in all" in mark.text
    assert told(everything(history(shelf), wanted("web/2"))) == [("web/2/app/i", 0, 5)]
    shelf.close()


def test_what_the_journal_had_let_go_of_before_it_was_sealed_is_no_damage(shelf: Shelf) -> None:
    """At the beginning, as where a lake is begun late, and between files."""
    shelf.drop_oldest(1)
    seal(shelf.folder)
    shelf.drop_oldest(3)
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        assert told(found) == [(APP, 0, 7), (SERF, 0, 7)]
    manifest = shelf.folder / LAKE / MANIFEST
    said = json.loads(manifest.read_text())
    gone = said["files"].pop(1)
    said["not_sealed"].append({"first_lsn": gone["first_lsn"], "end_lsn": gone["end_lsn"], "why": RETENTION})
    manifest.write_text(json.dumps(said))
    for found in (everything(history(shelf), wanted()), tail(history(shelf), wanted(), 10)):
        assert sorted(told(found)) == [("", gone["first_lsn"], None), (APP, 0, 7), (SERF, 0, 7)]
        assert texts(found) == [b"line 1\n"] * 2 + [b"line 3\n"] * 2
    assert counted(history(shelf))["damaged"] == 0


def test_damage_before_the_first_line_that_is_kept_does_not_count_as_deleted(shelf: Shelf) -> None:
    retained(shelf, 1)
    manifest = shelf.folder / LAKE / MANIFEST
    said = json.loads(manifest.read_text())
    lsn = said["files"][0]["first_lsn"]
    said["damaged"] = [{"stream": APP, "offset": 3, "bytes": 4, "lsn": lsn, "why": "a flipped bit"}]
    manifest.write_text(json.dumps(said))
    found = [item for item in everything(history(shelf), wanted()) if isinstance(item, Mark) and item.what == DELETED]
    assert [(mark.stream, mark.bytes) for mark in found] == [(APP, 3), (SERF, 7)]
    said["not_sealed"] = [{"first_lsn": lsn - 1, "end_lsn": lsn, "why": "it cannot be made out"}]
    manifest.write_text(json.dumps(said))
    found = [item for item in everything(history(shelf), wanted()) if isinstance(item, Mark) and item.what == DELETED]
    assert [mark.bytes for mark in found] == [None, None]
    assert "3 bytes or fewer" in found[0].text


def test_who_comes_back_too_late_is_told_at_his_place(shelf: Shelf) -> None:
    retained(shelf, 2)
    found = batches(history(shelf), 0)
    (mark,) = deleted(found)
    assert mark.text == (
        "lines were taken by retention, out of the lake, too, before they were looked at: "
        "of the 4 (28 bytes) that left it so far"
    )
    shutil.rmtree(shelf.folder / LAKE)
    (mark,) = deleted(batches(history(shelf), 0))
    assert mark.text == "lines were taken by retention before they were looked at"


@settings(max_examples=12, deadline=None)
@given(st.lists(PIECES, max_size=14), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_what_is_given_and_what_is_told_as_deleted_is_all_there_was(
    pieces: list[Any], drops: int, files: int, with_lake: bool
) -> None:
    folder = Path(tempfile.mkdtemp())
    shelf = Shelf(folder / "store")
    try:
        fill(shelf, [(*each[:3], "" if each[3] == "damage" else each[3], each[4]) for each in pieces])
        for path in [path for path, stream in shelf.state.streams.items() if not stream.closed]:
            shelf.append(path, b"\n")
        shelf.rotate()
        before = everything(history(shelf), wanted())
        if with_lake:
            retained(shelf, files, BORN_MS)
        shelf.drop_oldest(min(drops, len(Journal(shelf.folder).segments()) - 1))
        now = everything(history(shelf), wanted())
        sizes: dict[str, int] = {}
        for items, sign in ((before, 1), (now, -1)):
            for item in items:
                size = item.size if isinstance(item, TimedLine) else 0
                if isinstance(item, Mark) and item.what == DELETED:
                    size = item.bytes or 0
                sizes[item.stream] = sizes.get(item.stream, 0) + sign * size
        assert set(sizes.values()) <= {0}
        paths = [item.stream for item in now if isinstance(item, Mark) and item.what == DELETED]
        assert len(paths) == len({*paths}), "of a stream once"
    finally:
        shelf.close()
        shutil.rmtree(folder)


def test_command_api_and_page_show_it(shelf: Shelf, viewer: Viewer) -> None:
    shelf.drop_oldest(2)
    text = "retention deleted its beginning: 14 bytes, received up to 2026-11-23T20:01:00.000Z"
    command = [sys.executable, "-m", "logship", "logs", "--url", viewer.url, APP]
    found = subprocess.run(command, cwd=TREE, env=environment(), capture_output=True, check=False)
    assert (found.returncode, found.stdout.count(b"\n")) == (0, 2), found.stderr
    assert found.stderr.decode() == f"Nov 23 20:01:00.000 web/1:app | -- {text} --\n"
    made = [one for one in viewer.records(f"/api/logs?q={APP}&n=all") if one["type"] == "mark"]
    assert made == [
        {
            "type": "mark", "time": "2026-11-23T20:01:00.000Z", "stream": APP, "offset": 0, "place": "web/1",
            "program": "app", "lsn": made[0]["lsn"], "what": "deleted", "text": text, "bytes": 14,
        },
    ]  # fmt: skip
    said = subprocess.run([*command, "-o", "json"], cwd=TREE, env=environment(), capture_output=True, check=False)
    assert json.loads(said.stdout.splitlines()[0]) == made[0]
    page = viewer.ask(f"/logs?q={APP}")[2].decode()
    assert f'<li class="row mark deleted" id="L{APP}@0.deleted">' in page
    assert text in page
