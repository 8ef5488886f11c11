"""Starts of programs, and events of many lines, are the same wherever the journal begins: the rest is in the lake."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.lake import plan
from logship.lake.folder import LAKE
from logship.lake.keep import Policy
from logship.view.history import History
from logship.view.items import START, Item, Mark, TimedLine
from logship.view.journal_reader import Journal
from logship.view.select import Wanted
from tests.logship.lake.lakes import seal
from tests.logship.lake.test_lake_lines import fill
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_history import everything, tail, texts, wanted

APP = "web/1/app/i"
TRACE = (
    b"2026-11-23 20:00:01,000 ERROR it failed\n",
    b"Traceback (most recent call last):\n",
    b'  File "a.py", line 1, in <module>\n',
    b"    run()\n",
    b"KeyError: needle\n",
    b"2026-11-23 20:00:02,000 INFO on\n",
)
# Of frames that end no line at all, where nothing else comes in between, starts are not kept.
OTHERS = (b"    needle\n", b"  at x.y(Z.java:3)\n", b"\n", b"b\nneedle", b"panic: needle\n", b"a\nb\n", b"".join(TRACE))
PIECES = st.tuples(
    st.sampled_from([APP, "web/2/app/i"]),
    st.sampled_from([*TRACE, *OTHERS]),
    st.lists(st.integers(0, 40), max_size=2),
    st.sampled_from(["", "", "", "rotate", "packed", "delete"]),
    st.sampled_from([0, 10, 10, 3_000]),
)


def events(grep: str = "", **how: Any) -> Wanted:
    return replace(wanted(grep=grep, **how), events=True)


def told(items: list[Item]) -> list[tuple[Any, ...]]:
    """Lines with their events, and starts; stream by stream, in the order in which they stand."""
    found = [
        (item.stream, item.offset, item.event, item.size, item.line.lsn)
        if isinstance(item, TimedLine)
        else (item.stream, item.offset, item.what, item.time_ms, 0)
        for item in items
        if isinstance(item, TimedLine) or (isinstance(item, Mark) and item.what == START)
    ]
    return sorted(found, key=lambda one: one[0])


def history(shelf: Shelf) -> History:
    return History(Journal(shelf.folder))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(PIECES, max_size=12), st.integers(1, 6), st.sampled_from(["", "needle"]), st.booleans(), st.integers(1, 3)
)
def test_they_are_the_same_wherever_the_journal_begins(
    pieces: list[Any], drops: int, grep: str, by_events: bool, frames_max: int
) -> None:
    folder = Path(tempfile.mkdtemp())
    patch = pytest.MonkeyPatch()
    patch.setattr(plan, "FRAMES_MAX", frames_max)
    shelf = Shelf(folder / "store")
    asked = replace(wanted(grep=grep), events=by_events)
    try:
        shelf.append("0/1/x/i", b"2026-11-23 19:59:00,000 needle\n")  # no start is before the first line
        fill(shelf, pieces)
        before = told(everything(history(shelf), asked))
        seal(shelf.folder)
        shelf.drop_oldest(min(drops, len(Journal(shelf.folder).segments()) - 1))
        assert told(everything(history(shelf), asked)) == before
        assert told(tail(history(shelf), asked, 1000)) == before
        assert {*told(batches(shelf, asked))} == {*before}, "a batch may tell a start once more"
    finally:
        shelf.close()
        patch.undo()
        shutil.rmtree(folder)


def batches(shelf: Shelf, asked: Wanted) -> list[Item]:
    """What somebody is given who comes back with the first cursor."""
    reading = history(shelf)
    picture, start, found = reading.journal.picture(), 0, list[Item]()
    while start < picture.end:
        batch = reading.batch(picture, asked, start)
        found, start = [*found, *batch.items], batch.end
    return found


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    """A trace of which each line is in a segment of its own, all sealed; the journal keeps the last two lines."""
    found = Shelf(tmp_path / "store")
    for number, line in enumerate(TRACE):
        found.now_ms += 100
        found.append(APP, line, starts=((0, "2026-11-23T19:59:59Z"),) if number == 0 else ())
        found.rotate()
    seal(found.folder)
    found.drop_oldest(4)
    yield found
    found.close()


def test_a_trace_that_lies_in_the_lake_and_in_the_journal_is_one_event(shelf: Shelf) -> None:
    for found in (
        everything(history(shelf), events("needle")),
        tail(history(shelf), events("needle"), 1),
        batches(shelf, events("needle")),
    ):
        assert texts(found) == [*TRACE[:5]]
        assert {item.event for item in found if isinstance(item, TimedLine)} == {0}
        assert len({item.time_ms for item in found if isinstance(item, TimedLine)}) == 1
    assert texts(everything(history(shelf), events("it failed"))) == [*TRACE[:5]]
    assert texts(tail(history(shelf), events(), 1)) == [TRACE[5]]


def test_a_trace_in_the_lake_alone_is_one_event_of_several_files(shelf: Shelf) -> None:
    shelf.drop_oldest(2)
    for grep in ("needle", "it failed", "run"):
        assert texts(everything(history(shelf), events(grep))) == [*TRACE[:5]]
        assert texts(tail(history(shelf), events(grep), 10)) == [*TRACE[:5]]
    assert [item.what for item in everything(history(shelf), events("needle")) if isinstance(item, Mark)] == [START]


def test_a_start_is_kept_over_merging_and_goes_with_its_stream(shelf: Shelf) -> None:
    shelf.append("web/2/app/i", b"line\n", starts=((0, "2026-11-23T20:00:00Z"),))
    for _ in range(20):
        shelf.append("web/2/app/i", b"line\n")
        shelf.rotate()
    sealed = seal(shelf.folder)
    assert sealed.events("merged")
    starts: dict[str, Any] = {}
    for file in sealed.manifest.files:
        starts |= file.starts
    assert {path: [one[0] for one in each] for path, each in starts.items()} == {APP: [0], "web/2/app/i": [0]}
    policy = Policy(streams=((APP, 1),))
    thinned = seal(shelf.folder, policy, lambda: shelf.now_ms + 5000).manifest
    assert [[*file.starts] for file in thinned.files if file.starts] == [["web/2/app/i"]]


def test_a_start_that_the_journals_first_frame_tells_once_more_is_told_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "store")
    start = (5, "2026-11-23T20:00:00Z")
    shelf.append(APP, b"torn ", starts=(start,))
    shelf.rotate()
    shelf.append(APP, b"anew\n", starts=(start,))
    shelf.rotate()
    before = told(everything(history(shelf), wanted()))
    assert [one[2] for one in before].count(START) == 1
    seal(shelf.folder)
    shelf.drop_oldest(1)
    assert told(everything(history(shelf), wanted())) == before
    assert told(tail(history(shelf), wanted(), 10)) == before
    shelf.drop_oldest(1)
    assert told(everything(history(shelf), wanted())) == before
    shelf.close()


def test_a_lake_that_was_made_before_starts_were_kept_is_read(shelf: Shelf) -> None:
    manifest = shelf.folder / LAKE / "manifest.json"
    said = json.loads(manifest.read_text())
    for file in said["files"]:
        del file["starts"]
    manifest.write_text(json.dumps(said))
    found = everything(history(shelf), events("needle"))
    assert texts(found) == [*TRACE[:5]]
    assert [item for item in found if isinstance(item, Mark)] == []


def test_what_cannot_be_read_of_an_event_is_told(shelf: Shelf) -> None:
    first = sorted((shelf.folder / LAKE).rglob("*.parquet"))[0]
    first.write_bytes(b"this is none")
    for found in (everything(history(shelf), events("needle")), tail(history(shelf), events("needle"), 10)):
        assert any("cannot be read" in item.text for item in found if isinstance(item, Mark))
        assert TRACE[4] in texts(found)
