"""The lines of the lake are those of the viewer, to the byte, with the same times; whatever the history was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect.folder import JOURNAL, segment_name
from logship.lake import batch, bulk, plan
from logship.view import lines, window
from logship.view.history import History
from logship.view.items import DAMAGE, TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import PART, TORN, Line
from logship.view.segments import segment_of
from tests.logship.lake.lakes import EXACT, rebuilt, rows, seal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_history import everything, wanted

LONG = 16
EXAMPLES = int(os.environ.get("LOGSHIP_TEST_HISTORIES", "40"))
TEXTS = st.one_of(
    st.text("ab\n\r", min_size=1, max_size=40).map(str.encode),
    st.binary(min_size=1, max_size=40),
    st.sampled_from([
        b"2026-11-23 20:00:01,000 INFO a\n", b'{"level": "info", "time": "2026-11-23T20:00:00Z"}\n', b"\n\n",
        b"\x00\n\xff\xfe\r\n", b"caf\xc3\xa9\n", b"\xc3", b"\xa9 goes on\r", b"\nend\n",
        b"2026-11-24 00:00:01,000 CRIT tomorrow\n",
    ]),
)  # fmt: skip
PIECES = st.tuples(
    st.sampled_from(["a/1/haproxy/i", "b/1/supervisord/i", "foreign"]),
    TEXTS,
    st.lists(st.integers(0, 40), max_size=2),
    st.sampled_from(["", "", "", "rotate", "close", "packed", "damage", "delete"]),
    st.sampled_from([10, 10, 10, 3_000, 3_600_000, 90_000_000, -5_000, -90_000_000]),
)


def fill(shelf: Shelf, pieces: list[Any]) -> list[int]:
    """Write a history; the LSNs of frames whose bodies are to be broken."""
    to_break = []
    for path, data, starts, what, pause in pieces:
        stream = shelf.state.streams.get(path)
        if stream is not None and stream.closed:
            continue
        begin = stream.next_offset if stream else 0
        said = tuple((begin + start, "2026-11-23T20:00:00Z") for start in sorted(starts) if start <= len(data))
        shelf.now_ms = max(BORN_MS, shelf.now_ms + pause)
        lsn = shelf.append(path, data, starts=said, packed=what == "packed", closes=what == "close")
        if what == "damage":
            to_break.append(lsn)
        if what == "rotate":
            shelf.rotate()
        if what == "delete":
            shelf.delete(path)
    shelf.rotate()
    return to_break


def break_bodies(store: Path, lsns: list[int]) -> None:
    """Flip a bit in the last byte of frames."""
    journal = Journal(store)
    segments = journal.segments()
    for lsn in lsns:
        segment = segment_of(segments, lsn)
        assert segment is not None
        with (store / JOURNAL / segment_name(segment)).open("r+b") as file:
            file.seek(journal.frame(lsn).end - 1 - segment)
            last = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([last[0] ^ 1]))


def of_viewer(store: Path, end: int) -> list[tuple[Any, ...]]:
    """What the viewer shows of lines that complete below an LSN: all that the lake should have of them."""
    history = History(Journal(store))
    picture = history.journal.picture()
    found: list[tuple[Any, ...]] = []
    for item in history.everything(picture, wanted(), end, with_open=False):
        if isinstance(item, TimedLine):
            data = history.windows.whole(item.line, item.size)
            line = Line(item.line.stream, item.line.offset, data, item.line.lsn, item.line.received_ms, item.line.flags)
            found.append((line.stream, line.offset, line.lsn, item.time_ms, line.received_ms, data, line.flags))
    return sorted(found)


def of_lake(store: Path) -> list[tuple[Any, ...]]:
    select = f'stream, "offset", lsn, epoch_ms(ts), epoch_ms(received), {EXACT}, flags & 15'
    return sorted((*row[:5], bytes(row[5]), row[6]) for row in rows(store, select))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(PIECES, max_size=14), st.integers(1, 3), st.booleans())
def test_the_lake_has_the_lines_that_the_viewer_shows_wherever_pieces_and_batches_are_cut(
    pieces: list[Any], frames_max: int, restarts: bool
) -> None:
    folder = Path(tempfile.mkdtemp())
    patch = pytest.MonkeyPatch()
    for module in (lines, window, bulk):
        patch.setattr(module, "LINE_BYTES_MAX", LONG)
    patch.setattr(plan, "FRAMES_MAX", frames_max)
    patch.setattr(batch, "BATCH_ROWS_MAX", 2)
    store = folder / "store"
    shelf = Shelf(store)
    try:
        break_bodies(store, fill(shelf, pieces))
        if restarts:
            shelf.append("after/1/x/i", b"a line in a segment that is not finished\n")
        sealed = seal(store)
        assert sealed.manifest.sealed_end == Journal(store).segments()[-1]
        assert of_lake(store) == of_viewer(store, sealed.manifest.sealed_end)
        marks = [item for item in everything(History(Journal(store)), wanted()) if getattr(item, "what", "") == DAMAGE]
        assert {(place.stream, place.offset) for place in sealed.manifest.damaged} == {
            (mark.stream, mark.offset) for mark in marks
        }
        assert sum(file.rows for file in sealed.manifest.files) == len(of_lake(store))
    finally:
        shelf.close()
        patch.undo()
        shutil.rmtree(folder)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a/1/haproxy/i", "b/1/app/i"]), TEXTS, st.booleans()), max_size=8))
def test_the_bytes_that_were_appended_are_rebuilt_from_the_lake(appended: list[tuple[str, bytes, bool]]) -> None:
    folder = Path(tempfile.mkdtemp())
    shelf = Shelf(folder / "store")
    try:
        written: dict[str, bytes] = {}
        for path, data, rotates in appended:
            shelf.append(path, data, packed=rotates)
            written[path] = written.get(path, b"") + data
            if rotates:
                shelf.rotate()
                seal(folder / "store")
        for path in written:
            shelf.append(path, b"", closes=True)
        shelf.rotate()
        seal(folder / "store")
        found: dict[str, bytes] = {}
        for stream, offset, data in rebuilt(folder / "store"):
            assert offset == len(found.get(stream, b""))
            found[stream] = found.get(stream, b"") + data
        assert found == written
    finally:
        shelf.close()
        shutil.rmtree(folder)


def test_lines_of_more_than_a_mebibyte_and_what_is_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    endless = os.urandom(3 << 20).replace(b"\n", b" ")
    appends = [b"x" * 5_000 + b"\r\n", b"\x00\xff" * 3_000 + b"\n", endless[: 1 << 20], endless[1 << 20 :], b"\ntorn"]
    for data in appends:
        shelf.append("a/1/x/i", data, packed=True)
    shelf.append("a/1/x/i", b"", closes=True)
    shelf.rotate()
    seal(tmp_path)
    assert b"".join(data for _, _, data in rebuilt(tmp_path)) == b"".join(appends)
    flags = [flags for (flags,) in rows(tmp_path, "flags & 15", tail='ORDER BY "offset"')]
    assert flags == [0, 0, *[PART] * 4, TORN]
    assert of_lake(tmp_path) == of_viewer(tmp_path, 1 << 62)
    shelf.close()


CHUNKS = st.lists(
    st.tuples(st.text("ab\n", max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=1), st.booleans()),
    max_size=6,
)


@given(CHUNKS)
def test_lines_that_are_cut_many_at_a_time_are_those_that_are_cut_one_by_one(chunks: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (lines, bulk):
            patch.setattr(module, "LINE_BYTES_MAX", LONG)
        one_by_one, at_once = lines.Splitter("s", 0), bulk.BulkSplitter("s", 0)
        for number, (data, starts, closes) in enumerate(chunks):
            at = one_by_one.position
            said = [at + start for start in starts if start <= len(data)]
            chunk = lines.Chunk(at, data, number, number * 7, said, closes and number == len(chunks) - 1)
            assert list(_single(at_once.feed(chunk))) == one_by_one.feed(chunk)
            assert at_once.position == one_by_one.position


def _single(found: list[Line]) -> Iterator[Line]:
    for line in found:
        if not isinstance(line, bulk.Several):
            yield line
            continue
        at = line.offset
        for text in line.data.split(b"\n")[:-1]:
            yield Line(line.stream, at, text + b"\n", line.lsn, line.received_ms, line.flags)
            at += len(text) + 1
