"""Files made anew: small ones as one, and without streams; row for row what they were, and no reader meets a hole."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from logship.lake import merging, plan
from logship.lake.columns import COLUMNS
from logship.lake.exact import Exact
from logship.lake.folder import LAKE
from logship.lake.keep import GRACE_MS, Policy
from logship.lake.manifest import File, Leaving, Manifest
from logship.lake.merge import Merger
from logship.lake.merging import mergeable, query, streams_of
from logship.lake.parquet import Parquet, TooMuch
from logship.lake.reader import Reader
from logship.lake.sql import Sql
from logship.view.digests import NOT_KEPT, Hole, Piece
from tests.logship.lake.lakes import Sealed, rows, seal
from tests.logship.lake.test_lake_lines import of_lake, of_viewer
from tests.logship.view.shelf import BORN_MS, Shelf

MIB = 1 << 20


def files(*sizes: float, day: str = "day=1") -> tuple[File, ...]:
    """Files of so many MiB of lines that follow on each other."""
    found = []
    for number, size in enumerate(sizes):
        streams = {f"{'ab'[number % 2]}/1/x/i": (number * 10, number * 10 + 10)}
        raw = int(size * MIB)
        found.append(File(f"{day}/{number}", number, number + 1, 5, 100, raw, 1, 2, 3, 4, streams, "x"))
    return tuple(found)


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([], None),
        ([1], None),
        ([1] * 15, None),
        ([1] * 16, (0, 16)),
        ([20, 11], None),
        ([20, 12], (0, 2)),
        ([4] * 8, (0, 8)),
        ([64, 4, 5], None),
        ([4, 5, 64], (0, 2)),
        ([64, 4, 5, 33, 1], (1, 2)),
        ([33, 4, 33, 5, 33], None),
        ([30, 30, 30], (0, 2)),
        ([32, 32, 32, 32], (0, 2)),
        ([32, 33], None),
    ],
)
def test_small_files_that_adjoin_become_one_once_it_is_half_full_or_nothing_can_be_added(
    sizes: list[float], found: tuple[int, int] | None
) -> None:
    assert mergeable(Manifest(files=files(*sizes))) == found


def test_files_of_two_days_stay_apart_and_so_do_those_with_a_hole_between() -> None:
    today = files(1, 1, 1, 1)
    later = tuple(replace(file, name=file.name.replace("day=1", "day=2")) for file in today[2:])
    assert mergeable(Manifest(files=(*today[:2], *later))) == (0, 2), "the first day is over"
    assert mergeable(Manifest(files=(*today[:1], *later))) is None
    moved = [replace(file, first_lsn=file.first_lsn + 5, end_lsn=file.end_lsn + 5) for file in today[2:]]
    gap = Manifest(sealed_end=2, files=today[:2]).sealed(7, None)
    assert mergeable(replace(gap, sealed_end=9, files=(*today[:2], *moved))) is None
    hole = Manifest(sealed_end=2, files=today[:2]).skipped(7, "lost")
    assert mergeable(replace(hole, sealed_end=9, files=(*today[:2], *moved))) == (0, 2), "behind it nothing is added"


def test_files_that_could_not_be_merged_are_left_out() -> None:
    manifest = Manifest(files=files(1, 1, 1, 40))
    assert mergeable(manifest) == (0, 3)
    assert mergeable(manifest, frozenset({"day=1/0", "day=1/1"})) is None


def test_however_small_the_files_each_line_is_written_anew_a_few_times_at_most() -> None:
    manifest, written, total, number = Manifest(), 0, 0, 0
    chance = random.Random(5)
    for _ in range(600):
        raw = chance.choice((1000, 100_000, 3 * MIB))
        total += raw
        name = f"day=1/{number}"
        number += 1
        end = manifest.sealed_end + 1
        manifest = manifest.sealed(end, File(name, end - 1, end, 1, 1, raw, 1, 2, 3, 4, {}, "x"))
        while (found := mergeable(manifest)) is not None:
            gone = manifest.files[found[0] : sum(found)]
            size = sum(file.raw_bytes for file in gone)
            written += size
            number += 1
            whole = File(
                f"day=1/{number}", gone[0].first_lsn, gone[-1].end_lsn, len(gone), 1, size, 1, 2, 3, 4, {}, "x"
            )
            whole = replace(whole, rows=sum(file.rows for file in gone))
            manifest = manifest.merged(*found, whole, 0)
    assert len(manifest.files) < total / (20 * MIB)
    assert written < 3 * total


def test_the_streams_of_files_are_told_and_their_rows_asked_for_in_order() -> None:
    found = files(1, 1, 1)
    assert streams_of(found) == {"a/1/x/i": (0, 30), "b/1/x/i": (10, 20)}
    assert "'it''s'" in query(["it's", "b"])
    assert "stream NOT IN ('b''s', 'c')" in query(["a"], frozenset({"c", "b's"}))
    assert "ORDER BY" in query(["a", "b"])
    assert "ORDER BY" not in query(["a"])


def test_what_was_merged_leaves_and_is_in_one_file() -> None:
    manifest = Manifest(sealed_end=4, files=files(1, 1, 1, 1))
    whole = replace(files(4)[0], name="day=1/w", first_lsn=1, end_lsn=3, rows=10)
    merged = manifest.merged(1, 2, whole, 77)
    assert [file.name for file in merged.files] == ["day=1/0", "day=1/w", "day=1/3"]
    assert merged.leaving == (Leaving("day=1/1", 77), Leaving("day=1/2", 77))
    with pytest.raises(AssertionError):
        manifest.merged(0, 2, whole, 77)
    with pytest.raises(AssertionError):
        manifest.merged(1, 2, replace(whole, rows=9), 77)


# Real files.


def fill(shelf: Shelf, segments: int = 6) -> None:
    """Segments with a bit of everything, and lines that go on from one to the next."""
    chance = random.Random(3)
    for number in range(segments):
        for path in chance.sample(["a/1/x/i", "b/1/x/i", "b/10/x/i", "c/1/it's/i", "ha/1/haproxy/i"], 4):
            for line in range(chance.randrange(30)):
                shelf.append(path, b"%d %d of %s" % (number, line, path.encode()) + chance.choice(ENDS), packed=True)
        shelf.append("d/1/x/i", b"starts %d" % number, starts=((shelf_end(shelf, "d/1/x/i"), "2026-11-23T20:00:00Z"),))
        shelf.rotate()
        shelf.now_ms += 1000


ENDS = (b"\n", b"\r\n", b"\n\n", b"\xff\xfe\n", b" and ", b"\0\n", b"{'x'}\n")


def shelf_end(shelf: Shelf, path: str) -> int:
    stream = shelf.state.streams.get(path)
    return stream.next_offset if stream else 0


@pytest.fixture
def sealed(shelf: Shelf) -> Sealed:
    """Six small files."""
    fill(shelf)
    return seal(shelf.folder)


def everything(store: Path) -> list[tuple[Any, ...]]:
    """All rows, all columns, in the order of files and rows."""
    return rows(store, "*")


def test_the_one_file_has_all_rows_with_all_columns_in_order(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(shelf.folder)
    assert len(sealed.manifest.files) == 6
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    merged = seal(shelf.folder)
    (file,) = merged.manifest.files
    assert everything(shelf.folder) == before
    assert everything(shelf.folder) == rows(shelf.folder, "*", tail=""), "and they lie in that order"
    assert of_lake(shelf.folder) == of_viewer(shelf.folder, 1 << 62)
    assert (file.first_lsn, file.end_lsn) == (0, sealed.manifest.sealed_end)
    assert (file.rows, file.raw_bytes) == (len(before), sum(one.raw_bytes for one in sealed.manifest.files))
    assert (file.oldest_received, file.newest_received) == (BORN_MS, BORN_MS + 5000)
    assert file.bytes == (shelf.folder / LAKE / file.name).stat().st_size
    assert file.streams == streams_of(sealed.manifest.files)
    assert merged.events("merged")[0]["files"] == 6
    assert seal(shelf.folder).manifest == merged.manifest


def test_files_of_several_row_groups_are_in_order_as_one(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A union of their parts was not: its last row group of a stream came behind the next one's."""
    for number in range(3):
        for path, count in (("a/1/x/i", 24_000), ("b/1/x/i", 21_000), ("c/1/x/i", 3_000), ("d/1/x/i", 100)):
            shelf.append(path, b"".join(b"%d %d\n" % (number, line) for line in range(count)), packed=True)
        shelf.rotate()
    seal(shelf.folder)
    columns = 'stream, lsn, "offset", line, ts, received'
    before = rows(shelf.folder, columns)
    monkeypatch.setattr(merging, "FILES_MIN", 3)
    found = seal(shelf.folder)
    assert len(found.manifest.files) == 1
    assert rows(shelf.folder, columns, tail="") == before
    thin = seal(shelf.folder, Policy(streams=(("b/*", 1),)), lambda: BORN_MS + 2000)
    assert len(thin.events("thinned")) == 1
    assert rows(shelf.folder, columns, tail="") == [row for row in before if row[0] != "b/1/x/i"]


def test_the_small_files_stay_for_a_minute_and_then_go(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    seal(shelf.folder, now_ms=lambda: BORN_MS)
    small = [shelf.folder / LAKE / file.name for file in sealed.manifest.files]
    seal(shelf.folder, now_ms=lambda: BORN_MS + GRACE_MS - 1)
    assert all(path.exists() for path in small)
    after = seal(shelf.folder, now_ms=lambda: BORN_MS + GRACE_MS).manifest
    assert not any(path.exists() for path in small)
    assert after.leaving == ()
    assert (shelf.folder / LAKE / after.files[0].name).exists()


@pytest.mark.parametrize("given", [0, 1, 7, 10_000])
def test_a_reader_that_is_slower_than_that_goes_on_in_the_one_file(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    """The small file is gone before its first row is asked for, or after some of them were given."""
    fill(shelf)
    seal(shelf.folder)
    reader = Reader(shelf.folder)
    old = reader.manifest().files
    streams = sorted(streams_of(old))
    wanted = [list(reader.rows(file, streams, 0, 1 << 62)) for file in old]
    readings = [reader.rows(file, streams, 0, 1 << 62) for file in old]
    found = [list(islice(reading, given)) for reading in readings]
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    seal(shelf.folder)
    seal(shelf.folder, now_ms=lambda: BORN_MS + GRACE_MS)
    rest = [list(reading) for reading in readings]
    assert [head + tail for head, tail in zip(found, rest, strict=True)] == wanted
    assert len(reader.manifest().files) == 1


def test_a_reader_of_some_rows_of_a_file_finds_them_in_the_one_file_too(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rows may be wanted is told by their numbers, and those are others there."""
    fill(shelf)
    seal(shelf.folder)
    reader = Reader(shelf.folder)
    last = reader.manifest().files[-1]
    streams = sorted(last.streams)
    besides = Sql(
        "(file_row_number BETWEEN 1 AND 30 OR file_row_number BETWEEN 32 AND 40) AND stream <> ?", ("a/1/x/i",)
    )
    wanted = list(reader.rows(last, streams, 0, 1 << 62, besides))
    reading = reader.rows(last, streams, 0, 1 << 62, besides)
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    seal(shelf.folder)
    seal(shelf.folder, now_ms=lambda: BORN_MS + GRACE_MS)
    found = list(reading)
    assert wanted
    assert [row for row in found if row in wanted] == wanted
    assert not any(row[0].stream == "a/1/x/i" for row in found)


@pytest.mark.parametrize(
    "change",
    [
        "FROM ({}) ORDER BY stream DESC",
        'FROM ({}) ORDER BY stream, "offset" DESC',
        "SELECT * REPLACE (lsn + 1 AS lsn) FROM ({})",
        "SELECT * REPLACE (NULL::SMALLINT AS flags) FROM ({})",
        "FROM ({}) OFFSET 1",
        "FROM ({0}) UNION ALL FROM ({0}) LIMIT 1",
    ],
)
def test_a_file_that_is_not_what_they_are_is_not_published_and_sealing_goes_on(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    copy = Parquet.copy
    monkeypatch.setattr(Parquet, "copy", lambda self, asked, path: copy(self, change.format(asked), path))
    before = {path.name for path in (shelf.folder / LAKE).glob("day=*/*")}
    found = seal(shelf.folder)
    assert found.manifest == sealed.manifest
    (said,) = found.events("not_merged")
    assert "not theirs" in said["cause"]
    assert {path.name for path in (shelf.folder / LAKE).glob("day=*/*")} == before
    shelf.append("a/1/x/i", b"\n")
    shelf.rotate()
    assert len(seal(shelf.folder).manifest.files) == 7


def test_a_file_that_cannot_be_read_is_left_as_it_is_and_sealing_goes_on(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    path = shelf.folder / LAKE / sealed.manifest.files[2].name
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    shelf.append("a/1/x/i", b"\n")
    shelf.rotate()
    found = seal(shelf.folder)
    assert found.manifest.files[:6] == sealed.manifest.files
    assert len(found.manifest.files) == 7
    assert len(found.events("not_merged")) == 1


def test_files_that_do_not_fit_into_memory_together_stay_apart(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: Any) -> None:
        raise TooMuch("no memory")

    monkeypatch.setattr(merging, "FILES_MIN", 6)
    monkeypatch.setattr(Parquet, "copy", too_much)
    found = seal(shelf.folder)
    assert found.manifest == sealed.manifest
    assert [said["cause"] for said in found.events("not_merged")] == ["no memory"], "and it is tried once"


def test_where_the_disk_has_no_room_to_spare_nothing_is_tried(
    shelf: Shelf, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "FILES_MIN", 6)
    found = seal(shelf.folder, free_min=1 << 60)
    assert found.manifest == sealed.manifest
    assert not found.events("not_merged")


def test_what_is_sealed_comes_first(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there is a segment to seal no file is merged."""
    monkeypatch.setattr(merging, "FILES_MIN", 2)
    monkeypatch.setattr(plan, "RAW_BYTES_MAX", 1 << 16)
    fill(shelf)
    merges: list[int] = []
    merge = Merger.merge

    def noting(self: Merger, these: Any, without: frozenset[str]) -> File:
        merges.append(len(these))
        return merge(self, these, without)

    monkeypatch.setattr(Merger, "merge", noting)
    assert len(seal(shelf.folder).manifest.files) == 1
    assert merges == [6]


# Retention by stream.


def test_lines_of_streams_that_are_kept_less_long_leave_their_files_and_all_else_stays(
    shelf: Shelf, sealed: Sealed
) -> None:
    """Row for row, in files of other names; the old ones go as any that left."""
    before = everything(shelf.folder)
    policy = Policy(streams=(("b/*", 2), ("c/*", None), ("*", 10**6)))
    now_ms = BORN_MS + 5_500
    thin = seal(shelf.folder, policy, lambda: now_ms)
    old = [file for file in sealed.manifest.files if now_ms - file.newest_received > 2000]
    assert 0 < len(old) < 6
    end = old[-1].end_lsn
    lsn, stream = (next(at for at, column in enumerate(COLUMNS) if column.name == name) for name in ("lsn", "stream"))
    assert everything(shelf.folder) == [row for row in before if not (row[stream].startswith("b/") and row[lsn] < end)]
    for file, was in zip(thin.manifest.files, sealed.manifest.files, strict=True):
        kept = {path for path in was.streams if was not in old or not path.startswith("b/")}
        assert file.streams == {path: found for path, found in was.streams.items() if path in kept}
        assert (file.name == was.name) == (kept == was.streams.keys())
    assert {one.stream for one in thin.manifest.thinned} == {"b/1/x/i", "b/10/x/i"}
    assert sum(said["rows"] for said in thin.events("thinned")) == len(before) - len(everything(shelf.folder))
    assert seal(shelf.folder, policy, lambda: now_ms).manifest == thin.manifest
    later = seal(shelf.folder, Policy(streams=(("b/*", 2), ("a/*", 3))), lambda: now_ms + GRACE_MS)
    assert not any((shelf.folder / LAKE / was.name).exists() for was in old)
    assert not any(path.startswith(("a/", "b/")) for file in later.manifest.files for path in file.streams)
    names = {path.relative_to(shelf.folder / LAKE).as_posix() for path in (shelf.folder / LAKE).glob("day=*/*")}
    assert names >= {file.name for file in later.manifest.files}


def test_a_file_of_which_nothing_is_left_goes_whole_and_the_bytes_are_told_as_not_kept(shelf: Shelf) -> None:
    for path in ("a/1/x/i", "b/1/x/i", "a/1/x/i", "b/1/x/i"):
        shelf.append(path, b"a line of it\n" * 10)
        shelf.rotate()
    seal(shelf.folder)
    found = seal(shelf.folder, Policy(streams=(("b/*", 1),)), lambda: BORN_MS + 2000)
    assert [list(file.streams) for file in found.manifest.files] == [["a/1/x/i"], ["a/1/x/i"]]
    shelf.drop_oldest(4)
    stream = shelf.state.streams["b/1/x/i"]
    said = list(Exact(Reader(shelf.folder)).read(stream, 0, stream.next_offset))
    assert [(one.what, one.text) for one in said if isinstance(one, Hole)] == [
        (NOT_KEPT, "retention deleted them from the lake")
    ]
    other = shelf.state.streams["a/1/x/i"]
    pieces = [
        one.data for one in Exact(Reader(shelf.folder)).read(other, 0, other.next_offset) if isinstance(one, Piece)
    ]
    assert b"".join(pieces) == b"a line of it\n" * 20


def test_a_reader_whose_file_was_made_anew_goes_on_without_what_left(shelf: Shelf, sealed: Sealed) -> None:
    reader = Reader(shelf.folder)
    (first, *_) = sealed.manifest.files
    streams = sorted(first.streams)
    whole = list(reader.rows(first, streams, 0, 1 << 62))
    reading = reader.rows(first, streams, 0, 1 << 62)
    policy = Policy(streams=(("b/*", 1),))
    seal(shelf.folder, policy, lambda: BORN_MS + 8_000)
    seal(shelf.folder, policy, lambda: BORN_MS + 8_000 + GRACE_MS)
    assert not (shelf.folder / LAKE / first.name).exists()
    assert list(reading) == [row for row in whole if not row[0].stream.startswith("b/")]
