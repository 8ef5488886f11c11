"""Damage as people see it: a mark at its place, lines on both sides, and the same range that the collector refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from logship.collect.fsck import opened as checking
from logship.collect.store import Store
from logship.values import StreamPath
from logship.view.history import History
from logship.view.items import DAMAGE, Batch, Mark, TimedLine
from logship.view.journal_reader import Journal
from logship.wire import Refusal
from tests.logship.collect.shop import Clock, run
from tests.logship.collect.test_collect_damage import SMALL, sound
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_history import batches, everything, tail, wanted

APP, OTHER = "a/1/app/i", "a/1/other/i"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "store")
    yield made
    made.close()


def flip(shelf: Shelf, lsn: int) -> None:
    """Damage one byte of the journal."""
    segment = max(path for path in (shelf.folder / "journal").iterdir() if int(path.name) <= lsn)
    with segment.open("r+b") as file:
        content = file.read()
        file.seek(lsn - int(segment.name))
        file.write(bytes([content[lsn - int(segment.name)] ^ 0x20]))
        file.flush()
        os.fsync(file.fileno())


def said(items: list[object]) -> list[bytes | tuple[str, int, int | None]]:
    """Lines as their bytes, marks of damage as stream, offset and how many bytes."""
    found: list[bytes | tuple[str, int, int | None]] = []
    for item in items:
        if isinstance(item, TimedLine):
            found.append(item.line.data)
        elif isinstance(item, Mark) and item.what == DAMAGE:
            found.append((item.stream, item.offset, item.bytes))
    return found


def of(found: list[Batch]) -> list[object]:
    """All items of batches."""
    return [item for batch in found for item in batch.items]


@pytest.mark.case(95)
@pytest.mark.parametrize("finished", [True, False])
def test_the_viewer_the_collector_and_fsck_agree_on_the_damaged_range(shelf: Shelf, finished: bool) -> None:
    bodies = [b"012345678", b"damaged!\n", b"behind\n", b"zip " * 50 + b"\n", b"last\n"]
    lsns = [shelf.append(APP, body, packed=number == 3) for number, body in enumerate(bodies)]
    shelf.append(OTHER, b"other\n")
    if finished:
        shelf.rotate()
    else:
        shelf.close()
    for number in (1, 3):
        start = sum(map(len, bodies[:number]))
        frame = History(Journal(shelf.folder)).journal.frame(lsns[number])
        at = frame.body_lsn + frame.body_bytes // 2
        if finished:
            flip(shelf, at)
        history = History(Journal(shelf.folder))
        if not finished:
            refused = run(running(shelf, at))
        else:
            shelf.close()
            refused = run(served(shelf))
            shelf = Shelf(shelf.folder)
        assert refused == [(start, start + len(bodies[number]))]
        mark = (APP, start, len(bodies[number]))
        items = everything(history, wanted("a/1:app"))
        before = [b"012345678"] if number == 1 else [bodies[0] + bodies[1], bodies[2]]
        behind = bodies[2:] if number == 1 else bodies[4:]
        assert said(list(items)) == [*before, mark, *behind]
        assert said(list(tail(history, wanted("a/1:app"), 100))) == [*before, mark, *behind]
        assert said(of(batches(history, wanted("a/1:app")))) == [*before, mark, *behind]
        assert said(list(everything(history, wanted("a/1:other")))) == [b"other\n"]
        with checking(shelf.folder) as check:
            lost = [span for part in check.run() for found in part.findings for span in found.lost or ()]
        assert [tuple(span) for span in lost] == [(APP, start, start + len(bodies[number]))]
        flip(shelf, at)


async def served(shelf: Shelf) -> list[tuple[int, int]]:
    """The ranges that a collector refuses which starts on the store."""
    store = await Store.open(shelf.folder, SMALL, Clock())
    try:
        assert not isinstance(await store.read(StreamPath(OTHER), 0, 10), Refusal)
        return (await sound(store, StreamPath(APP)))[1]
    finally:
        await store.close()


async def running(shelf: Shelf, at: int) -> list[tuple[int, int]]:
    """The same of one that runs already when its newest segment is damaged."""
    store = await Store.open(shelf.folder, SMALL, Clock())
    try:
        flip(shelf, at)
        return (await sound(store, StreamPath(APP)))[1]
    finally:
        await store.close()


def test_a_broken_head_hides_the_rest_of_its_segment_and_is_a_mark_there(shelf: Shelf) -> None:
    """Behind it no frame can be found: that is said, by every way of reading, and once to who follows."""
    shelf.append(APP, b"before\n")
    broken = shelf.append(APP, b"broken\n")
    shelf.append(APP, b"hidden\n")
    shelf.rotate()
    shelf.append(APP, b"behind\n")
    flip(shelf, broken + 9)
    for history in (History(Journal(shelf.folder)), History(Journal(shelf.folder))):
        for items in (everything(history, wanted()), tail(history, wanted(), 100), of(batches(history, wanted()))):
            found = said(list(items))
            assert [one for one in found if isinstance(one, bytes)] == [b"before\n", b"behind\n"]
            marks = [one for one in items if isinstance(one, Mark) and one.what == DAMAGE]
            assert len(marks) == 1
            assert f"LSN {broken}" in marks[0].text
            assert "nothing behind it in its segment" in marks[0].text
        end = history.journal.durable()
        cuts = [0, broken, broken + 1, shelf.disk.segments[-1].lsn, end]
        told = [
            mark
            for start, stop in pairwise(cuts)
            for mark in history.batch(replace(history.journal.picture(), end=stop), wanted(), start).items
            if isinstance(mark, Mark)
        ]
        assert len(told) == 1, "however the journal is cut into batches"
