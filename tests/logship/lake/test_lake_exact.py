"""The exact bytes of a stream come out of journal and lake together, whichever has them; or it is said why not."""

from __future__ import annotations

import random
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect.journal import Entry, Frame, Kind
from logship.collect.lake import Lake
from logship.lake import exact as exact_module
from logship.lake import merging
from logship.lake.exact import Exact
from logship.lake.folder import LAKE
from logship.lake.keep import Policy
from logship.lake.reader import Reader
from logship.view.digests import DAMAGED, NOT_KEPT, UNREADABLE, Hole, Piece
from logship.view.extents import Extents
from logship.view.history import History
from logship.view.items import TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import Line
from logship.view.window import Windows
from tests.logship.lake.lakes import rebuilt, seal, without_duckdb
from tests.logship.lake.test_lake_lines import break_bodies
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_history import everything, wanted

APP = "web/1/app/i"
FORMS = st.one_of(
    st.text("ab\n\r", min_size=1, max_size=40).map(str.encode),
    st.binary(min_size=1, max_size=40),
    st.sampled_from([b"\n", b"\r\n", b"\n\n\n", b"\r", b"\x00\n", b"caf\xc3", b"\xa9\n", b"no end", b"\xff\xfe\n"]),
)
APPENDS = st.lists(
    st.tuples(
        st.sampled_from([APP, "b/1/haproxy/i"]), FORMS, st.sampled_from(["", "", "rotate", "seal", "drop", "start"])
    ),
    max_size=10,
)


def read(store: Path, start: int, end: int, path: str = APP) -> list[Piece | Hole]:
    journal = Journal(store)
    picture = journal.picture()
    found = Extents(journal, Exact(Reader(store))).read(picture, picture.streams[path], start, end)
    return [one for one in found if one is not None]


def told(parts: list[Piece | Hole]) -> list[Any]:
    return [one.data if isinstance(one, Piece) else (one.start, one.end, one.what) for one in parts]


def follows(parts: list[Piece | Hole], start: int, end: int) -> bool:
    """Whether they cover the range, each where the one before ended."""
    spans = [
        (one.offset, one.offset + len(one.data)) if isinstance(one, Piece) else (one.start, one.end) for one in parts
    ]
    return [each[0] for each in spans] + [end] == [start] + [each[1] for each in spans]


@settings(max_examples=20, deadline=None)
@given(APPENDS, st.integers(0, 8), st.data())
def test_whatever_retention_took_any_range_is_given_exactly(
    appends: list[Any], drops: int, data: st.DataObject
) -> None:
    folder = Path(tempfile.mkdtemp())
    store = folder / "store"
    shelf = Shelf(store)
    patch = pytest.MonkeyPatch()
    patch.setattr(exact_module, "STEP_BYTES", 32)
    patch.setattr(exact_module, "PIECE_BYTES", 16)
    try:
        written: dict[str, bytes] = {APP: b""}
        shelf.create(APP)
        for path, content, what in appends:
            starts = ((len(written.get(path, b"")), "2026-11-23T20:00:00Z"),) if what == "start" else ()
            shelf.append(path, content, starts=starts)
            written[path] = written.get(path, b"") + content
            if what in ("rotate", "seal", "drop"):
                shelf.rotate()
            if what in ("seal", "drop"):
                seal(store)
            if what == "drop":
                shelf.drop_oldest(len(Journal(store).segments()) - 1)
        for path in written:
            if data.draw(st.booleans()):
                shelf.append(path, b"the end\n")
                written[path] += b"the end\n"
        shelf.rotate()
        seal(store)
        shelf.drop_oldest(min(drops, len(Journal(store).segments()) - 1))
        for path, content in written.items():
            start, end = sorted(data.draw(st.integers(0, len(content))) for _ in range(2))
            found = read(store, start, end, path)
            assert b"".join(one for one in told(found)) == content[start:end]
            assert follows(found, start, end)
            journal = Journal(store)
            stream = journal.picture().streams[path]
            assert Extents(journal, Exact(Reader(store))).first_offset(stream) == 0
    finally:
        patch.undo()
        shelf.close()
        shutil.rmtree(folder)


@pytest.fixture
def older(tmp_path: Path) -> Any:
    """Four segments of one line each, sealed; the journal keeps the newest, which is empty."""
    shelf = Shelf(tmp_path / "store")
    for number in range(4):
        shelf.append(APP, b"line %d\n" % number)
        shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(4)
    yield shelf
    shelf.close()


def test_what_retention_took_from_the_lake_too_is_not_kept(older: Shelf) -> None:
    size = sum(path.stat().st_size for path in older.folder.glob("lake/day=*/*"))
    seal(older.folder, Policy(bytes=size * 5 // 8))
    assert told(read(older.folder, 3, 28)) == [(3, 14, NOT_KEPT), b"line 2\n", b"line 3\n"]
    journal = Journal(older.folder)
    extents = Extents(journal, Exact(Reader(older.folder)))
    assert extents.first_offset(journal.picture().streams[APP]) == 14
    seal(older.folder, Policy(bytes=1))
    (hole,) = read(older.folder, 0, 28)
    assert isinstance(hole, Hole)
    assert (hole.end, hole.what, hole.text) == (28, NOT_KEPT, "retention deleted them from the lake")
    assert extents.first_offset(journal.picture().streams[APP]) == 28


def test_without_a_lake_it_is_only_known_that_they_are_older(shelf: Shelf) -> None:
    shelf.append(APP, b"old\n")
    shelf.rotate()
    shelf.append(APP, b"new\n")
    shelf.drop_oldest(1)
    (hole, piece) = read(shelf.folder, 0, 8)
    assert isinstance(hole, Hole)
    assert (hole.text, piece) == ("they are older than what is kept", Piece(4, b"new\n"))


def test_what_retention_took_before_it_was_sealed_is_not_kept_and_said_so(shelf: Shelf) -> None:
    for number in range(4):
        shelf.append(APP, b"line %d\n" % number)
        shelf.rotate()
        if number == 0:
            seal(shelf.folder)
    shelf.drop_oldest(3)
    for _ in range(2):  # before seal has learnt of it, and when it has
        found = read(shelf.folder, 0, 28)
        assert told(found) == [b"line 0\n", (7, 21, NOT_KEPT), b"line 3\n"]
        hole = found[1]
        assert isinstance(hole, Hole)
        assert "before" in hole.text
        assert "sealed" in hole.text
        seal(shelf.folder)
    shelf.drop_oldest(1)
    assert told(read(shelf.folder, 0, 28)) == [b"line 0\n", (7, 21, NOT_KEPT), b"line 3\n"]


def test_what_was_damaged_when_it_was_sealed_is_damaged(shelf: Shelf) -> None:
    shelf.append(APP, b"before\nbeg")
    broken = shelf.append(APP, b"in\ndamaged\nin")
    shelf.append(APP, b" the midst\nbehind\n")
    shelf.rotate()
    break_bodies(shelf.folder, [broken])
    seal(shelf.folder)
    shelf.drop_oldest(1)
    found = read(shelf.folder, 0, 41)
    assert told(found) == [b"before\nbeg", (10, 23, DAMAGED), b" the midst\nbehind\n"]


def test_a_line_that_was_open_where_the_journal_begins_is_whole_once_it_is_sealed(shelf: Shelf) -> None:
    shelf.append(APP, b"first\nbegin")
    shelf.rotate()
    shelf.append(APP, b"ning, mid")
    shelf.rotate()
    shelf.append(APP, b"dle and end\nlast")
    shelf.rotate()
    seal(shelf.folder)
    for drops in (1, 1, 1):
        shelf.drop_oldest(drops)
        assert b"".join(told(read(shelf.folder, 0, 36))) == b"first\nbeginning, middle and end\nlast"


def test_a_file_that_is_not_what_was_written_is_damage_and_the_others_are_given(older: Shelf) -> None:
    names = sorted(older.folder.rglob("*.parquet"))
    content = names[1].read_bytes()
    names[1].write_bytes(content.replace(b"line", b"lime") if b"line" in content else content[:-1] + b"x")
    assert told(read(older.folder, 0, 28)) == [b"line 0\n", (7, 14, DAMAGED), b"line 2\n", b"line 3\n"]
    names[1].unlink()
    assert told(read(older.folder, 0, 28)) == [b"line 0\n", (7, 28, DAMAGED)]


def test_a_file_is_compared_with_its_digest_again_after_a_while(older: Shelf) -> None:
    clock = [0.0]
    exact = Exact(Reader(older.folder), lambda: clock[0])
    stream = Journal(older.folder).picture().streams[APP]

    def parts() -> list[Any]:
        return told([one for one in exact.read(stream, 0, 7) if one is not None])

    assert parts() == [b"line 0\n"]
    path = min(older.folder.rglob("*.parquet"))
    path.write_bytes(path.read_bytes() + b"more")
    clock[0] = exact_module.CHECKED_SECONDS + 1
    assert parts() == [(0, 7, DAMAGED)]


def test_a_file_that_was_merged_while_it_was_read_is_looked_for_anew(older: Shelf) -> None:
    """Its lines are in another file, which the manifest names now."""
    reader = Reader(older.folder)
    stream = Journal(older.folder).picture().streams[APP]
    steps = Exact(reader).read(stream, 0, 28)
    found = []
    for one in steps:
        if isinstance(one, Piece):
            found.append(one)
            break
    away = older.folder / "away"
    shutil.move(older.folder / LAKE, away)
    again = Shelf(older.folder.parent / "other")
    again.append(APP, b"line 0\nline 1\nline 2\nline 3\n")
    again.rotate()
    seal(again.folder)
    shutil.copytree(again.folder / LAKE, older.folder / LAKE)
    again.close()
    found += [one for one in steps if isinstance(one, Piece)]
    assert b"".join(one.data for one in found) == b"line 0\nline 1\nline 2\nline 3\n"


def test_an_earlier_stream_of_the_path_is_not_mixed_in(shelf: Shelf) -> None:
    shelf.append(APP, b"an older stream's line\nand more\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.delete(APP)
    shelf.append(APP, b"mine\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(2)
    assert told(read(shelf.folder, 0, 5)) == [b"mine\n"]


def test_one_file_may_have_an_earlier_stream_of_the_path_too_when_small_files_became_one(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.append(APP, b"let go of in time\n")
    shelf.rotate()
    shelf.append(APP, b"an older stream's\n")
    shelf.rotate()
    seal(shelf.folder)
    size = sum(path.stat().st_size for path in shelf.folder.glob("lake/day=*/*"))
    assert len(seal(shelf.folder, Policy(bytes=size - 1)).manifest.files) == 1
    shelf.delete(APP)
    shelf.append(APP, b"mine\nand go")
    shelf.rotate()
    shelf.append(APP, b"es on\n")
    shelf.rotate()
    monkeypatch.setattr(merging, "FILES_MIN", 3)
    (file,) = seal(shelf.folder).manifest.files
    assert file.streams[APP] == (18, 17), "from the one stream's first line to the other one's last"
    shelf.drop_oldest(3)
    assert b"".join(told(read(shelf.folder, 0, 17))) == b"mine\nand goes on\n"
    journal = Journal(shelf.folder)
    stream = journal.picture().streams[APP]
    assert Extents(journal, Exact(Reader(shelf.folder))).first_offset(stream) == 0
    lake = Lake(shelf.folder)
    assert lake.look(0, shelf.end)
    assert lake.first_offset(stream) == 0
    items = everything(History(journal), wanted())
    assert [item.line.data for item in items if isinstance(item, TimedLine)] == [b"mine\n", b"and goes on\n"]


def test_a_stream_that_is_a_tombstone_is_still_given(older: Shelf) -> None:
    older._commit(Kind.RETIRE, 0, Entry(older.now_ms, APP), b"")
    assert b"".join(told(read(older.folder, 0, 28))) == b"line 0\nline 1\nline 2\nline 3\n"


def test_without_duckdb_they_are_neither_damaged_nor_gone(older: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    without_duckdb(monkeypatch)
    found = read(older.folder, 0, 28)
    assert [(one.start, one.end, one.what) for one in found if isinstance(one, Hole)] == [
        (low, high, UNREADABLE) for low, high in pairwise(range(0, 35, 7))
    ]
    assert all(isinstance(one, Hole) and "not installed" in one.text for one in found)


def test_a_manifest_that_cannot_be_read_is_no_damage_of_bytes(older: Shelf) -> None:
    (older.folder / LAKE / "manifest.json").write_bytes(b"this is none")
    assert told(read(older.folder, 0, 28)) == [(0, 28, UNREADABLE)]


def test_of_a_long_range_little_is_held(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_module, "STEP_BYTES", 200_000)
    monkeypatch.setattr(exact_module, "PIECE_BYTES", 50_000)
    chance = random.Random(5)
    written = b"".join(b"%d %s\n" % (number, chance.randbytes(30).hex().encode()) for number in range(30_000))
    for at in range(0, len(written), 300_000):
        shelf.append(APP, written[at : at + 300_000])
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    asked: list[tuple[int, int]] = []
    really = Reader.exact

    def noting(self: Reader, *words: Any) -> Any:
        asked.append(words[-2:])
        return really(self, *words)

    monkeypatch.setattr(Reader, "exact", noting)
    found = read(shelf.folder, 0, len(written))
    assert b"".join(told(found)) == written
    assert max(len(one) for one in told(found)) < 50_000 + 100
    assert max(high - low for low, high in asked) <= 200_000


def test_a_lake_that_cannot_be_read_moves_no_beginning(older: Shelf) -> None:
    journal = Journal(older.folder)
    stream = journal.picture().streams[APP]
    (older.folder / LAKE / "manifest.json").write_text("this is none")
    assert Extents(journal, Exact(Reader(older.folder))).first_offset(stream) == 0, "who reads from there is told why"


def test_a_line_without_an_end_is_kept_by_the_lake_until_it_has_one(shelf: Shelf) -> None:
    shelf.append(APP, b"first\nproceed? ")
    shelf.rotate()
    shelf.append("b/1/haproxy/i", b"a line of another one\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(2)
    assert told(read(shelf.folder, 0, 15)) == [b"first\n", b"proceed? "]
    assert told(read(shelf.folder, 8, 10)) == [b"oc"]
    shelf.append("b/1/haproxy/i", b"one more\n")
    shelf.append(APP, b"really? ")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    assert b"".join(told(read(shelf.folder, 0, 23))) == b"first\nproceed? really? "
    shelf.append(APP, b"yes\n")
    assert b"".join(told(read(shelf.folder, 0, 27))) == b"first\nproceed? really? yes\n"
    journal = Journal(shelf.folder)
    windows = Windows(journal, sealed=Exact(Reader(shelf.folder)).before)
    picture = journal.picture()
    (last,) = [frame for frame in all_frames(journal) if frame.entry.stream == APP]
    lines = [line for line in windows.items(picture.streams[APP], [last]) if isinstance(line, Line)]
    assert [(line.offset, line.data, line.flags) for line in lines] == [(6, b"proceed? really? yes\n", 0)]
    shelf.rotate()
    manifest = seal(shelf.folder).manifest
    assert manifest.unended is None
    shelf.drop_oldest(1)
    assert b"".join(told(read(shelf.folder, 0, 27))) == b"first\nproceed? really? yes\n"
    assert [(stream, offset, data) for stream, offset, data in rebuilt(shelf.folder) if stream == APP] == [
        (APP, 0, b"first\n"),
        (APP, 6, b"proceed? really? yes\n"),
    ]


def all_frames(journal: Journal) -> list[Frame]:
    return [
        frame
        for lsn in journal.segments()
        for frame in journal.walk(lsn, lsn, journal.durable())
        if frame.kind in (Kind.APPEND, Kind.CLOSE)
    ]
