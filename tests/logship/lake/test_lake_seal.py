"""Sealing: what is published and when, what is not sealed and why, what is deleted; a file that differs is none."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.collect.folder import JOURNAL, segment_name
from logship.errors import Fault
from logship.lake import folder as folder_module
from logship.lake import parquet, plan, proof, seal
from logship.lake.batch import Batch
from logship.lake.folder import LAKE, Folder
from logship.lake.keep import GRACE_MS, Policy
from logship.lake.manifest import RETENTION, Manifest
from logship.lake.parquet import Parquet, TooMuch
from logship.view.journal_reader import Journal
from logship.view.moment import DAY_MS
from tests.logship.lake.lakes import rebuilt, rows
from tests.logship.lake.lakes import seal as seal_once
from tests.logship.lake.test_lake_lines import of_lake, of_viewer
from tests.logship.view.shelf import BORN_MS, Shelf


def a_segment(shelf: Shelf, name: str, lines: int = 3) -> None:
    """Lines, and the next segment is begun."""
    for number in range(lines):
        shelf.append("a/1/x/i", b"%s %d\n" % (name.encode(), number))
    shelf.rotate()


def texts(store: Path) -> list[str]:
    return [text for (text,) in rows(store, "line")]


def names(store: Path) -> list[str]:
    """All files below the lake, but for lock and manifest, and for filters beside the file they are of."""
    found = sorted(str(path.relative_to(store / LAKE)) for path in (store / LAKE).glob("day=*/*"))
    return [name for name in found if name.removesuffix(".tokens") == name or name.removesuffix(".tokens") not in found]


def sidecars(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store / LAKE)) for path in (store / LAKE).glob("day=*/*.tokens"))


def test_a_segment_is_sealed_when_the_next_one_is_begun_and_once(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    shelf.append("a/1/x/i", b"not finished\n")
    first = seal_once(shelf.folder)
    assert texts(shelf.folder) == ["one 0", "one 1", "one 2"]
    end = Journal(shelf.folder).segments()[1]
    (file,) = first.manifest.files
    for name in (file.name, f"{file.name}.tokens"):
        assert (shelf.folder / LAKE / name).stat().st_mode & 0o777 == 0o640
    assert names(shelf.folder) == [f"day=2026-11-23/{0:020}-{end:020}.parquet"]
    assert seal_once(shelf.folder).manifest == first.manifest
    shelf.rotate()
    second = seal_once(shelf.folder)
    assert second.manifest.files[0] == first.manifest.files[0]
    assert texts(shelf.folder) == ["one 0", "one 1", "one 2", "not finished"]


def test_the_manifest_says_what_a_file_holds(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"2026-11-23 19:59:59,500 INFO one\r\n\xff\n")
    shelf.now_ms += 1500
    shelf.append("b/1/x/i", b"no end")
    shelf.append("b/1/x/i", b" yet\nmore")
    shelf.rotate()
    (file,) = seal_once(shelf.folder).manifest.files
    assert (file.first_lsn, file.end_lsn) == (0, Journal(shelf.folder).segments()[1])
    assert (file.rows, file.raw_bytes, file.bytes) == (3, 47, (shelf.folder / LAKE / file.name).stat().st_size)
    assert (file.oldest_ts, file.newest_ts) == (BORN_MS - 500, BORN_MS + 1500)
    assert (file.oldest_received, file.newest_received) == (BORN_MS, BORN_MS + 1500)
    assert file.streams == {"a/1/x/i": (0, 36), "b/1/x/i": (0, 11)}


def test_a_large_segment_gives_several_files_and_so_does_midnight(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "RAW_BYTES_MAX", 30)
    for number in range(6):
        shelf.append("a/1/x/i", b"line %d of it\n" % number)
    shelf.now_ms = BORN_MS // DAY_MS * DAY_MS + DAY_MS
    shelf.append("a/1/x/i", b"tomorrow\n")
    shelf.rotate()
    manifest = seal_once(shelf.folder).manifest
    assert [file.rows for file in manifest.files] == [2, 2, 2, 1]
    assert [file.name.partition("/")[0] for file in manifest.files] == ["day=2026-11-23"] * 3 + ["day=2026-11-24"]
    assert of_lake(shelf.folder) == of_viewer(shelf.folder, 1 << 62)


def test_rows_that_would_take_too_much_memory_are_made_in_smaller_files(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty lines take a hundred times their size, and what is no text three times."""
    monkeypatch.setattr(seal, "HELD_MAX", 40 * 160)
    for number in range(8):
        shelf.append("a/1/x/i", b"\n" * 30 if number % 2 else b"%d\n" % number)
    shelf.rotate()
    manifest = seal_once(shelf.folder).manifest
    assert [file.rows for file in manifest.files] != [124]
    assert sum(file.rows for file in manifest.files) == 124
    assert of_lake(shelf.folder) == of_viewer(shelf.folder, 1 << 62)


def test_what_duckdb_has_no_memory_for_is_tried_again_with_fewer_lines(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MEMORY", "16MB")
    data = random.randbytes(700_000).replace(b"\n", b" ") + b"\n"
    for _ in range(12):
        shelf.append("a/1/x/i", data)
    shelf.rotate()
    manifest = seal_once(shelf.folder).manifest
    assert len(manifest.files) > 1
    assert b"".join(found for _, _, found in rebuilt(shelf.folder)) == data * 12


def test_a_frame_that_does_not_fit_into_memory_at_all_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    a_segment(shelf, "one", lines=1)

    def too_much(*_: Any) -> None:
        raise TooMuch("no memory")

    monkeypatch.setattr(Parquet, "write", too_much)
    with pytest.raises(Fault, match=r"the frame at LSN \d+: no memory"):
        seal_once(shelf.folder)


def test_what_retention_took_before_it_was_sealed_is_remembered(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    seal_once(shelf.folder)
    a_segment(shelf, "two")
    a_segment(shelf, "three")
    begins = Journal(shelf.folder).segments()
    shelf.drop_oldest(2)
    found = seal_once(shelf.folder).manifest
    assert [(one.first_lsn, one.end_lsn, one.why) for one in found.not_sealed] == [(begins[1], begins[2], RETENTION)]
    assert texts(shelf.folder) == ["one 0", "one 1", "one 2", "three 0", "three 1", "three 2"]


def test_behind_a_frame_that_cannot_be_made_out_nothing_of_its_segment_is_sealed_and_the_next_one_is(
    shelf: Shelf,
) -> None:
    shelf.append("a/1/x/i", b"before\n")
    broken = shelf.append("a/1/x/i", b"broken\n")
    a_segment(shelf, "lost")
    a_segment(shelf, "next")
    with (shelf.folder / JOURNAL / segment_name(0)).open("r+b") as file:
        file.seek(broken)
        file.write(b"????")
    found = seal_once(shelf.folder).manifest
    (missing,) = found.not_sealed
    assert (missing.first_lsn, missing.end_lsn) == (broken, Journal(shelf.folder).segments()[1])
    assert "no frame begins here" in missing.why
    assert texts(shelf.folder) == ["before", "next 0", "next 1", "next 2"]


def test_lines_of_a_stream_that_was_deleted_are_not_sealed_any_more(shelf: Shelf) -> None:
    a_segment(shelf, "deleted")
    shelf.delete("a/1/x/i")
    a_segment(shelf, "anew")
    found = seal_once(shelf.folder).manifest
    assert texts(shelf.folder) == ["anew 0", "anew 1", "anew 2"]
    assert found.sealed_end == Journal(shelf.folder).segments()[-1]


# What goes.


def test_old_files_leave_the_manifest_first_and_are_deleted_a_minute_later(shelf: Shelf) -> None:
    for name in ("one", "two", "three"):
        a_segment(shelf, name)
    before = seal_once(shelf.folder).manifest
    size = before.files[-1].stored_bytes
    policy = Policy(bytes=2 * size + size // 2)
    kept = seal_once(shelf.folder, policy).manifest
    assert len(names(shelf.folder)) == 3
    assert texts(shelf.folder) == [f"{name} {number}" for name in ("two", "three") for number in range(3)]
    assert [(one.first_lsn, one.end_lsn, one.rows) for one in kept.deleted] == [(0, before.files[0].end_lsn, 3)]
    seal_once(shelf.folder, policy, lambda: BORN_MS + GRACE_MS - 1)
    assert len(names(shelf.folder)) == 3
    after = seal_once(shelf.folder, policy, lambda: BORN_MS + GRACE_MS).manifest
    assert names(shelf.folder) == [file.name for file in after.files] == [file.name for file in before.files[1:]]
    assert sidecars(shelf.folder) == [f"{file.name}.tokens" for file in after.files]
    assert after.leaving == ()


def test_a_day_with_no_file_left_has_no_folder(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    seal_once(shelf.folder)
    policy = Policy(age_seconds=10)
    seal_once(shelf.folder, policy, lambda: BORN_MS + 11_000)
    seal_once(shelf.folder, policy, lambda: BORN_MS + 11_000 + GRACE_MS)
    assert list((shelf.folder / LAKE).glob("day=*")) == []


def test_what_no_manifest_names_is_removed_by_the_next_start(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    whole = names_after(shelf)
    day = shelf.folder / LAKE / "day=2026-11-23"
    (day / ".fresh.new").write_bytes(b"half a file")
    (day / ".fresh.new.tokens").write_bytes(b"half of its filters")
    (day / f"{7:020}-{9:020}.parquet").write_bytes(b"renamed, and never named")
    (day / f"{8:020}-{9:020}.parquet.tokens").write_bytes(b"renamed alone")
    seal_once(shelf.folder)
    assert names(shelf.folder) == whole


def names_after(shelf: Shelf) -> list[str]:
    seal_once(shelf.folder)
    return names(shelf.folder)


# A file that differs is none.


def _spoiled(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """DuckDB's copy has something else in it than it was given."""
    write = Parquet.write

    def spoiling(self: Parquet, path: Path, chunks: Sequence[Any]) -> None:
        write(self, path, chunks)
        other = path.with_name("other")
        select = f"SELECT {change} FROM read_parquet('{path}', hive_partitioning = false) "
        where = 'WHERE "offset" > 0' if change == "* " else "WHERE line <> 'one 1'" if change == " *" else ""
        order = 'ORDER BY "offset" DESC' if change == "*" else ""
        duckdb.connect().execute(f"COPY ({select} {where} {order}) TO '{other}' (FORMAT parquet)")
        other.replace(path)

    monkeypatch.setattr(Parquet, "write", spoiling)


@pytest.mark.parametrize(
    "change",
    [
        "*",
        "* ",
        " *",
        "* REPLACE (replace(line, '1', '2') AS line)",
        "* REPLACE (chr(13) || chr(10) AS terminator)",
        "* REPLACE ('b/1/x/i' AS stream)",
        '* REPLACE ("offset" + 1 AS "offset")',
    ],
)
def test_a_file_that_is_not_what_the_journal_holds_is_not_published(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    a_segment(shelf, "one")
    with monkeypatch.context() as patch:
        _spoiled(patch, change)
        with pytest.raises(Fault, match="cannot seal"):
            seal_once(shelf.folder)
    assert names(shelf.folder) == []
    assert seal_once(shelf.folder).manifest.files[0].rows == 3


def test_a_line_that_was_never_made_is_missed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when whoever made the rows says that there are no more."""
    a_segment(shelf, "one")
    add = Batch.add
    for left_out in (0, 1, 2):
        with monkeypatch.context() as patch:

            def adding(self: Any, identity: Any, line: Any, ts: int, left_out: int = left_out) -> None:
                if line.offset != left_out * 6:
                    add(self, identity, line, ts)

            patch.setattr(Batch, "add", adding)
            patch.setattr(
                Parquet,
                "places",
                lambda *_: [("a/1/x/i", 0, 3)],
            )
            patch.setattr(proof, "_runs", _of_two(proof._runs))
            with pytest.raises(Fault, match="no row has the"):
                seal_once(shelf.folder)


def _of_two(runs: Any) -> Any:
    return lambda chunks, rows: runs(chunks, [(stream, count - 1) for stream, count in rows])


# What stands in the way.


def test_one_process_works_in_a_lake(shelf: Shelf) -> None:
    held = Folder(shelf.folder)
    with pytest.raises(Fault, match="another process works in it"):
        Folder(shelf.folder)
    held.close()
    Folder(shelf.folder).close()


def test_a_lake_whose_manifest_is_gone_is_not_begun_anew_over_its_files(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    seal_once(shelf.folder)
    (shelf.folder / LAKE / "manifest.json").unlink()
    with pytest.raises(Fault, match="it is missing, though there are files"):
        seal_once(shelf.folder)
    assert len(names(shelf.folder)) == 1


def test_the_lake_of_another_store_is_left_alone(shelf: Shelf) -> None:
    held = Folder(shelf.folder)
    held.publish(Manifest().skipped(1 << 40, "of another one"))
    held.close()
    with pytest.raises(Fault, match="another store's"):
        seal_once(shelf.folder)


def test_a_file_of_the_lake_that_is_gone_is_told(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    (file,) = seal_once(shelf.folder).manifest.files
    (shelf.folder / LAKE / file.name).unlink()
    assert [said["file"] for said in seal_once(shelf.folder).events("file_missing")] == [file.name]


def test_room_that_the_collector_wants_is_left_to_it(shelf: Shelf) -> None:
    a_segment(shelf, "one")
    with pytest.raises(Fault, match="the disk is full"):
        seal_once(shelf.folder, free_min=1 << 60)
    assert names(shelf.folder) == []
    assert seal_once(shelf.folder).manifest.files[0].rows == 3


def test_a_seal_that_waits_for_room_tells_it_once_and_goes_on_when_there_is_some(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_segment(shelf, "one")
    stop = threading.Event()
    looks: list[float] = []
    free = iter([0, 0, 1 << 40])
    monkeypatch.setattr(Folder, "free_bytes", lambda _: next(free))

    def wait(seconds: float) -> bool:
        looks.append(seconds)
        if len(looks) == 3:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(stop, "wait", wait)
    sealed = seal_once(shelf.folder, free_min=1 << 30, once=False, stop=stop)
    assert [line["event"] for line in sealed.said] == ["sealing", "no_room", "room", "sealed", "stopped"]
    assert looks == [30.0, 30.0, 5.0]
    assert texts(shelf.folder) == ["one 0", "one 1", "one 2"]


def test_told_to_stop_in_the_midst_of_a_piece_nothing_of_it_is_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logship.lake.batch.BATCH_ROWS_MAX", 1)
    a_segment(shelf, "one")
    stop = threading.Event()
    add = Batch.add

    def adding(self: Any, *given: Any) -> None:
        stop.set()
        add(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "add", adding)
        assert seal_once(shelf.folder, once=False, stop=stop).manifest.files == ()
    assert names(shelf.folder) == []
    seal_once(shelf.folder)
    assert b"".join(data for _, _, data in rebuilt(shelf.folder)) == b"one 0\none 1\none 2\n"


def test_the_order_of_publishing_is_the_promise(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written, synced, verified, the filters likewise, renamed, folder synced, manifest: as each of them begins."""
    a_segment(shelf, "one")
    seen: list[str] = []

    def spy(owner: Any, name: str, word: str) -> None:
        real = getattr(owner, name)

        def spying(*given: Any, **named: Any) -> Any:
            seen.append(word)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, spying)

    spy(Parquet, "write", "write")
    spy(seal, "sync", "sync")
    spy(proof.Proof, "check", "verify")
    spy(Folder, "put_beside", "filters")
    spy(folder_module, "sync", "sync")
    spy(Path, "rename", "rename")
    spy(folder_module, "sync_folder", "sync folder")
    spy(Folder, "publish", "publish")
    seal_once(shelf.folder)
    start = seen.index("write")
    assert seen[start:] == [
        "write", "sync", "verify", "filters", "sync", "rename", "rename", "sync folder", "publish",
    ]  # fmt: skip
